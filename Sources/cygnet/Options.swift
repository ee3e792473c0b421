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

extension Outcome {
    var exitCode: ExitCode { ExitCode(exitStatus) }
}

enum Terminal {
    /// Writes a line to standard error.
    static func complain(_ line: String) {
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }
}
