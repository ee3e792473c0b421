import Lab
import Testing

extension GuestRow {
    /// IKE and ESP in TCP (RFC 9329), with the kernel's espintcp at the other end.
    static let streams: [GuestRow] = [Role.initiator, .responder].flatMap { role in
        [
            row("in TCP from the start", role, cygnet: "always", peer: "yes"),
            row(
                "in TCP, as UDP is stopped", role, cygnet: "fallback", peer: "fallback",
                body: { meeting in
                    try await meeting.topology.router.run(["nft", "-f", "-"], input: Meeting.firewall).orThrow()
                    // pluto tells its caller that UDP has failed, and goes on by TCP.
                    if role == .responder { _ = try await meeting.peer.initiate() }
                    try await meeting.carryInTCP(isBegun: role == .responder)
                }),
            row("in TCP, IPv4 in IPv6", role, cygnet: "always", peer: "yes") { $0.outer = .v6 },
            row("in TCP, NAT before the initiator", role, cygnet: "always", peer: "yes") { $0.isNATed = true },
            row("in TCP, rekeyed every two seconds", role, cygnet: "always", peer: "yes") {
                $0.childRekeySeconds[.left] = role == .initiator ? 2 : nil
                $0.childRekeySeconds[.right] = role == .initiator ? nil : 2
            } body: {
                try await $0.carryInTCP(count: 200)
            },
        ]
    }

    private static func row(
        _ subject: String, _ role: Role, cygnet: String, peer: String,
        plan: @escaping (inout TunnelPlan) -> Void = { _ in },
        body: @escaping @Sendable (Meeting) async throws -> Void = { try await $0.carryInTCP() }
    ) -> GuestRow {
        GuestRow(subject, .libreswan, role, cygnetLines: ["tcp: { use: \(cygnet) }", "mobike: no"]) {
            plan(&$0)
            $0.peerLines.daemon = ["listen-tcp=yes"]
            $0.peerLines.connection += ["enable-tcp=\(peer)", "tcp-remoteport=4500"]
        } body: {
            try await body($0)
        }
    }
}

extension Meeting {
    fileprivate static let firewall = """
        table inet firewall {
            chain forward {
                type filter hook forward priority 0
                meta l4proto { udp, esp } drop
            }
        }

        """

    /// Packets go both ways, and nothing but TCP between the gateways.
    fileprivate func carryInTCP(count: Int = 20, isBegun: Bool = false) async throws {
        if !isBegun { try await bringUp() }
        try await wait(for: "the tunnel", atMost: 40) { try await cygnet.status().connection?.isUp == true }
        _ = try await settledReport()
        for side in Side.allCases {
            let ping = try await ping(from: side, count: count, interval: .milliseconds(20))
            expect(ping.lost == 0, "\(ping.lost) of \(ping.sent) from the \(side) are lost")
        }
        let child = try #require(try await cygnet.status().childSAs.first)
        expect(child.encapsulation == "tcp", child.encapsulation)
        entry.note(cygnet: "\(child.suite), in TCP")
        let states = try await peer.quarters.run(["ip", "xfrm", "state"]).output
        expect(states.contains("espintcp"), states)
        entry.note(peer: states.contains("espintcp") ? "espintcp" : "–")
        entry.note(packets: "\(child.packetsIn) in \(child.packetsOut) out")
        let summary = try await capture.stop(protected: TunnelPlan.protectedNetworks)
        expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
        expect(summary.count(.esp) + summary.count(.espInUDP) == 0, summary.description)
        expect(summary.count(.inTCP) > 2 * count, summary.description)
    }
}
