import Foundation
import IPPacket
import Lab

/// How long runs and their steps take.
struct RunLength: Sendable {
    /// Seconds of a transfer.
    var seconds: Int
    /// Seconds of one step in the search for a rate, and how many there are at most.
    var stepSeconds: Double
    var stepLimit: Int
    var pings: Int

    static func usual(seconds: Int) -> RunLength {
        RunLength(seconds: seconds, stepSeconds: 1, stepLimit: 10, pings: 400)
    }
    static let quick = RunLength(seconds: 1, stepSeconds: 0.3, stepLimit: 5, pings: 50)
}

/// What goes from the left host to the right one.
enum Workload: Hashable, Sendable {
    /// `segmentSize`: TCP's; `nil` for what the way allows.
    case tcp(streams: Int = 1, segmentSize: Int? = nil)
    /// Datagrams in IP packets of these sizes in turn; `segments`: handed over in one by the sender.
    case udp(sizes: [Int], senders: Int, segments: Int)
    /// Echo requests, alone or beside a TCP stream.
    case ping(isLoaded: Bool)

    /// 64, 576 and 1400 octets, 7 : 4 : 1, well mixed.
    static let internetMix = [64, 576, 64, 64, 576, 64, 1400, 64, 576, 64, 64, 576]

    struct Outcome: Sendable {
        var figures: TunnelFigures
        /// Octets that the tunnel's device must have carried at least.
        var octets: Double
    }

    func run(over tunnel: RunningTunnel, _ length: RunLength) async throws -> Outcome {
        switch self {
        case .tcp(let streams, let segmentSize):
            var iperf = Iperf(target: tunnel.target, seconds: length.seconds)
            iperf.source = tunnel.carrier.connections == nil ? nil : tunnel.source
            iperf.streams = streams
            iperf.segmentSize = segmentSize
            let result = try await iperf.run(in: tunnel.topology)
            return Outcome(figures: [.throughput: result.bitsPerSecond], octets: result.octets)
        case .udp(let sizes, let senders, let segments):
            let load = UDPLoad(sizes: sizes, senders: senders, segments: segments)
            try await load.prepare(tunnel.topology)
            var search = LosslessSearch(
                load, in: tunnel.topology, stepSeconds: length.stepSeconds, stepLimit: length.stepLimit)
            try await search.search()
            let figures: TunnelFigures = [
                .lossless: search.best, .flatOut: search.flatOut?.deliveredRate ?? 0,
                .offered: search.flatOut?.offeredRate ?? 0, .reordered: Double(search.reordered),
            ]
            return Outcome(figures: figures, octets: search.octets)
        case .ping(isLoaded: false):
            let ping = try await Self.ping(tunnel, length)
            return Outcome(figures: Self.figures(ping), octets: Double(ping.received * Self.echoOctets))
        case .ping(isLoaded: true):
            let seconds = max(2, length.pings / 100 + 1)
            async let stream = Iperf(target: tunnel.target, seconds: seconds).run(in: tunnel.topology)
            // The stream has reached its rate.
            try await Task.sleep(for: .milliseconds(800))
            let ping = try await Self.ping(tunnel, length)
            let result = try await stream
            var figures = Self.figures(ping)
            figures[.throughput] = result.bitsPerSecond
            return Outcome(figures: figures, octets: result.octets)
        }
    }

    private static let echoOctets = 84

    private static func ping(_ tunnel: RunningTunnel, _ length: RunLength) async throws -> PingResult {
        try await Ping.run(
            from: tunnel.topology.host(.left), to: tunnel.target, count: length.pings, interval: .milliseconds(5))
    }

    private static func figures(_ ping: PingResult) -> TunnelFigures {
        var figures: TunnelFigures = [.unanswered: Double(ping.lost)]
        figures[.roundTrip] = ping.meanMilliseconds
        return figures
    }
}
