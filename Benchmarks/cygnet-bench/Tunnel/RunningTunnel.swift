import Foundation
import IPPacket
import Lab

/// A carrier at work between the two offices of a topology.
struct RunningTunnel: Sendable {
    let carrier: Carrier
    let topology: Topology
    /// The daemons, left first; none for the plain link.
    let processes: [pid_t]
    /// Cygnet's, left first.
    let daemons: [CygnetDaemon]
    /// An address of the left host that lies in the tunnel.
    let source: IPAddress
    let target: IPAddress

    init(_ carrier: Carrier, in topology: Topology) async throws {
        self.carrier = carrier
        self.topology = topology
        source =
            carrier.connections == nil
            ? Topology.hostAddress(.left, carrier.family) : ScaleDaemon.innerAddress(0)
        target = Topology.hostAddress(.right, carrier.family)
        switch carrier.program {
        case .plain:
            try await topology.router.ip(
                Side.allCases.map {
                    "route add \(Topology.network($0, carrier.family)) via \(Topology.outerAddress($0, carrier.family))"
                })
            daemons = []
            processes = []
        case .cygnet:
            daemons =
                if let count = carrier.connections {
                    try await Self.manyConnections(count, carrier, topology)
                } else {
                    try await Self.oneConnection(carrier, topology)
                }
            processes = daemons.compactMap(\.processID)
        case .libipsec:
            daemons = []
            processes = try await Self.strongSwan(topology)
        case .wireguard, .simpleWireguard:
            daemons = []
            processes = try await WireGuard.pair(
                carrier.program == .wireguard ? .trixie : .bookworm, in: topology, family: carrier.family
            ).map(\.process.processID)
        }
    }

    private static func oneConnection(_ carrier: Carrier, _ topology: Topology) async throws -> [CygnetDaemon] {
        var plan = TunnelPlan()
        plan.encryption = carrier.encryption
        plan.isUDPEncapsulated = carrier.isInUDP
        plan.inner = carrier.family
        plan.outer = carrier.family
        if let seconds = carrier.rekeySeconds { plan.childRekeySeconds[.left] = seconds }
        var daemons: [CygnetDaemon] = []
        for side in Side.allCases {
            let daemon = try CygnetDaemon(at: side, of: topology, plan: plan, dataplane: carrier.dataplane)
            try await daemon.start()
            daemons.append(daemon)
        }
        try await daemons[0].up().orThrow()
        return daemons
    }

    private static func manyConnections(_ count: Int, _ carrier: Carrier, _ topology: Topology) async throws
        -> [CygnetDaemon]
    {
        try await ScaleDaemon.prepare(topology)
        // Idle ones say nothing.
        var settings = ["dead-peer: { interval: never }", "nat-keepalive: 1h"]
        if carrier.isInUDP { settings.append("encapsulation: udp") }
        let left = try ScaleDaemon(
            .left, topology, count: count, settings: settings, dataplane: carrier.dataplane)
        let right = try ScaleDaemon(
            .right, topology, count: count, settings: settings, dataplane: carrier.dataplane)
        let patience = Duration.seconds(60 + count / 20)
        for daemon in [right, left] {
            try await daemon.daemon.start()
            try daemon.configure(start: "boot")
            _ = try await daemon.timed(patience, "reload")
        }
        let up = try await left.waitFor("child-established", count, since: .now, patience)
        guard up.count >= count else { throw LabError("only \(up.count) of \(count) connections came up") }
        try await rest([left.processID, right.processID], patience)
        return [left.daemon, right.daemon]
    }

    /// Waits until the daemons have done what comes after the last SA, such as its routes and what is said of it in the log.
    private static func rest(_ processes: [pid_t], _ patience: Duration) async throws {
        let end = ContinuousClock.now + patience
        var before = try processes.map(ProcessTime.of).reduce(0, +)
        while ContinuousClock.now < end {
            try await Task.sleep(for: .seconds(1))
            let after = try processes.map(ProcessTime.of).reduce(0, +)
            if after - before < 0.05 { return }
            before = after
        }
        throw LabError("the daemons do not come to rest")
    }

    private static func strongSwan(_ topology: Topology) async throws -> [pid_t] {
        var daemons: [StrongSwan] = []
        for side in Side.allCases {
            let daemon = try await StrongSwan(at: side, of: topology)
            try await daemon.load(TunnelPlan(), side)
            daemons.append(daemon)
        }
        try await daemons[0].initiate().orThrow()
        return daemons.map(\.processID)
    }

    // MARK: What it did

    /// Counters at one moment.
    struct Readings {
        var processor = 0.0
        /// Octets of the left device outwards and of the right one inwards.
        var sent = 0.0
        var received = 0.0
        var mtu: Double?
        /// ESP packets that gateways sent, and that they delivered.
        var packetsOut = 0
        var packetsIn = 0
        /// Packets that the kernel dropped between the gateways.
        var overflowed = 0
        var rekeys = 0
    }

    func readings() async throws -> Readings {
        var readings = Readings()
        readings.processor = try processes.map(ProcessTime.of).reduce(0, +)
        if let device = carrier.device(.left) {
            let link = try await LinkCounters.of(device, in: topology.gateway(.left))
            readings.sent = link.sent
            readings.mtu = Double(link.mtu)
        }
        if let device = carrier.device(.right) {
            readings.received = try await LinkCounters.of(device, in: topology.gateway(.right)).received
        }
        readings.overflowed = try await KernelLosses.between(topology)
        for daemon in daemons where carrier.connections == nil {
            let dataplane = try await daemon.status().dataplane
            readings.packetsOut += dataplane.packetsOut
            readings.packetsIn += dataplane.packetsIn
            readings.rekeys += daemon.log.occurrences(of: " child-rekeyed ")
        }
        return readings
    }

    /// What happened between two readings, once it is certain that the devices carried so many octets.
    func figures(from before: Readings, to after: Readings, octets: Double) throws -> TunnelFigures {
        var figures: TunnelFigures = [:]
        guard !processes.isEmpty else { return figures }
        for (side, carried) in [(Side.left, after.sent - before.sent), (.right, after.received - before.received)] {
            guard carried >= octets else {
                throw LabError(
                    "the \(side) device of \(carrier.name) carried \(carried) octets of \(octets): "
                        + "the rest went elsewhere")
            }
        }
        figures[.processor] = (after.processor - before.processor) / (octets / 1e9)
        figures[.mtu] = after.mtu
        if carrier.program == .cygnet, carrier.connections == nil {
            let overflowed = after.overflowed - before.overflowed
            let missing = after.packetsOut - before.packetsOut - (after.packetsIn - before.packetsIn)
            figures[.overflowed] = Double(overflowed)
            figures[.lost] = Double(max(0, missing - overflowed))
            figures[.rekeys] = Double(after.rekeys - before.rekeys) / 2
        }
        return figures
    }
}

extension String {
    fileprivate func occurrences(of word: String) -> Int { ranges(of: word).count }
}
