import Lab
import Testing

extension Interoperability {
    /// RFC 9478 with strongSwan, whose simple mode compares labels as Cygnet does.
    @Suite("Labeled IPsec", .serialized)
    struct LabeledIPsec {
        private static let label = "system_u:object_r:ipsec_spd_t:s0"

        /// - Parameter label: strongSwan's, if it has one.
        private static func plan(_ label: String?) -> TunnelPlan {
            var plan = TunnelPlan()
            plan.peerLines.child = label.map { ["label = \($0)", "label_mode = simple"] } ?? []
            return plan
        }

        private static func labels(_ encounter: Encounter) async throws -> [String?] {
            try await encounter.cygnet.status().childSAs.map(\.securityLabel)
        }

        @Test(
            "A label that both have is the child's, through rekeys by either", .timeLimit(.minutes(1)),
            arguments: Side.allCases)
        func same(_ side: Side) async throws {
            // strongSwan, as the responder, takes the one of those offered that it has.
            let lines = ["label: [\"system_u:object_r:other_t:s0\", \"\(Self.label)\"]"]
            try await Encounter.run(Self.plan(Self.label), cygnetAt: side, extraLines: lines) { encounter in
                try await encounter.initiate()
                #expect(try await encounter.ping().lost == 0)
                #expect(try await Self.labels(encounter) == [Self.label])
                #expect(try await encounter.cygnet.explain().contains("label \(Self.label)"))
                #expect(try await encounter.cygnet.statusTable().contains("label \(Self.label)"))
                for byCygnet in [true, false] {
                    let old = try await encounter.cygnet.status().childSAs.map(\.inboundSPI)
                    if byCygnet {
                        try await encounter.cygnet.control(
                            "rekey", [TunnelPlan.connection, TunnelPlan.child]
                        ).orThrow()
                    } else {
                        try await encounter.strongSwan.rekeyChild()
                    }
                    try await encounter.wait(for: "a rekey by \(byCygnet ? "Cygnet" : "strongSwan")") {
                        let new = try await encounter.cygnet.status().childSAs.map(\.inboundSPI)
                        return new.count == 1 && new != old
                    }
                    #expect(try await Self.labels(encounter) == [Self.label])
                    #expect(try await encounter.ping().lost == 0)
                }
                try await encounter.strongSwan.rekeyIKE()
                #expect(try await Self.labels(encounter) == [Self.label])
                #expect(try await encounter.ping().lost == 0)
            }
        }

        struct Mismatch: Sendable, CustomTestStringConvertible {
            let testDescription: String
            let cygnet: [String]
            let strongSwan: String?
        }

        private static let mismatches = [
            Mismatch(
                testDescription: "different labels", cygnet: ["label: \"\(label)\""],
                strongSwan: "system_u:object_r:other_t:s0"),
            Mismatch(testDescription: "none at strongSwan", cygnet: ["label: \"\(label)\""], strongSwan: nil),
            Mismatch(testDescription: "none at Cygnet", cygnet: [], strongSwan: label),
        ]

        @Test(
            "Where labels differ there is no child, and the IKE SA stays where Cygnet is asked",
            .timeLimit(.minutes(1)),
            arguments: mismatches, Side.allCases)
        func differing(_ mismatch: Mismatch, _ side: Side) async throws {
            try await Encounter.run(
                Self.plan(mismatch.strongSwan), cygnetAt: side, extraLines: mismatch.cygnet
            ) { encounter in
                await #expect(throws: (any Error).self) { try await encounter.initiate() }
                let status = try await encounter.cygnet.status()
                #expect(status.childSAs.isEmpty)
                // Cygnet keeps an IKE SA whose child was refused; strongSwan ends one that it has begun.
                if side == .left {
                    #expect(status.connection?.securityAssociations.count == 1)
                } else {
                    let explanation = try await encounter.cygnet.explain()
                    #expect(explanation.contains("label"))
                }
                let ping = try await encounter.ping(count: 2)
                #expect(ping.lost == 2)
            }
        }

        @Test("A label that Cygnet does not insist on is left out for a peer without", .timeLimit(.minutes(1)))
        func optional() async throws {
            try await Encounter.run(
                Self.plan(nil), cygnetAt: .left, extraLines: ["label: \"\(Self.label)\"", "label-required: no"]
            ) { encounter in
                try await encounter.initiate()
                #expect(try await Self.labels(encounter) == [nil])
                #expect(try await encounter.ping().lost == 0)
            }
        }
    }
}
