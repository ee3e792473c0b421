import IKE
import IKEMessage
import IPsecCrypto
import Octets
import Simulation
import Testing

@Suite("Several key exchanges (RFC 9242, RFC 9370)")
struct MultipleKeyExchangeTests {
    private static func proposals(
        _ additional: [AdditionalKeyExchange], method: KeyExchangeMethod = .curve25519
    ) -> [IKEProposal] {
        [
            IKEProposal(
                encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [method], additional: additional)
        ]
    }

    private static let classical = IKEProposal(
        encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519])

    private static func chain(_ methods: [KeyExchangeMethod]) -> [AdditionalKeyExchange] {
        methods.enumerated().map { AdditionalKeyExchange(number: $0.offset + 1, methods: [$0.element]) }
    }

    private static func pair(
        seed: UInt64, left: [IKEProposal], right: [IKEProposal]? = nil, start: StartPolicy = .boot
    ) async -> Pair {
        await Pair(
            seed: seed, start: start, left: { $0.ikeProposals = left }, right: { $0.ikeProposals = right ?? left })
    }

    // MARK: Vectors

    // No document prints any. The expected values were computed independently, in Python, from the formulas of RFC 9370, section
    // 2.2.2 and 2.2.4, and RFC 9242, section 3.3.2, with HMAC-SHA2-256.
    private func keys() throws -> IKEKeys {
        try IKEKeys.initial(
            suite: IKESuite(
                encryption: .aesGCM16(256), integrity: nil, prf: .hmacSHA2_256, keyExchange: .curve25519),
            sharedSecret: SecretOctets(Array<UInt8>(64..<96)), initiatorNonce: Array(0..<32),
            responderNonce: Array(32..<64), initiatorSPI: 0x1011_1213_1415_1617, responderSPI: 0x2021_2223_2425_2627)
    }

    @Test("A secret more makes these keys of the keys before")
    func intermediateKeys() throws {
        let before = try keys()
        let after = try before.rekeyed(
            suite: before.suite, sharedSecret: SecretOctets(Array<UInt8>(96..<128)), initiatorNonce: Array(0..<32),
            responderNonce: Array(32..<64), initiatorSPI: 0x1011_1213_1415_1617, responderSPI: 0x2021_2223_2425_2627)
        #expect(after.skD.unprotected.hexadecimal == "4edd9620f72c53367de0f2a1ed4651aab8b645fea22839eb6b78356b7e5b3a1c")
        #expect(
            after.skEi.unprotected.hexadecimal
                == "6318523fb1c7741e3f070a2dbb8ea2f0a9876ff5d2a4ae7580aacad1c785432041088075")
        #expect(
            after.skPr.unprotected.hexadecimal == "4a3c453d324705a7a1c5c78a10ac4ba3719b13ec86a91f65f2e6c4554b820738")
    }

    @Test("Two secrets make these keys of a child and of an IKE SA that replaces another")
    func laterKeys() throws {
        let before = try keys()
        let secrets = [SecretOctets(Array<UInt8>(96..<128)), SecretOctets(Array<UInt8>(128..<160))]
        let child = try before.childKeys(
            suite: ChildSuite(
                encryption: .aesGCM16(256), integrity: nil, keyExchange: .curve25519, sequenceNumbers: .extended),
            sharedSecret: secrets[0], additional: [secrets[1]], initiatorNonce: Array(0..<32),
            responderNonce: Array(32..<64))
        let material = child.fromInitiator.encryption.unprotected + child.fromResponder.encryption.unprotected
        #expect(
            material.hexadecimal
                == "ab3dbde92e68bf34d8770127355b4fb4d2c5e1871bfcc0d057d5fc0d11b5d3287fb047170cad08d6e7a6b459104244e3adee22ab6c03d19a35cafb967b88f762acfc5df7e7377fa2"
        )
        let after = try before.rekeyed(
            suite: before.suite, sharedSecret: secrets[0], additional: [secrets[1]], initiatorNonce: Array(0..<32),
            responderNonce: Array(32..<64), initiatorSPI: 0x3031_3233_3435_3637, responderSPI: 0x4041_4243_4445_4647)
        #expect(after.skD.unprotected.hexadecimal == "e10a3a42a7df3b703a58d5fdce673df92860f4acf40d5ef58002d2cc1984046a")
    }

    @Test("IntAuth of one exchange is this")
    func transcript() throws {
        func header(_ flags: IKEHeader.Flags) -> IKEHeader {
            IKEHeader(
                initiatorSPI: 0x0102_0304_0506_0708, responderSPI: 0x1112_1314_1516_1718,
                exchangeType: .ikeIntermediate, flags: flags, messageID: 1)
        }
        func payload(_ data: [UInt8]) -> Payload { .keyExchange(KeyExchangePayload(method: 36, data: data)) }
        let request = try IntermediateTranscript.octets(of: header(.initiator), [payload([0xde, 0xad, 0xbe, 0xef])])
        #expect(
            request.hexadecimal
                == "010203040506070811121314151617182e202b08000000010000002c220000100000000c00240000deadbeef")
        let response = try IntermediateTranscript.octets(of: header(.response), [payload([0xca, 0xfe, 0xba, 0xbe])])
        var transcript = IntermediateTranscript()
        try transcript.add(
            request, ofInitiator: true, key: SecretOctets([UInt8](repeating: 0x55, count: 32)), prf: .hmacSHA2_256)
        try transcript.add(
            response, ofInitiator: false, key: SecretOctets([UInt8](repeating: 0x66, count: 32)), prf: .hmacSHA2_256)
        #expect(
            transcript.octets(beforeMessage: 2).hexadecimal
                == "b6a6a559ff1f5085a554061dfccdf4b2caf20260b2a42586f495ece98de845cc"
                + "5b726b91b370fccfddf84366e910a371bc9e71f1f6d26989358ace87d90306a8" + "00000002")
    }

    // MARK: Exchanges

    @Test(
        "As many exchanges take place before IKE_AUTH as methods are agreed on",
        arguments: [
            [.mlKEM768], [.mlKEM1024, .mlKEM768],
            [.ecp256, .ecp384, .ecp521, .modp2048, .mlKEM768, .curve448, .mlKEM1024],
        ]
            as [[KeyExchangeMethod]])
    func exchanges(_ methods: [KeyExchangeMethod]) async {
        let pair = await Self.pair(seed: 1, left: Self.proposals(Self.chain(methods)))
        #expect(await pair.world.run(atMost: .seconds(2)) { pair.isUp })
        let requests = pair.world.sent.filter { $0.isRequest(.ikeIntermediate) }.compactMap { $0.header?.messageID }
        #expect(Set(requests) == Set(1...UInt32(methods.count)))
        #expect(pair.left.status("site")?.ikeSAs.first?.suite.additional.map(\.method) == methods)
        #expect(pair.agrees())
    }

    @Test("A peer without them gets the proposal that has none, and no more messages than before")
    func classicalPeer() async {
        let pair = await Self.pair(
            seed: 2, left: Self.proposals(Self.chain([.mlKEM768])) + [Self.classical], right: [Self.classical])
        #expect(await pair.world.run(atMost: .seconds(1)) { pair.isUp })
        #expect(pair.world.sent.count == 4)
        #expect(pair.left.status("site")?.ikeSAs.first?.suite.additional == [])
    }

    @Test("Who insists on them refuses a peer that has none")
    func required() async {
        let pair = await Self.pair(
            seed: 3, left: [Self.classical], right: Self.proposals(Self.chain([.mlKEM768])), start: .none)
        await pair.initiate()
        await pair.world.run(for: .seconds(3))
        #expect(pair.left.refusals.first?.cause == .noProposal)
        #expect(pair.right.refusals.first?.cause == .noProposal)
    }

    @Test("Large public values come in fragments, and any of them may be lost")
    func fragments() async {
        let pair = await Pair(
            seed: 4,
            left: {
                $0.ikeProposals = Self.proposals(Self.chain([.mlKEM1024]))
                $0.fragmentSize = 576
            },
            right: {
                $0.ikeProposals = Self.proposals(Self.chain([.mlKEM1024]))
                $0.fragmentSize = 600
            })
        var number = 0
        pair.world.tap = { datagram in
            number += 1
            return number % 3 == 0 ? [] : [datagram]
        }
        #expect(await pair.world.run(atMost: .seconds(60)) { pair.isUp })
        #expect(pair.world.sent.filter { $0.isRequest(.ikeIntermediate) }.count > 3)
    }

    @Test("An answer that is lost comes again, although the keys have changed since")
    func lostAnswers() async {
        let pair = await Self.pair(seed: 5, left: Self.proposals(Self.chain([.mlKEM768, .ecp384])))
        var lost: Set<UInt32> = []
        pair.world.tap = { datagram in
            guard datagram.isResponse(.ikeIntermediate), let id = datagram.header?.messageID, lost.insert(id).inserted
            else { return [datagram] }
            return []
        }
        #expect(await pair.world.run(atMost: .seconds(30)) { pair.isUp })
        #expect(lost == [1, 2])
    }

    @Test(
        "Without INTERMEDIATE_EXCHANGE_SUPPORTED in the request, additional key exchanges are as transforms nobody knows"
    )
    func withoutNotify() {
        let offer = Self.proposals(Self.chain([.mlKEM768]))[0].payload(number: 1)
        let configured = Self.proposals(Self.chain([.mlKEM768]))
        #expect(
            ProposalSelection.selectIKE(from: [offer], configured: configured, preferring: nil, withAdditional: false)
                == nil)
        #expect(ProposalSelection.selectIKE(from: [offer], configured: configured, preferring: nil) != nil)
    }

    @Test("No method is chosen twice, and each that is offered is answered (RFC 9370, section 2.2.1)")
    func selection() throws {
        func additional(_ number: Int, _ methods: [KeyExchangeMethod], _ isOptional: Bool = false)
            -> AdditionalKeyExchange
        {
            AdditionalKeyExchange(number: number, methods: methods, isOptional: isOptional)
        }
        func choice(_ lists: [AdditionalKeyExchange]) -> [AdditionalChoice]? {
            let proposals = Self.proposals(lists)
            return ProposalSelection.selectIKE(
                from: [proposals[0].payload(number: 1)], configured: proposals, preferring: nil)?.suite.additional
        }
        let both: [KeyExchangeMethod] = [.mlKEM768, .mlKEM1024]
        let chosen = try #require(choice([additional(2, both), additional(3, both), additional(5, [.ecp384], true)]))
        #expect(chosen.map(\.number) == [2, 3, 5])
        #expect(chosen.map(\.method) == [.mlKEM768, .mlKEM1024, .ecp384])
        #expect(choice([additional(1, both), additional(2, [.mlKEM768])])?.map(\.method) == [.mlKEM1024, .mlKEM768])
        #expect(choice([additional(1, [.mlKEM768]), additional(2, [.mlKEM768])]) == nil)
        #expect(
            choice([additional(1, [.mlKEM768]), additional(2, [.mlKEM768], true)])?.map(\.method) == [.mlKEM768, nil])
    }

    // MARK: After CREATE_CHILD_SA

    private static func established(
        seed: UInt64, ike: [KeyExchangeMethod] = [.mlKEM768, .ecp384], esp: [KeyExchangeMethod] = [.mlKEM768]
    ) async -> Pair {
        func change(_ connection: inout ConnectionConfiguration) {
            connection.ikeProposals = proposals(chain(ike))
            connection.children[0].espProposals = [
                ESPProposal(encryption: [.aesGCM16(256)], keyExchange: [.curve25519], additional: chain(esp))
            ]
        }
        return await Pair.established(seed: seed, left: change, right: change)
    }

    private static func followUps(_ pair: Pair) -> Int {
        Set(pair.world.sent.filter { $0.isRequest(.ikeFollowupKE) }.compactMap { $0.header?.messageID }).count
    }

    @Test("A child is rekeyed with all its key exchanges, by either side", arguments: ["left", "right"])
    func childRekey(_ side: String) async {
        let pair = await Self.established(seed: 6, esp: [.mlKEM768, .mlKEM1024])
        let old = pair.childSPIs
        await pair.rekeyChild(side)
        await pair.rest()
        #expect(pair.agrees())
        #expect(Self.followUps(pair) == 2)
        #expect(pair.childSPIs.allSatisfy { !old.contains($0) })
        #expect(
            pair.left.status("site")?.children.first?.suite.additional.map(\.method) == [.mlKEM768, .mlKEM1024])
    }

    @Test("An IKE SA is rekeyed with all its key exchanges, by either side", arguments: ["left", "right"])
    func ikeRekey(_ side: String) async {
        let pair = await Self.established(seed: 7)
        let old = pair.ikeSPI
        await pair.rekeyIKE(side)
        await pair.rest()
        #expect(pair.agrees())
        #expect(Self.followUps(pair) == 2)
        #expect(pair.ikeSPI != old)
        #expect(pair.left.status("site")?.ikeSAs.first?.suite.additional.map(\.method) == [.mlKEM768, .ecp384])
    }

    @Test("Rekeys that cross leave one pair, whoever had the lowest nonce", arguments: 1...6 as ClosedRange<UInt64>)
    func crossing(seed: UInt64) async {
        let pair = await Self.established(seed: seed)
        await pair.rekeyChild("left")
        await pair.rekeyChild("right")
        await pair.rest()
        #expect(pair.agrees())
        await pair.rekeyIKE("left")
        await pair.rekeyIKE("right")
        await pair.rest()
        #expect(pair.agrees())
    }

    @Test("What is not gone on with in time is forgotten, and begun anew")
    func forgotten() async {
        let pair = await Self.established(seed: 8)
        let old = pair.childSPIs
        var isLost = true
        pair.world.tap = { isLost && $0.isRequest(.ikeFollowupKE) ? [] : [$0] }
        await pair.rekeyChild("left")
        await pair.world.run(for: .seconds(21))
        #expect(pair.right.endpoint.childSPICount == 1)
        isLost = false
        await pair.world.run(for: .seconds(40))
        let answers = pair.world.sent.filter { $0.isResponse(.ikeFollowupKE) }
        #expect(answers.contains { pair.wiretap.payloads(of: $0.octets)?.contains(.stateNotFound) ?? false })
        #expect(pair.agrees())
        #expect(pair.childSPIs.allSatisfy { !old.contains($0) })
    }

    // MARK: On the way

    private static func datagram(_ datagram: IKEDatagram, with octets: [UInt8]) -> IKEDatagram {
        datagram.carrying(octets)
    }

    @Test(
        "Whoever takes the additional key exchanges out of the first message, or the answer, is found out",
        arguments: [false, true])
    func stripped(fromAnswer: Bool) async {
        let proposals = Self.proposals(Self.chain([.mlKEM768])) + [Self.classical]
        let pair = await Self.pair(seed: 9, left: proposals, start: .none)
        pair.rewriteInit(isResponse: fromAnswer) { payloads in
            payloads.map { payload in
                guard case .securityAssociation(var association) = payload else { return payload }
                association.proposals = association.proposals.filter {
                    !$0.transforms.contains { $0.type.isAdditionalKeyExchange }
                }
                return .securityAssociation(association)
            }
        }
        await pair.initiate()
        await pair.world.run(for: .seconds(5))
        #expect(!pair.isUp)
        #expect(pair.left.status("site")?.ikeSAs.isEmpty ?? true)
    }

    @Test(
        "A public value that is none ends the attempt: an encapsulation key that is not reduced, another length, another method"
    )
    func badValues() async {
        let zero = KeyExchangePayload(method: 36, data: [UInt8](repeating: 0xff, count: 1184))
        let short = KeyExchangePayload(method: 36, data: [UInt8](repeating: 0, count: 1183))
        let other = KeyExchangePayload(method: 37, data: [UInt8](repeating: 0, count: 1568))
        for payload in [zero, short, other] {
            let pair = await Pair(
                seed: 10, start: .none, left: { $0.ikeProposals = Self.proposals(Self.chain([.mlKEM768])) },
                right: { $0.ikeProposals = Self.proposals(Self.chain([.mlKEM768])) },
                endpoint: { $0.exportsKeys = true })
            pair.world.tap = { datagram in
                guard datagram.isRequest(.ikeIntermediate) else { return [datagram] }
                guard let header = datagram.header,
                    let octets = pair.wiretap.seal(header, [.keyExchange(payload)], iv: 1 << 40)
                else { return [] }
                return [Self.datagram(datagram, with: octets)]
            }
            await pair.initiate()
            await pair.world.run(for: .seconds(40))
            #expect(!pair.isUp)
            #expect(pair.right.endpoint.saCount == 0)
            #expect(pair.left.refusals.first?.cause == .refusedByPeer)
        }
    }

    @Test("Fragments of one message that name several exchanges are not put together", arguments: [false, true])
    func mixedFragments(beginsWithIntermediate: Bool) async throws {
        let pair = await Pair.established(seed: 11)
        let last = try #require(pair.world.sent.last { pair.isFromLeft($0) && $0.isRequest(.ikeAuth) })
        let exchanges: [ExchangeType] =
            beginsWithIntermediate ? [.ikeIntermediate, .informational] : [.informational, .ikeIntermediate]
        let notify = Payload.serializeChain([
            .notify(NotifyPayload(protocolID: .none, spi: [], type: .initialContact, data: []))
        ])
        let parts = [notify.octets.prefix(4), notify.octets.dropFirst(4)]
        for (index, exchange) in exchanges.enumerated() {
            var header = try #require(last.header)
            header.exchangeType = exchange
            header.messageID += 1
            let sealed = pair.wiretap.seal(
                header, first: index == 0 ? notify.first : .none, Array(parts[index]),
                fragment: (UInt16(index + 1), 2), iv: 1 << 40 + UInt64(index))
            let octets = try #require(sealed)
            pair.world.inject(Self.datagram(last, with: octets))
        }
        await pair.rest()
        #expect(pair.agrees())
    }
}
