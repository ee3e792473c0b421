import ArgumentParser
import FloodSender
import Foundation
import IPPacket
import Lab

struct FloodCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "flood",
        abstract: "Let honest peers connect while a responder gets forged IKE_SA_INIT requests from everywhere.",
        discussion: "Needs strongSwan and the cygnet program beside this one.")

    @OptionGroup var output: OutputOptions

    @Option(name: .long, help: "Forged requests a second.")
    var rate = 50_000

    @Option(name: .long, help: "Seconds of each flood.")
    var seconds = 15

    func validate() throws {
        guard rate > 0, seconds > 0 else { throw ValidationError("There has to be a flood, and time for it.") }
    }

    func run() async throws {
        let missing = Prerequisites.missing(of: Prerequisites.interoperability)
        guard missing.isEmpty else { throw LabError(Prerequisites.advice(missing: missing)) }
        try await output.printIsolated(["flood", "--rate", "\(rate)", "--seconds", "\(seconds)"], report)
    }

    private func report() async throws -> Report {
        var rows = [
            [
                "Responder", "Honest peer", "Requests/s offered", "Answered/s", "Octets back for each sent",
                "Handshakes tried", "Made", "Median ms", "Slowest ms", "Responder's CPU", "RSS MB before", "Highest",
                "At the end",
            ]
        ]
        for responder in FloodScenario.Daemon.allCases {
            for initiator in FloodScenario.Daemon.allCases {
                tellProgress("flood: \(initiator.rawValue) calls \(responder.rawValue)")
                let scenario = FloodScenario(responder: responder, initiator: initiator, rate: rate, seconds: seconds)
                let figures = try await scenario.measure()
                let times = figures.handshakes.compactMap { $0 }
                rows.append([
                    responder.rawValue, initiator.rawValue, figures.offered.text(), figures.answered.text(),
                    figures.amplification.text(2), "\(figures.handshakes.count)", "\(times.count)",
                    times.isEmpty ? "–" : times.median.text(), times.max()?.text() ?? "–", figures.processor.percentage,
                    figures.before.text(1), figures.memory.max()?.text(1) ?? "–", figures.memory.last?.text(1) ?? "–",
                ])
            }
        }
        return Report(
            title: "Flood of IKE_SA_INIT",
            parts: [
                .commands([output.command("flood")]),
                .text(
                    """
                    \(rate) IKE_SA_INIT requests a second for \(seconds) s, each from another address and port of 11.0.0.0/8 \
                    and with SPI and nonce of its own, sent by a raw socket on the router; the responder takes initiators \
                    from anywhere. Meanwhile a peer at the left connects, ends the SA and connects again, over and over, by \
                    the daemon's own command (`cygnet up`, `swanctl --initiate`), whose whole time it is. What the responder \
                    sent is counted at the router; CPU is user and system time of the responder; kernel work for the flood \
                    in the sender's context is not in it. Sender, both daemons and router share this machine's processors.
                    """),
                .table(rows),
            ])
    }
}

/// A responder at the right under a flood, and an honest initiator at the left.
struct FloodScenario {
    enum Daemon: String, CaseIterable {
        case cygnet = "Cygnet"
        case charon = "charon"
    }

    struct Figures {
        /// Requests a second that were sent, and datagrams a second that came back.
        var offered = 0.0
        var answered = 0.0
        /// Octets of frames that came back for each that was sent.
        var amplification = 0.0
        /// Milliseconds of each handshake tried; `nil`: not made.
        var handshakes: [Double?] = []
        /// Part of one processor.
        var processor = 0.0
        /// Resident MB before the flood, and each second of it.
        var before = 0.0
        var memory: [Double] = []
    }

    let responder: Daemon
    let initiator: Daemon
    let rate: Int
    let seconds: Int

    func measure() async throws -> Figures {
        try await Laboratory.with { laboratory in
            let topology = try await Topology(in: laboratory)
            // Answers to nobody end here, without a word.
            try await topology.router.ip(["route add blackhole default"])
            let target = try await RunningDaemon(responder, .right, topology)
            let peer = try await RunningDaemon(initiator, .left, topology)
            guard try await peer.connect(patience: 10) else { throw LabError("no connection even without a flood") }
            try await peer.disconnect()
            return try await flood(topology, target, peer)
        }
    }

    private func flood(_ topology: Topology, _ target: RunningDaemon, _ peer: RunningDaemon) async throws -> Figures {
        var figures = Figures()
        let message = try await FirstRequest.make()
        let address = Topology.outerAddress(.right, .v4).octets
        let (rate, seconds) = (rate, seconds)
        figures.before = try target.residentMegabytes()
        let timeBefore = try ProcessTime.of(target.processID)
        let countersBefore = try await Self.received(topology)
        async let sent = topology.router.inside {
            let sent = cygnet_flood(
                address, message.octets, message.octets.count, message.nonce, Double(rate), Double(seconds))
            guard sent >= 0 else { throw LabError("the flood could not be sent: errno \(-sent)") }
            return sent
        }
        let end = ContinuousClock.now + .seconds(seconds)
        async let memory = Self.sample(target, until: end)
        // The flood is on its way first.
        try await Task.sleep(for: .milliseconds(500))
        while ContinuousClock.now + .seconds(1) < end {
            let begin = ContinuousClock.now
            let isUp = try await peer.connect(patience: 12)
            figures.handshakes.append(isUp ? (ContinuousClock.now - begin) / .milliseconds(1) : nil)
            if isUp { try await peer.disconnect() }
        }
        let offered = Double(try await sent)
        figures.memory = try await memory
        let countersAfter = try await Self.received(topology)
        figures.processor = (try ProcessTime.of(target.processID) - timeBefore) / Double(seconds)
        figures.offered = offered / Double(seconds)
        figures.answered = (countersAfter.packets - countersBefore.packets) / Double(seconds)
        // Headers of IPv4 and UDP, and that of Ethernet, which the link's counter has too.
        let octetsOffered = offered * Double(message.octets.count + 28 + 14)
        figures.amplification = (countersAfter.octets - countersBefore.octets) / octetsOffered
        return figures
    }

    private static func sample(_ target: RunningDaemon, until end: ContinuousClock.Instant) async throws -> [Double] {
        var samples: [Double] = []
        while ContinuousClock.now < end {
            try await Task.sleep(for: .seconds(1))
            samples.append(try target.residentMegabytes())
        }
        return samples
    }

    /// What the router has got from the right gateway so far, frames of the link.
    private static func received(_ topology: Topology) async throws -> (packets: Double, octets: Double) {
        let result = try await Command.run(
            ["ip", "-n", topology.router.name, "-json", "-stats", "link", "show", "dev", "right"]
        ).orThrow()
        struct Link: Decodable {
            struct Counter: Decodable { let bytes, packets: Double }
            struct Statistics: Decodable { let rx: Counter }
            let stats64: Statistics
        }
        guard let link = try JSONDecoder().decode([Link].self, from: Data(result.output.utf8)).first else {
            throw LabError("the router has no link to the right")
        }
        return (link.stats64.rx.packets, link.stats64.rx.bytes)
    }
}

/// The first message of an initiator of ours, which the forged ones are copies of.
private enum FirstRequest {
    static func make() async throws -> (octets: [UInt8], nonce: Int) {
        let octets = try await HandshakeWorkload.firstRequest()
        // A chain of payloads: type of the next, a reserved octet, length (RFC 7296 section 3.2); 40 is the nonce.
        var type = octets[16]
        var at = 28
        while at + 4 <= octets.count, type != 0 {
            if type == 40 { return (octets, at + 4) }
            type = octets[at]
            at += max(4, Int(octets[at + 2]) << 8 | Int(octets[at + 3]))
        }
        throw LabError("the first message has no nonce")
    }
}
