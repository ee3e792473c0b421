import Foundation
import Synchronization

/// Everything that one scenario made on this machine: namespaces, processes and a work directory. `close` removes it
/// all.
///
/// Names carry our process number, so that several laboratories, also of several processes, stand side by side, and so
/// that the next laboratory can clear away what one that was killed left behind.
package final class Laboratory: Sendable {
    /// What all our names begin with.
    package static let mark = "cyglab-"
    private static let count = Atomic<Int>(0)
    private static let open = Mutex<[ObjectIdentifier: Laboratory]>([:])

    /// Where work directories are made. Whoever isolates us names a place that vanishes with the isolation.
    private static var parentDirectory: String {
        ProcessInfo.processInfo.environment["CYGNET_LAB_DIRECTORY"] ?? "/tmp"
    }

    package let name: String
    /// Holds configurations, keys, logs and captures. Short, since paths of sockets in it have at most 107 octets.
    package let directory: String

    private struct Contents {
        var namespaces: [Namespace] = []
        var processes: [ChildProcess] = []
        var endings: [@Sendable () -> Void] = []
        var isClosed = false
    }
    private let contents = Mutex(Contents())

    package init() throws(LabError) {
        Self.removeAbandoned()
        let number = Self.count.add(1, ordering: .relaxed).newValue
        name = "\(Self.mark)\(getpid())-\(number)"
        directory = "\(Self.parentDirectory)/\(name)"
        guard mkdir(directory, 0o700) == 0 else { throw .system("making \(directory)") }
        Self.open.withLock { $0[ObjectIdentifier(self)] = self }
    }

    /// Runs a scenario in a new laboratory, which is removed however the scenario ends.
    package static func with<Value: Sendable>(
        _ scenario: @Sendable (Laboratory) async throws -> Value
    ) async throws -> Value {
        let laboratory = try Laboratory()
        do {
            let value = try await scenario(laboratory)
            laboratory.close()
            return value
        } catch {
            laboratory.close()
            throw error
        }
    }

    // MARK: Making

    package func namespace(_ role: String) async throws(LabError) -> Namespace {
        let namespace = Namespace(name: "\(name)-\(role)")
        contents.withLock { $0.namespaces.append(namespace) }
        try await Command.run(["ip", "netns", "add", namespace.name]).orThrow()
        return namespace
    }

    /// Starts a program that runs until it is ended, in a namespace, writing what it says to `logFile`.
    package func start(
        _ arguments: [String], in namespace: Namespace, environment: [String: String] = Command.environment,
        input: Int32? = nil, logFile: String
    ) throws(LabError) -> ChildProcess {
        let log = Glibc.open(logFile, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard log >= 0 else { throw .system("opening \(logFile)") }
        defer { Glibc.close(log) }
        let process = try ChildProcess(
            try namespace.wrap(arguments), environment: environment, input: input, output: log,
            errorOutput: log)
        contents.withLock { $0.processes.append(process) }
        return process
    }

    /// Has something done when the laboratory closes, before anything else is.
    func atClose(_ ending: @escaping @Sendable () -> Void) {
        contents.withLock { $0.endings.append(ending) }
    }

    /// A directory in the work directory, private to us.
    package func makeDirectory(_ path: String) throws(LabError) -> String {
        let path = "\(directory)/\(path)"
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw .system("making \(path)") }
        return path
    }

    // MARK: Removing

    /// Ends the processes, removes the namespaces with all that is in them, and the work directory. Blocks for at most
    /// some seconds.
    package func close() {
        let contents = contents.withLock { contents in
            defer { contents = Contents(isClosed: true) }
            return contents
        }
        guard !contents.isClosed else { return }
        for ending in contents.endings { ending() }
        for process in contents.processes { process.signal(SIGTERM) }
        let end = ContinuousClock.now + .seconds(3)
        while contents.processes.contains(where: \.isRunning) && ContinuousClock.now < end { usleep(5000) }
        for process in contents.processes { process.signal(SIGKILL) }
        for namespace in contents.namespaces { Self.remove(namespace.path) }
        keepFiles()
        try? FileManager.default.removeItem(atPath: directory)
        Self.open.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(self)) }
    }

    /// Copies configurations, logs, captures and keys to where `CYGNET_LAB_KEEP` says, for a person who looks into a failure.
    private func keepFiles() {
        guard let place = ProcessInfo.processInfo.environment["CYGNET_LAB_KEEP"] else { return }
        let files = FileManager.default
        for path in files.subpaths(atPath: directory) ?? [] {
            var information = stat()
            // Sockets cannot be copied.
            guard stat("\(directory)/\(path)", &information) == 0, information.st_mode & S_IFMT == S_IFREG else {
                continue
            }
            let target = URL(fileURLWithPath: "\(place)/\(name)/\(path)")
            try? files.createDirectory(at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
            try? files.copyItem(atPath: "\(directory)/\(path)", toPath: target.path)
        }
    }

    /// Closes every laboratory of this process; for a process about to end.
    package static func closeAll() {
        for laboratory in open.withLock({ Array($0.values) }) { laboratory.close() }
    }

    /// Removes a namespace as `ip netns delete` does.
    private static func remove(_ path: String) {
        umount2(path, Int32(MNT_DETACH))
        unlink(path)
    }

    // MARK: Leftovers

    /// Namespaces and work directories that bear our mark, of whichever process.
    package static func leftovers() -> [String] {
        [Namespace.directory, parentDirectory].flatMap { directory in
            let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
            return names.filter { $0.hasPrefix(mark) }.sorted().map { "\(directory)/\($0)" }
        }
    }

    /// Removes what processes left that were killed before they could. Their children in the namespaces are killed.
    private static func removeAbandoned() {
        for path in leftovers() {
            let owner = path.split(separator: "/").last?.dropFirst(mark.count).prefix(while: \.isNumber)
            guard let owner, let processID = pid_t(owner), kill(processID, 0) != 0, errno == ESRCH else { continue }
            if path.hasPrefix(Namespace.directory) {
                for process in processes(inNamespace: path) { kill(process, SIGKILL) }
                remove(path)
            } else {
                try? FileManager.default.removeItem(atPath: path)
            }
        }
    }

    /// Processes whose network namespace is the one at `path`.
    private static func processes(inNamespace path: String) -> [pid_t] {
        var wanted = stat()
        guard stat(path, &wanted) == 0 else { return [] }
        let numbers = (try? FileManager.default.contentsOfDirectory(atPath: "/proc"))?.compactMap(pid_t.init) ?? []
        return numbers.filter { number in
            var found = stat()
            return stat("/proc/\(number)/ns/net", &found) == 0 && found.st_ino == wanted.st_ino
                && found.st_dev == wanted.st_dev
        }
    }
}
