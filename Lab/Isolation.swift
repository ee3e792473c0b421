import Foundation

/// Runs this program again in namespaces of its own, so that nothing it makes can outlive it.
///
/// Inside there are an own network, an own process table, and an own /run, where `ip netns` keeps its names; an
/// ordinary user is root in there through a user namespace. The program is process 1 of its process table: when it
/// ends, however it ends, the kernel kills all it started and takes down every namespace and device.
package enum Isolation {
    /// Set in the environment of the program inside; its value is the descriptor that ends with the program outside.
    private static let variable = "CYGNET_LAB_LIFELINE"

    package static var isInside: Bool { getpid() == 1 && getenv(variable) != nil }

    /// Whether this process may make namespaces where it is.
    package static var isPrivileged: Bool { geteuid() == 0 }

    /// Outside: runs this program again inside and returns its exit status. Inside: prepares the surroundings and
    /// returns `nil`.
    package static func enter(arguments: [String] = CommandLine.arguments) async throws(LabError) -> Int32? {
        if let lifeline = getenv(variable).flatMap({ Int32(String(cString: $0)) }), isInside {
            try prepare(lifeline: lifeline)
            return nil
        }
        return try await runInside(arguments)
    }

    private static func runInside(_ arguments: [String]) async throws(LabError) -> Int32 {
        let user = isPrivileged ? [] : ["--user", "--map-root-user"]
        let unshare = ["unshare"] + user + ["--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]

        // Tried first, to tell "not allowed here" from a failure of the program itself.
        let trial = try await Command.run(unshare + ["--", try Program.require("true")])
        guard trial.status.isSuccess else {
            let reason = trial.errorOutput.trimmingCharacters(in: .whitespacesAndNewlines)
            throw LabError(
                isPrivileged
                    ? "this kernel or container allows no new namespaces (\(reason)); the demo needs CAP_SYS_ADMIN and CAP_NET_ADMIN"
                    : "this kernel allows ordinary users no namespaces (\(reason)); run it as root, or allow them: "
                        + "sysctl -w user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1")
        }

        var lifeline: [Int32] = [-1, -1]
        guard pipe(&lifeline) == 0 else { throw .system("making a pipe") }
        _ = fcntl(lifeline[1], F_SETFD, FD_CLOEXEC)
        var environment = ProcessInfo.processInfo.environment
        environment[variable] = "\(lifeline[0])"
        guard let executable = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") else {
            throw .system("reading /proc/self/exe")
        }
        let child = try ChildProcess(
            unshare + ["--", executable] + arguments.dropFirst(), environment: environment, input: 0, output: 1,
            errorOutput: 2)
        close(lifeline[0])

        let interruption = Interruption { child.signal(SIGKILL) }
        let status = await child.wait()
        interruption.finish()
        close(lifeline[1])
        if let signal = interruption.signal { return 128 + signal }
        return if case .exited(let code) = status { code } else { 1 }
    }

    private static func prepare(lifeline: Int32) throws(LabError) {
        _ = fcntl(lifeline, F_SETFD, FD_CLOEXEC)
        Thread.detachNewThread {
            var octet: UInt8 = 0
            while read(lifeline, &octet, 1) < 0 && errno == EINTR {}
            _exit(130)
        }
        guard mount("tmpfs", "/run", "tmpfs", 0, "mode=755") == 0 else { throw .system("mounting a private /run") }
        mkdir(Namespace.directory, 0o755)
        setenv("CYGNET_LAB_DIRECTORY", "/run", 1)
    }
}
