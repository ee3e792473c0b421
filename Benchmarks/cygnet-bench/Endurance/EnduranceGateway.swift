import Foundation
import IPPacket
import Lab

/// A daemon with the tunnel that carries everything, rekeyed all the time, and with guests that come and go.
final class EnduranceGateway: Sendable {
    static let connection = "office"

    let daemon: CygnetDaemon
    private let side: Side
    private let rekeySeconds: Int
    private let head: String

    init(_ side: Side, _ topology: Topology, rekeySeconds: Int, dataplane: DataplaneChoice) throws {
        self.side = side
        self.rekeySeconds = rekeySeconds
        daemon = try CygnetDaemon(
            at: side, of: topology, plan: TunnelPlan(), dataplane: dataplane, daemonEntries: ["state: none"])
        guard let first = daemon.configurationText.split(separator: "\n").first, first.hasPrefix("daemon:") else {
            throw LabError("no daemon in the configuration")
        }
        head = """
            \(first)
            defaults:
              secret: { file: \(daemon.configurationFile.replacing("cygnet.yaml", with: "psk")) }
              encapsulation: udp
              mobike: no
              start: none
              lifetimes: { jitter: 0%, overtime: 100%, ike: 24h, child: 24h }
            connections:

            """
    }

    static func guest(_ number: Int) -> String { "guest\(number)" }

    /// Writes a configuration with so many guests.
    func configure(guests: Int) throws {
        let responder = Topology.outerAddress(.right, .v4)
        var text = head
        for number in -1..<guests {
            let name = number < 0 ? Self.connection : Self.guest(number)
            let outer = number < 0 ? Topology.outerAddress(.left, .v4) : IPAddress(v4: 0xac14_0100 + UInt32(number))
            let inner =
                number < 0
                ? "\(Topology.network(.left, .v4))" : "\(IPAddress(v4: 0x0a40_0000 | UInt32(number) << 8))/24"
            let left = "{ address: \(outer), id: \(name).example, subnets: \(inner) }"
            let right = "{ address: \(responder), id: right.example, subnets: \(Topology.network(.right, .v4)) }"
            let (local, remote) = side == .left ? (left, right) : (right, left)
            text += "  \(name):\n    local: \(local)\n    remote: \(remote)\n"
            // One side alone replaces keys: crossing rekeys are tried in the simulation.
            if number < 0, side == .left {
                text += "    lifetimes: { ike: \(rekeySeconds * 7)s, child: \(rekeySeconds)s }\n"
            }
        }
        try text.write(toFile: daemon.configurationFile, atomically: false, encoding: .utf8)
    }

    func residentMegabytes() throws -> Double { try ProcessMemory.resident(daemon.processID ?? 0) }

    /// How many events of a name it has logged.
    func count(_ event: String) -> Int { daemon.log.ranges(of: " \(event) ").count }
}
