import IKE
import IKEMessage
import IPPacket
import Octets
import Simulation
import Testing

/// What the thread that receives datagrams does with first messages before the endpoint hears of them.
@Suite("First messages on the receiving thread")
struct AdmissionControlTests {
    private let remote = SocketAddress(IPAddress(v4: 0xc000_0201), port: 500)

    private func responder(_ change: (inout EndpointConfiguration) -> Void = { _ in }) async -> Endpoint {
        await Pair(seed: 1, start: .none, right: { $0.acceptsAnyRemoteAddress = true }, endpoint: change).right.endpoint
    }

    private func request(_ spi: UInt64, cookie: [UInt8]? = nil, nonce: Int = 32, isBare: Bool = false) -> [UInt8] {
        var payloads: [Payload] = []
        if let cookie {
            payloads.append(.notify(NotifyPayload(protocolID: .none, spi: [], type: .cookie, data: cookie)))
        }
        let proposal = IKEProposal(encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519])
        if !isBare {
            payloads += [
                .securityAssociation(SecurityAssociationPayload(proposals: [proposal.payload(number: 1)])),
                .keyExchange(KeyExchangePayload(method: 31, data: [9] + [UInt8](repeating: 0, count: 31))),
            ]
        }
        payloads.append(.nonce([UInt8](repeating: 1, count: nonce)))
        return message(.ikeSAInit, .initiator, spi, 0, payloads)
    }

    private func message(
        _ type: ExchangeType, _ flags: IKEHeader.Flags, _ initiatorSPI: UInt64, _ responderSPI: UInt64,
        _ payloads: [Payload] = []
    ) -> [UInt8] {
        Message(
            header: IKEHeader(
                initiatorSPI: initiatorSPI, responderSPI: responderSPI, exchangeType: type, flags: flags, messageID: 0),
            payloads: payloads
        ).serialized()
    }

    /// The verdict, and what stands in the datagram's place afterwards.
    private func screen(
        _ octets: [UInt8], _ endpoint: Endpoint, from remote: SocketAddress? = nil, at now: Instant = .origin
    ) -> (verdict: AdmissionControl.Verdict, octets: [UInt8]) {
        var octets = octets
        let verdict = endpoint.admission.screen(&octets, from: remote ?? self.remote, at: now)
        return (verdict, octets)
    }

    private func receive(_ octets: [UInt8], _ endpoint: Endpoint, isAdmitted: Bool, from port: UInt16 = 500) {
        endpoint.receive(
            IKEDatagram(
                octets: octets, local: SocketAddress(IPAddress(v4: 0xc633_6402), port: 500),
                remote: SocketAddress(remote.address, port: port), nonESPMarker: false),
            isAdmitted: isAdmitted, at: .origin)
    }

    private func cookie(in octets: [UInt8]) throws -> [UInt8] {
        let message = try Message(parsing: octets)
        #expect(message.header.flags.contains(.response))
        for case .notify(let notify) in message.payloads where notify.type == .cookie { return notify.data }
        Issue.record("no cookie in \(message)")
        return []
    }

    @Test("Where nothing is demanded a request is let through as it came")
    func free() async {
        let endpoint = await responder()
        let request = request(1)
        let screened = screen(request, endpoint)
        #expect(screened.verdict == .admitted)
        #expect(screened.octets == request)
    }

    @Test("A demand for a cookie is written over the request, and who returns the cookie is let through")
    func demand() async throws {
        let endpoint = await responder { $0.cookieThreshold = 0 }
        let answer = screen(request(1), endpoint).octets
        let second = request(1, cookie: try cookie(in: answer))
        #expect(screen(second, endpoint).verdict == .admitted)
        receive(second, endpoint, isAdmitted: true)
        #expect(endpoint.saCount == 1)
        #expect(endpoint.messageCounters[.cookieSent] == 1)
    }

    @Test("The endpoint takes a cookie that the receiving thread has given, and the other way round")
    func oneJar() async throws {
        let endpoint = await responder { $0.cookieThreshold = 0 }
        let given = try cookie(in: screen(request(1), endpoint).octets)
        receive(request(1, cookie: given), endpoint, isAdmitted: false)
        #expect(endpoint.saCount == 1)
        receive(request(2), endpoint, isAdmitted: false)
        var sent: [UInt8] = []
        while let output = endpoint.nextOutput() { if case .send(let datagram) = output { sent = datagram.octets } }
        #expect(screen(request(2, cookie: try cookie(in: sent)), endpoint).verdict == .admitted)
    }

    @Test("A cookie for another address is answered with a new one")
    func bound() async throws {
        let endpoint = await responder { $0.cookieThreshold = 0 }
        let given = try cookie(in: screen(request(1), endpoint).octets)
        let other = SocketAddress(IPAddress(v4: 0xc000_0209), port: 500)
        #expect(screen(request(1, cookie: given), endpoint, from: other).verdict != .admitted)
    }

    @Test("First messages that come too fast owe a cookie, though there is no half-open SA")
    func rate() async {
        let endpoint = await responder { $0.cookieThreshold = 2 }
        let verdicts = (1...9).map { screen(request($0), endpoint).verdict }
        #expect(verdicts.prefix(8).allSatisfy { $0 == .admitted })
        #expect(verdicts.last != .admitted)
        #expect(screen(request(10), endpoint, at: .origin + .seconds(3)).verdict == .admitted)
    }

    @Test("A request that is let through is turned away if the last room was taken meanwhile")
    func overtaken() async {
        let endpoint = await responder { $0.halfOpenLimit = 1 }
        let requests = [request(1), request(2)]
        #expect(requests.map { screen($0, endpoint).verdict } == [.admitted, .admitted])
        for request in requests { receive(request, endpoint, isAdmitted: true) }
        #expect(endpoint.saCount == 1)
        #expect(endpoint.messageCounters[.halfOpenLimit] == 1)
    }

    @Test("A request that is repeated is let through, whatever the load, so that its answer is repeated")
    func repeated() async {
        let endpoint = await responder { $0.halfOpenLimit = 1 }
        receive(request(1), endpoint, isAdmitted: false)
        #expect(screen(request(1), endpoint).verdict == .admitted)
        #expect(screen(request(2), endpoint).verdict == .refused)
    }

    @Test("Nothing is answered that is shorter than the answer")
    func amplification() async {
        let endpoint = await responder { $0.cookieThreshold = 0 }
        #expect(screen(request(1, nonce: 16, isBare: true), endpoint).verdict == .refused)
        #expect(endpoint.messageCounters[.answerWithheld] == 1)
        #expect(screen(request(1, nonce: 64, isBare: true), endpoint).octets.count == 71)
    }

    @Test("Messages of an IKE SA are known by its SPI, in either role, and only as long as it lasts")
    func known() async throws {
        let pair = await Pair(seed: 1)
        #expect(await pair.world.run(atMost: .seconds(1)) { pair.isUp })
        let header = try #require(pair.world.sent.last.flatMap { try? Message(parsing: $0.octets) }).header
        let forth = message(.informational, .initiator, header.initiatorSPI, header.responderSPI)
        let back = message(.informational, .response, header.initiatorSPI, header.responderSPI)
        #expect(screen(forth, pair.right.endpoint).verdict == .known)
        #expect(screen(back, pair.left.endpoint).verdict == .known)
        #expect(screen(forth, pair.left.endpoint).verdict == .unchecked)
        try await pair.world.act("left") { endpoint, now in try endpoint.terminate("site", at: now) }
        await pair.world.run(for: .seconds(60))
        #expect(screen(back, pair.left.endpoint).verdict == .unchecked)
        #expect(screen(forth, pair.right.endpoint).verdict == .unchecked)
    }

    @Test("What is no first message, or none of version 2, is left to the endpoint as it came")
    func others() async {
        let endpoint = await responder { $0.cookieThreshold = 0 }
        let request = request(1)
        var versions = request
        versions[17] = 0x30
        var lengths = request
        lengths[27] &+= 1
        var numbered = request
        numbered[23] = 1
        var responding = request
        responding[15] = 7
        let cases = [
            versions, lengths, numbered, responding, Array(request.prefix(27)), [],
            message(.ikeSAInit, .response, 1, 2), message(.ikeSAInit, [], 1, 0),
        ]
        for octets in cases {
            let screened = screen(octets, endpoint)
            #expect(screened.verdict == .unchecked)
            #expect(screened.octets == octets)
        }
    }

    @Test("A chain of payloads that cannot be followed is dropped under load")
    func malformed() async {
        let endpoint = await responder { $0.cookieThreshold = 0 }
        var request = request(1)
        request[31] = 0xff
        #expect(screen(request, endpoint).verdict == .refused)
        #expect(endpoint.messageCounters[.malformed] == 1)
    }
}
