import Foundation
import Lab

/// What carries packets between the two offices.
enum TunnelVariant: CaseIterable {
    case plain, cygnet, cygnetInUDP, libipsec, wireGuard

    var name: String {
        switch self {
        case .plain: "plain link, routed"
        case .cygnet: "Cygnet, protocol 50"
        case .cygnetInUDP: "Cygnet, ESP in UDP"
        case .libipsec: "strongSwan libipsec"
        case .wireGuard: "wireguard-go \(WireGuard.version)"
        }
    }

    /// Name of the tunnel device in the left and the right gateway.
    private var devices: [String]? {
        switch self {
        case .plain: nil
        case .cygnet, .cygnetInUDP: ["cygnet0", "cygnet0"]
        case .libipsec: ["ipsec0", "ipsec0"]
        case .wireGuard: Side.allCases.map { "wg\($0)" }
        }
    }

    /// Builds the topology anew, starts what the variant needs and sends one TCP stream for `seconds`.
    func measure(seconds: Int) async throws -> TunnelFigures {
        try await Laboratory.with { laboratory in
            let topology = try await Topology(in: laboratory)
            try await proveUnreachable(topology)
            let daemons = try await start(in: topology)
            let before = try daemons.map(ProcessTime.of)
            let transfer = try await Iperf.run(in: topology, seconds: seconds)
            let after = try daemons.map(ProcessTime.of)
            var figures = TunnelFigures(bitsPerSecond: transfer.bitsPerSecond)
            if let devices {
                figures.secondsPerGigabyte = (after.reduce(0, +) - before.reduce(0, +)) / (transfer.octets / 1e9)
                figures.mtu = try await proveCarried(transfer.octets, by: devices, topology)
            }
            return figures
        }
    }

    /// With nothing started yet, nothing gets through: whatever arrives later went through the tunnel.
    private func proveUnreachable(_ topology: Topology) async throws {
        let target = Topology.hostAddress(.right, .v4)
        let ping = try await Ping.run(from: topology.host(.left), to: target, count: 1, patience: .milliseconds(300))
        guard ping.received == 0 else { throw LabError("\(target) answers though there is no tunnel yet") }
    }

    /// - Returns: the daemons' process numbers.
    private func start(in topology: Topology) async throws -> [pid_t] {
        switch self {
        case .plain:
            try await topology.router.ip(
                Side.allCases.map { "route add \(Topology.network($0, .v4)) via \(Topology.outerAddress($0, .v4))" })
            return []
        case .cygnet, .cygnetInUDP:
            let lines = self == .cygnetInUDP ? ["encapsulation: udp"] : []
            let daemons = try Side.allCases.map {
                try CygnetDaemon(at: $0, of: topology, plan: TunnelPlan(), extraLines: lines)
            }
            for daemon in daemons { try await daemon.start() }
            try await daemons[0].up().orThrow()
            return daemons.compactMap(\.processID)
        case .libipsec:
            var daemons: [StrongSwan] = []
            for side in Side.allCases {
                let daemon = try await StrongSwan(at: side, of: topology)
                try await daemon.load(TunnelPlan(), side)
                daemons.append(daemon)
            }
            try await daemons[0].initiate().orThrow()
            return daemons.map(\.processID)
        case .wireGuard:
            return try await WireGuard.pair(in: topology).map(\.process.processID)
        }
    }

    /// Checks the counters of both tunnel devices.
    /// - Returns: the left device's MTU.
    private func proveCarried(_ octets: Double, by devices: [String], _ topology: Topology) async throws -> Int {
        var mtu = 0
        for (side, device) in zip(Side.allCases, devices) {
            let result = try await Command.run(
                ["ip", "-n", topology.gateway(side).name, "-json", "-stats", "link", "show", "dev", device]
            ).orThrow()
            guard let link = try JSONDecoder().decode([Link].self, from: Data(result.output.utf8)).first else {
                throw LabError("there is no \(device) on the \(side)")
            }
            let carried = side == .left ? link.stats64.tx.bytes : link.stats64.rx.bytes
            guard carried >= octets else {
                throw LabError(
                    "\(device) on the \(side) carried \(carried) octets of \(octets): the rest went elsewhere")
            }
            if side == .left { mtu = link.mtu }
        }
        return mtu
    }

    /// A device as `ip -json -stats link` tells of it.
    private struct Link: Decodable {
        struct Counter: Decodable { let bytes: Double }
        struct Statistics: Decodable { let rx, tx: Counter }
        let mtu: Int
        let stats64: Statistics
    }
}

/// What one run showed.
struct TunnelFigures {
    var bitsPerSecond: Double
    /// Processor seconds of both daemons for 10⁹ octets delivered; `nil` without daemons.
    var secondsPerGigabyte: Double?
    /// MTU of the tunnel device.
    var mtu: Int?
}

enum ProcessTime {
    /// Processor seconds of a process so far, its own and the kernel's on its behalf.
    static func of(_ process: pid_t) throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
        // The name in parentheses may hold anything; utime and stime are the 12th and 13th fields after it.
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else {
            throw LabError("/proc/\(process)/stat cannot be read: \(text)")
        }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}

/// One TCP stream of iperf3 from the left host to the right one.
enum Iperf {
    struct Result {
        let octets: Double
        let bitsPerSecond: Double
    }

    private struct Summary: Decodable {
        struct End: Decodable {
            struct Sum: Decodable {
                let bytes: Double
                let bits_per_second: Double
            }
            let sum_received: Sum?
        }
        let end: End?
        let error: String?
    }

    static func run(in topology: Topology, seconds: Int) async throws -> Result {
        let server = try topology.laboratory.start(
            ["iperf3", "--server", "--one-off"], in: topology.host(.right),
            logFile: "\(topology.laboratory.directory)/iperf3.log")
        defer { server.signal(SIGTERM) }
        let target = Topology.hostAddress(.right, .v4)
        var output = ""
        // The server tells nobody when it listens.
        for _ in 0..<20 {
            let result = try await topology.host(.left).run(
                ["iperf3", "--client", "\(target)", "--time", "\(seconds)", "--json", "--connect-timeout", "2000"],
                timeout: .seconds(seconds + 15))
            output = result.output
            let summary = try? JSONDecoder().decode(Summary.self, from: Data(output.utf8))
            if summary?.error == nil, let sum = summary?.end?.sum_received {
                return Result(octets: sum.bytes, bitsPerSecond: sum.bits_per_second)
            }
            guard summary?.error?.contains("refused") == true else { break }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw LabError("iperf3 failed: \(output.suffix(500))")
    }
}
