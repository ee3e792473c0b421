import Lab
import Testing

extension Interoperability {
    /// RFC 8784 with strongSwan.
    @Suite("Post-quantum preshared keys", .serialized)
    struct PostquantumPresharedKeys {
        /// - Parameter secret: strongSwan's; Cygnet's is the other pre-shared key once more, whose file is there.
        private static func plan(secret: String? = nil, isRequired: Bool, _ method: AuthenticationChoice) -> TunnelPlan
        {
            var plan = TunnelPlan()
            plan.authentication = method
            plan.peerLines.connection = ["ppk_id = quantum", "ppk_required = \(isRequired ? "yes" : "no")"]
            plan.peerLines.other = [
                "secrets {", "ppk {", "id-1 = quantum", "secret = \"\(secret ?? plan.preSharedKey)\"", "}", "}",
            ]
            return plan
        }

        private static let lines = ["ppk: { id: quantum, secret: { file: psk } }"]

        @Test("One that both require is used", .timeLimit(.minutes(1)), arguments: Side.allCases)
        func required(_ side: Side) async throws {
            try await Encounter.run(
                Self.plan(isRequired: true, .preSharedKey), cygnetAt: side,
                extraLines: Self.lines + ["ppk-required: yes"]
            ) { encounter in
                try await encounter.initiate()
                #expect(try await encounter.ping().lost == 0)
                #expect(try await encounter.cygnet.explain().contains("preshared key quantum"))
            }
        }

        @Test("With another secret neither lets the other in", .timeLimit(.minutes(1)), arguments: Side.allCases)
        func wrongSecret(_ side: Side) async throws {
            let plan = Self.plan(secret: "another secret altogether", isRequired: false, .preSharedKey)
            try await Encounter.run(plan, cygnetAt: side, extraLines: Self.lines) { encounter in
                await #expect(throws: (any Error).self) { try await encounter.initiate() }
            }
        }
    }
}
