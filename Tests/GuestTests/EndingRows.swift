import Lab
import Testing

extension GuestRow {
    /// How tunnels end.
    static let endings: [GuestRow] = [PeerKind.strongSwan, .libreswan, .openIKED].flatMap { peer in
        [
            GuestRow(
                "deleted by the peer", peer, .initiator,
                body: { try await $0.endByPeer(hasChildCommand: peer != .openIKED) }),
            // Not as the responder: Libreswan at once sets up again what it was told to set up.
            GuestRow("deleted by Cygnet", peer, .initiator, body: { try await $0.endByCygnet() }),
            GuestRow(
                "the peer dies", peer, .initiator, plan: { $0.livenessSeconds[.left] = 1 },
                body: { try await $0.outlivePeer() }),
        ]
            + (peer == .openIKED
                // It asks for more than a minute.
                ? []
                : [
                    GuestRow(
                        "Cygnet dies", peer, .initiator, plan: { $0.livenessSeconds[.right] = 1 },
                        body: { try await $0.dieBeforePeer() })
                ])
    }
}

extension Meeting {
    private func waitForEndAtCygnet() async throws {
        try await wait(for: "the IKE SA's end at Cygnet") {
            let connection = try await cygnet.status().connection
            return connection?.securityAssociations.isEmpty == true
                && connection?.children.allSatisfy { $0.securityAssociations.isEmpty } == true
        }
    }

    private func checkNothingPasses() async throws {
        let ping = try await ping(count: 3)
        expect(ping.received == 0, "\(ping.received) answers")
        let summary = try await capture.stop(protected: TunnelPlan.protectedNetworks)
        expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
    }

    fileprivate func endByPeer(hasChildCommand: Bool) async throws {
        try await initiate()
        if hasChildCommand {
            try await peer.terminateChild()
            try await wait(for: "the child's end at Cygnet") { try await cygnet.status().childSAs.isEmpty }
            expect(try await cygnet.status().connection?.securityAssociations.count == 1)
        }
        try await peer.terminateIKE()
        try await waitForEndAtCygnet()
        try await checkNothingPasses()
    }

    fileprivate func endByCygnet() async throws {
        try await initiate()
        try await cygnet.down().orThrow()
        try await wait(for: "the end at the peer") { try await peer.report().isEmpty }
        try await checkNothingPasses()
    }

    fileprivate func outlivePeer() async throws {
        try await initiate()
        await peer.quarters.killAtOnce()
        try await waitForEndAtCygnet()
        try await checkNothingPasses()
    }

    fileprivate func dieBeforePeer() async throws {
        try await initiate()
        await cygnet.killAtOnce()
        try await wait(for: "the peer's noticing", atMost: 30) { try await peer.report().isEmpty }
        try await checkNothingPasses()
    }
}
