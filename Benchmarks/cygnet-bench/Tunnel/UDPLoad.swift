import Foundation
import IPPacket
import Lab
import PacketLoad

/// Numbered UDP datagrams over IPv4 from one host to the other.
struct UDPLoad: Sendable {
    /// What one run showed.
    struct Outcome: Sendable {
        let sent: Int
        let received: Int
        let reordered: Int
        let duplicated: Int
        /// Of payload that arrived.
        let octets: Double
        let seconds: Double

        var lost: Int { sent - received }
        var offeredRate: Double { Double(sent) / seconds }
        var deliveredRate: Double { Double(received) / seconds }
        var lostPart: Double { sent > 0 ? Double(lost) / Double(sent) : 0 }
    }

    /// Octets of the IP packets, in turn.
    var sizes: [Int]
    /// How many senders there are, each with an address.
    var senders = 16
    /// Datagrams that the sender hands over in one.
    var segments = 1
    var from = Side.left
    var port: UInt16 = 7000

    private static let headers = 28
    private static let firstSender: UInt32 = 16

    /// Gives the sending host its addresses.
    func prepare(_ topology: Topology) async throws {
        try await topology.host(from).ip(
            (0..<UInt32(senders)).map { "addr add \(address($0))/24 dev lan" })
    }

    private func address(_ sender: UInt32) -> IPAddress {
        let own = Topology.hostAddress(from, .v4).octets
        return IPAddress(v4: own.reduce(0) { $0 << 8 | UInt32($1) } + Self.firstSender + sender)
    }

    /// Sends for some seconds and counts what arrives.
    ///
    /// - Parameters:
    ///   - rate: Datagrams a second; 0 for all the sender can make.
    ///   - run: A number that no other run in the topology has.
    func run(in topology: Topology, rate: Double, seconds: Double, run: UInt32) async throws -> Outcome {
        let load = self
        let sink = try await topology.host(from.other).inside {
            let socket = cygnet_sink_open(load.port, load.segments > 1 ? 1 : 0)
            guard socket >= 0 else { throw LabError("opening a sink: error \(-socket)") }
            return socket
        }
        defer { close(sink) }
        async let counted = topology.host(from.other).inside {
            var counts = cygnet_sink_counts()
            let result = cygnet_sink_run(sink, run, seconds, 0.15, &counts)
            guard result == 0 else { throw LabError("counting datagrams: error \(-result)") }
            return counts
        }
        let sent = try await topology.host(from).inside { try load.send(rate: rate, seconds: seconds, run: run) }
        let counts = try await counted
        return Outcome(
            sent: sent, received: Int(counts.received), reordered: Int(counts.reordered),
            duplicated: Int(counts.duplicated), octets: Double(counts.octets), seconds: seconds)
    }

    private func send(rate: Double, seconds: Double, run: UInt32) throws -> Int {
        let payloads = sizes.map { UInt16($0 - Self.headers) }
        return try payloads.withUnsafeBufferPointer { payloads in
            var load = cygnet_load()
            withUnsafeMutableBytes(of: &load.destination) {
                $0.copyBytes(from: Topology.hostAddress(from.other, .v4).octets)
            }
            withUnsafeMutableBytes(of: &load.source) { $0.copyBytes(from: address(0).octets) }
            load.senders = UInt32(senders)
            load.port = port
            load.sizes = payloads.baseAddress
            load.sizes_count = UInt32(payloads.count)
            load.segments = UInt32(segments)
            load.run = run
            load.per_second = rate
            load.seconds = seconds
            let sent = cygnet_load_send(&load)
            guard sent >= 0 else { throw LabError("sending datagrams: error \(-sent)") }
            return Int(sent)
        }
    }
}

/// Looks for the highest rate at which hardly anything is lost.
struct LosslessSearch {
    /// The part that may be lost.
    static let tolerance = 0.001
    /// How near the rate is found: part of it.
    private static let precision = 0.04

    let load: UDPLoad
    let topology: Topology
    let stepSeconds: Double
    let stepLimit: Int

    private(set) var flatOut: UDPLoad.Outcome?
    private(set) var best = 0.0
    private(set) var octets = 0.0
    private(set) var reordered = 0
    private var run: UInt32 = 0

    init(_ load: UDPLoad, in topology: Topology, stepSeconds: Double, stepLimit: Int) {
        self.load = load
        self.topology = topology
        self.stepSeconds = stepSeconds
        self.stepLimit = stepLimit
    }

    private mutating func step(_ rate: Double) async throws -> UDPLoad.Outcome {
        run += 1
        let outcome = try await load.run(in: topology, rate: rate, seconds: stepSeconds, run: run)
        octets += outcome.octets
        reordered += outcome.reordered
        return outcome
    }

    mutating func search() async throws {
        // Caches, queues and the way to the sink are warm before anything counts.
        _ = try await step(1000)
        let all = try await step(0)
        flatOut = all
        var upper = all.offeredRate
        if all.lostPart <= Self.tolerance { return best = all.offeredRate }
        var rate = all.deliveredRate * 0.9
        for _ in 0..<stepLimit where upper - best > Self.precision * upper {
            let outcome = try await step(rate)
            if outcome.lostPart <= Self.tolerance {
                best = max(best, outcome.offeredRate)
                // The sender cannot make more in step, whatever the tunnel could carry.
                if outcome.offeredRate < 0.95 * rate { return }
            } else {
                upper = min(upper, rate)
            }
            rate = best > 0 ? (best * upper).squareRoot() : upper / 2
        }
    }
}
