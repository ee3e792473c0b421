import IPPacket
import Lab
import Testing

extension Interoperability {
    /// Addresses that change under running traffic (RFC 4555).
    @Suite("MOBIKE", .serialized)
    struct Mobility {
        private static let newAddress: [Side: String] = [.left: "192.0.2.5", .right: "192.0.2.135"]

        /// Takes a gateway's outer IPv4 address away and gives it another.
        private func move(_ side: Side, in encounter: Encounter) async throws {
            let old = Topology.outerAddress(side, .v4)
            try await encounter.topology.gateway(side).ip([
                "addr del \(old)/25 dev wan", "addr add \(Self.newAddress[side] ?? "")/25 dev wan",
                "route add default via \(Topology.routerAddress(side, .v4))",
            ])
        }

        /// Lets the left or the right end move while its hosts talk, and sees that the same SAs carry on.
        private func check(_ encounter: Encounter, _ side: Side) async throws {
            // With IPv6 left, a gateway that is quick to see its IPv4 address gone moves there, and stays.
            try await encounter.topology.gateway(side).ip([
                "route del default via \(Topology.routerAddress(side, .v6))",
                "addr del \(Topology.outerAddress(side, .v6))/64 dev wan",
            ])
            try await encounter.initiate()
            async let ping = encounter.ping(count: 600)
            try await Task.sleep(for: .seconds(1))
            try await move(side, in: encounter)
            let address = Self.newAddress[side] ?? ""
            try await encounter.wait(for: "the tunnel's move at strongSwan") {
                let sa = try await encounter.strongSwan.securityAssociations().first
                return (encounter.side == side ? sa?.remoteHost : sa?.localHost) == address
            }
            try await encounter.wait(for: "the tunnel's move at Cygnet") {
                let sa = try await encounter.cygnet.status().connection?.securityAssociations.first
                return (encounter.side == side ? sa?.local : sa?.remote)?.hasPrefix("\(address):") == true
            }
            let during = try await ping
            #expect(during.received > 100, "\(during)")
            let after = try await encounter.ping(count: 20)
            #expect(after.lost == 0, "\(after)")
            let summary = try await encounter.capture.stop(protected: TunnelPlan.protectedNetworks)
            // strongSwan's routes into its tunnel go with the address: what passes meanwhile leaves in clear.
            if encounter.side == side {
                #expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
            }
            #expect(summary.ikeSPIs.count == 1, "\(summary.ikeSPIs.count) IKE SAs")
            // libipsec cannot move an SA: strongSwan replaces the child in its place.
            #expect(summary.espSPIs.count <= 4, "\(summary.espSPIs.count) SPIs of ESP")
        }

        private var plan: TunnelPlan {
            var plan = TunnelPlan()
            plan.isMobile = true
            return plan
        }

        @Test("strongSwan as initiator moves, and Cygnet follows it under a running ping", .timeLimit(.minutes(1)))
        func initiatingPeerMoves() async throws {
            try await Encounter.run(plan, cygnetAt: .right) { try await check($0, .left) }
        }

        @Test("Cygnet as initiator moves, and strongSwan follows it under a running ping", .timeLimit(.minutes(1)))
        func weMove() async throws {
            try await Encounter.run(plan, cygnetAt: .left) { try await check($0, .left) }
        }

        @Test("strongSwan as responder moves, and Cygnet takes the tunnel there", .timeLimit(.minutes(1)))
        func respondingPeerMoves() async throws {
            try await Encounter.run(plan, cygnetAt: .left) { try await check($0, .right) }
        }

        @Test("Cygnet as responder moves, and strongSwan takes the tunnel there", .timeLimit(.minutes(1)))
        func weMoveAsResponder() async throws {
            try await Encounter.run(plan, cygnetAt: .right) { try await check($0, .right) }
        }
    }
}
