import Foundation

/// strongSwan's charon in a gateway's namespace, with ESP in its own process (kernel-libipsec): the peer Cygnet is
/// tried with.
///
/// Each has its own settings, credentials and control socket, and its log in the laboratory. Its ESP always goes in
/// UDP, as libipsec knows no other way, and its tunnel device has an MTU of 1400.
package final class StrongSwan: Sendable {
    package let namespace: Namespace
    package let logFile: String
    private let directory: String
    private let socket: String
    private let environment: [String: String]
    private let process: ChildProcess
    package var processID: pid_t { process.processID }

    /// Returns when the daemon answers.
    package convenience init(at side: Side, of topology: Topology) async throws {
        try await self.init(in: topology.gateway(side), name: side.rawValue, topology.laboratory)
    }

    /// - Parameter name: tells its directory from those of others.
    package init(in namespace: Namespace, name: String, _ laboratory: Laboratory) async throws {
        self.namespace = namespace
        let directory = try laboratory.makeDirectory("swan-\(name)")
        self.directory = directory
        socket = "\(directory)/vici"
        logFile = "\(directory)/log"
        for part in ["x509", "x509ca", "private"] {
            _ = try laboratory.makeDirectory("swan-\(name)/\(part)")
        }
        try StrongSwanSettings.text(socket: socket, logFile: logFile)
            .write(toFile: "\(directory)/strongswan.conf", atomically: false, encoding: .utf8)
        var environment = Command.environment
        environment["STRONGSWAN_CONF"] = "\(directory)/strongswan.conf"
        environment["SWANCTL_DIR"] = directory
        self.environment = environment
        process = try laboratory.start(
            ["charon-systemd"], in: namespace, environment: environment, logFile: "\(directory)/stderr")

        let end = ContinuousClock.now + .seconds(10)
        while access(socket, F_OK) != 0 {
            guard process.isRunning, ContinuousClock.now < end else {
                throw LabError("charon-systemd did not come up: \(log.suffix(2000))")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// What the daemon wrote.
    package var log: String {
        ["stderr", "log"].map { (try? String(contentsOfFile: "\(directory)/\($0)", encoding: .utf8)) ?? "" }.joined()
    }

    /// Takes part of its own command. Its exit status is in the result: a refused initiation is an answer, not an
    /// error.
    @discardableResult
    package func control(_ arguments: [String], timeout: Duration = .seconds(20)) async throws(LabError)
        -> CommandResult
    {
        try await Command.run(
            ["swanctl"] + arguments + ["--uri", "unix://\(socket)"], environment: environment, timeout: timeout)
    }

    /// Replaces the whole configuration by one end of a plan.
    package func load(_ plan: TunnelPlan, _ side: Side, certificate: PKI.Issued? = nil, authority: String? = nil)
        async throws
    {
        let text = plan.strongSwanText(
            side, certificate: certificate.map { _ in "own.pem" },
            authority: certificate.flatMap { _ in authority.map { _ in "ca.pem" } })
        try await load(text, certificate: certificate, authority: authority)
    }

    /// Replaces the whole configuration by a text with one connection, in which the files are `own.pem` and `ca.pem`.
    package func load(_ text: String, certificate: PKI.Issued? = nil, authority: String? = nil) async throws {
        if let certificate, let authority {
            let files = FileManager.default
            for (source, target) in [
                (certificate.certificate, "x509/own.pem"), (certificate.key, "private/own.pem"),
                (authority, "x509ca/ca.pem"),
            ] {
                try? files.removeItem(atPath: "\(directory)/\(target)")
                try files.copyItem(atPath: source, toPath: "\(directory)/\(target)")
            }
        }
        try text.write(toFile: "\(directory)/swanctl.conf", atomically: false, encoding: .utf8)
        let result = try await control(["--load-all", "--noprompt", "--clear"]).orThrow()
        guard result.output.contains("successfully loaded 1 connections") else { throw LabError(result.output) }
    }

    /// Brings up the child of the plan, and with it the IKE SA.
    @discardableResult
    package func initiate(timeout: Int = 10) async throws(LabError) -> CommandResult {
        try await control(["--initiate", "--child", TunnelPlan.child, "--timeout", "\(timeout)"])
    }

    package func rekeyChild() async throws(LabError) {
        try await control(["--rekey", "--child", TunnelPlan.child]).orThrow()
    }

    package func rekeyIKE() async throws(LabError) {
        try await control(["--rekey", "--ike", TunnelPlan.connection]).orThrow()
    }

    package func terminateChild() async throws(LabError) {
        try await control(["--terminate", "--child", TunnelPlan.child]).orThrow()
    }

    package func terminateIKE() async throws(LabError) {
        try await control(["--terminate", "--ike", TunnelPlan.connection]).orThrow()
    }

    package func securityAssociations() async throws -> [StrongSwanIKESA] {
        StrongSwanIKESA.parse(try await control(["--list-sas", "--pretty"]).orThrow().output)
    }

    /// Ends the daemon without its saying goodbye to the peer.
    package func killAtOnce() async {
        process.signal(SIGKILL)
        _ = await process.wait()
    }
}
