import IKE
import IKEMessage
import IPPacket
import IPsecCrypto
import Octets
import Simulation
import Testing

// draft-ietf-ipsecme-ikev2-sa-ts-payloads-opt
@Suite("Optimized rekeys of a peer that is authenticated and means no good")
struct HostileOptimizedRekeyTests {
    private static let type = NotifyType(rawValue: 51202)

    /// A pair whose child has been rekeyed once, so that all is known of it.
    private func pair(
        seed: UInt64, isAgreed: Bool = true, isRekeyed: Bool = true, pfs: [KeyExchangeMethod] = []
    ) async -> Pair {
        let change: (inout ConnectionConfiguration) -> Void = {
            $0.optimizedRekey = isAgreed
            $0.timing.livenessInterval = nil
            $0.children[0].espProposals = [ESPProposal(encryption: [.aesGCM16(256)], keyExchange: pfs)]
        }
        let pair = await Pair.established(seed: seed, left: change, right: change)
        if isRekeyed {
            await pair.rekeyChild("left")
            await pair.rest()
        }
        return pair
    }

    /// Right's answer to a request that left's keys have sealed.
    private func ask(_ pair: Pair, _ payloads: [Payload]) async -> [Payload] {
        let sa = pair.left.status("site")?.ikeSAs.last
        let used = pair.world.sent.filter { pair.isFromLeft($0) && !$0.isResponse }.compactMap { datagram in
            datagram.header?.initiatorSPI == sa?.localSPI ? datagram.header?.messageID : nil
        }
        let id = (used.max() ?? 0) + 1
        let header = IKEHeader(
            initiatorSPI: sa?.localSPI ?? 0, responderSPI: sa?.remoteSPI ?? 0, exchangeType: .createChildSA,
            flags: .initiator, messageID: id)
        guard let octets = pair.wiretap.seal(header, payloads, iv: UInt64(id) << 40) else { return [] }
        let before = pair.world.sent.count
        pair.inject(octets)
        await pair.world.run(for: .milliseconds(200))
        let answer = pair.world.sent.dropFirst(before).last { $0.isResponse(.createChildSA) }
        return answer.flatMap { pair.wiretap.payloads(of: $0.octets) } ?? []
    }

    private func notify(
        _ data: [UInt8], protocolID: ProtocolID = .none, spi: [UInt8] = []
    ) -> Payload {
        .notify(NotifyPayload(protocolID: protocolID, spi: spi, type: Self.type, data: data))
    }

    /// REKEY_SA of left's own child.
    private func rekeySA(_ pair: Pair) -> Payload {
        let spi = pair.childSPIs.first ?? 0
        return .notify(NotifyPayload(protocolID: .esp, spi: spi.bigEndianOctets, type: .rekeySA, data: []))
    }

    private static let nonce = Payload.nonce([UInt8](repeating: 7, count: 32))
    private static let spi: [UInt8] = [0xc1, 2, 3, 4]
    private static let ikeSPI: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]

    private static func key(_ method: KeyExchangeMethod = .curve25519) -> Payload {
        // The base point: a public value like others.
        .keyExchange(
            KeyExchangePayload(
                method: method.rawValue, data: [9] + [UInt8](repeating: 0, count: method.publicValueLength - 1)))
    }

    private static let selectors: Payload = .trafficSelectorsInitiator(
        TrafficSelectorPayload(selectors: [
            .addressRange(
                .init(
                    type: .ipv4AddressRange, ipProtocol: 0, firstPort: 0, lastPort: 65535, firstAddress: [10, 1, 0, 0],
                    lastAddress: [10, 1, 255, 255]))
        ]))
    private static let association: Payload = .securityAssociation(
        SecurityAssociationPayload(proposals: [
            Proposal(
                number: 1, protocolID: .esp, spi: [0xc1, 2, 3, 4],
                transforms: [
                    Transform(type: .encryption, id: 20, keyLength: 256), Transform(type: .sequenceNumbers, id: 1),
                ])
        ]))

    /// Nothing has come of it, and both sides go on.
    private func expectRefusal(_ pair: Pair, _ answer: [Payload], _ why: String) async {
        #expect(answer.contains(NotifyType.noProposalChosen) && answer.count == 1, "\(why): \(answer.map(\.type))")
        #expect(pair.right.inbound.count == 1, "\(why)")
        #expect(pair.right.endpoint.childSPICount == 1 && pair.right.endpoint.ikeSPICount == 1, "\(why)")
        #expect(pair.agrees(), "\(why)")
        #expect(pair.faults.isEmpty, "\(why)")
    }

    @Test("A request for a child that is not as it should be is refused, and the SAs that are there go on")
    func child() async {
        let pair = await pair(seed: 1)
        let old = rekeySA(pair)
        let ownSPI = pair.childSPIs.first ?? 0
        let cases: [(String, [Payload])] = [
            ("no SPI", [old, notify([]), Self.nonce]),
            ("three octets", [old, notify([0xc1, 2, 3]), Self.nonce]),
            ("five octets", [old, notify(Self.spi + [5]), Self.nonce]),
            ("eight octets", [old, notify(Self.ikeSPI), Self.nonce]),
            ("zero", [old, notify([0, 0, 0, 0]), Self.nonce]),
            ("a reserved SPI", [old, notify([0, 0, 0, 255]), Self.nonce]),
            ("the old SPI", [old, notify(ownSPI.bigEndianOctets), Self.nonce]),
            ("twice", [old, notify(Self.spi), notify([0xc9, 2, 3, 4]), Self.nonce]),
            ("twice the same", [old, notify(Self.spi), notify(Self.spi), Self.nonce]),
            ("a protocol", [old, notify(Self.spi, protocolID: .esp), Self.nonce]),
            ("the SPI in its own field", [old, notify([], protocolID: .esp, spi: Self.spi), Self.nonce]),
            ("an SPI in both places", [old, notify(Self.spi, protocolID: .esp, spi: Self.spi), Self.nonce]),
            ("two children", [old, old, notify(Self.spi), Self.nonce]),
            ("an SA beside it", [old, notify(Self.spi), Self.association, Self.nonce]),
            ("selectors beside it", [old, notify(Self.spi), Self.nonce, Self.selectors]),
            ("a key exchange that was not there", [old, notify(Self.spi), Self.nonce, Self.key()]),
            ("no nonce", [old, notify(Self.spi)]),
        ]
        for (number, (why, payloads)) in cases.enumerated() {
            let pair = await self.pair(seed: 1)
            #expect(pair.childSPIs.first == ownSPI, "case \(number)")
            await expectRefusal(pair, await ask(pair, payloads), why)
        }
    }

    @Test(
        "A request for a child with perfect forward secrecy comes with the key exchange it was made with, or is refused"
    )
    func childWithKeyExchange() async {
        for (why, key) in [("none", nil), ("another", Self.key(.ecp256))] as [(String, Payload?)] {
            let pair = await pair(seed: 2, pfs: [.curve25519, .ecp256])
            let answer = await ask(pair, [rekeySA(pair), notify(Self.spi), Self.nonce] + (key.map { [$0] } ?? []))
            await expectRefusal(pair, answer, why)
        }
        let pair = await pair(seed: 2, pfs: [.curve25519, .ecp256])
        let answer = await ask(pair, [rekeySA(pair), notify(Self.spi), Self.nonce, Self.key()])
        #expect(answer.contains(Self.type) && answer.contains(PayloadType.keyExchange))
    }

    @Test("A request for the IKE SA that is not as it should be is refused, and the SAs that are there go on")
    func ike() async {
        let own = await pair(seed: 3).ikeSPI.bigEndianOctets
        let cases: [(String, [Payload])] = [
            ("four octets", [notify(Self.spi), Self.nonce, Self.key()]),
            ("nine octets", [notify(Self.ikeSPI + [9]), Self.nonce, Self.key()]),
            ("zero", [notify([UInt8](repeating: 0, count: 8)), Self.nonce, Self.key()]),
            ("the old SPI", [notify(own), Self.nonce, Self.key()]),
            ("twice", [notify(Self.ikeSPI), notify(Self.ikeSPI), Self.nonce, Self.key()]),
            ("a protocol", [notify(Self.ikeSPI, protocolID: .ike), Self.nonce, Self.key()]),
            ("an SA beside it", [notify(Self.ikeSPI), Self.association, Self.nonce, Self.key()]),
            ("selectors beside it", [notify(Self.ikeSPI), Self.nonce, Self.key(), Self.selectors]),
            ("another key exchange", [notify(Self.ikeSPI), Self.nonce, Self.key(.ecp256)]),
            ("no key exchange", [notify(Self.ikeSPI), Self.nonce]),
            ("no nonce", [notify(Self.ikeSPI), Self.key()]),
        ]
        for (why, payloads) in cases {
            let pair = await pair(seed: 3)
            await expectRefusal(pair, await ask(pair, payloads), why)
        }
    }

    @Test("What would change an inherited property is passed over: the new child has what the old one had")
    func additions() async throws {
        let pair = await pair(seed: 4)
        let before = try #require(pair.right.inbound.values.first)
        let extra: [NotifyType] = [
            .useTransportMode, .espTFCPaddingNotSupported, .useAGGFRAG, .nonFirstFragmentsAlso, .rohcSupported,
        ]
        let answer = await ask(
            pair,
            [rekeySA(pair), notify(Self.spi), Self.nonce]
                + extra.map { .notify(NotifyPayload(protocolID: .none, spi: [], type: $0, data: [])) })
        #expect(answer.map(\.type) == [.notify, .nonce])
        let new = try #require(pair.right.inbound.values.first { $0.inboundSPI != before.inboundSPI })
        #expect(new.outboundSPI.bigEndianOctets == Self.spi)
        #expect(new.suite == before.suite && new.mode == before.mode && new.tfcPadding == before.tfcPadding)
        #expect(new.localSelectors == before.localSelectors && new.remoteSelectors == before.remoteSelectors)
    }

    @Test("The first rekey of a child made in IKE_AUTH is refused in this form")
    func firstRekey() async {
        for key in [nil, Self.key()] {
            let pair = await pair(seed: 5, isRekeyed: false)
            let answer = await ask(pair, [rekeySA(pair), notify(Self.spi), Self.nonce] + (key.map { [$0] } ?? []))
            await expectRefusal(pair, answer, "the first")
        }
    }

    @Test("Where it was not agreed on it is refused, and the number beside a regular rekey means nothing")
    func notAgreed() async {
        for payloads in [[notify(Self.spi), Self.nonce], [notify(Self.ikeSPI), Self.nonce, Self.key()]] {
            let pair = await pair(seed: 6, isAgreed: false)
            let whole = payloads.count == 2 ? [rekeySA(pair)] + payloads : payloads
            await expectRefusal(pair, await ask(pair, whole), "\(whole.count) payloads")
        }
        let pair = await pair(seed: 6, isAgreed: false)
        pair.rewrite {
            pair.isFromLeft($0) && $0.isRequest(.createChildSA)
        } change: {
            $0 + [self.notify(Self.spi)]
        }
        await pair.rekeyChild("left")
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.right.refusals.isEmpty)
    }

    @Test("To a child that is not there the answer is CHILD_SA_NOT_FOUND")
    func unknownChild() async {
        let pair = await pair(seed: 7)
        let unknown = Payload.notify(
            NotifyPayload(protocolID: .esp, spi: [9, 9, 9, 9], type: .rekeySA, data: []))
        #expect(await ask(pair, [unknown, notify(Self.spi), Self.nonce]).contains(NotifyType.childSANotFound))
        #expect(pair.agrees())
    }

    @Test("An answer in this form to a regular rekey fails the exchange, and what the peer has made goes")
    func unasked() async {
        for isIKE in [false, true] {
            let pair = await pair(seed: 8, isRekeyed: isIKE)
            let spi = isIKE ? Self.ikeSPI : Self.spi
            if isIKE {
                // Left is made to use the regular form by a refusal.
                pair.rewrite {
                    pair.isFromLeft($0) && $0.isRequest(.createChildSA)
                } change: { payloads in
                    payloads.contains(PayloadType.securityAssociation)
                        ? payloads : payloads.filter { !$0.is(Self.type) } + [self.notify([1])]
                }
                await pair.rekeyIKE("left")
                _ = await pair.world.run(atMost: .seconds(2)) {
                    pair.rekeys().last?.request.contains(PayloadType.securityAssociation) == true
                }
            }
            pair.rewrite {
                !pair.isFromLeft($0) && $0.isResponse(.createChildSA)
            } change: { payloads in
                payloads + [self.notify(spi)]
            }
            if !isIKE { await pair.rekeyChild("left") }
            await pair.world.run(for: .seconds(2))
            #expect(
                pair.left.narratives.last?.refusal?.reason
                    == "the peer answered in a form of a rekey that was not asked for", "\(isIKE)")
            pair.world.tap = nil
            await pair.world.run(for: .seconds(60))
            if !isIKE {
                #expect(pair.agrees())
                #expect(pair.left.endpoint.childSPICount == 1 && pair.right.endpoint.childSPICount == 1)
            }
            #expect(pair.faults.isEmpty)
        }
    }

    @Test(
        "An answer to a request in this form that is not as it should be is undone, and the regular form is used later")
    func badAnswer() async {
        let changes: [(String, ([Payload]) -> [Payload])] = [
            ("without it", { $0.filter { !$0.is(Self.type) } }),
            ("five octets", { $0.filter { !$0.is(Self.type) } + [self.notify([1, 2, 3, 4, 5])] }),
            ("zero", { $0.filter { !$0.is(Self.type) } + [self.notify([0, 0, 0, 0])] }),
            ("twice", { $0 + [self.notify(Self.spi)] }), ("an SA beside it", { $0 + [Self.association] }),
            ("a key exchange", { $0 + [Self.key()] }),
            (
                "an error beside it",
                { $0 + [.notify(NotifyPayload(protocolID: .none, spi: [], type: .noProposalChosen, data: []))] }
            ),
        ]
        for (why, change) in changes {
            let pair = await pair(seed: 9)
            let before = pair.childSPIs
            pair.rewrite({ !pair.isFromLeft($0) && $0.isResponse(.createChildSA) }, change: change)
            await pair.rekeyChild("left")
            await pair.world.run(for: .seconds(2))
            #expect(pair.childSPIs == before, "\(why)")
            pair.world.tap = nil
            await pair.rekeyChild("left")
            await pair.rest()
            #expect(pair.agrees(), "\(why)")
            #expect(pair.childSPIs != before, "\(why)")
            #expect(pair.rekeys().last?.isOptimized == false, "\(why)")
            #expect(pair.left.endpoint.childSPICount == 1 && pair.right.endpoint.childSPICount == 1, "\(why)")
            #expect(pair.faults.isEmpty, "\(why)")
        }
    }
}
