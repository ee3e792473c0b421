import Foundation
import IPPacket
import Lab

/// Two gateways under full load both ways, with keys replaced all the time, reloads, and guests that come and go.
struct Endurance: Sendable {
    private static let guests = 8
    private static let datagramsPerSecond = 2000.0

    let seconds: Int
    let rekeySeconds: Int
    let dataplane: DataplaneChoice

    /// ESP from one side to the other.
    struct Passage: Sendable {
        var sent = 0
        var delivered = 0
        /// By the receiving daemon, for a reason it counts.
        var dropped = 0
        var drops: [String: Int] = [:]

        /// What the receiving daemon knows nothing of.
        var missing: Int { sent - delivered - dropped }
    }

    struct Figures: Sendable {
        /// Resident MB of each second.
        var memory: [Side: [Double]] = [:]
        /// By the side it comes from.
        var passages: [Side: Passage] = [:]
        var streams: [Side: Iperf.Result] = [:]
        var datagrams: [Side: UDPLoad.Outcome] = [:]
        /// Packets that the kernel dropped between the gateways.
        var overflowed = 0
        var childRekeys = 0
        var ikeRekeys = 0
        var reloads = 0
        var guestsUp = 0
        var guestsRefused = 0
    }

    func run() async throws -> Figures {
        try await Laboratory.with { laboratory in
            let topology = try await Topology(in: laboratory)
            try await ScaleDaemon.prepare(topology)
            var gateways: [Side: EnduranceGateway] = [:]
            for side in Side.allCases {
                let gateway = try EnduranceGateway(side, topology, rekeySeconds: rekeySeconds, dataplane: dataplane)
                try gateway.configure(guests: Self.guests)
                try await gateway.daemon.start()
                gateways[side] = gateway
            }
            guard let left = gateways[.left], let right = gateways[.right] else { throw LabError("no gateways") }
            try await left.daemon.control("up", [EnduranceGateway.connection]).orThrow()
            return try await load(topology, left, right)
        }
    }

    private func load(_ topology: Topology, _ left: EnduranceGateway, _ right: EnduranceGateway) async throws -> Figures
    {
        let droppedBefore = try await KernelLosses.between(topology)
        let end = ContinuousClock.now + .seconds(seconds)
        async let leftStream = stream(from: .left, topology)
        async let rightStream = stream(from: .right, topology)
        async let leftDatagrams = datagrams(from: .left, topology)
        async let rightDatagrams = datagrams(from: .right, topology)
        async let guests = comeAndGo(left, until: end)
        async let reloads = reload([left, right], until: end)
        async let memory = watch([left, right], until: end)

        var figures = Figures()
        (figures.guestsUp, figures.guestsRefused) = try await guests
        figures.reloads = try await reloads
        figures.memory = try await memory
        figures.streams = [.left: try await leftStream, .right: try await rightStream]
        figures.datagrams = [.left: try await leftDatagrams, .right: try await rightDatagrams]
        // What is under way arrives.
        try await Task.sleep(for: .seconds(1))

        figures.overflowed = try await KernelLosses.between(topology) - droppedBefore
        let ends = [
            Side.left: try await left.daemon.status().dataplane, .right: try await right.daemon.status().dataplane,
        ]
        for side in Side.allCases {
            guard let sender = ends[side], let receiver = ends[side.other] else { continue }
            figures.passages[side] = Passage(
                sent: sender.packetsOut, delivered: receiver.packetsIn, dropped: receiver.inboundDrops,
                drops: receiver.drops)
        }
        figures.childRekeys = left.count("child-rekeyed")
        figures.ikeRekeys = left.count("ike-rekeyed")
        return figures
    }

    private func stream(from side: Side, _ topology: Topology) async throws -> Iperf.Result {
        var iperf = Iperf(target: Topology.hostAddress(side.other, .v4), seconds: seconds)
        iperf.sender = side
        iperf.port = side == .left ? 5201 : 5202
        return try await iperf.run(in: topology)
    }

    private func datagrams(from side: Side, _ topology: Topology) async throws -> UDPLoad.Outcome {
        var load = UDPLoad(sizes: [400], senders: 4)
        load.from = side
        try await load.prepare(topology)
        return try await load.run(in: topology, rate: Self.datagramsPerSecond, seconds: Double(seconds), run: 1)
    }

    /// Brings one guest after the other up and down.
    private func comeAndGo(_ left: EnduranceGateway, until end: ContinuousClock.Instant) async throws
        -> (up: Int, refused: Int)
    {
        var counts = (up: 0, refused: 0)
        var number = 0
        while ContinuousClock.now < end {
            let name = EnduranceGateway.guest(number % Self.guests)
            let result = try await left.daemon.control("up", [name])
            if result.status.isSuccess { counts.up += 1 } else { counts.refused += 1 }
            // Several are up together.
            let oldest = EnduranceGateway.guest((number + Self.guests - 3) % Self.guests)
            if number >= 3 { _ = try await left.daemon.control("down", [oldest]) }
            number += 1
            try await Task.sleep(for: .milliseconds(300))
        }
        return counts
    }

    /// Has the daemons read configurations with one guest more, and again without, in turn.
    private func reload(_ gateways: [EnduranceGateway], until end: ContinuousClock.Instant) async throws -> Int {
        var count = 0
        while ContinuousClock.now < end {
            for gateway in gateways {
                try gateway.configure(guests: Self.guests + (count + 1) % 2)
                try await gateway.daemon.control("reload").orThrow()
            }
            count += 1
            try await Task.sleep(for: .seconds(3))
        }
        return count
    }

    private func watch(_ gateways: [EnduranceGateway], until end: ContinuousClock.Instant) async throws
        -> [Side: [Double]]
    {
        var memory: [Side: [Double]] = [:]
        while ContinuousClock.now < end {
            for gateway in gateways {
                memory[gateway.daemon.side, default: []].append(try gateway.residentMegabytes())
            }
            try await Task.sleep(for: .seconds(1))
        }
        return memory
    }
}

extension Endurance.Figures {
    /// MB by which memory may grow from the second quarter of the time to the last, and part of it.
    private static let growth = (megabytes: 2.0, part: 0.05)

    /// Medians of the quarters.
    static func quarters(_ samples: [Double]) -> [Double] {
        (0..<4).map { quarter in
            Array(samples[samples.count * quarter / 4..<samples.count * (quarter + 1) / 4]).median
        }
    }

    /// ESP packets that nobody can account for.
    var unaccounted: Int { passages.values.map(\.missing).reduce(0, +) - overflowed }

    /// What is not as it should be.
    func failures(seconds: Int, rekeySeconds: Int) -> [String] {
        var failures: [String] = []
        for (side, samples) in memory.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            let quarters = Self.quarters(samples)
            let limit = quarters[1] * (1 + Self.growth.part) + Self.growth.megabytes
            if quarters[3] > limit {
                failures.append(
                    "the \(side) daemon's memory grew from \(quarters[1].text(1)) to \(quarters[3].text(1)) MB")
            }
        }
        // The kernel drops IKE as well as ESP, and its share cannot be told: what it is said to have dropped may be a little more.
        if unaccounted > 0 || unaccounted < -(overflowed / 50 + 50) {
            failures.append("\(unaccounted) ESP packets are not accounted for")
        }
        for side in Side.allCases {
            if let reordered = datagrams[side]?.reordered, reordered > 0 {
                failures.append("\(reordered) UDP datagrams from the \(side) were overtaken by later ones")
            }
            if let duplicated = datagrams[side]?.duplicated, duplicated > 0 {
                failures.append("\(duplicated) UDP datagrams from the \(side) arrived twice")
            }
            if datagrams[side]?.received == 0 { failures.append("no UDP datagram from the \(side) arrived") }
        }
        if childRekeys < seconds / rekeySeconds / 3 { failures.append("only \(childRekeys) children were rekeyed") }
        if guestsUp < guestsRefused || guestsUp == 0 {
            failures.append("only \(guestsUp) guests came up, \(guestsRefused) did not")
        }
        return failures
    }
}
