import Foundation
import IPPacket
import Lab

/// TCP streams of iperf3 from one host to the other.
struct Iperf {
    struct Result: Sendable {
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

    var sender = Side.left
    /// An address of the sender to send from; `nil` for the usual one.
    var source: IPAddress?
    var target: IPAddress
    var streams = 1
    /// TCP's maximum segment size; `nil` for what the way allows.
    var segmentSize: Int?
    var port = 5201
    var seconds: Int

    private var client: [String] {
        var arguments = [
            "iperf3", "--client", "\(target)", "--port", "\(port)", "--time", "\(seconds)", "--parallel", "\(streams)",
            "--json", "--connect-timeout", "2000",
        ]
        if let source { arguments += ["--bind", "\(source)"] }
        if let segmentSize { arguments += ["--set-mss", "\(segmentSize)"] }
        return arguments
    }

    func run(in topology: Topology) async throws -> Result {
        let server = try topology.laboratory.start(
            ["iperf3", "--server", "--one-off", "--port", "\(port)"], in: topology.host(sender.other),
            logFile: "\(topology.laboratory.directory)/iperf3-\(port).log")
        defer { server.signal(SIGTERM) }
        var output = ""
        // The server tells nobody when it listens.
        for _ in 0..<20 {
            let result = try await topology.host(sender).run(client, timeout: .seconds(seconds + 15))
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
