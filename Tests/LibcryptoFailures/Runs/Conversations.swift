import IKE
import IPsecCrypto
import Simulation

extension Scenario {
    private static let proposals = [
        IKEProposal(encryption: [.aesCCM16(128)], integrity: [], prf: [.aes128CMAC], keyExchange: [.modp2048]),
        IKEProposal(
            encryption: [.aesCTR(128)], integrity: [.aesXCBC_96], prf: [.hmacSHA2_256], keyExchange: [.brainpoolP256r1]),
        IKEProposal(encryption: [.aesGCM8(256)], integrity: [], prf: [.aes128XCBC], keyExchange: [.curve448]),
    ]

    /// A handshake and rekeys between two gateways. Afterwards nothing is left behind, and the tunnel can come up.
    static let conversations = proposals.map { proposal in
        Scenario(name: "conversation with \(proposal)", isLong: true) { failure in
            let pair = await Pair(
                seed: 31, start: .none, left: { $0.ikeProposals = [proposal] }, right: { $0.ikeProposals = [proposal] })
            await pair.world.act("left") { try? $0.initiate("site", at: $1) }
            await pair.world.run(for: .seconds(10))
            await pair.world.act("left") { try? $0.rekey("site", child: "net", at: $1) }
            await pair.world.run(for: .seconds(10))
            await pair.world.act("right") { try? $0.rekey("site", at: $1) }
            await pair.world.run(for: .seconds(10))
            let calls = failure.end()
            if failure.numbers == 1...(.max), calls > 0 {
                try expect(!pair.isUp, "the tunnel is up although every call has failed")
            }
            // As long as it takes to give up.
            await pair.world.run(for: .seconds(900))
            try expect(pair.faults.isEmpty, "\(pair.faults)")
            try expect(!(pair.left.isUp("site") && pair.right.isUp("site")) || pair.carries, "the two sides disagree")
            for name in ["left", "right"] { await pair.world.act(name) { try? $0.terminate("site", at: $1) } }
            await pair.world.run(for: .seconds(900))
            for host in [pair.left, pair.right] {
                try expect(
                    host.inbound.isEmpty && host.outbound.isEmpty && host.endpoint.saCount == 0,
                    "something is left at the \(host.name)")
            }
            await pair.world.act("left") { try? $0.initiate("site", at: $1) }
            try expect(await pair.world.run(atMost: .seconds(30)) { pair.isUp }, "it does not come up again")
            return [:]
        }
    }
}
