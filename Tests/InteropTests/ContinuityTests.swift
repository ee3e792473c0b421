import IPPacket
import Lab
import Testing

extension Interoperability {
    /// New keys while packets flow.
    @Suite("Through rekeys", .serialized)
    struct Continuity {
        private static let pings = 1200
        private static let rekeys = 6

        @Test("1,200 pings pass while strongSwan rekeys child and IKE SA", .timeLimit(.minutes(1)))
        func peerRekeys() async throws {
            var plan = TunnelPlan()
            plan.encryption = .chacha20poly1305
            try await Encounter.run(plan, cygnetAt: .right) { encounter in
                try await encounter.initiate()
                async let ping = encounter.ping(count: Self.pings, interval: .milliseconds(10))
                for _ in 0..<Self.rekeys {
                    try await Task.sleep(for: .milliseconds(700))
                    try await encounter.strongSwan.rekeyChild()
                    try await Task.sleep(for: .milliseconds(700))
                    try await encounter.strongSwan.rekeyIKE()
                }
                try await check(try await ping, encounter)
            }
        }

        @Test("1,200 pings pass while Cygnet rekeys child and IKE SA", .timeLimit(.minutes(1)))
        func weRekey() async throws {
            var plan = TunnelPlan()
            plan.keyExchange = .ecp384
            plan.childRekeySeconds[.left] = 1
            plan.ikeRekeySeconds[.left] = 1
            try await Encounter.run(plan, cygnetAt: .left) { encounter in
                try await encounter.initiate()
                try await check(try await encounter.ping(count: Self.pings, interval: .milliseconds(10)), encounter)
            }
        }

        /// That at least five of each were replaced is told by the SPIs at the router; that we lost nothing, by
        /// comparing what passed there with our own counters. A packet that was lost nevertheless was lost in the
        /// peer.
        private func check(_ ping: PingResult, _ encounter: Encounter) async throws {
            let summary = try await encounter.capture.stop(protected: TunnelPlan.protectedNetworks)
            #expect(summary.espSPIs.count >= 2 * 6, "\(summary.espSPIs.count) SPIs of ESP")
            #expect(summary.ikeSPIs.count >= 6, "\(summary.ikeSPIs.count) IKE SAs")
            #expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")

            let dataplane = try await encounter.cygnet.status().dataplane
            let ours = encounter.plan.localAddress(encounter.side)
            let theirs = encounter.plan.localAddress(encounter.side.other)
            #expect(dataplane.drops.values.allSatisfy { $0 == 0 }, "\(dataplane.drops)")
            #expect(dataplane.packetsOut == summary.espSources[ours])
            #expect(dataplane.packetsIn == summary.espSources[theirs])
            // Each answer is an answer to a request: what reached our gateway of one kind left it as the other.
            let lostByPeer = ping.sent - min(summary.espSources[ours] ?? 0, summary.espSources[theirs] ?? 0)
            #expect(ping.sent == Self.pings)
            #expect(ping.lost <= max(0, lostByPeer), "\(ping.lost) lost, of them \(max(0, lostByPeer)) in strongSwan")
            guard ping.lost <= 5 else { throw LabError("\(ping.lost) of \(ping.sent) pings were lost") }
        }
    }
}
