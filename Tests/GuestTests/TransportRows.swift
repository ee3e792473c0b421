import IPPacket
import Lab
import Testing

extension GuestRow {
    /// Transport mode between the gateways themselves.
    ///
    /// Libreswan, up to 5.4 at least, does not know of the exchange of addresses of RFC 7296, section 2.23.1. As a
    /// responder it compares the selectors with its own as they came, so its `rightsubnet` has to be the address behind
    /// the NAT. As an initiator it takes none but its own selectors for an answer (`process_v2TS_response_payloads` in
    /// ikev2_ts.c, where `narrowing=yes` lets parts of them pass too), and is told its address outside: from behind a
    /// NAT it has no transport mode.
    static let transports: [GuestRow] = [Role.initiator, .responder].flatMap { role in
        [PeerKind.strongSwan, .libreswan].flatMap { peer in
            [
                row("transport mode, protocol 50", peer, role),
                row("transport mode, in UDP", peer, role) { $0.isUDPEncapsulated = true },
                row("transport mode, IPv6", peer, role) { $0.outer = .v6 },
            ]
                + (peer == .libreswan && role == .responder
                    ? []
                    : [
                        row("transport mode, NAT before the initiator", peer, role) {
                            $0.isNATed = true
                            guard peer == .libreswan else { return }
                            $0.peerLines.connection = ["rightsubnet=\($0.localAddress(.left))/32"]
                        }
                    ])
        }
    }

    private static func row(
        _ subject: String, _ peer: PeerKind, _ role: Role, plan change: (inout TunnelPlan) -> Void = { _ in }
    ) -> GuestRow {
        GuestRow(subject, peer, role) {
            $0.isTransport = true
            change(&$0)
        } body: {
            try await $0.carryBetweenGateways()
        }
    }
}

extension Meeting {
    /// What a side's packets to the other gateway are addressed to: behind a NAT, left has the router's address.
    private func address(of side: Side) -> IPAddress {
        plan.isNATed && side == .left ? Topology.routerAddress(.right, plan.outer) : plan.localAddress(side)
    }

    /// Brings the child up, pings from Cygnet's gateway, and has the peer send to it by TCP and UDP, whose checksums a NAT
    /// puts to the test. All of it, answers too, is seen as ESP only.
    fileprivate func carryBetweenGateways() async throws {
        try await initiate()
        expect(try await cygnet.status().childSAs.first?.mode == "transport")
        expect(try await peer.report().esp.allSatisfy { $0.mode == "transport" })
        let ping = try await Ping.run(
            from: topology.gateway(side), to: address(of: side.other), count: 10, interval: .milliseconds(10), size: 56,
            patience: .seconds(5))
        expect(ping.lost == 0, "\(ping.lost) of \(ping.sent) are lost")
        async let received = topology.gateway(side).run(
            ["/usr/bin/python3", "-c", Self.receiver], timeout: .seconds(20))
        let target = address(of: side)
        let sending = try await peer.quarters.run(
            [
                "bash", "-c",
                """
                until exec 3<>/dev/tcp/\(target)/7000; do sleep 0.1; done
                head -c 300000 /dev/zero >&3; for i in 1 2 3; do echo hello > /dev/udp/\(target)/7001; done; exec 3>&-
                """,
            ], timeout: .seconds(15))
        expect(sending.status.isSuccess, sending.complaint)
        let result = try await received
        expect(result.output.contains("300000 octets, hello"), "\(result.output) \(result.complaint)")
        let ours = try #require(try await cygnet.status().childSAs.first)
        entry.note(packets: "\(ours.packetsIn) in \(ours.packetsOut) out")
        expect(ours.drops.values.allSatisfy { $0 == 0 }, "\(ours.drops)")
        expect(ours.packetsIn >= 100 && ours.packetsOut >= 20)
        let summary = try await capture.stop(protected: [])
        expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
        let isInUDP = plan.isUDPEncapsulated || plan.isNATed
        expect(summary.count(isInUDP ? .esp : .espInUDP) == 0, summary.description)
    }

    /// Takes one connection to its end, counts its octets, and waits for a datagram.
    private static let receiver = """
        import socket
        family = socket.AF_INET6
        listener = socket.create_server(("", 7000), family=family, dualstack_ipv6=True)
        datagrams = socket.socket(family, socket.SOCK_DGRAM)
        datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        datagrams.bind(("", 7001))
        datagrams.settimeout(5)
        listener.settimeout(15)
        stream, _ = listener.accept()
        count = 0
        while octets := stream.recv(65536):
            count += len(octets)
        print(f"{count} octets, {datagrams.recv(100).decode().strip()}")
        """
}
