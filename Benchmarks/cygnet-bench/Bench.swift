import ArgumentParser
import Foundation
import Lab

/// What is run under callgrind stays on the main thread, whose end callgrind does not survive: a program that begins asynchronously
/// gives that thread up.
@main
enum Entry {
    static func main() {
        if CommandLine.arguments.dropFirst().first == ESPTurnsCommand.name {
            return ESPTurnsCommand.main(Array(CommandLine.arguments.dropFirst(2)))
        }
        Task {
            await Bench.main()
            exit(0)
        }
        dispatchMain()
    }
}

struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cygnet-bench",
        abstract: "How fast Cygnet is, beside what else does the same on this machine at the same time.",
        subcommands: [
            All.self, ESPCommand.self, HandshakeCommand.self, DaemonCommand.self, TunnelCommand.self, FloodCommand.self,
            ScaleCommand.self, EnduranceCommand.self,
        ],
        defaultSubcommand: All.self)
}

struct All: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "all", abstract: "Every benchmark, each with its usual options.")

    @OptionGroup var output: OutputOptions

    func run() async throws {
        output.print(
            Report(
                title: "Benchmarks", isWhole: true,
                parts: [
                    .text(
                        """
                        Written by `make bench`, which measures Cygnet and what it is compared with in the same run. \
                        Ratios mean something; absolute figures are this machine's on this day. Each section names the \
                        command that repeats it alone.
                        """),
                    .commands(["make bench"]),
                    try await Machine.report(),
                ]))
        output.print(try await ESPCommand.parse([]).report())
        output.print(try await HandshakeCommand.parse([]).report())
        let arguments = output.markdown ? ["--markdown"] : []
        try await DaemonCommand.parse(arguments).run()
        try await TunnelCommand.parse(arguments).run()
        try await FloodCommand.parse(arguments).run()
        try await ScaleCommand.parse(arguments).run()
    }
}

struct OutputOptions: ParsableArguments {
    @Flag(name: .long, help: "Write Markdown.")
    var markdown = false

    /// At once, since another process may write to the same place next.
    func print(_ report: Report) {
        FileHandle.standardOutput.write(Data((report.rendered(asMarkdown: markdown) + "\n").utf8))
    }

    /// Prints what is measured in namespaces of its own, where nothing of this host is touched: for that the command with these
    /// arguments is run again within them.
    func printIsolated(_ arguments: [String], _ report: () async throws -> Report) async throws {
        let again = [CommandLine.arguments[0]] + arguments + (markdown ? ["--markdown"] : [])
        guard let status = try await Isolation.enter(arguments: again) else { return self.print(try await report()) }
        guard status == 0 else { throw ExitCode(status) }
    }

    /// How a person repeats what a report tells of.
    func command(_ name: String) -> String { ".build/release/cygnet-bench \(name)" }
}
