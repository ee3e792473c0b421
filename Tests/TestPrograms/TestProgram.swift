import Foundation
import Lab

/// A program that runs beside a test. It is killed when the value goes.
///
/// Foundation's `Process` is not used where tests run: as it starts a program it copies names of the list of all open descriptors as if
/// each were as long as names can be, and crashes at the end of that list's memory. Data planes side by side have well over a thousand.
package final class TestProgram: Sendable {
    private let child: ChildProcess
    /// Where its output is read.
    private let output: Int32

    /// Which of its outputs are kept; others go nowhere.
    package enum Output: Sendable {
        case standard
        case error
        case both
    }

    /// - Parameters:
    ///   - arguments: the program, found as a shell finds it, and its arguments.
    ///   - input: what it reads; nothing if `nil`.
    ///   - environment: what it gets beside this process's environment.
    package init(
        _ arguments: [String], keeping kept: Output = .standard, input: FileHandle? = nil,
        environment: [String: String] = [:]
    ) throws {
        var ends: [Int32] = [-1, -1]
        // As good as a pipe, and closed in programs that others start meanwhile.
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EMFILE) }
        defer { close(ends[1]) }
        do {
            child = try withExtendedLifetime(input) {
                try ChildProcess(
                    ["/usr/bin/env"] + arguments,
                    environment: ProcessInfo.processInfo.environment.merging(environment) { $1 },
                    input: input?.fileDescriptor, output: kept == .error ? nil : ends[1],
                    errorOutput: kept == .standard ? nil : ends[1])
            }
        } catch {
            close(ends[0])
            throw error
        }
        output = ends[0]
    }

    deinit {
        child.signal(SIGKILL)
        close(output)
    }

    /// Runs a program to its end.
    package static func run(
        _ arguments: [String], keeping kept: Output = .both, environment: [String: String] = [:]
    ) throws -> (isSuccess: Bool, output: String) {
        let program = try TestProgram(arguments, keeping: kept, environment: environment)
        let output = program.rest()
        return (program.succeeds(), output)
    }

    /// Waits for it to say something.
    ///
    /// - Returns: what it has said that has not been read; empty when it has ended, or says no more.
    package func said() -> String { String(decoding: read(), as: UTF8.self) }

    /// All that it says until it ends.
    package func rest() -> String {
        var all: [UInt8] = []
        while true {
            let part = read()
            guard !part.isEmpty else { return String(decoding: all, as: UTF8.self) }
            all += part
        }
    }

    /// Waits for its end.
    ///
    /// - Returns: whether that was with status 0.
    @discardableResult
    package func succeeds() -> Bool {
        while child.isRunning { usleep(1_000) }
        return child.status?.isSuccess ?? false
    }

    package func signal(_ number: Int32) { child.signal(number) }

    private func read() -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(output, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            return Array(buffer.prefix(max(count, 0)))
        }
    }
}
