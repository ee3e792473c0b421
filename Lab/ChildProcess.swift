import Foundation
import Synchronization

/// How a process ended.
package enum ExitStatus: Hashable, Sendable, CustomStringConvertible {
    case exited(Int32)
    case signalled(Int32)

    package var isSuccess: Bool { self == .exited(0) }

    package var description: String {
        switch self {
        case .exited(let code): "exit status \(code)"
        case .signalled(let signal): "signal \(signal)"
        }
    }
}

/// A process of its own process group, reaped by a thread of its own.
package final class ChildProcess: Sendable {
    package let processID: pid_t
    package let arguments: [String]

    private struct State {
        var status: ExitStatus?
        var waiters: [CheckedContinuation<ExitStatus, Never>] = []
    }
    private let state = Mutex(State())

    /// Starts a program. Nothing is interpreted by a shell.
    /// - Parameters:
    ///   - arguments: The program, looked up as `Program.locate` does, and its arguments.
    ///   - environment: The whole environment of the process.
    ///   - input, output, errorOutput: Descriptors that become 0, 1 and 2; `nil` means /dev/null.
    package init(
        _ arguments: [String], environment: [String: String], input: Int32? = nil, output: Int32? = nil,
        errorOutput: Int32? = nil, keepsGroup: Bool = false
    ) throws(LabError) {
        guard let name = arguments.first else { throw LabError("no program to run") }
        let path = try Program.require(name)
        self.arguments = arguments

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (target, source) in [(0, input), (1, output), (2, errorOutput)] as [(Int32, Int32?)] {
            if let source {
                posix_spawn_file_actions_adddup2(&actions, source, target)
            } else {
                posix_spawn_file_actions_addopen(&actions, target, "/dev/null", target == 0 ? O_RDONLY : O_WRONLY, 0)
            }
        }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        let group = keepsGroup ? 0 : POSIX_SPAWN_SETPGROUP
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | group))

        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer {
            for pointer in argv + envp { free(pointer) }
        }
        var child: pid_t = 0
        let result = posix_spawn(&child, path, &actions, &attributes, &argv, &envp)
        guard result == 0 else { throw .system("starting \(path)", result) }
        processID = child

        Thread.detachNewThread { [self] in reap() }
    }

    private func reap() {
        // Waiting without reaping keeps the number from being given to another process before `status` is set.
        var information = siginfo_t()
        while waitid(P_PID, id_t(processID), &information, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
        let waiters = state.withLock { state in
            var status: Int32 = 0
            waitpid(processID, &status, 0)
            let signal = status & 0x7f
            state.status = signal == 0 ? .exited((status >> 8) & 0xff) : .signalled(signal)
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume(returning: status ?? .exited(-1)) }
    }

    /// How it ended; `nil` while it runs.
    package var status: ExitStatus? { state.withLock { $0.status } }
    package var isRunning: Bool { status == nil }

    /// Signals the process and its group, if it has not ended.
    package func signal(_ number: Int32) {
        state.withLock { state in
            guard state.status == nil else { return }
            if kill(-processID, number) != 0 { kill(processID, number) }
        }
    }

    package func wait() async -> ExitStatus {
        await withCheckedContinuation { continuation in
            let status = state.withLock { state in
                if state.status == nil { state.waiters.append(continuation) }
                return state.status
            }
            if let status { continuation.resume(returning: status) }
        }
    }

    /// Waits at most that long; `nil` if it still runs then.
    package func wait(atMost limit: Duration) async -> ExitStatus? {
        let end = ContinuousClock.now + limit
        while isRunning && ContinuousClock.now < end {
            do { try await Task.sleep(for: .milliseconds(5)) } catch { break }
        }
        return status
    }

    /// Asks it to end, and makes it after `patience`.
    package func terminate(patience: Duration = .seconds(3)) async {
        signal(SIGTERM)
        if await wait(atMost: patience) == nil {
            signal(SIGKILL)
            _ = await wait()
        }
    }
}
