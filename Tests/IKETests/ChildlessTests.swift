import IKE
import IKEMessage
import Octets
import Simulation
import Testing

@Suite("IKE SAs without a child SA (RFC 6023)")
struct ChildlessTests {
    /// The payloads of the first message of `left`'s, or `right`'s, that is `wanted`, decrypted.
    private func payloads(_ pair: Pair, _ wanted: (IKEDatagram) -> Bool) -> [Payload]? {
        pair.world.sent.first(where: wanted).flatMap { pair.wiretap.payloads(of: $0.octets) }
    }

    @Test("An initiator that prefers it brings the first child by CREATE_CHILD_SA")
    func preferred() async throws {
        let pair = await Pair.established(seed: 1, left: { $0.childless = .prefer })
        #expect(pair.agrees())
        let request = try #require(payloads(pair) { $0.isRequest(.ikeAuth) })
        #expect(!request.contains(PayloadType.securityAssociation))
        #expect(!request.contains(PayloadType.trafficSelectorInitiator))
        let child = try #require(payloads(pair) { $0.isRequest(.createChildSA) })
        #expect(child.contains(PayloadType.securityAssociation))
        #expect(pair.faults.isEmpty)
    }

    @Test("Only the responder announces it, and the announcement has protocol ID 1")
    func announcement() async throws {
        let pair = await Pair.established(seed: 2)
        let request = try Message(parsing: try #require(pair.world.sent.first { $0.isRequest(.ikeSAInit) }).octets)
        let response = try Message(parsing: try #require(pair.world.sent.first { $0.isResponse(.ikeSAInit) }).octets)
        #expect(!request.payloads.contains(NotifyType.childlessIKEv2Supported))
        let notify = response.payloads.compactMap { payload -> NotifyPayload? in
            if case .notify(let notify) = payload, notify.type == .childlessIKEv2Supported { notify } else { nil }
        }
        #expect(notify.map(\.protocolID) == [.ike])
    }

    @Test("Where the responder does not announce it, an initiator that prefers it brings the child as always")
    func notSupported() async throws {
        let pair = await Pair.established(seed: 3, left: { $0.childless = .prefer }, right: { $0.childless = .never })
        #expect(pair.agrees())
        let request = try #require(payloads(pair) { $0.isRequest(.ikeAuth) })
        #expect(request.contains(PayloadType.securityAssociation))
    }

    @Test("An initiator that requires it refuses a responder that does not announce it, and names the line")
    func requiredAndNotSupported() async {
        let pair = await Pair(
            seed: 4, left: { $0.childless = .require }, right: { $0.childless = .never })
        await pair.world.run(for: .seconds(3))
        #expect(!pair.left.isUp("site"))
        #expect(pair.left.refusals.first?.reason.contains("RFC 6023") ?? false)
    }

    @Test("A responder that requires it takes the IKE SA, but no child that comes with IKE_AUTH")
    func requiredOfInitiator() async {
        let pair = await Pair(seed: 5, left: { $0.start = .none }, right: { $0.childless = .require })
        await pair.initiate()
        await pair.world.run(for: .milliseconds(500))
        #expect(pair.left.status("site")?.ikeSAs.count == 1)
        #expect(pair.left.refusals.first?.reason.contains("NO_ADDITIONAL_SAS") ?? false)
    }
}
