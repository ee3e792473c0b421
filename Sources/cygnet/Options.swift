import ArgumentParser
import Foundation
import Gateway

/// The configuration a command works with.
struct ConfigurationOptions: ParsableArguments {
    @Option(
        name: [.customLong("config"), .customShort("c")], help: "The configuration.",
        completion: .file(extensions: ["yaml", "yml"]))
    var path = GatewayConfiguration.defaultPath

    /// The configuration; ends the command with its mistakes written out if it has any.
    func read() throws -> GatewayConfiguration {
        let reading = GatewayConfiguration.read(path: path)
        for diagnostic in reading.diagnostics { Terminal.complain("\(diagnostic)") }
        guard let configuration = reading.configuration else { throw Outcome.configuration.exitCode }
        return configuration
    }
}

/// The daemon a command talks to.
struct ControlOptions: ParsableArguments {
    @Option(
        help: "The daemon's control socket; without it, \(DaemonSettings.defaultControlSocket).",
        completion: .file(extensions: ["sock"]))
    var socket: String?

    /// Sends a request; ends the command with the reason if no answer comes.
    func perform(
        _ request: ControlRequest, each: @Sendable (ControlReply) async -> Void = { _ in }
    ) async throws -> ControlReply {
        do {
            return try await ControlClient(path: socket ?? DaemonSettings.defaultControlSocket)
                .perform(request, each: each)
        } catch {
            Terminal.complain("cygnet: \(error.reason)")
            throw error.outcome.exitCode
        }
    }

    /// Sends a request whose answer is text, prints that, and ends with the status that belongs to the outcome.
    func tell(_ request: ControlRequest) async throws {
        let reply = try await perform(request)
        for line in reply.lines {
            if reply.outcome == .success { print(line) } else { Terminal.complain(line) }
        }
        guard reply.outcome == .success else { throw reply.outcome.exitCode }
    }
}

extension Outcome {
    var exitCode: ExitCode { ExitCode(exitStatus) }
}

enum Terminal {
    /// Writes a line to standard error.
    static func complain(_ line: String) {
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }

    static var isInteractive: Bool { isatty(STDOUT_FILENO) == 1 }

    /// Clears the screen and goes to its upper left corner.
    static func clear() { print("\u{1b}[H\u{1b}[2J", terminator: "") }

    static func flush() { fflush(nil) }
}
