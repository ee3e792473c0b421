import Lab
import Testing

extension Interoperability {
    /// How tunnels end.
    @Suite("Endings", .serialized)
    struct Endings {
        @Test("strongSwan's Delete of the child and of the IKE SA takes them from Cygnet", .timeLimit(.minutes(1)))
        func deletionByPeer() async throws {
            try await Encounter.run(TunnelPlan(), cygnetAt: .left) { encounter in
                try await encounter.initiate()
                try await encounter.strongSwan.terminateChild()
                try await encounter.wait(for: "the child's end at Cygnet", atMost: 3) {
                    try await encounter.cygnet.status().childSAs.isEmpty
                }
                try await encounter.strongSwan.terminateIKE()
                try await encounter.wait(for: "the IKE SA's end at Cygnet", atMost: 3) {
                    try await encounter.cygnet.status().connection?.securityAssociations.isEmpty == true
                }
                let ping = try await encounter.ping(count: 3)
                #expect(ping.received == 0)
                let summary = try await encounter.capture.stop(protected: TunnelPlan.protectedNetworks)
                #expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
            }
        }

        @Test("`cygnet down` takes the tunnel from strongSwan", arguments: [Side.left, .right])
        func deletionByUs(side: Side) async throws {
            try await Encounter.run(TunnelPlan(), cygnetAt: side) { encounter in
                try await encounter.initiate()
                try await encounter.cygnet.down().orThrow()
                try await encounter.wait(for: "the end at strongSwan", atMost: 3) {
                    try await encounter.strongSwan.securityAssociations().isEmpty
                }
                #expect(try await encounter.cygnet.status().childSAs.isEmpty)
            }
        }

        @Test("a daemon that is asked to end says goodbye", .timeLimit(.minutes(1)))
        func goodbye() async throws {
            try await Encounter.run(TunnelPlan(), cygnetAt: .left) { encounter in
                try await encounter.initiate()
                #expect(await encounter.cygnet.stop()?.isSuccess == true)
                try await encounter.wait(for: "the end at strongSwan", atMost: 3) {
                    try await encounter.strongSwan.securityAssociations().isEmpty
                }
                let rules = try await encounter.cygnet.namespace.run(["ip", "rule"]).output
                let links = try await encounter.cygnet.namespace.run(["ip", "-br", "link"]).output
                #expect(rules.split(separator: "\n").count == 3, "\(rules)")
                #expect(!links.contains("cygnet0"), "\(links)")
            }
        }

        @Test("Cygnet notices that strongSwan is dead", .timeLimit(.minutes(1)))
        func deadPeer() async throws {
            var plan = TunnelPlan()
            plan.livenessSeconds[.left] = 1
            try await Encounter.run(plan, cygnetAt: .left) { encounter in
                try await encounter.initiate()
                await encounter.strongSwan.killAtOnce()
                try await encounter.wait(for: "noticing the dead peer", atMost: 10) {
                    try await encounter.cygnet.status().connection?.securityAssociations.isEmpty == true
                }
                #expect(try await encounter.cygnet.status().childSAs.isEmpty)
            }
        }

        @Test("strongSwan notices that Cygnet is dead, and nothing goes in clear", .timeLimit(.minutes(1)))
        func deadCygnet() async throws {
            var plan = TunnelPlan()
            plan.livenessSeconds[.right] = 1
            try await Encounter.run(plan, cygnetAt: .left) { encounter in
                try await encounter.initiate()
                await encounter.cygnet.killAtOnce()
                let ping = try await encounter.ping(count: 10)
                #expect(ping.received == 0)
                try await encounter.wait(for: "strongSwan's noticing", atMost: 15) {
                    try await encounter.strongSwan.securityAssociations().isEmpty
                }
                let summary = try await encounter.capture.stop(protected: TunnelPlan.protectedNetworks)
                #expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
            }
        }
    }
}
