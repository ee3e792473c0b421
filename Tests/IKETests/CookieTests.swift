import IKE
import IKEMessage
import IPPacket
import Octets
import Simulation
import Testing

@Suite("Cookies and half-open limits")
struct CookieTests {
    private func request(_ spi: UInt64, from address: String = "192.0.2.1", cookie: [UInt8]? = nil) -> IKEDatagram {
        var payloads: [Payload] =
            cookie.map {
                [.notify(NotifyPayload(protocolID: .none, spi: [], type: .cookie, data: $0))]
            } ?? []
        let proposal = IKEProposal(encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519])
        payloads += [
            .securityAssociation(SecurityAssociationPayload(proposals: [proposal.payload(number: 1)])),
            .keyExchange(KeyExchangePayload(method: 31, data: [9] + [UInt8](repeating: 0, count: 31))),
            .nonce([UInt8](repeating: 1, count: 32)),
        ]
        let message = Message(
            header: IKEHeader(
                initiatorSPI: spi, responderSPI: 0, exchangeType: .ikeSAInit, flags: .initiator, messageID: 0),
            payloads: payloads)
        return IKEDatagram(
            octets: message.serialized(), local: SocketAddress(IPAddress(address) ?? .unspecified(.v4), port: 500),
            remote: SocketAddress(IPAddress("198.51.100.2") ?? .unspecified(.v4), port: 500), nonESPMarker: false)
    }

    private func cookie(in datagram: IKEDatagram?) -> [UInt8]? {
        for case .notify(let notify) in (datagram.flatMap { try? Message(parsing: $0.octets) })?.payloads ?? []
        where notify.type == .cookie { return notify.data }
        return nil
    }

    @Test("With cookies demanded of everybody, a handshake takes one round more")
    func roundTrip() async {
        let pair = await Pair(seed: 1, endpoint: { $0.cookieThreshold = 0 })
        #expect(await pair.world.run(atMost: .seconds(1)) { pair.isUp })
        #expect(pair.world.sent.count == 6)
    }

    @Test(
        "A request with a cookie has it first and is otherwise the same, even if a NAT is pretended (RFC 7296 section 2.6)",
        arguments: [true, false])
    func unchanged(pretendsNAT: Bool) async throws {
        let pair = await Pair(
            seed: 13, left: { if pretendsNAT { $0.encapsulation = .udp } }, endpoint: { $0.cookieThreshold = 0 })
        #expect(await pair.world.run(atMost: .seconds(1)) { pair.isUp })
        let requests = pair.world.sent.filter { $0.isRequest(.ikeSAInit) }
        try #require(requests.count == 2)
        let first = try Message(parsing: requests[0].octets).payloads
        let second = try Message(parsing: requests[1].octets).payloads
        #expect(Array(second.prefix(1)).contains(.cookie))
        #expect(Array(second.dropFirst()) == first)
    }

    @Test("A cookie and another key exchange can be demanded of one initiator")
    func withInvalidKE() async {
        let pair = await Pair(
            seed: 2,
            right: {
                $0.ikeProposals = [
                    IKEProposal(encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.ecp256])
                ]
            }, endpoint: { $0.cookieThreshold = 0 })
        #expect(await pair.world.run(atMost: .seconds(1)) { pair.isUp })
        #expect(pair.world.sent.count == 8)
    }

    @Test("Up to the threshold no cookie is demanded, from it on everybody's")
    func threshold() async {
        let pair = await Pair(seed: 3, start: .none, endpoint: { $0.cookieThreshold = 3 })
        for spi in 1...4 as ClosedRange<UInt64> { pair.world.inject(request(spi)) }
        await pair.world.run(for: .milliseconds(10))
        #expect(pair.right.endpoint.halfOpenCount == 3)
        #expect(pair.world.sent.prefix(3).allSatisfy { cookie(in: $0) == nil })
        #expect(cookie(in: pair.world.sent.last) != nil)
    }

    @Test("A demand for a cookie leaves no state and is shorter than the request")
    func stateless() async {
        let pair = await Pair(seed: 4, start: .none, endpoint: { $0.cookieThreshold = 0 })
        let request = request(1)
        pair.world.inject(request)
        await pair.world.run(for: .milliseconds(10))
        #expect(pair.right.endpoint.saCount == 0)
        #expect((pair.world.sent.last?.octets.count ?? .max) < request.octets.count)
    }

    @Test("A cookie is good for its own initiator, nonce and address only")
    func binding() async {
        let pair = await Pair(
            seed: 5, start: .none, right: { $0.acceptsAnyRemoteAddress = true }, endpoint: { $0.cookieThreshold = 0 })
        pair.world.inject(request(1))
        await pair.world.run(for: .milliseconds(10))
        let cookie = cookie(in: pair.world.sent.last) ?? []
        pair.world.inject(request(2, cookie: cookie))
        pair.world.inject(request(1, from: "192.0.2.9", cookie: cookie))
        await pair.world.run(for: .milliseconds(10))
        #expect(pair.right.endpoint.saCount == 0)
        pair.world.inject(request(1, cookie: cookie))
        await pair.world.run(for: .milliseconds(10))
        #expect(pair.right.endpoint.saCount == 1)
    }

    @Test("A cookie outlives one change of the secret and not two")
    func rotation() async {
        let pair = await Pair(seed: 6, start: .none, endpoint: { $0.cookieThreshold = 0 })
        pair.world.inject(request(1))
        await pair.world.run(for: .milliseconds(10))
        let cookie = cookie(in: pair.world.sent.last) ?? []
        await pair.world.run(for: .seconds(61))
        pair.world.inject(request(1, cookie: cookie))
        await pair.world.run(for: .milliseconds(10))
        #expect(pair.right.endpoint.saCount == 1)
        await pair.world.run(for: .seconds(61))
        #expect(pair.right.endpoint.saCount == 0)
        pair.world.inject(request(1, cookie: cookie))
        await pair.world.run(for: .milliseconds(10))
        #expect(pair.right.endpoint.saCount == 0)
    }

    @Test(
        "Without a cookie, one address has a quarter of its share of half-open SAs, and with one the peer there still connects"
    )
    func perAddress() async throws {
        let pair = await Pair(seed: 7, start: .none, endpoint: { $0.halfOpenLimitPerAddress = 20 })
        for spi in 1...20 as ClosedRange<UInt64> { pair.world.inject(request(spi)) }
        await pair.world.run(for: .milliseconds(10))
        #expect(pair.right.endpoint.halfOpenCount == 5)
        try await pair.world.act("left") { endpoint, now in try endpoint.initiate("site", at: now) }
        #expect(await pair.world.run(atMost: .seconds(5)) { pair.isUp })
    }

    @Test("All together cannot have more half-open SAs than the limit")
    func inAll() async {
        let pair = await Pair(
            seed: 8, start: .none, right: { $0.acceptsAnyRemoteAddress = true }, endpoint: { $0.halfOpenLimit = 4 })
        for spi in 1...20 as ClosedRange<UInt64> { pair.world.inject(request(spi, from: "192.0.2.\(spi)")) }
        await pair.world.run(for: .milliseconds(10))
        #expect(pair.right.endpoint.halfOpenCount == 4)
    }

    private static func withWrongSecret(_ connection: inout ConnectionConfiguration) {
        connection.localAuthentication = .preSharedKey(SecretOctets(Array("another battery altogether".utf8)))
        connection.localAddresses = []
    }

    @Test("Callers that are refused count as half-open until they are forgotten: to be refused gives no more room")
    func refusedCallersCount() async {
        let pair = await Pair(
            seed: 10, start: .none, right: { $0.acceptsAnyRemoteAddress = true }, endpoint: { $0.halfOpenLimit = 4 })
        let caller = Pair.configuration(isLeft: true, start: .boot, change: Self.withWrongSecret)
        for number in 1...8 { await pair.world.add("caller \(number)", "192.0.2.\(100 + number)", [caller]) }
        await pair.world.run(for: .seconds(1))
        #expect(pair.right.refusals.count == 4)
        #expect(pair.right.endpoint.saCount == 4)
        #expect(pair.right.endpoint.halfOpenCount == 4)
        for number in 1...8 { pair.world.kill("caller \(number)") }
        await pair.world.run(for: .seconds(61))
        #expect(pair.right.endpoint.saCount == 0)
        #expect(pair.right.endpoint.halfOpenCount == 0)
    }

    @Test("A peer with a wrong secret that calls again and again keeps nobody else out")
    func wrongSecret() async throws {
        let pair = await Pair(seed: 11, start: .none, right: { $0.acceptsAnyRemoteAddress = true })
        let caller = Pair.configuration(isLeft: true, start: .boot, change: Self.withWrongSecret)
        await pair.world.add("caller", "192.0.2.100", [caller])
        await pair.world.run(for: .seconds(45))
        #expect(pair.right.refusals.count > 3)
        #expect((1...8).contains(pair.right.endpoint.halfOpenCount))
        try await pair.world.act("left") { endpoint, now in try endpoint.initiate("site", at: now) }
        #expect(await pair.world.run(atMost: .seconds(1)) { pair.left.isUp("site") })
    }

    @Test("A half-open SA is forgotten in time, and its SPI with it")
    func forgotten() async {
        let pair = await Pair(seed: 9, start: .none)
        pair.world.inject(request(1))
        await pair.world.run(for: .seconds(29))
        #expect(pair.right.endpoint.halfOpenCount == 1)
        await pair.world.run(for: .seconds(2))
        #expect(pair.right.endpoint.saCount == 0)
        #expect(pair.right.endpoint.ikeSPICount == 0)
    }

    @Test("The same first message again is answered again, without another SA")
    func repeated() async {
        let pair = await Pair(seed: 10, start: .none)
        for _ in 0..<3 { pair.world.inject(request(1)) }
        await pair.world.run(for: .milliseconds(10))
        #expect(pair.right.endpoint.saCount == 1)
        #expect(pair.world.sent.count == 3)
        #expect(Set(pair.world.sent).count == 1)
    }
}
