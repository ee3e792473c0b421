import IKE
import IKEMessage
import IPPacket
import IPsecCrypto
import Octets
import Simulation
import Testing

/// Who asks for an answer again may have forged where he asks from, and need not send as much as he gets.
@Suite("Answers that are sent again")
struct AnswerRepetitionTests {
    private static let stranger = SocketAddress(IPAddress(v4: 0xcb00_7109), port: 4500)

    /// A pair of which right has answered IKE_INTERMEDIATE and waits for IKE_AUTH.
    private func halfOpen(seed: UInt64) async -> Pair {
        let change: (inout ConnectionConfiguration) -> Void = {
            $0.ikeProposals = [
                IKEProposal(
                    encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519],
                    additional: [AdditionalKeyExchange(number: 1, methods: [.mlKEM768])])
            ]
        }
        let pair = await Pair(seed: seed, start: .none, left: change, right: change)
        pair.world.tap = { $0.isRequest(.ikeAuth) ? [] : [$0] }
        await pair.initiate()
        await pair.world.run(for: .milliseconds(400))
        return pair
    }

    /// Right's answers to copies of a message, in whole answers.
    private func answers(
        _ pair: Pair, to request: IKEDatagram, copies: Int, every pause: Duration
    ) async -> Int {
        let exchange = request.header?.exchangeType ?? .informational
        func isAnswer(_ datagram: IKEDatagram) -> Bool { !pair.isFromLeft(datagram) && datagram.isResponse(exchange) }
        let parts = Set(
            pair.world.sent.filter { isAnswer($0) && $0.header?.messageID == request.header?.messageID }
                .map(\.octets)
        ).count
        let before = pair.world.sent.count
        for _ in 0..<copies {
            pair.world.inject(request)
            await pair.world.run(for: pause)
        }
        let sent = pair.world.sent.dropFirst(before).filter {
            isAnswer($0) && $0.remote.address == request.local.address
        }.count
        return parts > 0 ? sent / parts : 0
    }

    @Test(
        "Of a half-open SA few answers go where only a copy of the request came from, and not without end to the peer")
    func halfOpenSA() async throws {
        let pair = await halfOpen(seed: 1)
        let request = try #require(pair.world.sent.first { $0.isRequest(.ikeIntermediate) })
        var forged = request
        forged.local = Self.stranger
        // As many as somebody needs whose NAT has given him another address.
        #expect(await answers(pair, to: forged, copies: 40, every: .milliseconds(50)) == 3)
        #expect((8...13).contains(await answers(pair, to: request, copies: 60, every: .milliseconds(250))))
    }

    @Test("Of an established SA answers are repeated a few times at once, and then slowly, for as long as it takes")
    func establishedSA() async throws {
        let pair = await Pair.established(
            seed: 2, left: { $0.timing.livenessInterval = nil }, right: { $0.timing.livenessInterval = nil })
        await pair.rekeyChild("left")
        await pair.rest()
        let request = try #require(pair.world.sent.last { pair.isFromLeft($0) && !$0.isResponse })
        #expect((8...13).contains(await answers(pair, to: request, copies: 200, every: .milliseconds(10))))
        #expect(await answers(pair, to: request, copies: 40, every: .seconds(1)) == 40)
        #expect(pair.agrees())
    }

    @Test("The answer to a first message is repeated as often as an honest peer may need it, and no more")
    func firstMessage() async throws {
        let pair = await halfOpen(seed: 3)
        let request = try #require(pair.world.sent.first { $0.isRequest(.ikeSAInit) })
        #expect(await answers(pair, to: request, copies: 8, every: .milliseconds(10)) == 8)
        #expect(await answers(pair, to: request, copies: 80, every: .milliseconds(250)) == 8)
    }
}
