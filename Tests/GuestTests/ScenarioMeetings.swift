import Lab
import Testing

/// The scenarios of `cygnet lab` with the peers that `make peers` makes.
@Suite("Scenarios with modern peers", .serialized)
struct ScenarioMeetings {
    private static let meetings: [(Scenario, ScenarioPeer)] = Scenario.all.flatMap { scenario in
        scenario.peers.filter { $0 == .modernStrongSwan || $0 == .libreswan }.map { (scenario, $0) }
    }

    @Test("All that must be true in it is", .timeLimit(.minutes(2)), arguments: meetings)
    func meeting(_ scenario: Scenario, _ peer: ScenarioPeer) async throws {
        let result = await scenario.run(with: peer)
        let report = ScenarioReport.text.render([result])
        #expect(result.passed, "\(report)\(result.problem ?? "")")
    }
}
