import Credentials
import IKE
import IKEMessage
import IPPacket
import IPsecPolicy
import Octets
import Simulation
import Testing

@Suite("Hostile and broken messages")
struct HostileMessageTests {
    private func header(
        _ pair: Pair, _ exchange: ExchangeType, id: UInt32, isResponse: Bool = false
    ) -> IKEHeader {
        let sa = pair.left.status("site")?.ikeSAs.last
        return IKEHeader(
            initiatorSPI: sa?.localSPI ?? 0, responderSPI: sa?.remoteSPI ?? 0, exchangeType: exchange,
            flags: isResponse ? [.initiator, .response] : .initiator, messageID: id)
    }

    private func send(_ pair: Pair, _ octets: [UInt8]?) async {
        guard let octets else { return }
        pair.inject(octets)
        await pair.world.run(for: .milliseconds(20))
    }

    /// Right's answer to an authentic request of left's, which has had two message IDs so far.
    private func answer(_ pair: Pair, _ exchange: ExchangeType, _ payloads: [Payload], id: UInt32 = 2) async
        -> [Payload]?
    {
        let before = pair.world.sent.count
        await send(pair, pair.wiretap.seal(header(pair, exchange, id: id), payloads, iv: UInt64(id) << 40))
        return pair.world.sent.dropFirst(before).last.flatMap { pair.wiretap.payloads(of: $0.octets) }
    }

    @Test("An unknown critical payload is named in the answer, and nothing else happens")
    func critical() async {
        let pair = await Pair.established(seed: 1)
        let payload = Payload.unknown(RawPayload(type: PayloadType(rawValue: 200), isCritical: true, body: [1]))
        let answer = await answer(pair, .informational, [payload])
        #expect(
            answer?.contains {
                if case .notify(let notify) = $0 {
                    notify.type == .unsupportedCriticalPayload && notify.data == [200]
                } else {
                    false
                }
            } == true)
        #expect(pair.agrees())
    }

    @Test("An unknown payload that is not critical is passed over")
    func uncritical() async {
        let pair = await Pair.established(seed: 2)
        let payload = Payload.unknown(RawPayload(type: PayloadType(rawValue: 200), isCritical: false, body: [1]))
        #expect(await answer(pair, .informational, [payload])?.isEmpty == true)
    }

    @Test(
        "What cannot be read is answered INVALID_SYNTAX, again if asked again, and ends the IKE SA (RFC 7296 section 2.21.3)"
    )
    func malformed() async {
        let pair = await Pair.established(seed: 3)
        let octets = pair.wiretap.seal(
            header(pair, .informational, id: 2), first: .delete, [0, 0, 0, 3, 1], iv: 1 << 41)
        let before = pair.world.sent.count
        for _ in 0..<2 { await send(pair, octets) }
        let answers = pair.world.sent.dropFirst(before)
        #expect(answers.count == 2)
        #expect(Set(answers).count == 1)
        #expect(answers.first.flatMap { pair.wiretap.payloads(of: $0.octets) }?.contains(.invalidSyntax) == true)
        #expect(pair.right.inbound.isEmpty)
        #expect(pair.right.status("site")?.ikeSAs.isEmpty == true)
        #expect(pair.right.refusals.last?.cause == .protocolViolation)
    }

    @Test(
        "INVALID_SYNTAX in an answer ends the IKE SA at the side that asked, without a Delete (RFC 7296 section 2.21.3)"
    )
    func invalidSyntaxAnswer() async {
        let pair = await Pair.established(seed: 3)
        let held = Held(pair.world) { pair.isFromLeft($0) && $0.isRequest(.createChildSA) }
        await pair.rekeyChild("left")
        let request = held.datagrams.first
        #expect(request?.header?.messageID == 2)
        if let request, var header = request.header {
            header.flags = .response
            let notify = Payload.notify(NotifyPayload(protocolID: .none, spi: [], type: .invalidSyntax, data: []))
            if let octets = pair.wiretap.seal(header, [notify], iv: 1 << 42) {
                pair.world.inject(
                    IKEDatagram(octets: octets, local: request.remote, remote: request.local, nonESPMarker: false))
            }
        }
        await pair.world.run(for: .milliseconds(100))
        #expect(pair.left.inbound.isEmpty)
        #expect(pair.left.refusals.last?.decidedBy == .peer)
        #expect(!pair.world.sent.contains { $0.isRequest(.informational) })
        await pair.world.run(for: .seconds(40))
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }

    @Test("An unprotected message of an established SA has no effect", arguments: [true, false])
    func unprotected(isResponse: Bool) async {
        let pair = await Pair.established(seed: 4)
        let forged = Message(
            header: header(pair, .informational, id: 2, isResponse: isResponse),
            payloads: [.delete(DeletePayload(protocolID: .ike, spis: []))])
        let before = pair.world.sent.count
        await send(pair, forged.serialized())
        #expect(pair.world.sent.count == before)
        #expect(pair.agrees())
    }

    @Test("The same SPI twice in one Delete, and twice in one message, is deleted once")
    func doubleSPIs() async {
        let pair = await Pair.established(seed: 5)
        let spi = (pair.left.inbound.keys.first ?? 0).bigEndianOctets
        let delete = Payload.delete(DeletePayload(protocolID: .esp, spis: [spi, spi, [0, 0, 0, 1], [9, 9, 9, 9]]))
        let answer = await answer(pair, .informational, [delete, delete])
        #expect(answer?.count == 1)
        #expect(pair.right.status("site")?.children.isEmpty == true)
        await pair.world.run(for: .seconds(5))
        #expect(pair.right.endpoint.childSPICount == 0)
        #expect(pair.faults.isEmpty)
    }

    @Test("A Delete for the IKE SA among Deletes for children ends everything once")
    func deletesEverything() async {
        let pair = await Pair.established(seed: 6)
        let spi = (pair.left.inbound.keys.first ?? 0).bigEndianOctets
        _ = await answer(
            pair, .informational,
            [
                .delete(DeletePayload(protocolID: .esp, spis: [spi])),
                .delete(DeletePayload(protocolID: .ike, spis: [])),
                .delete(DeletePayload(protocolID: .ike, spis: [])),
            ])
        #expect(pair.right.inbound.isEmpty)
        #expect(pair.right.status("site")?.ikeSAs.isEmpty == true)
        #expect(pair.faults.isEmpty)
    }

    @Test("AUTHENTICATION_FAILED in an established SA ends it")
    func authenticationFailed() async {
        let pair = await Pair.established(seed: 7)
        let notify = NotifyPayload(protocolID: .none, spi: [], type: .authenticationFailed, data: [])
        _ = await answer(pair, .informational, [.notify(notify)])
        #expect(pair.right.status("site")?.ikeSAs.isEmpty == true)
        #expect(pair.right.refusals.last?.cause == .authenticationFailed)
    }

    @Test(
        "An error in an INFORMATIONAL that concerns no SA changes nothing",
        arguments: [NotifyType.invalidSPI, .invalidSyntax, .noProposalChosen, .temporaryFailure])
    func otherErrors(type: NotifyType) async {
        let pair = await Pair.established(seed: 8)
        _ = await answer(
            pair, .informational, [.notify(NotifyPayload(protocolID: .none, spi: [], type: type, data: []))])
        #expect(pair.agrees())
    }

    @Test(
        "An exchange out of place is answered INVALID_SYNTAX and ends the IKE SA",
        arguments: [ExchangeType.ikeAuth, .ikeIntermediate, ExchangeType(rawValue: 200)])
    func outOfPlace(exchange: ExchangeType) async {
        let pair = await Pair.established(seed: 9)
        #expect(await answer(pair, exchange, [])?.contains(.invalidSyntax) == true)
        #expect(pair.right.inbound.isEmpty)
    }

    @Test("A request to rekey the IKE SA without a KE payload ends it (RFC 7296 section 1.3.2)")
    func rekeyWithoutKeyExchange() async {
        let pair = await Pair.established(seed: 32)
        let proposal = IKEProposal(encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519])
        let payloads: [Payload] = [
            .securityAssociation(
                SecurityAssociationPayload(proposals: [proposal.payload(number: 1, spi: UInt64(77).bigEndianOctets)])),
            .nonce([UInt8](repeating: 3, count: 32)),
        ]
        let answer = await answer(pair, .createChildSA, payloads)
        #expect(answer?.contains(.invalidSyntax) == true)
        #expect(answer?.contains(.securityAssociation) == false)
        #expect(pair.right.status("site")?.ikeSAs.isEmpty == true)
    }

    @Test(
        "An IKE_AUTH request that cannot be read gets the error for that and nothing else (RFC 7296 section 2.21.2)",
        arguments: [NotifyType.invalidSyntax, .unsupportedCriticalPayload])
    func unreadableAuthentication(expected: NotifyType) async throws {
        let pair = await Pair(seed: 33, endpoint: { $0.exportsKeys = true })
        let held = Held(pair.world) { pair.isFromLeft($0) && $0.isRequest(.ikeAuth) }
        await pair.world.run(for: .milliseconds(300))
        let request = try #require(held.datagrams.first)
        let header = try #require(request.header)
        let isCritical = expected == .unsupportedCriticalPayload
        let octets = try #require(
            pair.wiretap.seal(
                header, first: isCritical ? PayloadType(rawValue: 200) : .identificationInitiator,
                isCritical ? [0, 0x80, 0, 5, 1] : [0, 0, 0, 3], iv: 1 << 42))
        let before = pair.world.sent.count
        pair.world.inject(
            IKEDatagram(
                octets: octets, local: request.local, remote: request.remote, nonESPMarker: request.nonESPMarker))
        await pair.world.run(for: .milliseconds(20))
        let answers = pair.world.sent.dropFirst(before).filter { $0.isResponse(.ikeAuth) }
        #expect(answers.count == 1)
        let payloads = try #require(answers.first.flatMap { pair.wiretap.payloads(of: $0.octets) })
        #expect(payloads.count == 1)
        #expect(payloads.contains(expected))
        #expect(pair.right.status("site")?.ikeSAs.isEmpty == true)
        #expect(pair.right.inbound.isEmpty)
    }

    @Test(
        "A CREATE_CHILD_SA request that lacks a payload ends the IKE SA; one with a reserved SPI is only refused",
        arguments: 0..<6)
    func incomplete(number: Int) async {
        let pair = await Pair.established(seed: 10)
        let proposal = ESPProposal(encryption: [.aesGCM16(256)])
        let offer: [Payload] = [
            .securityAssociation(
                SecurityAssociationPayload(proposals: [proposal.payload(number: 1, spi: 4096, withKeyExchange: true)])),
            .nonce([UInt8](repeating: 3, count: 32)),
            .trafficSelectorsInitiator(TrafficSelectorPayload(selectors: Pair.selector("10.1.0.0/16").map(\.wire))),
            .trafficSelectorsResponder(TrafficSelectorPayload(selectors: Pair.selector("10.2.0.0/16").map(\.wire))),
        ]
        var payloads = offer
        if number < 4 { payloads.remove(at: number) }
        if number == 4 {
            payloads[0] = .securityAssociation(
                SecurityAssociationPayload(proposals: [proposal.payload(number: 1, spi: 255, withKeyExchange: true)]))
        }
        let answer = await answer(pair, .createChildSA, payloads)
        #expect(answer?.contains(.securityAssociation) == (number == 5))
        #expect(answer?.contains(.invalidSyntax) == (number < 4))
        #expect(pair.right.status("site")?.ikeSAs.count == (number < 4 ? 0 : 1))
        #expect(pair.right.inbound.count == (number < 4 ? 0 : number == 5 ? 2 : 1))
        #expect(pair.faults.isEmpty)
    }

    @Test("A peer cannot have child SAs without end: from the sixteenth on it is told NO_ADDITIONAL_SAS")
    func manyChildren() async {
        let pair = await Pair.established(seed: 12)
        func selectors(_ first: [UInt8], _ last: [UInt8]) -> TrafficSelectorPayload {
            TrafficSelectorPayload(selectors: [
                .addressRange(
                    .init(
                        type: .ipv4AddressRange, ipProtocol: 0, firstPort: 0, lastPort: .max, firstAddress: first,
                        lastAddress: last))
            ])
        }
        var refused: [Bool] = []
        for number in 1...18 as ClosedRange<UInt32> {
            let proposal = Proposal(
                number: 1, protocolID: .esp, spi: (0x5000_0000 + number).bigEndianOctets,
                transforms: [
                    Transform(type: .encryption, id: 20, keyLength: 256), Transform(type: .sequenceNumbers, id: 0),
                ])
            let answer = await answer(
                pair, .createChildSA,
                [
                    .securityAssociation(SecurityAssociationPayload(proposals: [proposal])),
                    .nonce([UInt8](repeating: 3, count: 32)),
                    .trafficSelectorsInitiator(selectors([10, 1, 0, 0], [10, 1, 255, 255])),
                    .trafficSelectorsResponder(selectors([10, 2, 0, 0], [10, 2, 255, 255])),
                ], id: number + 1)
            refused.append(answer?.contains(.noAdditionalSAs) == true)
        }
        #expect(refused == [Bool](repeating: false, count: 15) + [true, true, true])
    }

    @Test("A rekey of an SPI that is not there is answered with CHILD_SA_NOT_FOUND")
    func rekeyUnknown() async {
        let pair = await Pair.established(seed: 11)
        let answer = await answer(
            pair, .createChildSA,
            [
                .notify(NotifyPayload(protocolID: .esp, spi: [1, 2, 3, 4], type: .rekeySA, data: [])),
                .nonce([UInt8](repeating: 3, count: 32)),
            ])
        #expect(answer?.contains(.childSANotFound) == true)
        #expect(pair.agrees())
    }

    @Test("A message for an SA that is not known is answered with INVALID_IKE_SPI, so often a second and no more")
    func unknownSA() async {
        let pair = await Pair.established(seed: 12)
        var header = header(pair, .informational, id: 0)
        header.responderSPI = 77
        let before = pair.world.sent.count
        for _ in 0..<200 {
            pair.inject(Message(header: header, payloads: []).serialized())
        }
        await pair.world.run(for: .milliseconds(100))
        #expect(pair.world.sent.count - before == 50)
        #expect(pair.agrees())
    }

    /// Every extension that changes messages and can be had together with the others.
    private static func withExtensions(_ connection: inout ConnectionConfiguration) {
        connection.ikeProposals = [
            IKEProposal(
                encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519],
                additional: [
                    AdditionalKeyExchange(number: 1, methods: [.mlKEM768]),
                    AdditionalKeyExchange(number: 2, methods: [.ecp256]),
                ])
        ]
        connection.children[0].espProposals = [
            ESPProposal(
                encryption: [.aesGCM16(256)], keyExchange: [.curve25519],
                additional: [AdditionalKeyExchange(number: 1, methods: [.ecp256])], sequenceNumbers: [.extended])
        ]
        connection.ppks = [
            PostquantumPresharedKey(identifier: Array("name".utf8), secret: SecretOctets(Array("secret".utf8)))
        ]
        connection.ppkExchange = .any
        connection.optimizedRekey = true
        connection.extendedPayloads = .init(.yes)
        connection.linkMTUNotification = LinkMTUPolicy()
        connection.children[0].classes = DSCPSet([10, 12]).map { TrafficClasses($0) }
        connection.children[0].securityLabels = SecurityLabel(text: "s0").map { [$0] } ?? []
        connection.children[0].antiReplaySubspaces = AntiReplaySubspacesPolicy(count: 4)
    }

    @Test(
        "Real messages, cut, changed and put together at random, trap nothing and end no SA",
        arguments: 1...4 as ClosedRange<UInt64>, [false, true])
    func mutations(seed: UInt64, hasExtensions: Bool) async {
        let change = hasExtensions ? Self.withExtensions : { _ in }
        let pair = await Pair.established(seed: seed, left: change, right: change)
        #expect(pair.agrees())
        await pair.rekeyChild("left")
        await pair.rekeyIKE("right")
        await pair.world.run(for: .seconds(20))
        var random = SeededGenerator(seed: seed)
        let corpus = pair.world.sent
        for _ in 0..<2000 {
            guard var datagram = corpus.randomElement(using: &random) else { return }
            for _ in 0...Int.random(in: 0...3, using: &random) {
                let index = Int.random(in: 0..<max(1, datagram.octets.count), using: &random)
                switch Int.random(in: 0..<5, using: &random) {
                case 0 where !datagram.octets.isEmpty:
                    datagram.octets[index] = UInt8.random(in: 0...255, using: &random)
                case 1: datagram.octets.removeLast(min(datagram.octets.count, index))
                case 2: datagram.octets += corpus.randomElement(using: &random)?.octets.suffix(index) ?? []
                case 3 where datagram.octets.count >= 28:
                    datagram.octets.replaceSubrange(20..<24, with: [0, 0, 0, UInt8.random(in: 0...5, using: &random)])
                default: break
                }
            }
            if Bool.random(using: &random), datagram.octets.count >= 28 {
                datagram.octets.replaceSubrange(24..<28, with: UInt32(datagram.octets.count).bigEndianOctets)
            }
            if Bool.random(using: &random) { (datagram.local, datagram.remote) = (datagram.remote, datagram.local) }
            pair.world.inject(datagram)
        }
        await pair.world.run(for: .seconds(5))
        #expect(pair.carries)
        #expect(pair.left.status("site")?.ikeSAs.count == 1)
        #expect(pair.faults.isEmpty)
        await pair.world.run(for: .seconds(60))
        #expect(pair.right.endpoint.saCount == 1)
    }

    @Test(
        "A selector longer than its payload, or shorter than its own header, is answered INVALID_SYNTAX",
        arguments: [
            // TS_DSCP and TS_SECLABEL as the second selector, with another length than they have.
            [0xf1, 0, 0, 8, 10, 12, 14], [0xf1, 0, 0, 3, 10, 12, 14], [0xf1, 0, 0xff, 0xff, 10], [0xf1, 0, 0],
            [10, 0, 0, 20, 0x73, 0x30, 0], [10, 0, 0, 0], [10, 0, 0, 2, 0, 0], [10],
        ] as [[UInt8]])
    func selectorLengths(_ selector: [UInt8]) async {
        let pair = await Pair.established(seed: 34)
        // Two selectors, the first of which is 10.1.0.0 to 10.1.255.255.
        let body = [2, 0, 0, 0, 7, 0, 0, 16, 0, 0, 0xff, 0xff, 10, 1, 0, 0, 10, 1, 0xff, 0xff] + selector
        let payload = [0, 0] + UInt16(4 + body.count).bigEndianOctets + body
        let before = pair.world.sent.count
        await send(
            pair,
            pair.wiretap.seal(
                header(pair, .createChildSA, id: 2), first: .trafficSelectorInitiator, payload, iv: 1 << 41))
        let answer = pair.world.sent.dropFirst(before).last.flatMap { pair.wiretap.payloads(of: $0.octets) }
        #expect(answer?.contains(.invalidSyntax) == true)
        #expect(pair.right.status("site")?.ikeSAs.isEmpty == true)
        #expect(pair.faults.isEmpty)
    }

    @Test("In whatever state an SA is, a message of any exchange that is not its own leaves it on its way")
    func statesAndMessages() async {
        // The states are those that a handshake of four messages and the rest of jobs go through.
        let exchanges: [ExchangeType] = [
            .ikeSAInit, .ikeAuth, .createChildSA, .informational, .ikeIntermediate, .ikeFollowupKE,
            ExchangeType(rawValue: 99),
        ]
        for flags: IKEHeader.Flags in [[], .initiator, .response, [.initiator, .response]] {
            for exchange in exchanges {
                let pair = await Pair(seed: 13, start: .none)
                pair.world.jobTime = .milliseconds(3) ... .milliseconds(3)
                pair.world.tap = { datagram in
                    // Before each real message, a false one in both directions.
                    guard let real = datagram.header else { return [datagram] }
                    let false_ = Message(
                        header: IKEHeader(
                            initiatorSPI: real.initiatorSPI, responderSPI: real.responderSPI, exchangeType: exchange,
                            flags: flags, messageID: real.messageID), payloads: [])
                    var forward = datagram, back = datagram
                    forward.octets = false_.serialized()
                    back.octets = forward.octets
                    (back.local, back.remote) = (datagram.remote, datagram.local)
                    return [back, forward, datagram, forward]
                }
                await pair.initiate()
                let isUp = await pair.world.run(atMost: .seconds(3)) { pair.isUp }
                #expect(isUp, "\(exchange) \(flags.rawValue)")
                #expect(pair.faults.isEmpty)
            }
        }
    }
}
