import Foundation
import IPPacket
import Lab

/// A daemon with any number of like connections, and what its log says.
final class ScaleDaemon: Sendable {
    let daemon: CygnetDaemon
    private let side: Side
    private let count: Int
    private let head: String

    /// - Parameter settings: More for each connection, a line each.
    init(
        _ side: Side, _ topology: Topology, count: Int, settings: [String] = [],
        dataplane: DataplaneChoice = .usual
    ) throws {
        self.side = side
        self.count = count
        daemon = try CygnetDaemon(
            at: side, of: topology, plan: TunnelPlan(), dataplane: dataplane,
            daemonEntries: [
                "state: none",
                "limits: { half-open: 20000, half-open-per-address: 20000, cookie-threshold: 100000, "
                    + "puzzle-threshold: 100000 }",
            ])
        let lines = daemon.configurationText.split(separator: "\n")
        guard let first = lines.first, first.hasPrefix("daemon:") else {
            throw LabError("no daemon in the configuration")
        }
        head = """
            \(first)
            defaults:
              secret: { file: \(daemon.configurationFile.replacing("cygnet.yaml", with: "psk")) }
              ike: aes256gcm16-prfsha256-x25519
              esp: aes256gcm16
              mobike: no
              lifetimes: { jitter: 0%, ike: 24h, child: 24h }
            \(settings.map { "  \($0)" }.joined(separator: "\n"))
            """
        try "\(first)\n".write(toFile: daemon.configurationFile, atomically: false, encoding: .utf8)
    }

    /// All addresses of the tunnels are local at the initiator's gateway and host, without being named one by one.
    static func prepare(_ topology: Topology) async throws {
        try await topology.gateway(.left).ip([
            "route add local 172.20.0.0/14 dev lo", "route add 10.64.0.0/10 via 10.1.0.2",
        ])
        try await topology.host(.left).ip(["route add local 10.64.0.0/10 dev lo"])
        try await topology.router.ip(["route add 172.20.0.0/14 via 192.0.2.2"])
    }

    /// The address of the initiator's host that lies in a tunnel.
    static func innerAddress(_ number: Int) -> IPAddress { IPAddress(v4: network(number) | 1) }
    private static func network(_ number: Int) -> UInt32 { 0x0a40_0000 | UInt32(number) << 8 }
    private static func outer(_ number: Int) -> IPAddress { IPAddress(v4: 0xac14_0100 + UInt32(number)) }

    /// Writes all connections to the configuration file.
    func configure(start: String) throws {
        var text = head + "\n  start: \(side == .left ? start : "none")\nconnections:\n"
        let responder = Topology.outerAddress(.right, .v4)
        for number in 0..<count {
            let outer = Self.outer(number)
            let network = "\(IPAddress(v4: Self.network(number)))/24"
            let left = "address: \(outer), id: left\(number).example, subnets: \(network)"
            let right = "address: \(responder), id: right.example, subnets: 10.2.0.0/24"
            let (local, remote) = side == .left ? (left, right) : (right, left)
            text += "  t\(number): { local: { \(local) }, remote: { \(remote) } }\n"
        }
        try text.write(toFile: daemon.configurationFile, atomically: false, encoding: .utf8)
    }

    // MARK: What it needs

    var processID: pid_t { daemon.processID ?? 0 }

    func residentMegabytes() throws -> Double { try ProcessMemory.resident(processID) }

    /// Gives a command; the seconds it took.
    func timed(_ patience: Duration, _ command: String, _ arguments: [String] = []) async throws -> Double {
        let begin = ContinuousClock.now
        let result = try await daemon.control(command, arguments, timeout: patience)
        let seconds = (ContinuousClock.now - begin) / .seconds(1)
        // A status that says "down" is one as well.
        guard result.status == .exited(0) || command == "status" else { throw LabError(result.complaint) }
        return seconds
    }

    // MARK: What it says

    /// How many events of a name it has logged.
    func count(_ event: String) -> Int {
        let file = URL(fileURLWithPath: daemon.logFile)
        guard let data = try? Data(contentsOf: file, options: .alwaysMapped) else { return 0 }
        let word = Data(" \(event) ".utf8)
        var found = 0
        var at = data.startIndex
        while let range = data.range(of: word, in: at..<data.endIndex) {
            found += 1
            at = range.upperBound
        }
        return found
    }

    var failures: Int { count("failed") + count("negotiation-failed") + count("peer-dead") }

    /// Waits until it has logged so many events of a name: how many they are, and after how many seconds.
    func waitFor(
        _ event: String, _ wanted: Int, since begin: ContinuousClock.Instant, _ patience: Duration
    ) async throws -> (count: Int, seconds: Double) {
        var last = (count: 0, at: begin)
        while last.count < wanted, ContinuousClock.now - begin < patience {
            try await Task.sleep(for: .milliseconds(200))
            let count = count(event)
            if count > last.count { last = (count, .now) }
        }
        return (last.count, (last.at - begin) / .seconds(1))
    }
}

/// What a process holds in memory.
enum ProcessMemory {
    /// Resident MB.
    static func resident(_ processID: pid_t) throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(processID)/status", encoding: .utf8)
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
            let kilobytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Double($0) })
        else { throw LabError("/proc/\(processID)/status tells no VmRSS") }
        return kilobytes / 1024
    }
}
