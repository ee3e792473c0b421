import IPPacket
import Lab
import Testing

extension Interoperability {
    /// IKE and ESP in TCP (RFC 9329) between two daemons, with a firewall at the router that stops UDP or lets it pass.
    @Suite("In TCP", .serialized)
    struct TCPEncapsulation {
        private struct Pair: Sendable {
            let topology: Topology
            let left: CygnetDaemon
            let right: CygnetDaemon
            let capture: Capture
            let family: IPFamily

            /// Stops UDP and protocol 50 at the router, or lets them pass.
            func stopUDP(_ isStopped: Bool) async throws {
                let rules =
                    isStopped
                    ? """
                    table inet firewall {
                        chain forward {
                            type filter hook forward priority 0
                            meta l4proto { udp, esp } drop
                        }
                    }

                    """ : "table inet firewall\ndelete table inet firewall\n"
                try await topology.router.run(["nft", "-f", "-"], input: rules).orThrow()
            }

            func ping(count: Int = 20) async throws -> PingResult {
                try await Ping.run(
                    from: topology.host(.left), to: Topology.hostAddress(.right, family), count: count,
                    interval: .milliseconds(20))
            }

            func spi(_ daemon: CygnetDaemon) async throws -> String? {
                try await daemon.status().connection?.securityAssociations.first?.initiatorSPI
            }

            /// How the packets of both ends go.
            func encapsulations() async throws -> Set<String> {
                Set(try await (left.status().childSAs + right.status().childSAs).map(\.encapsulation))
            }

            func wait(for what: String, atMost seconds: Int, _ condition: @Sendable () async throws -> Bool)
                async throws
            {
                let end = ContinuousClock.now + .seconds(seconds)
                while try await !condition() {
                    guard ContinuousClock.now < end else {
                        throw LabError(
                            "\(what) did not happen within \(seconds) s\n\(left.log.suffix(3000))\n\(right.log.suffix(3000))"
                        )
                    }
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
        }

        private func run(
            lines: [String], isMobile: Bool = false, family: IPFamily = .v4, isNATed: Bool = false,
            workers: Int? = nil, isStopped: Bool = true, start: String = "none",
            _ body: @Sendable (Pair) async throws -> Void
        ) async throws {
            try await Laboratory.with { laboratory in
                let topology = try await Topology(in: laboratory, isNATed: isNATed)
                let capture = try await Capture(in: topology.router, file: "\(laboratory.directory)/router.pcap")
                var plan = TunnelPlan()
                plan.isMobile = isMobile
                plan.inner = family
                plan.outer = family
                plan.isNATed = isNATed
                let dataplane = workers.map { DataplaneChoice(workers: $0) } ?? .usual
                let own = isMobile ? lines : lines + ["mobike: no"]
                let left = try CygnetDaemon(
                    at: .left, of: topology, plan: plan, start: start, extraLines: own, dataplane: dataplane)
                let right = try CygnetDaemon(
                    at: .right, of: topology, plan: plan, extraLines: own, dataplane: dataplane)
                let pair = Pair(topology: topology, left: left, right: right, capture: capture, family: family)
                try await pair.stopUDP(isStopped)
                try await right.start()
                try await left.start()
                do {
                    try await body(pair)
                } catch {
                    throw LabError("\(error)\n--- left\n\(left.log.suffix(4000))\n--- right\n\(right.log.suffix(4000))")
                }
            }
            #expect(Laboratory.leftovers().isEmpty)
        }

        private static let fallback = ["tcp: { use: fallback }"]

        @Test(
            "Where UDP is stopped the tunnel comes up by TCP, and carries pings and 6 MB of TCP as they were sent",
            .timeLimit(.minutes(2)), arguments: zip([IPFamily.v4, .v6, .v4, .v4], [1, 1, 2, 1]))
        func carries(family: IPFamily, workers: Int) async throws {
            let isNATed = family == .v4 && workers == 2
            try await run(lines: Self.fallback, family: family, isNATed: isNATed, workers: workers) { pair in
                try await pair.left.up(timeout: .seconds(40)).orThrow()
                #expect(try await pair.encapsulations() == ["tcp"])
                let ping = try await pair.ping()
                #expect(ping.lost == 0, "\(ping)")
                let transfer = try await Transfer.run(
                    from: pair.topology.host(.left), to: pair.topology.host(.right),
                    address: Topology.hostAddress(.right, family), octets: 6 << 20, patience: 30)
                #expect(transfer.isIntact)
                let status = try await pair.left.statusTable()
                #expect(status.contains("by TCP"), "\(status)")
                let summary = try await pair.capture.stop(protected: TunnelPlan.protectedNetworks)
                #expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
                #expect(summary.count(.esp) + summary.count(.espInUDP) == 0 && summary.count(.inTCP) > 100)
            }
        }

        @Test(
            "A connection that is reset is opened again, and the same SAs carry on under a running ping",
            .timeLimit(.minutes(2)))
        func reset() async throws {
            try await run(lines: Self.fallback) { pair in
                try await pair.left.up(timeout: .seconds(40)).orThrow()
                let spi = try await pair.spi(pair.left)
                async let ping = pair.ping(count: 650)
                for side in [Side.left, .right] {
                    // One that has not lasted is opened again after a pause only.
                    try await Task.sleep(for: .milliseconds(5500))
                    try await pair.topology.gateway(side).run(["ss", "-K", "-t", "state", "established"]).orThrow()
                }
                let result = try await ping
                #expect(result.received > 620, "\(result)")
                let after = try await pair.ping()
                #expect(after.lost == 0, "\(after)")
                #expect(try await pair.spi(pair.left) == spi)
                #expect(try await pair.spi(pair.right) == spi)
                #expect(try await pair.encapsulations() == ["tcp"])
                let summary = try await pair.capture.stop(protected: TunnelPlan.protectedNetworks)
                #expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
            }
        }

        @Test("When UDP passes again the tunnel goes back there", .timeLimit(.minutes(2)), arguments: [true, false])
        func back(isMobile: Bool) async throws {
            try await run(lines: ["tcp: { use: fallback, probe: 8s }"], isMobile: isMobile) { pair in
                try await pair.left.up(timeout: .seconds(40)).orThrow()
                #expect(try await pair.encapsulations() == ["tcp"])
                let spi = try await pair.spi(pair.left)
                try await pair.stopUDP(false)
                try await pair.wait(for: "the way back to UDP", atMost: 30) {
                    let kinds = try await pair.encapsulations()
                    return !kinds.isEmpty && !kinds.contains("tcp")
                }
                #expect(try await (pair.spi(pair.left) == spi) == isMobile)
                let ping = try await pair.ping()
                #expect(ping.lost == 0, "\(ping)")
            }
        }

        @Test("With MOBIKE a tunnel by UDP goes over to TCP when UDP is stopped under it", .timeLimit(.minutes(2)))
        func over() async throws {
            let lines = Self.fallback + ["dead-peer: { interval: 2s }"]
            try await run(lines: lines, isMobile: true, isStopped: false) { pair in
                try await pair.left.up().orThrow()
                #expect(try await !pair.encapsulations().contains("tcp"))
                let spi = try await pair.spi(pair.left)
                try await pair.stopUDP(true)
                try await pair.wait(for: "the way over to TCP", atMost: 30) {
                    try await pair.encapsulations() == ["tcp"]
                }
                let ping = try await pair.ping()
                #expect(ping.lost == 0, "\(ping)")
                #expect(try await pair.spi(pair.right) == spi)
            }
        }

        @Test("Rekeys of both kinds go on by the same connection without a lost packet", .timeLimit(.minutes(2)))
        func rekeys() async throws {
            try await run(lines: ["tcp: { use: always }"], isStopped: false) { pair in
                try await pair.left.up().orThrow()
                async let ping = pair.ping(count: 200)
                for daemon in [pair.left, pair.right] {
                    try await daemon.control("rekey", [TunnelPlan.connection, TunnelPlan.child]).orThrow()
                    try await Task.sleep(for: .seconds(1))
                    try await daemon.control("rekey", [TunnelPlan.connection]).orThrow()
                    try await Task.sleep(for: .milliseconds(500))
                }
                let result = try await ping
                #expect(result.lost == 0, "\(result)")
                let summary = try await pair.capture.stop(protected: TunnelPlan.protectedNetworks)
                #expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
                #expect(summary.count(.ike) == 0)
            }
        }
    }
}
