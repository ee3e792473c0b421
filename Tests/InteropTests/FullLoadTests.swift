import IPPacket
import Lab
import Testing

extension Interoperability {
    /// TCP both ways at the same time, as fast as it goes.
    @Suite("Under full load", .serialized)
    struct FullLoad {
        @Test(
            "Beside strongSwan, 32 MB each way arrive as sent, and nothing that it sent is lost here",
            .timeLimit(.minutes(2)), arguments: Side.allCases)
        func bothWays(_ side: Side) async throws {
            try await Encounter.run(TunnelPlan(), cygnetAt: side) { encounter in
                try await encounter.initiate()
                let hosts = encounter.topology
                async let back = Transfer.run(
                    from: hosts.host(.right), to: hosts.host(.left), address: Topology.hostAddress(.left, .v4),
                    octets: 32 << 20, patience: 30)
                let forth = try await Transfer.run(
                    from: hosts.host(.left), to: hosts.host(.right), address: Topology.hostAddress(.right, .v4),
                    octets: 32 << 20, patience: 30)
                let isIntact = try await back.isIntact && forth.isIntact
                #expect(isIntact)
                try await encounter.wait(for: "all that strongSwan sent") {
                    let ours = try await encounter.cygnet.status().childSAs.first
                    let theirs = try await encounter.strongSwan.securityAssociations().first?.children.first
                    guard let ours, let theirs else { return false }
                    // It is the slower one by far, and loses what its socket has no room for.
                    return ours.packetsIn == theirs.packetsOut && theirs.packetsIn <= ours.packetsOut
                }
                let ours = try #require(try await encounter.cygnet.status().childSAs.first)
                #expect(ours.drops.values.allSatisfy { $0 == 0 }, "\(ours.drops)")
                #expect(ours.octetsIn > 32 << 20 && ours.octetsOut > 32 << 20)
            }
        }
    }
}
