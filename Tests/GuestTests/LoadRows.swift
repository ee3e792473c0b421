import IPPacket
import Lab
import Testing

extension GuestRow {
    /// TCP both ways at the same time, as fast as it goes, with the ESP of a kernel.
    static let loads: [GuestRow] = [PeerKind.strongSwan, .libreswan, .openIKED].flatMap { peer in
        [
            GuestRow("full load, protocol 50", peer, .initiator, body: { try await $0.carryLoad() }),
            GuestRow("full load, in UDP", peer, .responder) {
                $0.isUDPEncapsulated = true
            } body: {
                try await $0.carryLoad()
            },
        ]
    }
}

extension Meeting {
    /// 32 MB each way arrive as they were sent, and nothing that the peer sent is lost here.
    fileprivate func carryLoad() async throws {
        try await initiate()
        async let back = Transfer.run(
            from: topology.host(.right), to: topology.host(.left), address: Topology.hostAddress(.left, plan.inner),
            octets: 32 << 20, patience: 60)
        let forth = try await Transfer.run(
            from: topology.host(.left), to: topology.host(.right), address: Topology.hostAddress(.right, plan.inner),
            octets: 32 << 20, patience: 60)
        let isIntact = try await back.isIntact && forth.isIntact
        expect(isIntact)
        try await wait(for: "all that the peer sent", atMost: 10) {
            let report = try await peer.report()
            guard let ours = try await cygnet.status().childSAs.first else { return false }
            // Its socket, or its device, may not have had room for all that we sent.
            return ours.packetsIn == report.outbound.first?.packets
                && ours.packetsOut >= report.inbound.first?.packets ?? .max
        }
        let ours = try #require(try await cygnet.status().childSAs.first)
        entry.note(packets: "\(ours.packetsIn) in \(ours.packetsOut) out")
        expect(ours.drops.values.allSatisfy { $0 == 0 }, "\(ours.drops)")
        expect(ours.octetsIn > 32 << 20 && ours.octetsOut > 32 << 20)
    }
}
