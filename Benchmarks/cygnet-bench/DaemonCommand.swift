import ArgumentParser
import Foundation
import Lab

struct DaemonCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "daemons",
        abstract: "Let Cygnet connect to Cygnet, and charon to charon, and compare their processor time.",
        discussion: "Needs strongSwan and the cygnet program beside this one.")

    @OptionGroup var output: OutputOptions

    @Option(name: .long, help: "Connections set up and taken down by each.")
    var handshakes = 200

    func validate() throws {
        guard handshakes > 0 else { throw ValidationError("There has to be a handshake.") }
    }

    func run() async throws {
        let missing = Prerequisites.missing(of: Prerequisites.interoperability)
        guard missing.isEmpty else { throw LabError(Prerequisites.advice(missing: missing)) }
        try await output.printIsolated(["daemons", "--handshakes", "\(handshakes)"], report)
    }

    private func report() async throws -> Report {
        var rows = [["Both ends", "Initiator, CPU ms", "Responder, CPU ms", "Of charon's", ""]]
        var measured: [(name: String, initiator: Double, responder: Double)] = []
        for daemon in FloodScenario.Daemon.allCases {
            tellProgress("daemons: \(daemon.rawValue)")
            let times = try await Self.measure(daemon, handshakes)
            measured.append((daemon.rawValue, times.initiator, times.responder))
        }
        guard let charon = measured.last else { throw LabError("nothing was measured") }
        for row in measured {
            rows.append([
                row.name, (row.initiator * 1000).text(2), (row.responder * 1000).text(2),
                (row.initiator / charon.initiator).percentage, (row.responder / charon.responder).percentage,
            ])
        }
        return Report(
            title: "Handshakes of daemons",
            parts: [
                .commands([output.command("daemons")]),
                .text(
                    """
                    \(handshakes) times one after the other: IKE_SA_INIT, IKE_AUTH with a child SA, and the deletion of both, \
                    between two daemons of one make with the same proposals and a pre-shared key, begun and ended by the \
                    daemon's own command. User and system time of each daemon, with all it does for it: control socket, log, \
                    ESP SAs in its own data plane (Cygnet) or by libipsec (charon), routes.
                    """),
                .table(rows),
            ])
    }

    private static func measure(_ daemon: FloodScenario.Daemon, _ count: Int) async throws -> DaemonTimes {
        try await Laboratory.with { laboratory in
            try await run(daemon, count, in: laboratory)
        }
    }

    private static func run(
        _ daemon: FloodScenario.Daemon, _ count: Int, in laboratory: Laboratory
    ) async throws -> DaemonTimes {
        let topology = try await Topology(in: laboratory)
        let responder = try await RunningDaemon(daemon, .right, topology)
        let initiator = try await RunningDaemon(daemon, .left, topology)
        for _ in 0..<10 { try await handshake(initiator) }
        let initiatorBefore = try ProcessTime.of(initiator.processID)
        let responderBefore = try ProcessTime.of(responder.processID)
        for _ in 0..<count { try await handshake(initiator) }
        let initiatorAfter = try ProcessTime.of(initiator.processID)
        let responderAfter = try ProcessTime.of(responder.processID)
        return DaemonTimes(
            initiator: (initiatorAfter - initiatorBefore) / Double(count),
            responder: (responderAfter - responderBefore) / Double(count))
    }

    @inline(never)
    private static func handshake(_ initiator: RunningDaemon) async throws {
        guard try await initiator.connect(patience: 10) else { throw LabError("no connection") }
        try await initiator.disconnect()
    }
}

/// Seconds of processor time that a connection costs, up and down again.
private struct DaemonTimes: Sendable {
    let initiator: Double
    let responder: Double
}
