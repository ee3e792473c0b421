import Simulation
import Testing

@Suite("Long and wide runs")
struct LongRunTests {
    @Test(
        "In a month with a restart every day a pair is never down for longer than its timers explain, and nothing piles up"
    )
    func month() async {
        var run = LongRun(seed: 1)
        await run.run(hours: 720)
        #expect(run.complaints.isEmpty, "\(run.complaints.prefix(5).joined(separator: "; "))")
        #expect(run.hours == 720)
        #expect(run.tally.childRekeys > 500)
    }

    @Test("What happens to some peers of a gateway touches none of the others", arguments: 1...2 as ClosedRange<UInt64>)
    func star(seed: UInt64) async {
        var run = StarRun(seed: seed, peers: 9)
        await run.run()
        #expect(run.complaints.isEmpty, "\(run.complaints.prefix(5).joined(separator: "; "))")
    }
}
