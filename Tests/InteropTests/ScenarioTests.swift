import Foundation
import Lab
import Testing

extension Interoperability {
    /// The scenarios of `cygnet lab`, with peers that need no guest.
    @Suite("Scenarios", .serialized)
    struct Scenarios {
        private static let quickPeers: Set<ScenarioPeer> = [.cygnet, .strongSwan]

        @Test("All that must be true in it is", .timeLimit(.minutes(1)), arguments: Scenario.all)
        func scenario(_ scenario: Scenario) async throws {
            for peer in scenario.peers where Self.quickPeers.contains(peer) {
                let told = Box("")
                let result = await scenario.run(
                    with: peer, narrator: Narrator { line in told.update { $0 += "\(line)\n" } })
                #expect(result.passed, "with \(peer.title):\n\(told.get())")
            }
            #expect(Laboratory.leftovers().isEmpty)
        }

        @Test("It fails with its extension switched off", .timeLimit(.minutes(1)), arguments: Scenario.all)
        func switchedOff(_ scenario: Scenario) async throws {
            let peer = try #require(scenario.peers.first { Self.quickPeers.contains($0) })
            let result = await scenario.run(with: peer, isExtensionOn: false)
            #expect(!result.passed)
        }

        @Test("The command lists them, plays one, writes its result as JSON, and refuses names it does not know")
        func command() async throws {
            let cygnet = try CygnetDaemon.locateExecutable()
            let list = try await Command.run([cygnet, "lab"]).orThrow().output
            for scenario in Scenario.all { #expect(list.contains(scenario.name) && list.contains(scenario.summary)) }
            let unknown = try await Command.run([cygnet, "lab", "nonsense"])
            #expect(unknown.status == .exited(64))
            #expect(unknown.errorOutput.contains("there is no scenario nonsense; there are: "))
            let result = try await Command.run(
                [cygnet, "lab", "ppk", "--quiet", "--format", "json"], timeout: .seconds(60)
            ).orThrow()
            let results = try JSONDecoder().decode([ScenarioResult].self, from: Data(result.output.utf8))
            #expect(results.map(\.name) == ["ppk"])
            let passed = results.allSatisfy(\.passed)
            #expect(passed)
        }
    }
}

extension Scenario: CustomTestStringConvertible {
    public var testDescription: String { name }
}
