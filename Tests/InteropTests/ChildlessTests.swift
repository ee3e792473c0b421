import Lab
import Testing

extension Interoperability {
    @Suite("Childless initiation", .serialized)
    struct Childless {
        @Test(
            "gives the first child an exchange and keys of its own", .timeLimit(.minutes(1)), arguments: Side.allCases)
        func begins(cygnetAt side: Side) async throws {
            var plan = TunnelPlan()
            plan.peerLines.connection = ["childless = force"]
            try await Encounter.run(plan, cygnetAt: side, extraLines: ["childless: require"]) { encounter in
                try await encounter.initiate()
                #expect(try await encounter.ping().lost == 0)
                let theirs = try #require(try await encounter.strongSwan.securityAssociations().first?.children.first)
                // A child of IKE_AUTH has no key exchange of its own.
                #expect(theirs.keyExchange == "CURVE_25519")
                let summary = try await encounter.capture.stop(protected: TunnelPlan.protectedNetworks)
                #expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
            }
        }
    }
}
