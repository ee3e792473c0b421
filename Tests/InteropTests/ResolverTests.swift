import IPPacket
import Lab
import Testing

extension Interoperability {
    /// What becomes of the resolvers that strongSwan gives Cygnet: calls over a real D-Bus, at whose end something stands in for
    /// systemd-resolved.
    @Suite("Resolvers", .serialized)
    struct Resolvers {
        private static let revert = ["RevertLink True", "FlushCaches"]
        private static let set = [
            "SetLinkDefaultRoute True False", "SetLinkDomains True \(TunnelPlan.domain)|True",
            "SetLinkDNSEx True \(TunnelPlan.dnsServer(.v4))|0| \(TunnelPlan.dnsServer(.v6))|0|",
            "SetLinkDNSOverTLS True no", "FlushCaches",
        ]

        private static var plan: TunnelPlan {
            var plan = TunnelPlan()
            plan.assigned = [.v4, .v6]
            return plan
        }

        private static func meet(
            _ dns: String, hasService: Bool = true,
            _ body: @Sendable (CygnetDaemon, StrongSwan, ResolverService) async throws -> Void
        ) async throws {
            try Interoperability.requirePeers()
            try await Laboratory.with { laboratory in
                let topology = try await Topology(in: laboratory)
                let service = try await ResolverService(in: topology.gateway(.left), laboratory)
                if !hasService { await service.stop() }
                let pki = try await PKI(in: laboratory)
                let plan = Self.plan
                let strongSwan = try await StrongSwan(at: .right, of: topology)
                let cygnet: CygnetDaemon
                if plan.authentication == .preSharedKey {
                    try await strongSwan.load(plan, .right)
                    cygnet = try CygnetDaemon(
                        at: .left, of: topology, plan: plan, extraLines: [dns], environment: service.environment)
                } else {
                    try await strongSwan.load(
                        plan, .right,
                        certificate: try await pki.issue(TunnelPlan.identity(.right), plan.authentication),
                        authority: pki.authority)
                    cygnet = try CygnetDaemon(
                        at: .left, of: topology, plan: plan,
                        certificate: try await pki.issue(TunnelPlan.identity(.left), plan.authentication),
                        authority: pki.authority, extraLines: [dns], environment: service.environment)
                }
                try await cygnet.start()
                try await cygnet.up().orThrow()
                do {
                    try await body(cygnet, strongSwan, service)
                } catch {
                    throw LabError("\(error)\n\(cygnet.log.suffix(4000))")
                }
            }
            #expect(Laboratory.leftovers().isEmpty)
        }

        private static func wait(_ what: String, _ condition: () async throws -> Bool) async throws {
            let end = ContinuousClock.now + .seconds(10)
            while try await !condition() {
                guard ContinuousClock.now < end else { throw LabError("\(what) does not come") }
                try await Task.sleep(for: .milliseconds(20))
            }
        }

        private static let allowed = "dns: { use: resolved, domains: \(TunnelPlan.domain) }"

        @Test(
            "systemd-resolved has strongSwan's resolvers for the domain until the tunnel goes", .timeLimit(.minutes(1)))
        func lifetime() async throws {
            try await Self.meet(Self.allowed) { cygnet, strongSwan, service in
                try await Self.wait("the setting") { service.calls.count >= Self.set.count }
                #expect(try await cygnet.explain().contains("resolvers for systemd-resolved: 10.2.0.53 fd00:2::53"))
                try await strongSwan.rekeyIKE()
                try await strongSwan.rekeyChild()
                #expect(service.calls == Self.set)
                let table = try await cygnet.statusTable()
                #expect(table.contains("RESOLVERS") && table.contains("set"), "\(table)")
                try await cygnet.down().orThrow()
                try await Self.wait("the end") { service.calls.count >= Self.set.count + 2 }
                #expect(service.calls == Self.set + Self.revert)
            }
        }

        @Test("A daemon that stops takes its resolvers along", .timeLimit(.minutes(1)))
        func stop() async throws {
            try await Self.meet(Self.allowed) { cygnet, _, service in
                try await Self.wait("the setting") { service.calls.count >= Self.set.count }
                _ = await cygnet.stop()
                #expect(service.calls == Self.set + Self.revert)
            }
        }

        @Test("Where resolvers are only shown, or no domain is allowed, nothing is called", .timeLimit(.minutes(1)))
        func shown() async throws {
            try await Self.meet("dns: { use: show, domains: \(TunnelPlan.domain) }") { cygnet, _, service in
                try await Self.wait("the status") { try await cygnet.statusTable().contains("shown") }
                _ = await cygnet.stop()
                #expect(service.calls.isEmpty)
            }
            try await Self.meet("dns: { use: resolved, domains: example.net }") { cygnet, _, service in
                let words = "corp.example is not taken: it is not among dns.domains"
                try await Self.wait("the status") { try await cygnet.statusTable().contains(words) }
                _ = await cygnet.stop()
                #expect(service.calls.isEmpty)
            }
        }

        @Test("Without systemd-resolved the tunnel is up all the same, and the lack is told", .timeLimit(.minutes(1)))
        func missing() async throws {
            try await Self.meet(Self.allowed, hasService: false) { cygnet, _, service in
                try await Self.wait("the warning") { try await cygnet.statusTable().contains("cannot be set") }
                let status = try await cygnet.status()
                #expect(status.connection?.isUp == true)
                #expect(try await cygnet.statusTable().contains("failed"))
                #expect(service.calls.isEmpty)
            }
        }
    }
}
