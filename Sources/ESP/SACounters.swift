/// What an association has done since it was made: a plain value, without references, to be copied out as it stands.
public struct SACounters: Sendable {
    /// Packets passed on.
    public internal(set) var packets: UInt64 = 0
    /// Octets of the inner packets passed on.
    public internal(set) var octets: UInt64 = 0
    /// Dummy packets sent; those received count as dropped.
    public internal(set) var dummiesSent: UInt64 = 0
    /// Packets passed on though inner and outer ECN fields made a combination that is suspicious (RFC 6040, figure 4).
    public internal(set) var suspiciousCongestionMarks: UInt64 = 0
    private var drops = InlineArray<24, UInt64>(repeating: 0)

    public init() {}

    /// Packets dropped for a reason.
    public subscript(reason: DropReason) -> UInt64 { drops[Int(reason.rawValue)] }

    @inline(__always)
    mutating func count(_ reason: DropReason) { drops[Int(reason.rawValue)] &+= 1 }

    /// Adds what another part of the same association has done.
    public static func += (left: inout SACounters, right: SACounters) {
        left.packets &+= right.packets
        left.octets &+= right.octets
        left.dummiesSent &+= right.dummiesSent
        left.suspiciousCongestionMarks &+= right.suspiciousCongestionMarks
        for index in left.drops.indices { left.drops[index] &+= right.drops[index] }
    }

    /// The reasons there were, with the number of packets.
    public var allDrops: [(reason: DropReason, packets: UInt64)] {
        DropReason.allCases.filter { self[$0] > 0 }.map { ($0, self[$0]) }
    }

    /// Packets dropped for any reason.
    public var totalDrops: UInt64 { DropReason.allCases.reduce(0) { $0 &+ self[$1] } }
}

extension SACounters: Hashable {
    public static func == (left: SACounters, right: SACounters) -> Bool {
        left.packets == right.packets && left.octets == right.octets && left.dummiesSent == right.dummiesSent
            && left.suspiciousCongestionMarks == right.suspiciousCongestionMarks
            && DropReason.allCases.allSatisfy { left[$0] == right[$0] }
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(packets)
        hasher.combine(octets)
        hasher.combine(totalDrops)
    }
}
