import IKE
import Simulation
import Testing

@Suite("Handshake")
struct HandshakeTests {
    @Test("Two gateways with one secret agree on keys and install a child SA")
    func preSharedKey() async {
        let pair = await Pair(seed: 1)
        #expect(await pair.world.run(atMost: .seconds(5)) { pair.isUp })
        #expect(pair.faults.isEmpty)
        #expect(pair.world.sent.count == 4)
    }

    @Test(
        "A wrong secret is refused by the responder with the line that decides, and the initiator claims no more than it knows"
    )
    func wrongSecret() async {
        let pair = await Pair(
            seed: 2, start: .none, right: { $0.remoteAuthentication = .preSharedKey(.init(Array("wrong".utf8))) })
        try? await pair.world.act("left") { endpoint, now in try endpoint.initiate("site", at: now) }
        await pair.world.run(for: .seconds(3))
        #expect(pair.right.refusals.first?.cause == .authenticationFailed)
        #expect(pair.right.refusals.first?.decidedBy == .us)
        #expect(pair.left.refusals.first?.cause == .authenticationFailed)
        #expect(pair.left.refusals.first?.decidedBy == .peer)
        #expect(pair.left.status("site")?.state == .failed)
    }
}
