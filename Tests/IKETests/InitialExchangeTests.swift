import IKE
import IKEMessage
import IPPacket
import IPsecCrypto
import Octets
import Simulation
import Testing

@Suite("IKE_SA_INIT")
struct InitialExchangeTests {
    private func proposals(_ methods: [KeyExchangeMethod]) -> [IKEProposal] {
        [IKEProposal(encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: methods)]
    }

    private func notify(_ type: NotifyType, _ data: [UInt8] = []) -> Payload {
        .notify(NotifyPayload(protocolID: .none, spi: [], type: type, data: data))
    }

    @Test("A responder that wants another key exchange is given it")
    func invalidKE() async {
        let pair = await Pair(
            seed: 1, left: { $0.ikeProposals = self.proposals([.curve25519, .ecp256]) },
            right: { $0.ikeProposals = self.proposals([.ecp256]) })
        #expect(await pair.world.run(atMost: .seconds(1)) { pair.isUp })
        #expect(pair.world.sent.count == 6)
        #expect(pair.left.status("site")?.ikeSAs.first?.suite.keyExchange == .ecp256)
        #expect(pair.right.endpoint.halfOpenCount == 0)
    }

    @Test("Every key exchange method makes a connection", arguments: KeyExchangeMethod.allCases)
    func methods(method: KeyExchangeMethod) async {
        let pair = await Pair(
            seed: 2, left: { $0.ikeProposals = self.proposals([method]) },
            right: { $0.ikeProposals = self.proposals([method]) })
        #expect(await pair.world.run(atMost: .seconds(1)) { pair.isUp })
    }

    @Test("A responder that sends the initiator round in circles is given up, and not for ever")
    func circles() async {
        let pair = await Pair(
            seed: 3, start: .none, left: { $0.ikeProposals = self.proposals([.curve25519, .ecp256]) })
        pair.world.tap = { datagram in
            guard pair.isFromLeft(datagram),
                case .keyExchange(let key)? = (try? Message(parsing: datagram.octets))?.payloads
                    .first(where: { $0.type == .keyExchange })
            else { return [datagram] }
            let other: KeyExchangeMethod = key.method == 31 ? .ecp256 : .curve25519
            let answer = datagram.answered(with: [notify(.invalidKEPayload, other.rawValue.bigEndianOctets)])
            if let answer { pair.world.inject(answer) }
            return []
        }
        await pair.initiate()
        await pair.world.run(for: .seconds(200))
        #expect(pair.left.refusals.first?.cause == .peerSilent)
        #expect(pair.world.sent.count < 20)
        #expect(pair.left.endpoint.saCount == 0)
    }

    @Test("A key exchange that is not ours is refused with the line that decides")
    func foreignMethod() async {
        let pair = await Pair(
            seed: 4, start: .none, left: { $0.ikeProposals = self.proposals([.curve25519]) },
            right: { $0.ikeProposals = self.proposals([.ecp384]) })
        await pair.initiate()
        await pair.world.run(for: .seconds(3))
        #expect(pair.left.refusals.first?.cause == .noProposal)
        #expect(pair.right.refusals.first?.cause == .noProposal)
        #expect(pair.right.refusals.first?.decidedBy == .us)
        #expect(pair.left.refusals.first?.decidedBy == .peer)
        #expect(pair.right.endpoint.saCount == 0)
    }

    /// A stranger who sees the first message and is faster than the peer.
    @Test(
        "A forged error, demand or answer does not break a handshake",
        arguments: [
            [Payload.notify(NotifyPayload(protocolID: .none, spi: [], type: .noProposalChosen, data: []))],
            [.notify(NotifyPayload(protocolID: .none, spi: [], type: .invalidSyntax, data: []))],
            [.notify(NotifyPayload(protocolID: .none, spi: [], type: .invalidMajorVersion, data: []))],
            [.notify(NotifyPayload(protocolID: .none, spi: [], type: .cookie, data: [1, 2, 3]))],
            [.notify(NotifyPayload(protocolID: .none, spi: [], type: .cookie, data: []))],
            [.notify(NotifyPayload(protocolID: .none, spi: [], type: .invalidKEPayload, data: [0, 19]))],
            [.notify(NotifyPayload(protocolID: .none, spi: [], type: .invalidKEPayload, data: [0, 14]))],
            [.notify(NotifyPayload(protocolID: .none, spi: [], type: .invalidKEPayload, data: [0x99, 0x99]))],
            [.notify(NotifyPayload(protocolID: .none, spi: [], type: .invalidKEPayload, data: [1]))],
            [],
            [.nonce([UInt8](repeating: 1, count: 32))],
        ])
    func forged(payloads: [Payload]) async {
        let pair = await Pair(seed: 5, start: .none)
        pair.world.conditions.delay = .milliseconds(1) ... .milliseconds(1)
        var isFirst = true
        pair.world.tap = { datagram in
            if isFirst, let answer = datagram.answered(with: payloads) {
                isFirst = false
                pair.world.inject(answer)
            }
            return [datagram]
        }
        await pair.initiate()
        #expect(await pair.world.run(atMost: .seconds(3)) { pair.isUp })
        #expect(pair.faults.isEmpty)
    }

    @Test("A forged answer with an impossible key does not break a handshake")
    func forgedKey() async {
        let pair = await Pair(seed: 6, start: .none)
        var isFirst = true
        pair.world.tap = { datagram in
            guard isFirst else { return [datagram] }
            isFirst = false
            let suite = IKEProposal(encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519])
            let answer = datagram.answered(
                with: [
                    .securityAssociation(SecurityAssociationPayload(proposals: [suite.payload(number: 1)])),
                    .keyExchange(KeyExchangePayload(method: 31, data: [UInt8](repeating: 0, count: 32))),
                    .nonce([UInt8](repeating: 1, count: 32)),
                ], responderSPI: 99)
            if let answer { pair.world.inject(answer) }
            return [datagram]
        }
        await pair.initiate()
        #expect(await pair.world.run(atMost: .seconds(3)) { pair.isUp })
    }

    @Test("A real refusal is believed after a short time, and says what the peer may mean")
    func refusal() async {
        let pair = await Pair(
            seed: 7, start: .none, left: { $0.ikeProposals = self.proposals([.curve25519]) },
            right: {
                $0.ikeProposals = [
                    IKEProposal(encryption: [.aesGCM16(128)], prf: [.hmacSHA2_256], keyExchange: [.curve25519])
                ]
            })
        await pair.initiate()
        await pair.world.run(for: .milliseconds(700))
        #expect(pair.left.refusals.isEmpty)
        await pair.world.run(for: .milliseconds(200))
        #expect(pair.left.refusals.first?.cause == .noProposal)
        #expect(pair.left.refusals.first?.origins.isEmpty == false)
    }

    @Test("An initiator from an address that fits no connection gets no SA and no state")
    func stranger() async {
        let pair = await Pair(
            seed: 8, start: .none, right: { $0.remoteAddresses = [IPAddress(v4: 0x0a00_0001)] })
        await pair.initiate()
        await pair.world.run(for: .seconds(2))
        #expect(pair.right.refusals.first?.cause == .noConnection)
        #expect(pair.right.endpoint.saCount == 0)
        #expect(pair.left.refusals.first?.cause == .noProposal)
    }

    @Test("A later major version is answered with ours, an earlier one not at all")
    func versions() async {
        let pair = await Pair(seed: 9, start: .none)
        for version: UInt8 in [0x30, 0x10] {
            var octets = [UInt8](repeating: 1, count: 28)
            octets[16] = 0
            octets[17] = version
            octets[18] = ExchangeType.ikeSAInit.rawValue
            octets[19] = IKEHeader.Flags.initiator.rawValue
            pair.inject(octets)
        }
        await pair.world.run(for: .seconds(1))
        #expect(pair.world.sent.count == 1)
        #expect((try? Message(parsing: pair.world.sent[0].octets))?.payloads.contains(.invalidMajorVersion) == true)
    }
}
