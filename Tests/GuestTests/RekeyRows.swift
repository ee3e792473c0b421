import Lab
import Testing

extension GuestRow {
    /// New keys while packets flow.
    ///
    /// Libreswan sends on a new SA even before its response leaves, which RFC 7296, section 2.8, warns of: nobody can open
    /// such packets yet. OpenIKED's guest loses a few as it goes from one SA to the next. How many depends on the machine.
    static let rekeys: [GuestRow] = [Role.initiator, .responder].flatMap { role in
        [PeerKind.strongSwan, .libreswan, .newerLibreswan, .openIKED].flatMap { peer in
            [
                GuestRow("rekeyed by the peer", peer, role) {
                    guard peer == .openIKED else { return }
                    // It has no command for it, and begins between 85 and 95 per cent of a lifetime, in whole seconds.
                    let side: Side = role == .initiator ? .right : .left
                    $0.childRekeySeconds[side] = 5
                    $0.ikeRekeySeconds[side] = 6
                } body: {
                    try await peer == .openIKED
                        ? $0.pingThroughRekeys(onCommand: false, count: 900, interval: .milliseconds(20), lossy: true)
                        : $0.pingThroughRekeys(onCommand: true)
                },
                GuestRow("rekeyed by Cygnet", peer, role) {
                    let side: Side = role == .initiator ? .left : .right
                    $0.childRekeySeconds[side] = 1
                    $0.ikeRekeySeconds[side] = 2
                } body: {
                    try await $0.pingThroughRekeys(onCommand: false, lossy: peer != .strongSwan)
                },
            ]
        }
    }
}

extension Meeting {
    /// Asks the peer for new keys, and once more if none have come within a second: some forget what comes while they are busy.
    private func see(_ spis: (CygnetStatus) -> [String], changeBy ask: () async throws -> Void) async throws {
        let before = spis(try await cygnet.status())
        for _ in 0..<2 {
            try await ask()
            for _ in 0..<20 {
                if spis(try await cygnet.status()) != before { return }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// Brings the tunnel up and pings through it while child and IKE SA are rekeyed, by the peer on command or by whoever's
    /// lifetimes are short. Cygnet loses nothing; and where the peer is not said to be `lossy`, neither does the peer.
    func pingThroughRekeys(
        onCommand isOnCommand: Bool, count: Int = 700, interval: Duration = .milliseconds(10), lossy: Bool = false
    ) async throws {
        try await initiate()
        async let pings = ping(count: count, interval: interval)
        for _ in 0..<3 where isOnCommand {
            try await Task.sleep(for: .milliseconds(900))
            try await see({ $0.childSAs.map(\.inboundSPI) }, changeBy: peer.rekeyChild)
            try await Task.sleep(for: .milliseconds(900))
            try await see({ $0.connection?.securityAssociations.map(\.initiatorSPI) ?? [] }, changeBy: peer.rekeyIKE)
        }
        let result = try await pings
        let dataplane = try await cygnet.status().dataplane
        entry.note(packets: "\(dataplane.packetsIn) in \(dataplane.packetsOut) out, \(result.lost) lost")
        let summary = try await capture.stop(protected: TunnelPlan.protectedNetworks)
        expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
        expect(summary.espSPIs.count >= 2 * 4, "\(summary.espSPIs.count) SPIs of ESP")
        expect(summary.ikeSPIs.count >= 3, "\(summary.ikeSPIs.count) IKE SAs")

        // What passed the router is what Cygnet sent, and what it opened but for packets that came too early.
        let early = dataplane.drops["unknown-spi"] ?? 0
        expect(dataplane.drops.allSatisfy { $0.key == "unknown-spi" || $0.value == 0 }, "\(dataplane.drops)")
        expect(dataplane.packetsOut == summary.espSources[plan.localAddress(side)])
        expect(dataplane.packetsIn + early == summary.espSources[plan.localAddress(side.other)])
        expect(
            result.lost <= (lossy ? count / 20 : 0), "\(result.lost) of \(result.sent) are lost, \(early) came early")
        expect(early <= (lossy ? result.lost : 0), "\(early) came early")
    }
}
