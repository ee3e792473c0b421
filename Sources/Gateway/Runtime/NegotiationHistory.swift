import IKE
import Octets

/// The last negotiation of each connection, and of callers that reached none.
struct NegotiationHistory {
    private static let callersPerConnection = 8
    private static let unmatchedLimit = 16

    private var byConnection: [String: PackedNarrative] = [:]
    /// Of callers that had not proved an identity and asked for what is this connection's, or may be: apart, so that they push
    /// nothing of the peer's out.
    private var byCalledConnection: [String: [PackedNarrative]] = [:]
    /// Negotiations that fitted no connection, oldest first.
    private(set) var unmatched: [PackedNarrative] = []

    mutating func add(_ narrative: Narrative, connection: String?) {
        let packed = PackedNarrative(narrative)
        guard let connection else {
            unmatched.append(packed)
            unmatched.removeFirst(max(0, unmatched.count - Self.unmatchedLimit))
            return
        }
        guard narrative.isFromStranger else {
            byConnection[connection] = packed
            return
        }
        var list = byCalledConnection[connection] ?? []
        list.append(packed)
        list.removeFirst(max(0, list.count - Self.callersPerConnection))
        byCalledConnection[connection] = list
    }

    func last(of connection: String) -> PackedNarrative? { byConnection[connection] }

    /// Refused callers, oldest first.
    ///
    /// - Parameter connection: that they asked for; `nil`: of all connections.
    func callers(of connection: String?) -> [PackedNarrative] {
        guard let connection else { return byCalledConnection.values.flatMap(\.self).sorted { $0.began < $1.began } }
        return byCalledConnection[connection] ?? []
    }

    mutating func keep(_ connections: Set<String>) {
        byConnection = byConnection.filter { connections.contains($0.key) }
        byCalledConnection = byCalledConnection.filter { connections.contains($0.key) }
    }
}

/// A narrative in two pieces of memory rather than in two or three for each line: with thousands of connections there are
/// thousands of them.
struct PackedNarrative {
    private struct Mark {
        let milliseconds: UInt32
        let textCount: UInt16
        let kind: UInt8
        /// Among ``origins``; 255: none.
        let origin: UInt8
    }

    let title: String
    let began: Instant
    let refusal: Refusal?
    let isFinished: Bool
    private let text: [UInt8]
    private let marks: [Mark]
    private let origins: [Origin]

    private static let kinds: [Narrative.Kind] = [.sent, .received, .offered, .wanted, .chosen, .refused, .note]

    init(_ narrative: Narrative) {
        title = narrative.title
        began = narrative.began
        refusal = narrative.refusal
        isFinished = narrative.isFinished
        var origins: [Origin] = []
        func index(_ origin: Origin?) -> UInt8 {
            guard let origin else { return .max }
            if let known = origins.firstIndex(of: origin) { return UInt8(known) }
            guard origins.count < Int(UInt8.max) else { return .max }
            origins.append(origin)
            return UInt8(origins.count - 1)
        }
        let texts = narrative.lines.map { Array($0.text.utf8.prefix(Int(UInt16.max))) }
        marks = zip(narrative.lines, texts).map { line, text in
            Mark(
                milliseconds: UInt32(clamping: (line.at - narrative.began).wholeNanoseconds / 1_000_000),
                textCount: UInt16(text.count),
                kind: UInt8(Self.kinds.firstIndex(of: line.kind) ?? Self.kinds.count - 1),
                origin: index(line.origin))
        }
        text = Array(texts.joined())
        self.origins = origins
    }

    var lines: [Narrative.Line] {
        var at = 0
        return marks.map { mark in
            let octets = text[at..<at + Int(mark.textCount)]
            at += Int(mark.textCount)
            return Narrative.Line(
                at: began + .nanoseconds(Int64(mark.milliseconds) * 1_000_000), kind: Self.kinds[Int(mark.kind)],
                text: String(decoding: octets, as: UTF8.self),
                origin: mark.origin == .max ? nil : origins[Int(mark.origin)])
        }
    }
}

/// A negotiation in words.
enum ExplanationText {
    /// In one line.
    static func summary(_ narrative: PackedNarrative, clock: GatewayClock) -> String {
        let result =
            narrative.refusal.map { "failed: \($0.reason)" } ?? (narrative.isFinished ? "agreed" : "under way")
        return "\(narrative.title), \(clock.date(of: narrative.began)), \(result)"
    }

    static func lines(_ narrative: PackedNarrative, clock: GatewayClock) -> [String] {
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
