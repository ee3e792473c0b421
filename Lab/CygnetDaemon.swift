import Foundation

/// The built `cygnet`, as a person runs it: a daemon in a gateway's namespace, with a configuration and a control
/// socket of its own, steered by the same program's commands.
package final class CygnetDaemon: Sendable {
    package let namespace: Namespace
    package let side: Side
    package let configurationFile: String
    private let directory: String
    private let socket: String
    private let executable: String
    private let arguments: [String]
    private let environment: [String: String]
    private let laboratory: Laboratory
    private let running = ProcessSlot()

    /// Where the program is: as `CYGNET_BINARY` says, else beside the running one.
    package static func locateExecutable() throws(LabError) -> String {
        if let path = ProcessInfo.processInfo.environment["CYGNET_BINARY"] {
            guard let found = Program.locate(path) else {
                throw LabError("CYGNET_BINARY names \(path), which cannot be run")
            }
            return found
        }
        guard let ours = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") else {
            throw .system("reading /proc/self/exe")
        }
        // A test runs in SwiftPM's helper, but its bundle is named on the command line.
        for path in [ours] + CommandLine.arguments {
            let parts = path.split(separator: "/", omittingEmptySubsequences: false)
            for end in stride(from: parts.count - 1, through: 1, by: -1) {
                let beside = parts[..<end].joined(separator: "/") + "/cygnet"
                var information = stat()
                if stat(beside, &information) == 0, information.st_mode & S_IFMT == S_IFREG, access(beside, X_OK) == 0 {
                    return beside
                }
            }
        }
        throw LabError(
            "there is no cygnet beside \(ours); build it with `swift build -c release`, or set CYGNET_BINARY")
    }

    /// Whether `cygnet check` finds no mistake in a configuration that names no secrets.
    package static func accepts(_ configuration: String) async throws -> Bool {
        var template = Array("/tmp/cygnet-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw LabError.system("making a temporary file in /tmp") }
        close(descriptor)
        let file = template.withUnsafeBufferPointer { String(decoding: $0.dropLast().map(UInt8.init), as: UTF8.self) }
        defer { unlink(file) }
        try configuration.write(toFile: file, atomically: false, encoding: .utf8)
        return try await Command.run([locateExecutable(), "check", "--quiet", file]).status.isSuccess
    }

    /// Writes the configuration; `start` runs the daemon.
    /// - Parameters:
    ///   - start: What the connection's `start` says: `boot`, `demand` or `none`.
    ///   - dataplane: What is forced on the data plane.
    ///   - daemonEntries: More for the configuration's `daemon`.
    ///   - arguments: More for `cygnet run`, such as `--save-keys`.
    ///   - environment: More variables than commands have.
    package init(
        at side: Side, of topology: Topology, plan: TunnelPlan, certificate: PKI.Issued? = nil,
        authority: String? = nil, alternatives: [PKI.Issued] = [],
        start: String = "none", extraLines: [String] = [], dataplane: DataplaneChoice = .usual,
        daemonEntries: [String] = [], arguments: [String] = [], environment: [String: String] = [:]
    ) throws {
        self.side = side
        self.environment = Command.environment.merging(environment) { $1 }
        self.arguments = arguments
        laboratory = topology.laboratory
        namespace = topology.gateway(side)
        executable = try Self.locateExecutable()
        directory = try topology.laboratory.makeDirectory("cygnet-\(side.rawValue)")
        socket = "\(directory)/control"
        configurationFile = "\(directory)/cygnet.yaml"
        let secretFile = "\(directory)/psk"
        try plan.preSharedKey.write(toFile: secretFile, atomically: false, encoding: .utf8)
        chmod(secretFile, 0o600)
        var dataplane = dataplane
        if dataplane.workers == nil { dataplane.workers = plan.workers }
        try plan.cygnetText(
            side, socket: socket, secretFile: secretFile, certificates: (certificate.map { [$0] } ?? []) + alternatives,
            authority: certificate.flatMap { _ in authority }, start: start, extraLines: extraLines,
            daemonEntries: dataplane.daemonEntries + daemonEntries
        ).write(toFile: configurationFile, atomically: false, encoding: .utf8)
    }

    /// Runs the daemon; returns when it answers. Also after `killAtOnce`.
    package func start() async throws {
        unlink(socket)
        let process = try laboratory.start(
            [executable, "run", "--config", configurationFile] + arguments, in: namespace, environment: environment,
            logFile: "\(directory)/log")
        running.set(process)
        let end = ContinuousClock.now + .seconds(15)
        while access(socket, F_OK) != 0 {
            guard process.isRunning, ContinuousClock.now < end else {
                throw LabError(
                    "cygnet run did not come up (\(process.status?.description ?? "no socket")): \(log.suffix(3000))")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        // The socket is there before the daemon is: an answer shows that it works.
        while try await control("status").status == .exited(4) {
            guard process.isRunning, ContinuousClock.now < end else {
                throw LabError("cygnet run does not answer: \(log.suffix(3000))")
            }
        }
    }

    package var logFile: String { "\(directory)/log" }
    package var log: String { (try? String(contentsOfFile: logFile, encoding: .utf8)) ?? "" }
    package var configurationText: String { (try? String(contentsOfFile: configurationFile, encoding: .utf8)) ?? "" }
    /// Whether the daemon runs.
    package var isRunning: Bool { running.get()?.isRunning ?? false }
    package var processID: pid_t? { running.get()?.processID }

    /// Gives one of the program's commands.
    package func control(_ command: String, _ arguments: [String] = [], timeout: Duration = .seconds(30))
        async throws(LabError) -> CommandResult
    {
        try await Command.run([executable, command, "--socket", socket] + arguments, timeout: timeout)
    }

    package func up(timeout: Duration = .seconds(20)) async throws(LabError) -> CommandResult {
        try await control("up", [TunnelPlan.connection], timeout: timeout)
    }

    package func down() async throws(LabError) -> CommandResult {
        try await control("down", [TunnelPlan.connection])
    }

    /// What the daemon tells about the last negotiation, in words for a person.
    package func explain() async throws(LabError) -> String {
        try await control("explain", [TunnelPlan.connection]).output
    }

    package func status() async throws -> CygnetStatus {
        let result = try await control("status", ["--json"])
        do {
            return try JSONDecoder().decode(CygnetStatus.self, from: Data(result.output.utf8))
        } catch {
            throw LabError("\(result.complaint)\nis no status: \(error)")
        }
    }

    /// The table a person sees.
    package func statusTable() async throws(LabError) -> String { try await control("status").output }

    /// Writes what `cygnet events` tells into a file, until the daemon ends.
    /// - Parameter arguments: More for the command.
    package func followEvents(_ arguments: [String], file: String) throws(LabError) -> ChildProcess {
        try laboratory.start([executable, "events", "--socket", socket] + arguments, in: namespace, logFile: file)
    }

    /// Removes what a killed daemon left in the namespace.
    package func cleanup() async throws(LabError) -> CommandResult {
        try await namespace.run([executable, "cleanup", "--socket", socket])
    }

    /// Asks the daemon to end, which then says goodbye to its peers and removes its routes.
    package func stop() async -> ExitStatus? {
        guard let process = running.get() else { return nil }
        await process.terminate(patience: .seconds(5))
        return process.status
    }

    /// Ends the daemon as a crash does.
    package func killAtOnce() async {
        guard let process = running.get() else { return }
        process.signal(SIGKILL)
        _ = await process.wait()
    }
}
