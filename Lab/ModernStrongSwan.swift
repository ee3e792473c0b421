import Foundation

/// strongSwan's charon of the modern peers' root, with ESP in the kernel of a guest or, in a chroot, in its own process.
package final class ModernStrongSwan: Peer {
    package let quarters: any Quarters
    private let hasKernelESP: Bool

    init(in quarters: any Quarters, hasKernelESP: Bool) {
        self.quarters = quarters
        self.hasKernelESP = hasKernelESP
    }

    package var log: String { quarters.read("stderr") + quarters.read("log") }

    /// Takes part of swanctl's own command.
    @discardableResult
    package func control(_ arguments: [String], timeout: Duration = .seconds(20)) async throws(LabError)
        -> CommandResult
    {
        try await quarters.run(
            ["env", "STRONGSWAN_CONF=/mnt/strongswan.conf", "SWANCTL_DIR=/mnt/swanctl", "swanctl"] + arguments
                + ["--uri", "unix:///run/vici"], timeout: timeout)
    }

    package func load(_ plan: TunnelPlan, _ side: Side, credentials: PKI.Credentials?) async throws {
        let files = FileManager.default
        for directory in ["x509", "x509ca", "private"] {
            try files.createDirectory(
                atPath: "\(quarters.directory)/swanctl/\(directory)", withIntermediateDirectories: true)
        }
        if let credentials {
            for (source, target) in [
                (credentials.issued.certificate, "x509/own.pem"), (credentials.issued.key, "private/own.pem"),
                (credentials.authority, "x509ca/ca.pem"),
            ] {
                try? files.removeItem(atPath: "\(quarters.directory)/swanctl/\(target)")
                try files.copyItem(atPath: source, toPath: "\(quarters.directory)/swanctl/\(target)")
            }
        }
        try quarters.write(
            plan.strongSwanText(
                side, certificate: credentials.map { _ in "own.pem" }, authority: credentials.map { _ in "ca.pem" }),
            to: "swanctl/swanctl.conf")
        if !isStarted { try await start(plan.peerLines.daemon) }
        let result = try await control(["--load-all", "--noprompt", "--clear"]).orThrow()
        guard result.output.contains("successfully loaded 1 connections") else { throw LabError(result.output) }
    }

    private var isStarted: Bool { FileManager.default.fileExists(atPath: "\(quarters.directory)/strongswan.conf") }

    private func start(_ lines: [String]) async throws {
        try quarters.write(
            StrongSwanSettings.modernText(
                hasKernelESP: hasKernelESP, lines: lines, socket: "/run/vici", logFile: "/mnt/log"),
            to: "strongswan.conf")
        try await quarters.start(
            ["env", "STRONGSWAN_CONF=/mnt/strongswan.conf", "/usr/lib/ipsec/charon"], log: "stderr")
        let end = ContinuousClock.now + .seconds(20)
        while try await !control(["--stats"]).status.isSuccess {
            guard quarters.isRunning, ContinuousClock.now < end else {
                throw LabError("charon did not come up: \(log.suffix(2000))")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    package func initiate() async throws(LabError) -> CommandResult {
        try await control(["--initiate", "--child", TunnelPlan.child, "--timeout", "10"])
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

    package func report() async throws -> PeerReport {
        let associations = StrongSwanIKESA.parse(try await control(["--list-sas", "--pretty"]).orThrow().output)
        return PeerReport(
            ikeSAs: associations.filter { $0.state == "ESTABLISHED" }.map { "\($0.protection) \($0.keyExchange)" },
            esp: hasKernelESP
                ? try await quarters.kernelESP()
                : associations.flatMap(\.children).flatMap { child in
                    [true, false].map { isInbound in
                        PeerReport.ESP(
                            isInbound: isInbound,
                            spi: UInt32(isInbound ? child.inboundSPI : child.outboundSPI, radix: 16) ?? 0,
                            protection: child.protection, mode: child.mode.lowercased(),
                            isUDPEncapsulated: child.isUDPEncapsulated, hasESN: child.hasESN,
                            packets: isInbound ? child.packetsIn : child.packetsOut,
                            octets: isInbound ? child.bytesIn : child.bytesOut)
                    }
                })
    }
}
