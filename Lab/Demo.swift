import Foundation
import IPPacket

/// Two Cygnet gateways with a router between them, built, tried and taken down again while a person watches.
package struct Demo: Sendable {
    /// Octets sent over TCP through the tunnel.
    package var transferOctets = 16 << 20
    package var pings = 5

    package init() {}

    /// Runs the demo in namespaces of its own.
    /// - Returns: The exit status: 0 if all it shows is as it should be.
    package func run() async -> Int32 {
        do {
            if let status = try await LabSession.enter() { return status }
            let begin = ContinuousClock.now
            try await Laboratory.with { try await play(in: $0) }
            let leftovers = Laboratory.leftovers()
            guard leftovers.isEmpty else { throw LabError("still there: \(leftovers.joined(separator: ", "))") }
            say("Everything is removed again. It took \(Self.seconds(since: begin)).")
            return 0
        } catch {
            FileHandle.standardError.write(Data("cygnet demo: \(error)\n".utf8))
            return 1
        }
    }

    private func play(in laboratory: Laboratory) async throws {
        title("Two offices and the network between them")
        say(
            """
            left-host ---- left gateway ---- router ---- right gateway ---- right-host
            10.1.0.2           192.0.2.2                 192.0.2.130           10.2.0.2

            The router knows neither 10.1.0.0/24 nor 10.2.0.0/24. Each gateway runs its own `cygnet run`.
            """)
        let topology = try await Topology(in: laboratory)
        var plan = TunnelPlan()
        plan.preSharedKey = Self.randomSecret()
        let left = try CygnetDaemon(at: .left, of: topology, plan: plan)
        let right = try CygnetDaemon(at: .right, of: topology, plan: plan)
        say("The left gateway's configuration:\n")
        say(indented(left.configurationText))
        let capture = try await Capture(in: topology.router, file: "\(laboratory.directory)/router.pcap")
        for daemon in [left, right] { try await daemon.start() }

        do {
            try await negotiate(left)
            try await carryPackets(topology)
            try await prove(capture, topology)
            title("The security associations (cygnet status)")
            for daemon in [left, right] {
                say("\(daemon.side.rawValue):")
                say(indented(try await daemon.statusTable()))
            }
        } catch {
            throw LabError("\(error)\n--- left\n\(left.log.suffix(3000))\n--- right\n\(right.log.suffix(3000))")
        }
        title("Clearing up")
        for daemon in [left, right] { _ = await daemon.stop() }
    }

    private func negotiate(_ left: CygnetDaemon) async throws {
        title("The negotiation (cygnet up \(TunnelPlan.connection); cygnet explain \(TunnelPlan.connection))")
        let begin = ContinuousClock.now
        let result = try await left.up()
        guard result.status.isSuccess else { throw LabError("\(result.complaint)\n\(try await left.explain())") }
        say(indented(try await left.explain()))
        say("The tunnel was up after \(Self.seconds(since: begin)).")
    }

    private func carryPackets(_ topology: Topology) async throws {
        title("From host to host")
        let target = Topology.hostAddress(.right, .v4)
        let ping = try await Ping.run(from: topology.host(.left), to: target, count: pings)
        say(
            "ping \(target): \(ping.received) of \(ping.sent) answered\(ping.meanMilliseconds.map { ", \($0) ms on average" } ?? "")"
        )
        guard ping.lost == 0 else { throw LabError("\(ping.lost) of \(ping.sent) pings were lost") }
        let transfer = try await Transfer.run(
            from: topology.host(.left), to: topology.host(.right), address: target, octets: transferOctets)
        guard transfer.isIntact else { throw LabError("the transfer over TCP was damaged") }
        say(
            "TCP to \(target): \(transfer.octets >> 20) MiB arrived unchanged, \(Int(transfer.megabitsPerSecond)) Mbit/s "
                + "while the router recorded every frame")
    }

    private func prove(_ capture: Capture, _ topology: Topology) async throws {
        title("What the router saw")
        let summary = try await capture.stop(protected: TunnelPlan.protectedNetworks)
        for kind in FrameClass.allCases where summary.count(kind) > 0 {
            say("\(summary.count(kind)) frames of \(kind)")
        }
        say("\(summary.count(.clearText)) frames with an address of 10.1.0.0/24 or 10.2.0.0/24")
        guard summary.isOnlyProtected, summary.count(.ike) >= 4, summary.esp > 2 * pings else {
            throw LabError(
                "the capture does not prove it: \(summary.description) \(summary.suspects.joined(separator: "; "))")
        }
    }

    // MARK: Words

    private static func randomSecret() -> String {
        var generator = SystemRandomNumberGenerator()
        return Data((0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }).base64EncodedString()
    }

    private static func seconds(since begin: ContinuousClock.Instant) -> String {
        let time = (ContinuousClock.now - begin).components
        let milliseconds = time.seconds * 1000 + time.attoseconds / 1_000_000_000_000_000
        return milliseconds < 1000 ? "\(milliseconds) ms" : "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s"
    }

    private func title(_ text: String) { say("\n== \(text)\n") }

    private func indented(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { $0.isEmpty ? "" : "    \($0)" }.joined(
            separator: "\n")
    }

    private func say(_ text: String) {
        FileHandle.standardOutput.write(Data((text + "\n").utf8))
    }
}
