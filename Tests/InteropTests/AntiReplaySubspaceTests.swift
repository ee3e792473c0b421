import Lab
import Testing

extension Interoperability {
    /// draft-ponchon-ipsecme-anti-replay-subspaces with strongSwan, which does not know it.
    @Suite("Sequence number subspaces", .serialized)
    struct AntiReplaySubspaces {
        @Test(
            "A peer without them gets extended sequence numbers as ever", .timeLimit(.minutes(1)),
            arguments: Side.allCases)
        func fallback(_ side: Side) async throws {
            try await Encounter.run(
                TunnelPlan(), cygnetAt: side, extraLines: ["anti-replay-subspaces: yes"]
            ) { encounter in
                try await encounter.initiate()
                #expect(try await encounter.ping().lost == 0)
                let children = try await encounter.cygnet.status().childSAs
                #expect(children.count == 1 && children.allSatisfy { $0.subspaces == nil && $0.drops.isEmpty })
                #expect(
                    try await encounter.cygnet.explain().contains("no sequence number subspaces, as the peer has none"))
                try await encounter.strongSwan.rekeyChild()
                #expect(try await encounter.ping().lost == 0)
            }
        }

        @Test("Where they are required there is no child with such a peer", .timeLimit(.minutes(1)))
        func required() async throws {
            try await Encounter.run(
                TunnelPlan(), cygnetAt: .left, extraLines: ["anti-replay-subspaces: require"]
            ) { encounter in
                await #expect(throws: (any Error).self) { try await encounter.initiate() }
                let children = try await encounter.cygnet.status().childSAs
                #expect(children.isEmpty)
                let explanation = try await encounter.cygnet.explain()
                #expect(explanation.contains("the peer has no sequence number subspaces for child"))
            }
        }
    }
}
