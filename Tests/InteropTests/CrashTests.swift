import Lab
import Testing

extension Interoperability {
    /// A daemon that is killed says no goodbye and clears nothing away.
    @Suite("Crashes", .serialized)
    struct Crashes {
        /// Two Cygnets, left initiating at boot and for ever.
        private static func withTunnel(
            _ body: @Sendable (Topology, CygnetDaemon, CygnetDaemon, Capture) async throws -> Void
        ) async throws {
            try Interoperability.requirePeers()
            try await Laboratory.with { laboratory in
                let topology = try await Topology(in: laboratory)
                let capture = try await Capture(in: topology.router, file: "\(laboratory.directory)/router.pcap")
                var plan = TunnelPlan()
                plan.livenessSeconds = [.left: 1]
                let right = try CygnetDaemon(at: .right, of: topology, plan: plan)
                let left = try CygnetDaemon(
                    at: .left, of: topology, plan: plan, start: "boot",
                    extraLines: ["retry: { first: 500ms, limit: 1s }"])
                do {
                    try await right.start()
                    try await left.start()
                    try await Self.waitForPing(topology, seconds: 5)
                    try await body(topology, left, right, capture)
                } catch {
                    throw LabError("\(error)\n--- left\n\(left.log.suffix(4000))\n--- right\n\(right.log.suffix(4000))")
                }
                let summary = try await capture.stop(protected: TunnelPlan.protectedNetworks)
                #expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
            }
            #expect(Laboratory.leftovers().isEmpty)
        }

        private static func ping(_ topology: Topology, _ count: Int) async throws -> PingResult {
            try await Ping.run(
                from: topology.host(.left), to: Topology.hostAddress(.right, .v4), count: count,
                interval: .milliseconds(20),
                patience: .milliseconds(200))
        }

        private static func waitForPing(_ topology: Topology, seconds: Int) async throws {
            let end = ContinuousClock.now + .seconds(seconds)
            while try await ping(topology, 1).received == 0 {
                guard ContinuousClock.now < end else { throw LabError("no ping passed within \(seconds) s") }
            }
        }

        @Test("kill -9 of the initiator: nothing in clear, and back within 2 s of its start", .timeLimit(.minutes(1)))
        func initiatorKilled() async throws {
            try await Self.withTunnel { topology, left, _, _ in
                await left.killAtOnce()
                #expect(try await Self.ping(topology, 20).received == 0)
                try await left.start()
                try await Self.waitForPing(topology, seconds: 2)
            }
        }

        @Test(
            "kill -9 of the responder: nothing in clear, and back without a manual step on either side",
            .timeLimit(.minutes(1)))
        func responderKilled() async throws {
            try await Self.withTunnel { topology, left, right, _ in
                await right.killAtOnce()
                #expect(try await Self.ping(topology, 20).received == 0)
                try await right.start()
                try await Self.waitForPing(topology, seconds: 10)
            }
        }

        @Test("`cygnet cleanup` removes what a killed daemon left", .timeLimit(.minutes(1)))
        func cleanup() async throws {
            try await Self.withTunnel { topology, left, _, _ in
                await left.killAtOnce()
                let blocked = try await left.namespace.run(["ip", "rule"]).output
                #expect(blocked.split(separator: "\n").count > 3, "\(blocked)")
                #expect(try await left.namespace.run(["nft", "list", "tables"]).output.contains("inet cygnet"))
                try await left.cleanup().orThrow()
                #expect(try await left.namespace.run(["nft", "list", "tables"]).output.isEmpty)
                let rules = try await left.namespace.run(["ip", "rule"]).output
                #expect(rules.split(separator: "\n").count == 3, "\(rules)")
            }
        }
    }
}
