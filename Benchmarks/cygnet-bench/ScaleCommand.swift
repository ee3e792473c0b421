import ArgumentParser
import Foundation
import Lab

struct ScaleCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scale",
        abstract: "Set up many tunnels between two daemons, and replace all their keys at once.",
        discussion: "Needs the cygnet program beside this one.")

    @OptionGroup var output: OutputOptions

    @Option(name: .long, help: "Tunnels, each a connection with one child.")
    var tunnels = 10_000

    @Option(name: .long, help: "Seconds that each step may take.")
    var patience = 300

    func validate() throws {
        guard (1...ScaleScenario.most).contains(tunnels), patience > 0 else {
            throw ValidationError("There can be 1 to \(ScaleScenario.most) tunnels.")
        }
    }

    func run() async throws {
        try await output.printIsolated(["scale", "--tunnels", "\(tunnels)", "--patience", "\(patience)"], report)
    }

    private func report() async throws -> Report {
        let figures = try await ScaleScenario(count: tunnels, patience: .seconds(patience)).measure()
        let kilobytes = 1024 / Double(tunnels)
        var rows = [["", "Initiator", "Responder"]]
        func row(_ title: String, _ value: (ScaleScenario.Role) -> String) {
            rows.append([title, value(figures.initiator), value(figures.responder)])
        }
        row("RSS of the daemon alone, MB") { $0.empty.text(1) }
        row("KB of RSS for a configured connection") { (($0.configured - $0.empty) * kilobytes).text(1) }
        row("KB of RSS for a tunnel that is up, beside that") { (($0.up - $0.configured) * kilobytes).text(1) }
        row("RSS with all up, MB") { $0.up.text(1) }
        row("RSS after the storms, MB") { $0.afterStorms.text(1) }
        row("CPU ms for a tunnel, from nothing to up") { ($0.processor * 1000 / Double(tunnels)).text(2) }
        row("`cygnet status --json` with all up, s") { $0.status.text(2) }
        row("`cygnet reload` without a change, s") { $0.reload.text(2) }
        let storms = figures.storms.map { storm in
            [
                storm.name, "\(storm.replaced)", storm.seconds.text(1), (Double(storm.replaced) / storm.seconds).text(),
                storm.datagrams.text(2), "\(storm.failures)", "\(storm.pingsLost) of \(storm.pings)",
            ]
        }
        return Report(
            title: "Many tunnels",
            parts: [
                .commands([output.command("scale --tunnels \(tunnels)")]),
                .text(
                    """
                    Two daemons, a router between them; \(tunnels) connections with pre-shared keys, X25519 and AES-256-GCM, \
                    each with an address of its own at the initiator, identities of its own and one child. They are there \
                    with `start: none`; then the initiator reloads a file that says `start: boot`. Both daemons and all \
                    else share this machine's processors.
                    """),
                .text(
                    "All \(figures.established) of \(tunnels) were up after \(figures.seconds.text(1)) s: "
                        + "**\((Double(figures.established) / figures.seconds).text()) tunnels/s**. The initiator sent "
                        + "\(figures.datagrams.text(2)) datagrams for each, of which 2 are what the exchanges need."),
                .table(rows),
                .text(
                    """
                    Then all keys are replaced at once (`cygnet rekey`, by the initiator), of the children first and of the \
                    IKE SAs after that, while pings go through \(ScaleScenario.sampleSize) of the tunnels ten times a second. \
                    Datagrams: of IKE, that the initiator sent for each key replaced. A child's rekey needs 2: the new pair, \
                    and the old one's deletion; an IKE SA's likewise.
                    """),
                .table(
                    [["Replaced", "Tunnels", "Seconds", "A second", "Datagrams each", "Failed", "Pings lost"]] + storms),
            ])
    }
}

/// Cygnet at both ends, and as many connections between them as are asked for.
struct ScaleScenario: Sendable {
    /// Inner networks of /24 within 10.64.0.0/10.
    static let most = 16_384
    static let sampleSize = 10

    struct Role {
        /// Resident MB: without a connection, with all of them configured, with all up, and at the end.
        var empty = 0.0
        var configured = 0.0
        var up = 0.0
        var afterStorms = 0.0
        /// Seconds of processor time from the reload on until all are up.
        var processor = 0.0
        /// Seconds that the two commands take.
        var status = 0.0
        var reload = 0.0
    }

    struct Storm {
        var name: String
        var replaced = 0
        var seconds = 0.0
        /// Of IKE, from the initiator, for each key that was replaced.
        var datagrams = 0.0
        var failures = 0
        var pings = 0
        var pingsLost = 0
    }

    struct Figures {
        var initiator = Role()
        var responder = Role()
        var established = 0
        var seconds = 0.0
        var datagrams = 0.0
        var storms: [Storm] = []
    }

    let count: Int
    let patience: Duration

    func measure() async throws -> Figures {
        try await Laboratory.with { laboratory in
            let topology = try await Topology(in: laboratory)
            try await ScaleDaemon.prepare(topology)
            let left = try ScaleDaemon(.left, topology, count: count)
            let right = try ScaleDaemon(.right, topology, count: count)
            return try await run(topology, left, right)
        }
    }

    private func run(_ topology: Topology, _ left: ScaleDaemon, _ right: ScaleDaemon) async throws -> Figures {
        var figures = Figures()
        for daemon in [right, left] { try await daemon.daemon.start() }
        figures.initiator.empty = try left.residentMegabytes()
        figures.responder.empty = try right.residentMegabytes()
        for daemon in [right, left] {
            try daemon.configure(start: "none")
            tellProgress("scale: \(daemon.daemon.side) reads \(count) connections")
            _ = try await daemon.timed(patience, "reload")
        }
        figures.initiator.configured = try left.residentMegabytes()
        figures.responder.configured = try right.residentMegabytes()

        tellProgress("scale: setting up")
        try left.configure(start: "boot")
        let times = try [left, right].map { try ProcessTime.of($0.processID) }
        let sentBefore = try await datagrams(topology)
        let begin = ContinuousClock.now
        _ = try await left.timed(patience, "reload")
        (figures.established, figures.seconds) = try await left.waitFor(
            "child-established", count, since: begin, patience)
        figures.datagrams = (try await datagrams(topology) - sentBefore) / Double(count)
        figures.initiator.processor = try ProcessTime.of(left.processID) - times[0]
        figures.responder.processor = try ProcessTime.of(right.processID) - times[1]
        try await Task.sleep(for: .seconds(10))
        figures.initiator.up = try left.residentMegabytes()
        figures.responder.up = try right.residentMegabytes()
        figures.initiator.status = try await left.timed(patience, "status", ["--json"])
        figures.responder.status = try await right.timed(patience, "status", ["--json"])
        figures.initiator.reload = try await left.timed(patience, "reload")
        figures.responder.reload = try await right.timed(patience, "reload")
        figures.storms = [
            try await storm("children", ["--children"], "child-rekeyed", topology, left, right),
            try await storm("IKE SAs", [], "ike-rekeyed", topology, left, right),
        ]
        try await Task.sleep(for: .seconds(10))
        figures.initiator.afterStorms = try left.residentMegabytes()
        figures.responder.afterStorms = try right.residentMegabytes()
        return figures
    }

    private func storm(
        _ name: String, _ arguments: [String], _ event: String, _ topology: Topology, _ left: ScaleDaemon,
        _ right: ScaleDaemon
    ) async throws -> Storm {
        tellProgress("scale: replacing the keys of all \(name)")
        var storm = Storm(name: name)
        let failuresBefore = left.failures + right.failures
        let before = left.count(event)
        let sentBefore = try await datagrams(topology)
        let seconds = max(10, Int(patience.components.seconds) / 10)
        let pings = try startPings(topology, seconds)
        try await Task.sleep(for: .seconds(1))
        let begin = ContinuousClock.now
        let rekey = try await left.daemon.control("rekey", arguments, timeout: patience)
        try rekey.orThrow()
        let (total, time) = try await left.waitFor(event, before + count, since: begin, patience)
        storm.replaced = total - before
        storm.seconds = time
        for ping in pings { _ = await ping.wait() }
        let counts = pingCounts(topology)
        storm.pings = counts.sent
        storm.pingsLost = counts.sent - counts.received
        // Old ones are deleted a moment later.
        try await Task.sleep(for: .seconds(5))
        storm.datagrams = (try await datagrams(topology) - sentBefore) / Double(max(1, storm.replaced))
        storm.failures = left.failures + right.failures - failuresBefore
        return storm
    }

    /// Starts pings that go on for so many seconds, one to each tunnel of the sample.
    private func startPings(_ topology: Topology, _ seconds: Int) throws -> [ChildProcess] {
        let sample = min(Self.sampleSize, count)
        return try (0..<sample).map { number in
            try topology.laboratory.start(
                [
                    "ping", "-n", "-q", "-c", "\(seconds * 10)", "-i", "0.1", "-W", "3",
                    "\(ScaleDaemon.innerAddress(number * count / sample))",
                ],
                in: topology.host(.right), logFile: pingFile(topology, number))
        }
    }

    private func pingFile(_ topology: Topology, _ number: Int) -> String {
        "\(topology.laboratory.directory)/ping-\(number)"
    }

    /// How many requests were sent and answered by pings that have ended.
    private func pingCounts(_ topology: Topology) -> (sent: Int, received: Int) {
        var counts = (sent: 0, received: 0)
        for number in 0..<min(Self.sampleSize, count) {
            let text = (try? String(contentsOfFile: pingFile(topology, number), encoding: .utf8)) ?? ""
            unlink(pingFile(topology, number))
            // "10 packets transmitted, 9 received, 10% packet loss, time 912ms"
            for line in text.split(separator: "\n") where line.contains("packets transmitted") {
                let numbers = line.split { !$0.isNumber }.compactMap { Int($0) }
                guard numbers.count >= 2 else { continue }
                counts.sent += numbers[0]
                counts.received += numbers[1]
            }
        }
        return counts
    }

    /// What the initiator's gateway has sent by UDP, which is IKE alone: ESP goes by its own protocol.
    private func datagrams(_ topology: Topology) async throws -> Double {
        let text = try await topology.gateway(.left).inside {
            try String(contentsOfFile: "/proc/thread-self/net/snmp", encoding: .utf8)
        }
        let lines = text.split(separator: "\n").filter { $0.hasPrefix("Udp:") }
            .map { $0.split(separator: " ").map(String.init) }
        guard lines.count == 2, let index = lines[0].firstIndex(of: "OutDatagrams"), index < lines[1].count,
            let count = Double(lines[1][index])
        else { throw LabError("the kernel counts no datagrams") }
        return count
    }
}
