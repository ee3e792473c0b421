import IPPacket
import Lab
import Testing

extension Interoperability {
    /// One side sends the other to a gateway that is elsewhere (RFC 5685): the one that it is already, at another address.
    @Suite("Redirection", .serialized)
    struct Redirection {
        private static let other = "192.0.2.140"

        private var plan: TunnelPlan {
            var plan = TunnelPlan()
            plan.isMobile = true
            return plan
        }

        /// Gives the right gateway a second address, which is the other gateway.
        private func addGateway(_ encounter: Encounter) async throws {
            try await encounter.topology.gateway(.right).ip(["addr add \(Self.other)/25 dev wan"])
        }

        /// That the tunnel now leads to the other address, and carries packets.
        private func check(_ encounter: Encounter) async throws {
            try await encounter.wait(for: "the tunnel to the other gateway") {
                let theirs = try await encounter.strongSwan.securityAssociations()
                let ours = try await encounter.cygnet.status().connection?.securityAssociations ?? []
                let isAtPeer = encounter.side == .left ? theirs.first?.localHost : theirs.first?.remoteHost
                let isHere = encounter.side == .left ? ours.first?.remote : ours.first?.local
                return theirs.count == 1 && ours.count == 1 && isAtPeer == Self.other
                    && isHere?.hasPrefix("\(Self.other):") == true
            }
            let ping = try await encounter.ping(count: 20)
            #expect(ping.lost == 0, "\(ping)")
        }

        @Test("strongSwan follows Cygnet's REDIRECT in IKE_SA_INIT", .timeLimit(.minutes(1)))
        func peerFollowsFirst() async throws {
            let lines = ["redirect: \(Self.other)"]
            try await Encounter.run(plan, cygnetAt: .right, extraLines: lines) { encounter in
                try await addGateway(encounter)
                _ = try await encounter.strongSwan.initiate()
                try await check(encounter)
            }
        }

        @Test("strongSwan follows `cygnet redirect`", .timeLimit(.minutes(1)))
        func peerFollowsLater() async throws {
            try await Encounter.run(plan, cygnetAt: .right) { encounter in
                try await addGateway(encounter)
                try await encounter.initiate()
                try await encounter.cygnet.control("redirect", [TunnelPlan.connection, Self.other]).orThrow()
                try await check(encounter)
            }
        }

        @Test("Cygnet follows `swanctl --redirect`", .timeLimit(.minutes(1)))
        func weFollowLater() async throws {
            try await Encounter.run(plan, cygnetAt: .left) { encounter in
                try await addGateway(encounter)
                try await encounter.initiate()
                try await encounter.strongSwan.control(
                    ["--redirect", "--peer-ip", "\(Topology.outerAddress(.left, .v4))", "--gateway", Self.other]
                ).orThrow()
                try await check(encounter)
            }
        }
    }
}
