import Octets
import Simulation
import Testing

@Suite("Random runs")
struct RandomRunTests {
    /// Runs `count` seeds from `first` on and names those that fail.
    private func examine(first: UInt64, count: UInt64, isLossy: Bool, kills: Bool) async {
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
    func withoutLoss() async { await examine(first: 1, count: 100, isLossy: false, kills: false) }

    @Test("Two sides that rekey over a network with up to a fifth of loss stay in agreement and leak nothing")
    func withLoss() async { await examine(first: 1000, count: 100, isLossy: true, kills: false) }

    @Test("After a crash and restart of either side the connection comes back and nothing is left of the old SAs")
    func withCrashes() async { await examine(first: 2000, count: 100, isLossy: true, kills: true) }
}
