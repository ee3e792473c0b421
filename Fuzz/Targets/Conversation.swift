import IKE
import IKEMessage
import IPPacket
import Octets
import Simulation

/// A conversation of two simulated gateways, the same each time: a handshake, rekeys by either side, signs of life, the end.
enum Conversation {
    /// One thing that is done after another, the handshake being over.
    private static let acts: [(host: String, act: @Sendable (Endpoint, Instant) -> Void)] = [
        ("left", { try? $0.rekey("site", child: "net", at: $1) }),
        ("right", { try? $0.rekey("site", at: $1) }),
        ("right", { try? $0.rekey("site", child: "net", at: $1) }),
        ("left", { try? $0.rekey("site", at: $1) }),
        ("left", { try? $0.terminate("site", child: "net", at: $1) }),
        ("right", { try? $0.terminate("site", at: $1) }),
    ]

    static func pair() async -> Pair {
        await Pair(seed: 1, start: .none, endpoint: { $0.exportsKeys = true })
    }

    /// Lets it happen. `isEnough`: asked after each act; the rest is then left out.
    static func run(_ pair: Pair, until isEnough: () -> Bool = { false }) async {
        await pair.world.act("left") { try? $0.initiate("site", at: $1) }
        await pair.world.run(for: .milliseconds(200))
        for (host, act) in acts where !isEnough() {
            await pair.world.act(host, act)
            await pair.world.run(for: .milliseconds(1500))
        }
    }

    private static func whole() async -> Pair {
        let pair = await pair()
        await run(pair)
        return pair
    }

    static func messages() async throws -> [[UInt8]] { await whole().world.sent.map(\.octets) }

    /// What the protected messages hold, each with its exchange.
    static func plaintexts() async -> [(exchange: ExchangeType, first: PayloadType, octets: [UInt8])] {
        let pair = await whole()
        return pair.world.sent.compactMap { datagram in
            guard let message = try? Message(parsing: datagram.octets),
                let payloads = pair.wiretap.payloads(of: datagram.octets)
            else { return nil }
            let chain = Payload.serializeChain(payloads)
            return (message.header.exchangeType, chain.first, chain.octets)
        }
    }

    static func chains() async throws -> [[UInt8]] { await plaintexts().map { [$0.first.rawValue] + $0.octets } }

    /// The keys of the conversation, of IKE and of ESP, in a decoder's tables.
    static func keyRows() async -> (ike: String, esp: String) {
        let pair = await whole()
        var ike = "", esp = ""
        for event in pair.left.events {
            guard case .keys(let keys) = event else { continue }
            switch keys {
            case let .ike(initiator, responder, suite, ei, er, _, _):
                // The default proposal: AES-GCM, whose key material ends with four octets of salt.
                let bits = (suite.encryption.keyMaterialLength - 4) * 8
                ike += "\(initiator.bigEndianOctets.hexadecimal),\(responder.bigEndianOctets.hexadecimal),"
                ike += "\(ei.unprotected.hexadecimal),\(er.unprotected.hexadecimal),"
                ike += "\"AES-GCM-\(bits) with 16 octet ICV [RFC5282]\",,,\"NONE [RFC4306]\"\n"
            case .child(let child):
                esp += "\"IPv4\",\"192.0.2.1\",\"198.51.100.2\",\"0x\(String(child.outboundSPI, radix: 16))\","
                esp +=
                    "\"AES-GCM with 16 octet ICV [RFC4106]\",\"0x\(child.outboundKeys.encryption.unprotected.hexadecimal)\","
                esp += "\"NULL\",\"\"\n"
            }
        }
        return (ike, esp)
    }
}
