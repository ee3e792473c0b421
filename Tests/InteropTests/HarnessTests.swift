import IPPacket
import Lab
import Testing

extension Interoperability {
    /// The laboratory tried with strongSwan at both ends: what is found wrong in other tests is then not its fault.
    @Suite("The laboratory itself", .serialized)
    struct Harness {
        struct Road: Sendable, CustomTestStringConvertible {
            var inner: IPFamily
            var outer: IPFamily
            var isNATed: Bool
            var authentication: AuthenticationChoice
            var testDescription: String {
                "\(inner) in \(outer)\(isNATed ? ", NAT" : ""), \(authentication.rawValue)"
            }
        }

        @Test(
            "strongSwan reaches strongSwan and the capture sees only IKE and ESP",
            arguments: [
                Road(inner: .v4, outer: .v4, isNATed: false, authentication: .preSharedKey),
                Road(inner: .v4, outer: .v4, isNATed: true, authentication: .ecdsa),
                Road(inner: .v6, outer: .v6, isNATed: false, authentication: .ed25519),
                Road(inner: .v6, outer: .v4, isNATed: true, authentication: .rsa),
                Road(inner: .v4, outer: .v6, isNATed: true, authentication: .preSharedKey),
            ])
        func strongSwanWithItself(_ road: Road) async throws {
            try Interoperability.requirePeers()
            try await Laboratory.with { laboratory in
                let topology = try await Topology(in: laboratory, isNATed: road.isNATed)
                var plan = TunnelPlan()
                plan.inner = road.inner
                plan.outer = road.outer
                plan.isNATed = road.isNATed
                plan.authentication = road.authentication
                let capture = try await Capture(in: topology.router, file: "\(laboratory.directory)/router.pcap")
                let left = try await StrongSwan(at: .left, of: topology)
                let right = try await StrongSwan(at: .right, of: topology)
                if road.authentication == .preSharedKey {
                    try await left.load(plan, .left)
                    try await right.load(plan, .right)
                } else {
                    let pki = try await PKI(in: laboratory)
                    for (daemon, side) in [(left, Side.left), (right, Side.right)] {
                        let issued = try await pki.issue(TunnelPlan.identity(side), road.authentication)
                        try await daemon.load(plan, side, certificate: issued, authority: pki.authority)
                    }
                }
                let initiation = try await left.initiate()
                try #require(initiation.status.isSuccess, "\(initiation.complaint)\n\(right.log.suffix(3000))")

                let ping = try await Ping.run(
                    from: topology.host(.left), to: Topology.hostAddress(.right, road.inner), count: 10,
                    interval: .milliseconds(10))
                #expect(ping.lost == 0)
                let transfer = try await Transfer.run(
                    from: topology.host(.left), to: topology.host(.right),
                    address: Topology.hostAddress(.right, road.inner), octets: 1 << 20)
                #expect(transfer.isIntact)

                for daemon in [left, right] {
                    let association = try #require(try await daemon.securityAssociations().first)
                    let child = try #require(association.children.first)
                    #expect(association.state == "ESTABLISHED")
                    #expect(association.keyExchange == plan.keyExchange.strongSwanReport)
                    #expect(child.protection == plan.encryption.strongSwanReport)
                    #expect(child.packetsIn > 10 && child.packetsOut > 10)
                }
                let summary = try await capture.stop(protected: TunnelPlan.protectedNetworks)
                #expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
                #expect(summary.count(.ike) >= 4)
                #expect(summary.esp > 20)
            }
            #expect(Laboratory.leftovers().isEmpty)
        }

        @Test("a packet that no tunnel protects is seen as clear text")
        func clearTextIsSeen() async throws {
            let summary = try await Laboratory.with { laboratory in
                let topology = try await Topology(in: laboratory)
                let capture = try await Capture(in: topology.router, file: "\(laboratory.directory)/router.pcap")
                _ = try await Ping.run(
                    from: topology.host(.left), to: Topology.hostAddress(.right, .v4), count: 2,
                    interval: .milliseconds(10),
                    patience: .milliseconds(200))
                return try await capture.stop(protected: TunnelPlan.protectedNetworks)
            }
            #expect(summary.count(.clearText) == 2)
            #expect(!summary.isOnlyProtected)
        }
    }
}
