import Simulation
import Testing

@Suite("All orders of crossing exchanges")
struct CollisionExplorerTests {
    private func explore(
        _ sets: [(left: [CollisionExplorer.Act], right: [CollisionExplorer.Act])], losses: Int, orders: Int
    ) async {
        var runs = 0
        for (number, set) in sets.enumerated() {
            var explorer = CollisionExplorer(left: set.left, right: set.right, seed: UInt64(number + 1), losses: losses)
            await explorer.explore(atMost: orders)
            runs += explorer.runs
            for failure in explorer.failures.prefix(1) {
                Issue.record(
                    """
                    left \(set.left), right \(set.right), seed \(explorer.seed), choices \(failure.choices): \
                    \(failure.complaints.prefix(3).joined(separator: "; "))
                    \(failure.trace.joined(separator: "\n"))
                    """)
            }
            await Task.yield()
        }
        #expect(runs >= sets.count)
    }

    @Test("Two exchanges that cross leave both sides in agreement, in whatever order their messages arrive")
    func two() async {
        await explore(CollisionExplorer.sets(upTo: 2), losses: 0, orders: 200)
    }

    @Test("Two exchanges that cross leave both sides in agreement, whichever message is lost")
    func twoWithLoss() async {
        await explore(CollisionExplorer.sets(upTo: 2), losses: 1, orders: 60)
    }
}
