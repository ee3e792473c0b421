import ArgumentParser
import Foundation
import Lab

struct LabCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab",
        abstract: "Show a document at work between two gateways in network namespaces, and check what must be true.",
        discussion: """
            Without a name the scenarios are listed. A peer of another make takes one end where one knows the document and is \
            installed, else Cygnet is at both. Touches nothing outside its namespaces and leaves nothing behind. Exit status 1 \
            if anything is not as it must be.
            """)

    @Argument(help: "Scenarios to play; all for every one.") var names: [String] = []
    @Option(help: "Who is at the right end: \(ScenarioPeer.allCases.map(\.rawValue).joined(separator: ", ")).")
    var peer: ScenarioPeer?
    @Option(help: "How the summary is written: \(ScenarioReport.allCases.map(\.rawValue).joined(separator: ", ")).")
    var format = ScenarioReport.text
    @Flag(help: "Leave out what happens; print the summary only.") var quiet = false
    @Flag(
        name: .customLong("without-extension"),
        help: "Switch the document's extension off at the left: the scenario has to fail.")
    var isExtensionOff = false

    func validate() throws {
        for name in names where name != "all" && Scenario.named(name) == nil {
            throw ValidationError(
                "there is no scenario \(name); there are: \(Scenario.all.map(\.name).joined(separator: ", "))")
        }
    }

    func run() async throws {
        guard !names.isEmpty else { return list() }
        do {
            if let status = try await LabSession.enter() {
                guard status == 0 else { throw ExitCode(status) }
                return
            }
        } catch let error as LabError {
            Terminal.complain("cygnet lab: \(error)")
            throw ExitCode.failure
        }
        let isText = format == .text
        let narrator = quiet ? Narrator.silent : Narrator { isText ? print($0) : Terminal.complain($0) }
        var results: [ScenarioResult] = []
        for scenario in chosen {
            results.append(await scenario.run(with: peer, isExtensionOn: !isExtensionOff, narrator: narrator))
            narrator.separate()
            Terminal.flush()
        }
        print(format.render(results), terminator: "")
        Terminal.flush()
        guard results.allSatisfy(\.passed) else { throw ExitCode.failure }
    }

    private var chosen: [Scenario] {
        guard !names.contains("all") else {
            // Not with every peer can every one be played.
            return Scenario.all.filter { scenario in peer.map(scenario.peers.contains) ?? true }
        }
        return names.compactMap(Scenario.named)
    }

    private func list() {
        print(ScenarioReport.list(Scenario.all), terminator: "")
    }
}

extension ScenarioPeer: ExpressibleByArgument {}
extension ScenarioReport: ExpressibleByArgument {}
