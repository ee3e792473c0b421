import ArgumentParser
import Gateway
import Logging

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the daemon in the foreground.",
        discussion: "SIGHUP reloads the configuration; SIGTERM and SIGINT end the daemon, telling peers first.")

    @OptionGroup var configurationOptions: ConfigurationOptions
    @OptionGroup var control: ControlOptions

    @Option(help: "The log level: trace, debug, info, notice, warning, error or critical.")
    var logLevel: LogLevel?

    @Option(
        help: "Write all keys to this directory, in Wireshark's form. Whoever can read them can read the traffic.",
        completion: .directory)
    var saveKeys: String?

    func run() async throws {
        var options = DaemonOptions()
        options.configurationPath = configurationOptions.path
        options.controlSocket = control.socket
        options.logLevel = logLevel.flatMap { Logger.Level(rawValue: $0.rawValue) }
        options.keyDirectory = saveKeys
        let outcome = await Daemon.launch(options) { Terminal.complain($0) }
        guard outcome == .success else { throw outcome.exitCode }
    }
}

enum LogLevel: String, ExpressibleByArgument, CaseIterable {
    case trace, debug, info, notice, warning, error, critical
}
