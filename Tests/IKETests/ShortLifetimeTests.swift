import IKE
import Simulation
import Testing

@Suite("Short lifetimes")
struct ShortLifetimeTests {
    @Test("However short a child's lifetime, what was sent through it a moment ago is still taken in")
    func handover() async {
        let pair = await Pair(
            seed: 21,
            left: { connection in
                for index in connection.children.indices {
                    connection.children[index].lifetime.rekeyAfter = .seconds(1)
                    connection.children[index].lifetime.jitter = 0
                }
            })
        #expect(await pair.world.run(atMost: .seconds(5)) { pair.isUp })
        var missed: [String] = []
        for _ in 0..<1500 {
            let (fromLeft, fromRight) = (pair.left.outbound[1], pair.right.outbound[1])
            await pair.world.run(for: .milliseconds(10))
            if let spi = fromLeft?.outboundSPI, pair.right.inbound[spi] == nil {
                missed.append("right at \(pair.world.now)")
            }
            if let spi = fromRight?.outboundSPI, pair.left.inbound[spi] == nil {
                missed.append("left at \(pair.world.now)")
            }
        }
        let rekeys = pair.left.events.count { if case .childRekeyed = $0 { true } else { false } }
        #expect(rekeys >= 10)
        #expect(missed.isEmpty, "\(missed.prefix(5))")
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }
}
