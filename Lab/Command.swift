import Foundation

/// What a finished command said.
package struct CommandResult: Sendable {
    package let arguments: [String]
    package let status: ExitStatus
    package let output: String
    package let errorOutput: String

    /// The command and its complaint, for a message to a person.
    package var complaint: String {
        let text = errorOutput.isEmpty ? output : errorOutput
        let said = text.trimmingCharacters(in: .whitespacesAndNewlines)
        return "`\(arguments.joined(separator: " "))` ended with \(status)\(said.isEmpty ? "" : ": \(said)")"
    }

    /// This result, if the command succeeded.
    @discardableResult
    package func orThrow() throws(LabError) -> CommandResult {
        guard status.isSuccess else { throw LabError(complaint) }
        return self
    }
}

/// Runs a program to its end.
package enum Command {
    /// The environment commands get: nothing of ours that could change what they print.
    package static let environment = ["PATH": Program.searchPath, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"]

    /// - Parameters:
    ///   - input: What the command reads from its standard input.
    ///   - timeout: When to kill it; it then ends by signal 9.
    package static func run(
        _ arguments: [String], input: String = "", environment: [String: String] = environment,
        timeout: Duration = .seconds(15)
    ) async throws(LabError) -> CommandResult {
        let standardInput = try temporaryFile(holding: input)
        defer { close(standardInput) }
        let output = try temporaryFile()
        defer { close(output) }
        let errorOutput = try temporaryFile()
        defer { close(errorOutput) }

        let child = try ChildProcess(
            arguments, environment: environment, input: standardInput, output: output, errorOutput: errorOutput)
        let limit = Task {
            try await Task.sleep(for: timeout)
            child.signal(SIGKILL)
        }
        let status = await withTaskCancellationHandler {
            await child.wait()
        } onCancel: {
            child.signal(SIGKILL)
        }
        limit.cancel()
        return CommandResult(
            arguments: arguments, status: status, output: contents(of: output), errorOutput: contents(of: errorOutput))
    }

    /// A file without a name, at its beginning. Files rather than pipes: a command never waits for us to read.
    private static func temporaryFile(holding text: String = "") throws(LabError) -> Int32 {
        var template = Array("/tmp/cygnet-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw .system("making a temporary file in /tmp") }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        unlink(template)
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { break }
            rest = rest.dropFirst(count)
        }
        lseek(descriptor, 0, SEEK_SET)
        return descriptor
    }

    private static func contents(of descriptor: Int32) -> String {
        var octets: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = pread(descriptor, &buffer, buffer.count, off_t(octets.count))
            guard count > 0 else { break }
            octets += buffer[..<count]
        }
        return String(decoding: octets, as: UTF8.self)
    }
}
