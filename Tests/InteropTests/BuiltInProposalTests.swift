import Lab
import Testing

extension Interoperability {
    /// Where nothing is configured, ML-KEM is offered first: a peer that has never heard of it is not to stumble.
    @Suite("Built-in proposals", .serialized)
    struct BuiltInProposals {
        @Test("suit a strongSwan without ML-KEM, with its own", .timeLimit(.minutes(1)), arguments: Side.allCases)
        func classicalPeer(_ side: Side) async throws {
            var plan = TunnelPlan()
            plan.proposals = (ike: "default", esp: "default")
            try await Encounter.run(plan, cygnetAt: side) { encounter in
                try await encounter.initiate()
                #expect(try await encounter.ping().lost == 0)
                let suite = try #require(
                    try await encounter.cygnet.status().connection?.securityAssociations.first?.suite)
                #expect(!suite.contains("ML_KEM"), "\(suite)")
                let theirs = try #require(try await encounter.strongSwan.securityAssociations().first)
                #expect(theirs.state == "ESTABLISHED")
            }
        }
    }
}
