import Lab
import Testing

extension Interoperability {
    /// draft-smyslov-ipsecme-ikev2-extended-pld, which strongSwan does not know.
    @Suite("Extended payloads", .serialized)
    struct ExtendedPayloads {
        @Test(
            "strongSwan passes the notification over, and everything goes on with classic headers",
            .timeLimit(.minutes(1)), arguments: Side.allCases)
        func classic(_ side: Side) async throws {
            try await Encounter.run(TunnelPlan(), cygnetAt: side, extraLines: ["extended-payloads: yes"]) {
                encounter in
                try await encounter.initiate()
                #expect(try await encounter.ping().lost == 0)
                #expect(try await encounter.cygnet.explain().contains("no extended payload headers: they are classic"))
                try await encounter.cygnet.control("rekey", [TunnelPlan.connection]).orThrow()
                #expect(try await encounter.ping().lost == 0)
                let status = try await encounter.cygnet.status().connection?.securityAssociations.first
                #expect(status != nil && status?.extendedPayloads == nil)
            }
        }

        @Test(
            "Where they are required strongSwan is refused, with the reason", .timeLimit(.minutes(1)),
            arguments: Side.allCases)
        func required(_ side: Side) async throws {
            try await Encounter.run(TunnelPlan(), cygnetAt: side, extraLines: ["extended-payloads: require"]) {
                encounter in
                await #expect(throws: (any Error).self) { try await encounter.initiate() }
                let explanation = try await encounter.cygnet.explain()
                #expect(explanation.contains("extended payload headers, which are required"))
            }
        }
    }
}
