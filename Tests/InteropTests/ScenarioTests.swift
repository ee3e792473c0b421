import Foundation
import Lab
import Testing

extension Interoperability {
    /// The scenarios of `cygnet lab`, with peers that need no guest.
    @Suite("Scenarios", .serialized)
    struct Scenarios {
        private static let quickPeers: Set<ScenarioPeer> = [.cygnet, .strongSwan]

        /// Hands over each scenario, three at a time, as most of it is waiting.
        private static func forEachScenario(_ body: @escaping @Sendable (Scenario) async throws -> Void) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (index, scenario) in Scenario.all.enumerated() {
                    if index >= 3 { try await group.next() }
                    group.addTask { try await body(scenario) }
                }
                try await group.waitForAll()
            }
            #expect(Laboratory.leftovers().isEmpty)
        }

        @Test("All that must be true in each is", .timeLimit(.minutes(4)))
        func scenarios() async throws {
            try await Self.forEachScenario { scenario in
                for peer in scenario.peers where Self.quickPeers.contains(peer) {
                    let told = Box("")
                    let result = await scenario.run(
                        with: peer, narrator: Narrator { line in told.update { $0 += "\(line)\n" } })
                    #expect(result.passed, "\(scenario.name) with \(peer.title):\n\(told.get())")
                }
            }
        }

        @Test("Each fails with its extension switched off", .timeLimit(.minutes(4)))
        func switchedOff() async throws {
            try await Self.forEachScenario { scenario in
                let peer = try #require(scenario.peers.first { Self.quickPeers.contains($0) })
                let result = await scenario.run(with: peer, isExtensionOn: false)
                #expect(!result.passed, "\(scenario.name)")
            }
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
