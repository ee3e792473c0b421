import CLinux
import Foundation

/// A network namespace of a laboratory, named under /run/netns as `ip netns` does.
package struct Namespace: Sendable, Hashable {
    package let name: String
    static let directory = "/run/netns"
    package var path: String { "\(Self.directory)/\(name)" }

    /// The arguments that run a program in here. It starts no shell and, unlike `ip netns exec`, mounts nothing.
    package func wrap(_ arguments: [String]) throws(LabError) -> [String] {
        guard let name = arguments.first else { throw LabError("no program to run") }
        return ["nsenter", "--net=\(path)", "--", try Program.require(name)] + arguments.dropFirst()
    }

    /// Runs a program in here to its end.
    package func run(
        _ arguments: [String], input: String = "", environment: [String: String] = Command.environment,
        timeout: Duration = .seconds(15)
    ) async throws(LabError) -> CommandResult {
        try await Command.run(try wrap(arguments), input: input, environment: environment, timeout: timeout)
    }

    /// Carries out lines of `ip`, all in one process.
    package func ip(_ lines: [String]) async throws(LabError) {
        try await Command.run(
            ["ip", "-n", name, "-batch", "-"], input: lines.joined(separator: "\n") + "\n"
        ).orThrow()
    }

    /// Writes kernel settings, given by their paths under /proc/sys.
    package func set(_ settings: [(path: String, value: String)]) async throws {
        try await inside {
            for (path, value) in settings {
                let file = open("/proc/sys/\(path)", O_WRONLY | O_CLOEXEC)
                guard file >= 0 else { throw LabError.system("opening /proc/sys/\(path)") }
                defer { close(file) }
                guard write(file, value, value.utf8.count) >= 0 else {
                    throw LabError.system("writing \(value) to /proc/sys/\(path)")
                }
            }
        }
    }

    /// Runs a closure on a thread of its own inside the namespace. What it opens stays in the namespace; it may block.
    package func inside<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        let path = path
        return try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result {
                        let result = cygnet_set_network_namespace(path)
                        guard result == 0 else { throw LabError.system("entering \(path)", -result) }
                        return try body()
                    })
            }
        }
    }
}
