import Foundation
import Lab

/// What the kernel says of a device.
struct LinkCounters {
    let mtu: Int
    /// Octets.
    let sent: Double
    let received: Double
    /// Packets that came in and were dropped before anybody saw them.
    let receivedDropped: Int

    private struct Link: Decodable {
        struct Counter: Decodable {
            let bytes: Double
            let dropped: Int
        }
        struct Statistics: Decodable { let rx, tx: Counter }
        let mtu: Int
        let stats64: Statistics
    }

    static func of(_ device: String, in namespace: Namespace) async throws -> LinkCounters {
        let result = try await Command.run([
            "ip", "-n", namespace.name, "-json", "-stats", "link", "show", "dev", device,
        ])
        .orThrow()
        guard let link = try JSONDecoder().decode([Link].self, from: Data(result.output.utf8)).first else {
            throw LabError("there is no \(device) in \(namespace.name)")
        }
        return LinkCounters(
            mtu: link.mtu, sent: link.stats64.tx.bytes, received: link.stats64.rx.bytes,
            receivedDropped: link.stats64.rx.dropped)
    }
}

/// Packets that the kernel dropped for want of room.
enum KernelLosses {
    /// Those that one gateway sent and the other one's daemon was not given: at the links on the way and at UDP sockets.
    static func between(_ topology: Topology) async throws -> Int {
        var dropped = 0
        for side in Side.allCases {
            dropped += try await LinkCounters.of("wan", in: topology.gateway(side)).receivedDropped
            dropped += try await LinkCounters.of("\(side)", in: topology.router).receivedDropped
            dropped += try await udpOverflows(topology.gateway(side))
        }
        return dropped
    }

    private static func udpOverflows(_ namespace: Namespace) async throws -> Int {
        let text = try await namespace.inside {
            try ["snmp", "snmp6"].map { try String(contentsOfFile: "/proc/thread-self/net/\($0)", encoding: .utf8) }
        }
        // IPv4: a line of names, then one of figures. IPv6: a line for each.
        let lines = text[0].split(separator: "\n").filter { $0.hasPrefix("Udp:") }.map { $0.split(separator: " ") }
        guard lines.count == 2, let index = lines[0].firstIndex(of: "RcvbufErrors"), index < lines[1].count,
            let v4 = Int(lines[1][index])
        else { throw LabError("the kernel counts no overflows of UDP sockets") }
        let v6 = text[1].split(separator: "\n").first { $0.hasPrefix("Udp6RcvbufErrors") }?
            .split(separator: " ").last.flatMap { Int($0) }
        return v4 + (v6 ?? 0)
    }
}
