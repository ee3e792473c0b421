import Foundation
import Octets
import Simulation
import Testing

@Suite("Random runs")
struct RandomRunTests {
    /// Runs as many seeds from `first` on as CYGNET_SIMULATION_RUNS says, or 40, and names those that fail.
    private func examine(first: UInt64, _ blows: RandomRun.Blows, isRehearsed: Bool = true) async {
        let count = ProcessInfo.processInfo.environment["CYGNET_SIMULATION_RUNS"].flatMap { UInt64($0) } ?? 40
        var ikeRekeys = 0
        var childRekeys = 0
        for seed in first..<first + count {
            var run = RandomRun(seed: seed, blows, isRehearsed: isRehearsed)
            await run.run()
            ikeRekeys += run.ikeRekeys
            childRekeys += run.childRekeys
            #expect(run.complaints.isEmpty, "seed \(seed): \(run.complaints.prefix(5).joined(separator: "; "))")
            // Other tests want the few threads of the pool as well.
            await Task.yield()
        }
        // A run in which nothing happens proves nothing.
        #expect(ikeRekeys > Int(count) * 2)
        #expect(childRekeys > Int(count) * 5)
    }

    @Test("Traffic never stops while both sides rekey, as long as no message is lost")
    func withoutLoss() async { await examine(first: 1, []) }

    @Test("With algorithms of all kinds, too, traffic never stops while both sides rekey")
    func withRealAlgorithms() async { await examine(first: 50_001, [], isRehearsed: false) }

    @Test("Two sides that rekey over a network with up to a fifth of loss stay in agreement and leak nothing")
    func withLoss() async { await examine(first: 100_001, .loss) }

    @Test("After a crash and restart of either side the connection comes back and nothing is left of the old SAs")
    func withCrashes() async { await examine(first: 200_001, [.loss, .kill]) }

    @Test("A NAT that forgets its mappings interrupts a connection for as long as left is silent, and no longer")
    func withRebinding() async { await examine(first: 300_001, [.loss, .rebinding]) }

    @Test("A host that sleeps, or whose clock is set forward, finds its way back into agreement")
    func withClocks() async { await examine(first: 400_001, [.loss, .clocks]) }

    @Test("Lost computations, reports and installations end attempts and SAs, and leave nothing behind")
    func withExhaustion() async { await examine(first: 500_001, [.exhaustion]) }

    @Test("A host that gets another address sets its connection up again from there")
    func withMoving() async { await examine(first: 600_001, [.loss, .moving]) }

    @Test("A run is repeated exactly by repeating its seed", arguments: [7, 100_007, 200_007] as [UInt64])
    func repeatable(seed: UInt64) async {
        let blows: RandomRun.Blows = seed > 200_000 ? [.loss, .kill] : seed > 100_000 ? [.loss] : []
        var first = RandomRun(seed: seed, blows)
        var second = first
        await first.run()
        await second.run()
        #expect(first.digest == second.digest)
        #expect(first.digest != 0)
    }
}
