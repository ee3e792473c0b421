import Foundation
import Octets
import Simulation
import Testing

@Suite("Random runs")
struct RandomRunTests {
    /// Runs 100 seeds from `first` on, or as many as CYGNET_SIMULATION_RUNS says, and names those that fail.
    private func examine(first: UInt64, isLossy: Bool, kills: Bool) async {
        let count = ProcessInfo.processInfo.environment["CYGNET_SIMULATION_RUNS"].flatMap { UInt64($0) } ?? 100
        var ikeRekeys = 0
        var childRekeys = 0
        for seed in first..<first + count {
            var run = RandomRun(seed: seed, isLossy: isLossy, kills: kills)
            await run.run()
            ikeRekeys += run.ikeRekeys
            childRekeys += run.childRekeys
            #expect(run.complaints.isEmpty, "seed \(seed): \(run.complaints.prefix(5).joined(separator: "; "))")
        }
        // A run in which nothing happens proves nothing.
        #expect(ikeRekeys > Int(count) * 4)
        #expect(childRekeys > Int(count) * 10)
    }

    @Test("Traffic never stops while both sides rekey, as long as no message is lost")
    func withoutLoss() async { await examine(first: 1, isLossy: false, kills: false) }

    @Test("Two sides that rekey over a network with up to a fifth of loss stay in agreement and leak nothing")
    func withLoss() async { await examine(first: 100_001, isLossy: true, kills: false) }

    @Test("After a crash and restart of either side the connection comes back and nothing is left of the old SAs")
    func withCrashes() async { await examine(first: 200_001, isLossy: true, kills: true) }

    @Test("A run is repeated exactly by repeating its seed", arguments: [7, 100_007, 200_007] as [UInt64])
    func repeatable(seed: UInt64) async {
        var first = RandomRun(seed: seed, isLossy: seed > 100_000, kills: seed > 200_000)
        var second = first
        await first.run()
        await second.run()
        #expect(first.digest == second.digest)
        #expect(first.digest != 0)
    }
}
