import IPPacket
import Lab

/// What carries packets between the two offices.
struct Carrier: Hashable, Sendable {
    enum Program: String, CaseIterable {
        case plain, cygnet, libipsec, wireguard
        /// wireguard-go of Debian 12, which handles every packet by itself.
        case simpleWireguard = "wireguard-simple"
    }

    var program: Program
    var encryption = EncryptionChoice.aes256gcm16
    var isInUDP = true
    /// Inside and outside.
    var family = IPFamily.v4
    var dataplane = DataplaneChoice.usual
    /// Seconds after which the child SA is replaced.
    var rekeySeconds: Int?
    /// Connections that are up, of which one carries; `nil` for the one of a `TunnelPlan`.
    var connections: Int?

    static let plain = Carrier(program: .plain)
    static let cygnet = Carrier(program: .cygnet)
    static let libipsec = Carrier(program: .libipsec)
    static let wireguard = Carrier(program: .wireguard)

    /// Whether this machine and this build of Cygnet have it.
    var isThere: Bool {
        get async throws {
            switch program {
            case .plain, .libipsec: true
            case .cygnet: try await dataplane.isAccepted
            case .wireguard: WireGuard.Release.trixie.isThere
            case .simpleWireguard: WireGuard.Release.bookworm.isThere
            }
        }
    }

    var name: String {
        switch program {
        case .plain: return "plain link, routed" + (family == .v6 ? ", IPv6" : "")
        case .libipsec: return "strongSwan libipsec"
        case .wireguard: return WireGuard.Release.trixie.name + (family == .v6 ? ", IPv6" : "")
        case .simpleWireguard: return WireGuard.Release.bookworm.name + ", without offloads"
        case .cygnet: break
        }
        var words = ["Cygnet"]
        if encryption == .chacha20poly1305 { words.append("ChaCha20-Poly1305") }
        if !isInUDP { words.append("protocol 50") }
        if family == .v6 { words.append("IPv6") }
        if dataplane.offloads.isEmpty { words.append("without offloads") }
        if dataplane.ciphers == .libcrypto { words.append("without ipsec-mb") }
        if let rekeySeconds { words.append("rekeyed every \(rekeySeconds == 1 ? "second" : "\(rekeySeconds) s")") }
        if let connections { words.append("\(connections) SA\(connections == 1 ? "" : "s")") }
        return words.joined(separator: ", ")
    }

    /// Name of the tunnel device in a gateway.
    func device(_ side: Side) -> String? {
        switch program {
        case .plain: nil
        case .cygnet: "cygnet0"
        case .libipsec: "ipsec0"
        case .wireguard, .simpleWireguard: "wg\(side)"
        }
    }

    /// Builds the topology anew, starts what is needed and runs a workload over it.
    func measure(_ workload: Workload, _ length: RunLength) async throws -> TunnelFigures {
        try await Laboratory.with { laboratory in
            let topology = try await Topology(in: laboratory)
            try await proveUnreachable(topology)
            let tunnel = try await RunningTunnel(self, in: topology)
            let before = try await tunnel.readings()
            let outcome = try await workload.run(over: tunnel, length)
            // What is under way arrives.
            try await Task.sleep(for: .milliseconds(200))
            let after = try await tunnel.readings()
            var figures = outcome.figures
            figures.merge(try tunnel.figures(from: before, to: after, octets: outcome.octets)) { own, _ in own }
            if case .tcp = workload {} else { figures[.processor] = nil }
            return figures
        }
    }

    /// With nothing started yet, nothing gets through: whatever arrives later went through the tunnel.
    private func proveUnreachable(_ topology: Topology) async throws {
        let target = Topology.hostAddress(.right, family)
        let ping = try await Ping.run(from: topology.host(.left), to: target, count: 1, patience: .milliseconds(300))
        guard ping.received == 0 else { throw LabError("\(target) answers though there is no tunnel yet") }
    }
}
