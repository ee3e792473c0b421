import Dispatch
import Glibc

/// A program that does one thing and ends. Nothing is interpreted by a shell.
package struct SubordinateProgram: Sendable {
    /// Why it did not do what it was asked for.
    package struct Failure: Error {
        package let reason: String

        package init(reason: String) { self.reason = reason }
    }

    private let path: String
    /// The only variables it sees.
    private let environment: [String: String]

    package init(path: String, environment: [String: String]) {
        self.path = path
        self.environment = environment
    }

    private static let queue = DispatchQueue(label: "cygnet.subordinate", attributes: .concurrent)
    private static let complaintLimit = 4096

    /// Runs it away from the daemon's own threads.
    ///
    /// - Parameter deadline: after this long it is killed.
    /// - Throws: what it said on standard error if it did not end well.
    package func run(_ arguments: [String], deadline: Duration) async throws(Failure) {
        let result: Result<Void, Failure> = await withCheckedContinuation { continuation in
            Self.queue.async { continuation.resume(returning: perform(arguments, deadline)) }
        }
        try result.get()
    }

    private func perform(_ arguments: [String], _ deadline: Duration) -> Result<Void, Failure> {
        var ends: [Int32] = [0, 0]
        // Closed in other programs from the first moment: another thread may be starting one.
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { return .failure(system("socketpair", errno)) }
        defer { close(ends[0]) }
        let started = start(arguments, complaints: ends[1])
        close(ends[1])
        guard case .success(let child) = started else { return started.map { _ in } }
        let end = ContinuousClock.now + deadline
        var (complaint, isLate) = read(ends[0], until: end)
        var status: Int32 = 0
        // It may have closed its standard error and go on.
        while !isLate, !hasEnded(child, &status) {
            isLate = ContinuousClock.now >= end
            usleep(1000)
        }
        if isLate {
            kill(child, SIGKILL)
            while waitpid(child, &status, 0) < 0 && errno == EINTR {}
            return .failure(Failure(reason: "no answer within \(deadline)"))
        }
        guard status != 0 else { return .success(()) }
        return .failure(Failure(reason: complaint.isEmpty ? "it ended with status \(status >> 8 & 0xff)" : complaint))
    }

    private func hasEnded(_ child: pid_t, _ status: inout Int32) -> Bool {
        let result = waitpid(child, &status, WNOHANG)
        return result != 0 && !(result < 0 && errno == EINTR)
    }

    private func start(_ arguments: [String], complaints: Int32) -> Result<pid_t, Failure> {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, complaints, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // What the daemon ignores or holds back is not to be so in the program.
        var none = sigset_t(), all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var argv: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var child: pid_t = 0
        let result = posix_spawn(&child, path, &actions, &attributes, &argv, &envp)
        guard result == 0 else { return .failure(system(path, result)) }
        return .success(child)
    }

    /// What comes until the program has closed it, or until the time is over.
    private func read(_ descriptor: Int32, until end: ContinuousClock.Instant) -> (text: String, isLate: Bool) {
        var octets: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1024)
        while true {
            let left = max(.zero, end - .now)
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let milliseconds = Int32(
                clamping: left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000)
            let count = poll(&waiting, 1, milliseconds)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return (text(octets), true) }
            let length = Glibc.read(descriptor, &buffer, buffer.count)
            if length < 0, errno == EINTR { continue }
            guard length > 0 else { return (text(octets), false) }
            octets += buffer.prefix(length).prefix(max(0, Self.complaintLimit - octets.count))
        }
    }

    private func text(_ octets: [UInt8]) -> String {
        String(decoding: octets, as: UTF8.self).split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    private func system(_ what: String, _ number: Int32) -> Failure {
        Failure(reason: "\(what): \(ReferencedFile.reason(number))")
    }
}
