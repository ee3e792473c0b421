import IKE
import IKEMessage
import IPPacket
import Octets
import Simulation
import Testing

/// What stands in every message that goes out.
@Suite("Messages that are sent")
struct SentMessageTests {
    /// A pair after a rekey of a child by left and of both SAs by right.
    private func rekeyed(seed: UInt64) async -> Pair {
        let pair = await Pair.established(seed: seed)
        await pair.rekeyChild("left")
        await pair.rest()
        await pair.rekeyChild("right")
        await pair.rest()
        await pair.rekeyIKE("right")
        await pair.rest()
        await pair.rekeyChild("left")
        await pair.rest()
        return pair
    }

    private func nonces(_ payloads: [Payload]) -> [[UInt8]] {
        payloads.compactMap { if case .nonce(let nonce) = $0 { nonce } else { nil } }
    }

    @Test("Every message is of version 2.0 and has no flags but I and R (RFC 7296 section 3.1)")
    func versionAndFlags() async throws {
        let pair = await rekeyed(seed: 1)
        #expect(pair.world.sent.count > 12)
        for datagram in pair.world.sent {
            let header = try #require(datagram.header)
            #expect(header.majorVersion == 2)
            #expect(header.minorVersion == 0)
            #expect(header.flags.isSubset(of: [.initiator, .response]))
        }
    }

    @Test(
        "The I flag is that of the side that began the IKE SA, whoever asks or answers (RFC 7296 section 3.1)")
    func initiatorFlag() async throws {
        let pair = await rekeyed(seed: 2)
        let first = try #require(pair.world.sent.first?.header?.initiatorSPI)
        var sides: Set<Bool> = []
        for datagram in pair.world.sent {
            let header = try #require(datagram.header)
            // Left began the first IKE SA, right the one after it.
            let beganIt = pair.isFromLeft(datagram) == (header.initiatorSPI == first)
            #expect(header.flags.contains(.initiator) == beganIt)
            sides.insert(header.initiatorSPI == first)
        }
        #expect(sides.count == 2)
    }

    @Test(
        "Each request has one answer, with the R flag and the same exchange and message ID (RFC 7296 section 3.1)")
    func responseFlag() async throws {
        struct Exchange: Hashable {
            let initiatorSPI: UInt64
            let isByLeft: Bool
            let type: ExchangeType
            let messageID: UInt32
        }
        let pair = await rekeyed(seed: 3)
        var requests: [Exchange: Int] = [:]
        var answers: [Exchange: Int] = [:]
        for datagram in pair.world.sent {
            let header = try #require(datagram.header)
            let exchange = Exchange(
                initiatorSPI: header.initiatorSPI, isByLeft: pair.isFromLeft(datagram) != datagram.isResponse,
                type: header.exchangeType, messageID: header.messageID)
            if datagram.isResponse { answers[exchange, default: 0] += 1 } else { requests[exchange, default: 0] += 1 }
        }
        #expect(requests.values.allSatisfy { $0 == 1 })
        #expect(requests == answers)
    }

    @Test(
        "Message IDs count from 0 without a gap, on each side of each IKE SA, a new one included (RFC 7296 section 2.2)"
    )
    func messageIDs() async throws {
        let pair = await rekeyed(seed: 4)
        let first = try #require(pair.world.sent.first?.header?.initiatorSPI)
        for isFirst in [true, false] {
            for isByLeft in [true, false] {
                let ids = try pair.world.sent.filter { !$0.isResponse && pair.isFromLeft($0) == isByLeft }
                    .map { try #require($0.header) }
                    .filter { ($0.initiatorSPI == first) == isFirst }.map(\.messageID)
                #expect(ids == Array(0..<UInt32(ids.count)))
                #expect(!ids.isEmpty || !isFirst || !isByLeft)
            }
        }
    }

    @Test("The first message has an SPI of its own and none of the responder (RFC 7296 section 3.1)")
    func firstSPIs() async throws {
        let pair = await Pair(seed: 5, endpoint: { $0.cookieThreshold = 0 })
        #expect(await pair.world.run(atMost: .seconds(1)) { pair.isUp })
        let requests = pair.world.sent.filter { $0.isRequest(.ikeSAInit) }.compactMap(\.header)
        #expect(requests.count == 2)
        for header in requests {
            #expect(header.initiatorSPI != 0)
            #expect(header.responderSPI == 0)
        }
    }

    @Test(
        "Nonces have 32 octets, half of the longest key of a PRF, and none comes twice (RFC 7296 section 2.10)")
    func freshNonces() async throws {
        let pair = await rekeyed(seed: 6)
        let all = pair.world.sent.compactMap { pair.wiretap.payloads(of: $0.octets) }.flatMap(nonces)
        #expect(all.count == 10)
        #expect(all.allSatisfy { $0.count == 32 })
        #expect(Set(all).count == all.count)
    }

    @Test(
        "Proposals are numbered from 1 in the order of the configuration, and the answer has the number of the chosen one"
    )
    func proposalNumbers() async throws {
        let wanted = [
            IKEProposal(encryption: [.chaCha20Poly1305], prf: [.hmacSHA2_256], keyExchange: [.curve25519]),
            IKEProposal(encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519]),
        ]
        let pair = await Pair(seed: 7, left: { $0.ikeProposals = wanted }, right: { $0.ikeProposals = [wanted[1]] })
        #expect(await pair.world.run(atMost: .seconds(1)) { pair.isUp })
        let associations = try pair.world.sent.prefix(2).map { datagram in
            try Message(parsing: datagram.octets).payloads.compactMap { payload -> SecurityAssociationPayload? in
                if case .securityAssociation(let association) = payload { association } else { nil }
            }
        }.flatMap(\.self)
        try #require(associations.count == 2)
        #expect(associations[0].proposals == [wanted[0].payload(number: 1), wanted[1].payload(number: 2)])
        #expect(associations[1].proposals.map(\.number) == [2])
        #expect(associations.allSatisfy { $0.proposals.allSatisfy { $0.spi.isEmpty } })
    }

    @Test("A request that is sent again is the same octet for octet (RFC 7296 section 2.1)")
    func repetition() async {
        let pair = await Pair.established(seed: 8)
        let held = Held(pair.world) { pair.isFromLeft($0) && $0.isRequest(.createChildSA) }
        await pair.rekeyChild("left")
        await pair.world.run(for: .seconds(10))
        #expect(held.datagrams.count > 1)
        #expect(Set(held.datagrams.map(\.octets)).count == 1)
        held.release()
        await pair.rest()
        #expect(pair.agrees())
    }

    @Test(
        "No request is sent before the one before it is answered: the window is one (RFC 7296 section 2.3)")
    func window() async throws {
        let pair = await Pair.established(seed: 9)
        await pair.world.act("left") { endpoint, now in
            try? endpoint.rekey("site", child: "net", at: now)
            try? endpoint.rekey("site", at: now)
        }
        await pair.rest()
        #expect(pair.agrees())
        var outstanding: [UInt64: UInt32] = [:]
        var count = 0
        for datagram in pair.world.sent where pair.isFromLeft(datagram) != datagram.isResponse {
            let header = try #require(datagram.header)
            if datagram.isResponse {
                #expect(outstanding.removeValue(forKey: header.initiatorSPI) == header.messageID)
            } else {
                #expect(outstanding.updateValue(header.messageID, forKey: header.initiatorSPI) == nil)
                count += 1
            }
        }
        #expect(count > 4)
    }
}
