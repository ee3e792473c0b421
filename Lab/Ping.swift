import IPPacket

/// What `ping` counted.
package struct PingResult: Sendable {
    package let sent: Int
    package let received: Int
    /// Mean round trip in milliseconds; `nil` without an answer.
    package let meanMilliseconds: Double?

    package var lost: Int { sent - received }
}

/// Sends echo requests from a namespace.
package enum Ping {
    /// - Parameters:
    ///   - interval: Between two requests; at least 2 ms.
    ///   - size: Octets of payload.
    ///   - trafficClass: TOS or traffic class.
    ///   - patience: How long to wait for the last answers.
    package static func run(
        from namespace: Namespace, to address: IPAddress, count: Int, interval: Duration = .milliseconds(100),
        size: Int = 56, patience: Duration = .seconds(1), mayFragment: Bool = true,
        trafficClass: Int = 0
    ) async throws -> PingResult {
        let arguments = [
            "ping", "-n", "-q", "-c", "\(count)", "-i", seconds(interval), "-W", seconds(patience), "-s", "\(size)",
            "-M", mayFragment ? "dont" : "do", "-Q", "\(trafficClass)", "\(address)",
        ]
        let result = try await namespace.run(arguments, timeout: interval * count + patience + .seconds(10))
        return try parse(result)
    }

    private static func seconds(_ duration: Duration) -> String {
        "\(Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18)"
    }

    static func parse(_ result: CommandResult) throws(LabError) -> PingResult {
        // "10 packets transmitted, 9 received, 10% packet loss, time 912ms" and "rtt min/avg/max/mdev =
        // 0.1/0.2/0.3/0.1 ms".
        let lines = result.output.split(separator: "\n")
        guard let counts = lines.first(where: { $0.contains("packets transmitted") }) else {
            throw LabError(result.complaint)
        }
        let numbers = counts.split(whereSeparator: { !$0.isNumber }).compactMap { Int($0) }
        guard numbers.count >= 2 else { throw LabError("ping said: \(counts)") }
        let times = lines.first { $0.hasPrefix("rtt") }?.split(separator: "/")
        return PingResult(
            sent: numbers[0], received: numbers[1],
            meanMilliseconds: times.flatMap { $0.count > 4 ? Double($0[4]) : nil })
    }
}
