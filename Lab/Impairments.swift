/// What a relay does to the packets that pass, each way. Parts are probabilities for each packet.
package struct Impairments: Hashable, Sendable {
    /// Where the random numbers begin: the same seed gives the same fates.
    package var seed: UInt64
    package var loss = 0.0
    package var duplication = 0.0
    /// How long each packet waits at least.
    package var delay = Duration.zero
    /// How much longer it waits at most; evenly distributed. Packets nearer to each other than that may change places.
    package var jitter = Duration.zero
    /// An attacker sends an ESP packet that has passed before once more.
    package var replay = 0.0
    /// An attacker sends a copy of an ESP packet with one bit changed, just before the packet itself.
    package var forgery = 0.0

    package init(seed: UInt64) {
        self.seed = seed
    }

    /// What becomes of the packets from one side, in the order in which they arrive at the relay.
    package func fates(from side: Side) -> PacketFates { PacketFates(self, side) }
}

/// What becomes of one packet.
package struct PacketFate: Hashable, Sendable {
    package var isLost: Bool
    package var delay: Duration
    /// When a second copy leaves; `nil` without one.
    package var duplicateDelay: Duration?
    /// Whether an earlier packet follows it.
    package var isFollowedByReplay: Bool
    /// Whether a forged copy goes before it.
    package var isPrecededByForgery: Bool
    /// Which earlier packet is replayed, or which bit is changed.
    package var choice: UInt64
}

/// An endless sequence of fates. Each takes equally many random numbers, so that the fate of the n-th packet depends on seed,
/// side and n alone, for the same impairments.
package struct PacketFates: Sequence, IteratorProtocol, Sendable {
    private let impairments: Impairments
    private var state: UInt64

    fileprivate init(_ impairments: Impairments, _ side: Side) {
        self.impairments = impairments
        state = impairments.seed ^ (side == .left ? 0 : 0x5bd1_e995_9bd1_e995)
    }

    package mutating func next() -> PacketFate? {
        let isLost = part() < impairments.loss
        let isDuplicated = part() < impairments.duplication
        let delay = impairments.delay + impairments.jitter * part()
        let duplicateDelay = impairments.delay + impairments.jitter * part()
        let isFollowedByReplay = part() < impairments.replay
        let isPrecededByForgery = part() < impairments.forgery
        return PacketFate(
            isLost: isLost, delay: delay, duplicateDelay: isDuplicated ? duplicateDelay : nil,
            isFollowedByReplay: isFollowedByReplay, isPrecededByForgery: isPrecededByForgery, choice: number())
    }

    /// From 0 to below 1.
    private mutating func part() -> Double { Double(number() >> 11) / Double(1 << 53) }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    private mutating func number() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
