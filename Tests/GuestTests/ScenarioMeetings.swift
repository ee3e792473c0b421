import Foundation
import Lab
import Testing

extension GuestMatrix {
    /// The scenarios of `cygnet lab` with peers of `Lab/peers`, or those with all words of `CYGNET_GUEST_ROWS` in what
    /// they are called.
    private static let meetings: [(Scenario, ScenarioPeer)] = {
        let modern: Set<ScenarioPeer> = [.modernStrongSwan, .libreswan, .newerLibreswan]
        let all = Scenario.all.flatMap { scenario in
            scenario.peers.filter(modern.contains).map { (scenario, $0) }
        }
        guard let words = ProcessInfo.processInfo.environment["CYGNET_GUEST_ROWS"] else { return all }
        return all.filter { scenario, peer in
            words.split(separator: " ").allSatisfy("\(peer.title), scenario \(scenario.name)".contains)
        }
    }()

    @Test("All that must be true in a scenario is", .timeLimit(.minutes(2)), arguments: meetings)
    func meeting(_ scenario: Scenario, _ peer: ScenarioPeer) async throws {
        // Of these, `make peers` does not make all.
        if peer == .newerLibreswan, let absence = await peer.absence() { return print("LEFT OUT: \(absence)") }
        let result = await scenario.run(with: peer)
        let report = ScenarioReport.text.render([result])
        #expect(result.passed, "\(report)\(result.problem ?? "")")
    }
}
