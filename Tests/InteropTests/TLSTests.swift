import IPPacket
import Lab
import Testing

extension Interoperability {
    /// IKE and ESP in TCP with TLS around it (RFC 9329, appendix A): at both ends Cygnet's, and at one end socat's, before a gateway or a
    /// client that knows of TCP only.
    @Suite("In TLS", .serialized)
    struct TLSEncapsulation {
        private struct Pair: Sendable {
            let topology: Topology
            let left: CygnetDaemon
            let right: CygnetDaemon
            let capture: Capture
            let pki: PKI
            let laboratory: Laboratory

            /// Pings through the tunnel, and nothing but TLS outside.
            func carry() async throws {
                try await left.up(timeout: .seconds(50)).orThrow()
                let ping = try await ping()
                #expect(ping.lost == 0, "\(ping)")
                let transfer = try await Transfer.run(
                    from: topology.host(.left), to: topology.host(.right),
                    address: Topology.hostAddress(.right, .v4), octets: 3 << 20, patience: 30)
                #expect(transfer.isIntact)
            }

            func ping(count: Int = 20) async throws -> PingResult {
                try await Ping.run(
                    from: topology.host(.left), to: Topology.hostAddress(.right, .v4), count: count,
                    interval: .milliseconds(20))
            }

            func checkCapture() async throws {
                let summary = try await capture.stop(protected: TunnelPlan.protectedNetworks)
                #expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
                #expect(summary.count(.esp) + summary.count(.espInUDP) == 0, "\(summary.description)")
                #expect(summary.count(.tls) > 100, "\(summary.description)")
            }

            /// socat between TLS and TCP, in a gateway's namespace; returns when it listens.
            func socat(_ side: Side, listening port: Int, _ arguments: [String]) async throws {
                _ = try laboratory.start(
                    ["socat"] + arguments, in: topology.gateway(side), logFile: "\(laboratory.directory)/socat")
                for _ in 0..<100 {
                    let listening = try await topology.gateway(side).run(["ss", "-Htln", "sport = \(port)"]).output
                    if !listening.isEmpty { return }
                    try await Task.sleep(for: .milliseconds(30))
                }
                throw LabError("socat does not listen")
            }
        }

        /// - Parameters:
        ///   - left, right: lines of their connections.
        ///   - entries: of the right daemon, from its certificate for TLS.
        private func run(
            isBehindProxy: Bool = false, left: @Sendable (PKI) -> [String], right: [String],
            entries: @Sendable (PKI.Issued) -> [String] = { _ in [] },
            _ body: @Sendable (Pair, PKI.Issued) async throws -> Void
        ) async throws {
            try await Laboratory.with { laboratory in
                let topology = try await Topology(in: laboratory, isNATed: false)
                let capture = try await Capture(in: topology.router, file: "\(laboratory.directory)/router.pcap")
                let pki = try await PKI(in: laboratory, name: "tls")
                let issued = try await pki.issue("gw.example.org", .rsa)
                let plan = TunnelPlan()
                var theirs = plan
                // Calls come from the proxy, as from a NAT.
                theirs.isNATed = isBehindProxy
                let leftDaemon = try CygnetDaemon(
                    at: .left, of: topology, plan: plan, extraLines: left(pki) + ["mobike: no"])
                let rightDaemon = try CygnetDaemon(
                    at: .right, of: topology, plan: theirs, extraLines: right + ["mobike: no"],
                    daemonEntries: entries(issued))
                let pair = Pair(
                    topology: topology, left: leftDaemon, right: rightDaemon, capture: capture, pki: pki,
                    laboratory: laboratory)
                try await rightDaemon.start()
                try await leftDaemon.start()
                do {
                    try await body(pair, issued)
                } catch {
                    throw LabError(
                        "\(error)\n--- left\n\(leftDaemon.log.suffix(4000))\n--- right\n\(rightDaemon.log.suffix(4000))"
                    )
                }
            }
            #expect(Laboratory.leftovers().isEmpty)
        }

        @Sendable private static func serving(_ issued: PKI.Issued) -> [String] {
            ["tls: { certificate: { file: \(issued.certificate), key: \(issued.key) } }"]
        }

        @Test(
            "A gateway is reached by TLS, its certificate believed by name; a reload with another certificate disturbs nothing",
            .timeLimit(.minutes(2)))
        func own() async throws {
            try await run(
                left: {
                    ["tcp: { use: always, ports: none, tls: { name: gw.example.org, authorities: \($0.authority) } }"]
                }, right: ["tcp: { use: fallback }"], entries: Self.serving
            ) { pair, _ in
                try await pair.carry()
                for daemon in [pair.left, pair.right] {
                    let table = try await daemon.statusTable()
                    #expect(table.contains("by TLS"), "\(table)")
                }
                _ = try await pair.pki.issue("gw.example.org", .rsa)
                try await pair.right.control("reload").orThrow()
                // Those who come now see the other one, and those who are there stay.
                let ping = try await pair.ping()
                #expect(ping.lost == 0, "\(ping)")
                // One that has not lasted is opened again after a pause only.
                try await Task.sleep(for: .seconds(5))
                try await pair.topology.gateway(.left).run(["ss", "-K", "-t", "state", "established"]).orThrow()
                try await Task.sleep(for: .seconds(1))
                let after = try await pair.ping()
                #expect(after.lost == 0, "\(after)")
                let traffic = try await pair.left.control("status", ["--dataplane"]).output
                #expect(traffic.contains("with TLS 2") && !traffic.contains("resumed"), "\(traffic)")
                try await pair.checkCapture()
            }
        }

        @Test(
            "UDP, TCP, then TLS, where a box in between lets TCP through and nothing of IKE in it",
            .timeLimit(.minutes(2)))
        func last() async throws {
            try await run(
                left: { _ in ["tcp: { use: fallback, tls: yes }"] }, right: ["tcp: { use: fallback }"],
                entries: Self.serving
            ) { pair, _ in
                // Handshakes of TCP pass at port 4500, and then nothing with octets in it.
                let rules = """
                    table inet firewall { chain forward { type filter hook forward priority 0;
                    meta l4proto { udp, esp } drop
                    tcp dport 4500 tcp flags & psh == psh drop; }; }

                    """
                try await pair.topology.router.run(["nft", "-f", "-"], input: rules).orThrow()
                try await pair.carry()
                #expect(try await pair.left.statusTable().contains("by TLS"))
                let log = pair.left.log
                #expect(
                    log.contains("by UDP: TCP is tried") && log.contains("by TCP: TLS at port 443 is tried"), "\(log)")
                try await pair.checkCapture()
            }
        }

        @Test("A gateway that knows TCP only is reached by TLS that socat ends before it", .timeLimit(.minutes(2)))
        func behindSocat() async throws {
            try await run(
                isBehindProxy: true,
                left: {
                    ["tcp: { use: always, ports: none, tls: { name: gw.example.org, authorities: \($0.authority) } }"]
                }, right: ["tcp: { use: always }"]
            ) { pair, issued in
                try await pair.socat(
                    .right, listening: 443,
                    [
                        "openssl-listen:443,reuseaddr,fork,cert=\(issued.certificate),key=\(issued.key),verify=0",
                        "tcp:\(Topology.outerAddress(.right, .v4)):4500",
                    ])
                try await pair.carry()
                #expect(try await pair.left.statusTable().contains("by TLS"))
                let there = try await pair.right.statusTable()
                #expect(there.contains("by TCP"), "\(there)")
                try await pair.checkCapture()
            }
        }

        @Test("A client that knows TCP only reaches a gateway's TLS by socat before it", .timeLimit(.minutes(2)))
        func beforeSocat() async throws {
            try await run(
                left: { _ in ["tcp: { use: always, ports: [4500] }"] }, right: ["tcp: { use: fallback }"],
                entries: { ["tcp-ports: none"] + Self.serving($0) }
            ) { pair, issued in
                // What goes to the gateway's port 4500 is led to socat at the client, as a proxy would do.
                try await pair.socat(
                    .left, listening: 14500,
                    [
                        "tcp-listen:14500,reuseaddr,fork",
                        "openssl:\(Topology.outerAddress(.right, .v4)):443,cafile=\(pair.pki.authority),commonname=gw.example.org",
                    ])
                let rules = """
                    table ip proxy { chain output { type nat hook output priority -100;
                    ip daddr \(Topology.outerAddress(.right, .v4)) tcp dport 4500 redirect to :14500; }; }

                    """
                try await pair.topology.gateway(.left).run(["nft", "-f", "-"], input: rules).orThrow()
                try await pair.carry()
                let there = try await pair.right.statusTable()
                #expect(there.contains("by TLS"), "\(there)")
                try await pair.checkCapture()
            }
        }

        @Test(
            "A certificate that is not to be believed, and a port without TLS, fail with reasons in the log",
            .timeLimit(.minutes(2)))
        func refused() async throws {
            try await run(
                left: {
                    [
                        "tcp: { use: always, ports: none, tls: { ports: [443, 4500], name: other.example.org, authorities: \($0.authority) } }"
                    ]
                }, right: ["tcp: { use: fallback }"], entries: Self.serving
            ) { pair, _ in
                let result = try await pair.left.up(timeout: .seconds(20))
                #expect(!result.status.isSuccess)
                let text = try await pair.left.explain()
                #expect(text.contains("the peer's certificate for TLS is not good: hostname mismatch"), "\(text)")
                #expect(text.contains("its port may be one without"), "\(text)")
                #expect(pair.right.log.contains("stream-refused"), "\(pair.right.log)")
            }
        }
    }
}
