import Simulation
import Testing

@Suite("All orders of crossing exchanges")
struct CollisionExplorerTests {
    private func explore(
        _ sets: [(left: [CollisionExplorer.Act], right: [CollisionExplorer.Act])], losses: Int, orders: Int,
        form: CollisionExplorer.Form = .regular
    ) async {
        var (runs, optimizedRekeys) = (0, 0)
        for (number, set) in sets.enumerated() {
            var explorer = CollisionExplorer(
                left: set.left, right: set.right, seed: UInt64(number + 1), losses: losses, form: form)
            await explorer.explore(atMost: orders)
            runs += explorer.runs
            optimizedRekeys += explorer.optimizedRekeys
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
        #expect(form == .regular ? optimizedRekeys == 0 : optimizedRekeys > sets.count)
    }

    @Test("Two exchanges that cross leave both sides in agreement, in whatever order their messages arrive")
    func two() async {
        await explore(CollisionExplorer.sets(upTo: 2), losses: 0, orders: 200)
    }

    /// Sets in which something is rekeyed.
    private static let rekeys = CollisionExplorer.sets(upTo: 2).filter { set in
        (set.left + set.right).contains { $0 == .rekeyChild || $0 == .rekeyIKE }
    }

    @Test(
        "Optimized rekeys that cross what else there is leave both sides in agreement, in whatever order messages arrive"
    )
    func optimized() async {
        await explore(Self.rekeys, losses: 0, orders: 60, form: .optimized)
        await explore(Self.rekeys, losses: 1, orders: 30, form: .optimized)
    }

    @Test("Optimized rekeys of one side that cross the other's, refused and then regular, leave both in agreement")
    func optimizedAndRegular() async {
        await explore(Self.rekeys, losses: 0, orders: 40, form: .refused)
        await explore(Self.rekeys, losses: 1, orders: 20, form: .refused)
    }

    @Test("Two exchanges that cross leave both sides in agreement, whichever message is lost")
    func twoWithLoss() async {
        await explore(CollisionExplorer.sets(upTo: 2), losses: 1, orders: 60)
    }
}
