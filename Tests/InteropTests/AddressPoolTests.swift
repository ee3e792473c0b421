import Foundation
import IPPacket
import Lab
import Testing

extension Interoperability {
    /// Addresses of a pool, given by one daemon to the other, and several visitors of one connection.
    @Suite("Address pools", .serialized)
    struct AddressPools {
        private static var plan: TunnelPlan {
            var plan = TunnelPlan()
            plan.assigned = [.v4, .v6]
            return plan
        }

        private static let given = ["10.9.0.1", "fd00:9::1"]

        /// From the left gateway itself, which has the addresses, to the host behind the right one.
        private func expectPings(_ encounter: Encounter) async throws {
            for family in IPFamily.allCases {
                let ping = try await Ping.run(
                    from: encounter.topology.gateway(.left), to: Topology.hostAddress(.right, family), count: 10,
                    interval: .milliseconds(20))
                #expect(ping.lost == 0, "\(family)")
            }
        }

        private func expectNothingInClear(_ encounter: Encounter) async throws {
            let summary = try await encounter.capture.stop(protected: TunnelPlan.protectedNetworks)
            #expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
        }

        @Test(
            "strongSwan gives Cygnet addresses, resolvers and a domain, and packets come from there",
            .timeLimit(.minutes(1)))
        func givenByPeer() async throws {
            try await Encounter.run(Self.plan, cygnetAt: .left) { encounter in
                try await encounter.initiate()
                let sa = try #require(try await encounter.cygnet.status().connection?.securityAssociations.first)
                let assigned = try #require(sa.assignedToUs)
                #expect(assigned.addresses == Self.given)
                #expect(assigned.dnsServers == IPFamily.allCases.map { TunnelPlan.dnsServer($0) })
                #expect(assigned.domains.allSatisfy { $0 == TunnelPlan.domain } && !assigned.domains.isEmpty)
                try await expectPings(encounter)
                try await encounter.strongSwan.rekeyIKE()
                try await encounter.strongSwan.rekeyChild()
                try await expectPings(encounter)
                let addresses = try await encounter.cygnet.namespace.run(["ip", "addr", "show", "dev", "cygnet0"])
                    .output
                #expect(Self.given.allSatisfy { addresses.contains($0) }, "\(addresses)")
                try await encounter.cygnet.down().orThrow()
                let left = try await encounter.cygnet.namespace.run(["ip", "addr", "show", "dev", "cygnet0"]).output
                #expect(Self.given.allSatisfy { !left.contains($0) }, "\(left)")
                try await expectNothingInClear(encounter)
            }
        }

        @Test(
            "Cygnet gives strongSwan addresses, the same again after a new start of the tunnel", .timeLimit(.minutes(1))
        )
        func givenByUs() async throws {
            try await Encounter.run(Self.plan, cygnetAt: .right) { encounter in
                for _ in 1...2 {
                    try await encounter.initiate()
                    let status = try await encounter.cygnet.status()
                    let sa = try #require(status.connection?.securityAssociations.first)
                    #expect(sa.assignedToPeer?.addresses == Self.given)
                    #expect(sa.remoteIdentity == TunnelPlan.identity(.left))
                    try await expectPings(encounter)
                    try await encounter.strongSwan.rekeyIKE()
                    try await encounter.strongSwan.rekeyChild()
                    try await expectPings(encounter)
                    try await encounter.strongSwan.terminateIKE()
                    try await encounter.wait(for: "the end at Cygnet", atMost: 3) {
                        try await encounter.cygnet.status().connection?.securityAssociations.isEmpty == true
                    }
                }
                let leases = try await encounter.cygnet.control("leases").output
                #expect(leases.split(separator: "\n").count { $0.contains("offline") } == 2, "\(leases)")
                try await expectNothingInClear(encounter)
            }
        }

        @Test("A killed Cygnet gets its address back when it starts again", .timeLimit(.minutes(1)))
        func killed() async throws {
            try await Encounter.run(Self.plan, cygnetAt: .left) { encounter in
                try await encounter.initiate()
                await encounter.cygnet.killAtOnce()
                let ping = try await encounter.cygnet.namespace.run([
                    "ping", "-c", "1", "-W", "1", "\(Topology.hostAddress(.right, .v4))",
                ])
                #expect(!ping.status.isSuccess)
                try await encounter.cygnet.start()
                try await encounter.initiate()
                let sa = try #require(try await encounter.cygnet.status().connection?.securityAssociations.first)
                #expect(sa.assignedToUs?.addresses == Self.given)
                try await expectPings(encounter)
                try await expectNothingInClear(encounter)
            }
        }

        private static func text(_ identity: String, at address: IPAddress) -> String {
            """
            connections {
                \(TunnelPlan.connection) {
                    version = 2
                    mobike = no
                    local_addrs = \(address)
                    remote_addrs = \(Topology.outerAddress(.right, .v4))
                    proposals = aes256gcm16-prfsha256-x25519
                    vips = 0.0.0.0
                    local {
                        auth = pubkey
                        id = \(identity)
                        certs = own.pem
                    }
                    remote {
                        auth = pubkey
                        id = \(TunnelPlan.identity(.right))
                        cacerts = ca.pem
                    }
                    children {
                        \(TunnelPlan.child) {
                            local_ts = dynamic
                            remote_ts = \(Topology.network(.right, .v4))
                            esp_proposals = aes256gcm16
                        }
                    }
                }
            }

            """
        }

        @Test(
            "Several strongSwans share one connection by a pattern of identities, each with an address",
            .timeLimit(.minutes(2)))
        func visitors() async throws {
            try Interoperability.requirePeers()
            try await Laboratory.with { laboratory in
                let topology = try await Topology(in: laboratory)
                let pki = try await PKI(in: laboratory)
                var plan = TunnelPlan()
                plan.authentication = .ecdsa
                plan.assigned = [.v4]
                let cygnet = try CygnetDaemon(
                    at: .right, of: topology, plan: plan,
                    certificate: try await pki.issue(TunnelPlan.identity(.right), .ecdsa), authority: pki.authority)
                try await cygnet.start()
                let capture = try await Capture(in: topology.router, file: "\(laboratory.directory)/router.pcap")
                var visitors: [(namespace: Namespace, daemon: StrongSwan)] = []
                for (number, identity) in ["a.example.org", "b.example.org", "c.sub.example.org", "d.example.net"]
                    .enumerated()
                {
                    let (namespace, address) = try await topology.visitor(number + 1)
                    let daemon = try await StrongSwan(in: namespace, name: "visitor\(number + 1)", laboratory)
                    try await daemon.load(
                        Self.text(identity, at: address), certificate: try await pki.issue(identity, .ecdsa),
                        authority: pki.authority)
                    let result = try await daemon.initiate()
                    #expect(
                        result.status.isSuccess == identity.hasSuffix(".org"), "\(identity)\n\(cygnet.log.suffix(2000))"
                    )
                    visitors.append((namespace, daemon))
                }
                let target = Topology.hostAddress(.right, .v4)
                for visitor in visitors.dropLast() {
                    let ping = try await Ping.run(
                        from: visitor.namespace, to: target, count: 5, interval: .milliseconds(20))
                    #expect(ping.lost == 0)
                }
                let sas = try #require(try await cygnet.status().connection?.securityAssociations)
                #expect(sas.compactMap(\.instance) == ["office[1]", "office[2]", "office[3]"])
                #expect(sas.compactMap { $0.assignedToPeer?.addresses } == [["10.9.0.1"], ["10.9.0.2"], ["10.9.0.3"]])
                try await cygnet.control("down", ["office[2]"]).orThrow()
                let gone = try await Ping.run(
                    from: visitors[1].namespace, to: target, count: 3, interval: .milliseconds(20))
                #expect(gone.received == 0)
                let stays = try await Ping.run(
                    from: visitors[2].namespace, to: target, count: 3, interval: .milliseconds(20))
                #expect(stays.lost == 0)
                #expect(try await cygnet.statusTable().contains("office[3]"))
                _ = capture
            }
            #expect(Laboratory.leftovers().isEmpty)
        }
    }

    /// Tunnels that packets bring up.
    @Suite("First packet", .serialized)
    struct FirstPacket {
        @Test(
            "A packet brings its own child up and no other, goes first in the offer, and none leaves in clear",
            .timeLimit(.minutes(1)))
        func children() async throws {
            var plan = TunnelPlan()
            plan.hasSecondChild = true
            try await Encounter.run(plan, cygnetAt: .left, start: "demand") { encounter in
                let host = encounter.topology.host(.left)
                try await host.ip(["addr add 10.1.0.130/24 dev lan"])
                func secondPings(_ count: Int) async throws -> Bool {
                    let target = "\(Topology.hostAddress(.right, .v4))"
                    return try await host.run([
                        "ping", "-q", "-c", "\(count)", "-i", "0.1", "-w", "5", "-I", "10.1.0.130", target,
                    ]).status.isSuccess
                }
                func isUp(_ child: String) async throws -> Bool {
                    try await encounter.cygnet.status().connection?.children.first { $0.name == child }?.isUp == true
                }
                let first = try await encounter.ping(count: 20, interval: .milliseconds(100))
                #expect((1..<20).contains(first.received))
                #expect(try await isUp(TunnelPlan.child))
                #expect(try await !isUp(TunnelPlan.secondChild))
                #expect(
                    try await encounter.cygnet.explain().contains(
                        "net: 10.1.0.2 icmp, 10.1.0.0/25 === 10.2.0.2 icmp, 10.2.0.0/24"))
                #expect(try await secondPings(5))
                #expect(try await isUp(TunnelPlan.secondChild))
                #expect(try await encounter.cygnet.explain().contains("more: 10.1.0.130 icmp, 10.1.0.128/25"))
                #expect(try await encounter.cygnet.status().connection?.securityAssociations.count == 1)
                let summary = try await encounter.capture.stop(protected: TunnelPlan.protectedNetworks)
                #expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
            }
        }
    }
}
