import IPPacket
import Lab
import Testing

extension GuestRow {
    /// Other ways for a tunnel to begin than by proofs and a first child.
    static let beginnings: [GuestRow] = [Role.initiator, .responder].flatMap { role in
        [
            GuestRow("neither side proves who it is", .libreswan, role) { $0.isAnonymous = true },
            GuestRow("no first child", .strongSwan, role, cygnetLines: ["childless: require"]) {
                $0.peerLines.connection = ["childless = force"]
            } body: {
                try await $0.carryPacketsAfterChildlessBeginning()
            },
            GuestRow("resumed by ticket", .libreswan, role, cygnetLines: ["resumption: yes"]) {
                $0.peerLines.connection = ["session-resumption=yes"]
                $0.livenessSeconds[.left] = role == .initiator ? 1 : 0
            } body: {
                try await $0.resume()
            },
        ]
    }
}

extension Meeting {
    /// As `carryPackets`; and the child was made by an exchange of its own (RFC 6023).
    fileprivate func carryPacketsAfterChildlessBeginning() async throws {
        let summary = try await carryPackets()
        // Two messages each of IKE_SA_INIT, IKE_AUTH and CREATE_CHILD_SA.
        expect(summary.count(.ike) >= 6, summary.description)
    }

    /// The tunnel is lost to the initiator alone, and comes back by IKE_SESSION_RESUME (RFC 5723).
    fileprivate func resume() async throws {
        try await initiate()
        if side == .left {
            try await topology.router.run(["nft", "-f", "-"], input: Self.cut).orThrow()
            try await wait(for: "the loss to be noticed", atMost: 20) {
                try await cygnet.status().connection?.securityAssociations.isEmpty == true
            }
            try await topology.router.run(["nft", "delete", "table", "inet", "cut"]).orThrow()
            try await cygnet.up().orThrow()
            expect(peer.log.contains("sent IKE_SESSION_RESUME response"))
        } else {
            try await (peer as? Libreswan)?.suspend()
            try await peer.initiate().orThrow()
            expect(peer.log.contains("processed IKE_SESSION_RESUME response"))
        }
        let explanation = try await cygnet.explain()
        expect(explanation.contains("IKE_SESSION_RESUME response"), explanation)
        for side in Side.allCases {
            let ping = try await ping(from: side)
            expect(ping.lost == 0, "\(ping.lost) of \(ping.sent) from the \(side) are lost")
        }
        let report = try await settledReport()
        entry.note(cygnet: "resumed: \(try await cygnet.status().connection?.securityAssociations.first?.suite ?? "–")")
        entry.note(peer: report.ikeSAs.last ?? "–")
        let summary = try await capture.stop(protected: TunnelPlan.protectedNetworks)
        expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
    }

    private static let cut = """
        table inet cut {
            chain forward {
                type filter hook forward priority 0; policy drop;
            }
        }

        """
}
