import IKE
import Octets

/// The last negotiations of each connection, and of peers that reached none.
struct NegotiationHistory {
    private static let perConnection = 8
    private static let unmatchedLimit = 16

    private var byConnection: [String: [Narrative]] = [:]
    /// Of callers that had not proved an identity and asked for what is this connection's, or may be: apart, so that they push
    /// nothing of the peer's out.
    private var byCalledConnection: [String: [Narrative]] = [:]
    /// Negotiations that fitted no connection, oldest first.
    private(set) var unmatched: [Narrative] = []

    mutating func add(_ narrative: Narrative, connection: String?) {
        guard let connection else {
            unmatched.append(narrative)
            unmatched.removeFirst(max(0, unmatched.count - Self.unmatchedLimit))
            return
        }
        func append(to lists: inout [String: [Narrative]]) {
            var list = lists[connection] ?? []
            list.append(narrative)
            list.removeFirst(max(0, list.count - Self.perConnection))
            lists[connection] = list
        }
        if narrative.isFromStranger { append(to: &byCalledConnection) } else { append(to: &byConnection) }
    }

    /// Oldest first.
    func narratives(of connection: String) -> [Narrative] { byConnection[connection] ?? [] }

    /// Refused callers, oldest first.
    ///
    /// - Parameter connection: that they asked for; `nil`: of all connections.
    func callers(of connection: String?) -> [Narrative] {
        guard let connection else { return byCalledConnection.values.flatMap(\.self).sorted { $0.began < $1.began } }
        return byCalledConnection[connection] ?? []
    }

    mutating func keep(_ connections: Set<String>) {
        byConnection = byConnection.filter { connections.contains($0.key) }
        byCalledConnection = byCalledConnection.filter { connections.contains($0.key) }
    }
}

/// A negotiation in words.
enum ExplanationText {
    static func lines(_ narrative: Narrative, clock: GatewayClock) -> [String] {
        var lines = ["\(narrative.title), \(clock.date(of: narrative.began))"]
        for line in narrative.lines {
            let seconds = milliseconds(line.at - narrative.began)
            let kind = line.kind.rawValue
            let place = line.origin.map { "  [\($0.file):\($0.line): \($0.key)]" } ?? ""
            lines.append(
                "  " + String(repeating: " ", count: max(0, 9 - seconds.count)) + seconds + "  " + kind
                    + String(repeating: " ", count: max(0, 9 - kind.count)) + line.text + place)
        }
        if let refusal = narrative.refusal {
            lines.append("  result: failed (\(refusal.cause.rawValue)): \(refusal.reason)")
            if refusal.cause != .peerSilent {
                lines.append(refusal.decidedBy == .us ? "  decided here" : "  decided by the peer")
            }
            for origin in refusal.origins { lines.append("  see \(origin)") }
        } else {
            lines.append(narrative.isFinished ? "  result: agreed" : "  under way")
        }
        return lines
    }

    private static func milliseconds(_ duration: Duration) -> String {
        let total = max(0, duration.wholeNanoseconds / 1_000_000)
        let fraction = "\(total % 1000)"
        return "\(total / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
    }
}
