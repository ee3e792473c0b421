import IKE
import IKEMessage
import IPPacket
import IPsecCrypto
import Octets
import Simulation
import Testing

/// What somebody on the way, or a peer that means no good, does with additional key exchanges.
@Suite("Additional key exchanges (RFC 9370) of a hostile way, and of a hostile peer")
struct HostileKeyExchangeTests {
    private static func chain(_ methods: [KeyExchangeMethod]) -> [AdditionalKeyExchange] {
        methods.enumerated().map { AdditionalKeyExchange(number: $0.offset + 1, methods: [$0.element]) }
    }

    private static func proposals(_ methods: [KeyExchangeMethod]) -> [IKEProposal] {
        [
            IKEProposal(
                encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519],
                additional: chain(methods))
        ]
    }

    /// A pair whose child is rekeyed with X25519, ECP-256 and ECP-384: their messages need no fragments.
    private static func established(seed: UInt64) async -> Pair {
        func change(_ connection: inout ConnectionConfiguration) {
            connection.ikeProposals = proposals([.mlKEM768])
            connection.timing.livenessInterval = nil
            connection.children[0].espProposals = [
                ESPProposal(
                    encryption: [.aesGCM16(256)], keyExchange: [.curve25519], additional: chain([.ecp256, .ecp384]))
            ]
        }
        return await Pair.established(seed: seed, left: change, right: change)
    }

    private static func link(_ data: [UInt8]) -> Payload {
        .notify(NotifyPayload(protocolID: .none, spi: [], type: .additionalKeyExchange, data: data))
    }

    private static func isLink(_ payload: Payload) -> Bool {
        if case .notify(let notify) = payload { notify.type == .additionalKeyExchange } else { false }
    }

    /// Changes the first message of a kind, and no other.
    private static func rewriteFirst(
        _ pair: Pair, _ isWanted: @escaping (IKEDatagram) -> Bool, change: @escaping ([Payload]) -> [Payload]
    ) {
        var first: UInt32?
        pair.rewrite(
            { datagram in
                guard isWanted(datagram), let id = datagram.header?.messageID, first == nil || first == id else {
                    return false
                }
                first = id
                return true
            }, change: change)
    }

    @Test("Whoever adds a key exchange to the offer, or puts another method in its place, is found out")
    func added() async {
        for (ours, theirs) in [([KeyExchangeMethod.mlKEM768], [.mlKEM1024]), ([], [.mlKEM768])]
            as [([KeyExchangeMethod], [KeyExchangeMethod])]
        {
            let pair = await Pair(
                seed: 1, start: .none, left: { $0.ikeProposals = Self.proposals(ours) },
                right: { $0.ikeProposals = Self.proposals(theirs) + Self.proposals(ours) })
            pair.rewriteInit { payloads in
                payloads.map { payload in
                    guard case .securityAssociation(var association) = payload else { return payload }
                    association.proposals = association.proposals.map { proposal in
                        var proposal = proposal
                        proposal.transforms.removeAll { $0.type == .additionalKeyExchange1 }
                        proposal.transforms += theirs.map { Transform(type: .additionalKeyExchange1, id: $0.rawValue) }
                        return proposal
                    }
                    return .securityAssociation(association)
                }
            }
            await pair.initiate()
            await pair.world.run(for: .seconds(5))
            #expect(!pair.isUp)
            #expect(pair.left.inbound.isEmpty && pair.right.inbound.isEmpty)
        }
    }

    @Test(
        "A request with the wrong link, an empty one or none is answered STATE_NOT_FOUND, and the child that was there stays",
        arguments: [[], [link([])], [link([0])], [link([UInt8](repeating: 9, count: 50))]] as [[Payload]])
    func wrongLink(_ links: [Payload]) async {
        let pair = await Self.established(seed: 2)
        let old = pair.childSPIs
        Self.rewriteFirst(pair, { $0.isRequest(.ikeFollowupKE) }) { payloads in
            payloads.filter { !Self.isLink($0) } + links
        }
        await pair.rekeyChild("left")
        await pair.world.run(for: .seconds(1))
        let answers = pair.world.sent.filter { $0.isResponse(.ikeFollowupKE) }
        #expect(answers.contains { pair.wiretap.payloads(of: $0.octets)?.contains(.stateNotFound) ?? false })
        #expect(pair.agrees())
        #expect(pair.childSPIs == old)
        // It is begun anew, and nothing is left of the first attempt.
        await pair.world.run(for: .seconds(60))
        #expect(pair.agrees())
        #expect(pair.childSPIs != old)
        #expect(pair.right.endpoint.childSPICount == 1)
    }

    @Test("Of two links the first counts, whether it is the right one or not", arguments: [true, false])
    func twoLinks(isFirst: Bool) async {
        let pair = await Self.established(seed: 3)
        let old = pair.childSPIs
        Self.rewriteFirst(pair, { $0.isRequest(.ikeFollowupKE) }) {
            isFirst ? $0 + [Self.link([1, 2])] : [Self.link([1, 2])] + $0
        }
        await pair.rekeyChild("left")
        await pair.world.run(for: .seconds(60))
        let isRefused = pair.world.sent.contains {
            $0.isResponse(.ikeFollowupKE) && pair.wiretap.payloads(of: $0.octets)?.contains(.stateNotFound) ?? false
        }
        #expect(isRefused != isFirst)
        #expect(pair.agrees() && pair.childSPIs != old)
    }

    @Test("Of two public values the first counts, whether it is the right one or not", arguments: [true, false])
    func twoValues(isFirst: Bool) async {
        let pair = await Self.established(seed: 8)
        let old = pair.childSPIs
        let other = Payload.keyExchange(KeyExchangePayload(method: 20, data: [UInt8](repeating: 0, count: 96)))
        Self.rewriteFirst(pair, { $0.isRequest(.ikeFollowupKE) }) { isFirst ? $0 + [other] : [other] + $0 }
        await pair.rekeyChild("left")
        await pair.world.run(for: .seconds(1))
        let answer = pair.world.sent.first { $0.isResponse(.ikeFollowupKE) }
        #expect(answer.flatMap { pair.wiretap.payloads(of: $0.octets) }?.contains(.invalidSyntax) == !isFirst)
        #expect(await pair.world.run(atMost: .seconds(60)) { pair.agrees() && pair.childSPIs != old })
        #expect(pair.faults.isEmpty)
    }

    @Test("A link that belongs to no exchange, beside a request that needs none, is passed over")
    func misplacedLink() async {
        let pair = await Self.established(seed: 4)
        pair.rewrite({ $0.isRequest(.createChildSA) || $0.isRequest(.informational) }) { $0 + [Self.link([7])] }
        await pair.rekeyChild("left")
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }

    @Test("An exchange that follows none is answered STATE_NOT_FOUND, and all SAs stay")
    func unasked() async {
        let pair = await Self.established(seed: 5)
        let old = pair.childSPIs
        let sa = pair.left.status("site")?.ikeSAs.last
        let used = pair.world.sent.filter { pair.isFromLeft($0) && !$0.isResponse }.compactMap { $0.header?.messageID }
        let header = IKEHeader(
            initiatorSPI: sa?.localSPI ?? 0, responderSPI: sa?.remoteSPI ?? 0, exchangeType: .ikeFollowupKE,
            flags: .initiator, messageID: (used.max() ?? 0) + 1)
        let payloads: [Payload] = [
            .keyExchange(KeyExchangePayload(method: 19, data: [UInt8](repeating: 0, count: 64))), Self.link([1]),
        ]
        guard let octets = pair.wiretap.seal(header, payloads, iv: 1 << 40) else {
            Issue.record("the keys are not known")
            return
        }
        pair.inject(octets)
        await pair.world.run(for: .milliseconds(200))
        let answer = pair.world.sent.last { $0.isResponse(.ikeFollowupKE) }
        #expect(answer.flatMap { pair.wiretap.payloads(of: $0.octets) }?.contains(.stateNotFound) ?? false)
        #expect(pair.agrees() && pair.childSPIs == old)
    }

    @Test("A request without its public value, or with one of another method or length, is answered INVALID_SYNTAX")
    func badValue() async {
        let others: [[Payload]] = [
            [], [.keyExchange(KeyExchangePayload(method: 20, data: [UInt8](repeating: 0, count: 96)))],
            [.keyExchange(KeyExchangePayload(method: 19, data: [UInt8](repeating: 0, count: 63)))],
            [.keyExchange(KeyExchangePayload(method: 19, data: []))],
        ]
        for other in others {
            let pair = await Self.established(seed: 6)
            Self.rewriteFirst(pair, { $0.isRequest(.ikeFollowupKE) }) {
                $0.filter { if case .keyExchange = $0 { false } else { true } } + other
            }
            await pair.rekeyChild("left")
            await pair.world.run(for: .seconds(1))
            let answer = pair.world.sent.first { $0.isResponse(.ikeFollowupKE) }
            #expect(answer.flatMap { pair.wiretap.payloads(of: $0.octets) }?.contains(.invalidSyntax) ?? false)
            #expect(pair.faults.isEmpty)
            // The peer breaks the protocol: with it everything is begun anew.
            #expect(await pair.world.run(atMost: .seconds(60)) { pair.agrees() })
            #expect(pair.right.endpoint.childSPICount == 1)
        }
    }

    @Test("An answer that is not as it should be leaves no child of which only one side knows")
    func badAnswer() async {
        let changes: [@Sendable ([Payload]) -> [Payload]] = [
            { $0.filter { if case .keyExchange = $0 { false } else { true } } },
            { $0.filter { !Self.isLink($0) } },
            { _ in [] },
            { _ in [.keyExchange(KeyExchangePayload(method: 20, data: [UInt8](repeating: 0, count: 96)))] },
        ]
        for change in changes {
            let pair = await Self.established(seed: 7)
            Self.rewriteFirst(pair, { !pair.isFromLeft($0) && $0.isResponse(.ikeFollowupKE) }, change: change)
            await pair.rekeyChild("left")
            await pair.world.run(for: .seconds(120))
            #expect(pair.agrees())
            #expect(pair.left.endpoint.childSPICount == 1 && pair.right.endpoint.childSPICount == 1)
            #expect(pair.faults.isEmpty)
        }
    }
}
