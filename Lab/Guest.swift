import Foundation
import IPPacket
import Synchronization

/// A Linux of its own in the place of a gateway: user-mode Linux, a program that needs no rights but to a TAP device. Its
/// kernel has IPsec, which the machine's own may lack.
///
/// Commands reach it as files of its directory; a line on its console names the next one. It ends when nobody can write
/// such lines any more, so it never outlives this process.
package final class Guest: Quarters {
    package let directory: String
    private let process: ChildProcess
    private let console: Int32
    private let count = Atomic<Int>(0)

    /// Returns when the guest takes commands.
    package init(at side: Side, of topology: Topology, files: PeerFiles) async throws {
        let directory = try topology.laboratory.makeDirectory("guest-\(side.rawValue)")
        self.directory = directory
        let links = try await topology.giveWay(at: side)
        try FileManager.default.copyItem(atPath: "\(PeerFiles.scripts)/guest-init", toPath: "\(directory)/init")
        try
            (links.enumerated().flatMap { index, link in link.setting(of: "vec\(index)") }.joined(separator: "\n")
            + "\n")
            .write(toFile: "\(directory)/network", atomically: false, encoding: .utf8)

        var environment = Command.environment
        // Its memory is a file in here.
        environment["TMPDIR"] = directory
        environment["HOME"] = directory
        // Without segments joined (gro=1): Linux 7.2 counts no packets in those of such a device, and sends many by one number.
        let devices = links.enumerated().map { "vec\($0.offset):transport=tap,ifname=\($0.element.tap),depth=64,gro=0" }
        var pipe: [Int32] = [-1, -1]
        guard Glibc.pipe(&pipe) == 0 else { throw LabError.system("making a pipe") }
        for descriptor in pipe { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        console = pipe[1]
        defer { Glibc.close(pipe[0]) }
        process = try topology.laboratory.start(
            [
                files.kernel, "mem=256M", "root=/dev/root", "rootfstype=hostfs", "rootflags=\(files.root)", "ro",
                "quiet",
                "con0=fd:0,fd:1", "panic=-1", "init=/usr/sbin/guest-init", "uml_dir=\(directory)/uml",
                "GUEST_DIRECTORY=\(directory)",
            ] + devices, in: topology.gateway(side), environment: environment, input: pipe[0],
            logFile: "\(directory)/console")
        try await appearance(of: "state", within: .seconds(60))
    }

    deinit { Glibc.close(console) }

    package var isRunning: Bool { process.isRunning }

    private func appearance(of name: String, within limit: Duration) async throws(LabError) {
        let end = ContinuousClock.now + limit
        while access("\(directory)/\(name)", F_OK) != 0 {
            guard process.isRunning, ContinuousClock.now < end else {
                throw LabError(
                    "the guest \(process.isRunning ? "does not answer" : "is gone"): \(read("console").suffix(2000))")
            }
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    /// Gives the guest a piece of shell to run; its result has `arguments` for a name.
    private func job(_ text: String, named arguments: [String], timeout: Duration) async throws(LabError)
        -> CommandResult
    {
        let number = count.add(1, ordering: .relaxed).newValue
        try write(text + "\n", to: "job.\(number)")
        let line = "\(number)\n"
        guard Glibc.write(console, line, line.utf8.count) == line.utf8.count else {
            throw .system("writing to the guest's console")
        }
        try await appearance(of: "status.\(number)", within: timeout)
        let status = Int32(read("status.\(number)").trimmingCharacters(in: .whitespacesAndNewlines)) ?? -1
        return CommandResult(
            arguments: arguments, status: .exited(status), output: read("output.\(number)"),
            errorOutput: read("error.\(number)"))
    }

    package func run(_ arguments: [String], timeout: Duration) async throws(LabError) -> CommandResult {
        let limit = "exec timeout --signal=KILL \(timeout.components.seconds + 1)"
        return try await job(
            "\(limit) \(arguments.quotedForShell)", named: arguments, timeout: timeout + .seconds(10))
    }

    package func start(_ arguments: [String], log: String) async throws(LabError) {
        let text = "setsid \(arguments.quotedForShell) >>/mnt/\(log) 2>&1 &"
        try await job(text, named: arguments, timeout: .seconds(20)).orThrow()
    }

    package func killAtOnce() async {
        process.signal(SIGKILL)
        _ = await process.wait()
    }
}

extension [String] {
    fileprivate var quotedForShell: String {
        map { "'" + $0.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'" }
            .joined(separator: " ")
    }
}
