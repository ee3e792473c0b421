import Synchronization

/// What the parts of an association have carried together. Each part, on a thread of its own, takes a share of what is left in advance,
/// so that nothing is shared for each packet.
///
/// Limits are kept as if all that was taken had been used: a soft limit may be told so much too early, and a part may end while
/// another still has something left. The hard limit is not exceeded but by a packet of each part, as it is by one elsewhere.
final class SharedUsage: Sendable {
    let lifetime: SALifetime
    private let octets = Atomic<UInt64>(0)
    private let packets = Atomic<UInt64>(0)
    private let told = Atomic<UInt8>(0)

    /// Octets and packets that a part may carry before it asks again.
    struct Grant {
        var octets: UInt64
        var packets: UInt64
        /// What there is to tell, as the association has come so far.
        var notices: SANotices
        /// Nothing was left.
        var isRefused: Bool
    }

    /// Into so many shares a limit is cut.
    private static let shares: UInt64 = 1024

    init(_ lifetime: SALifetime) { self.lifetime = lifetime }

    /// Takes the next share of both.
    ///
    /// - Parameters:
    ///   - octetsOver: carried beyond what had been granted: the last packet did not fit.
    ///   - needsOctets, needsPackets: what was used up.
    func take(octetsOver: UInt64, needsOctets: Bool, needsPackets: Bool) -> Grant {
        var grant = Grant(octets: .max, packets: .max, notices: [], isRefused: false)
        if needsOctets {
            grant.octets = draw(
                from: self.octets, lifetime.softOctets, lifetime.hardOctets, debt: octetsOver, &grant)
        }
        if needsPackets {
            grant.packets = draw(from: packets, lifetime.softPackets, lifetime.hardPackets, debt: 0, &grant)
        }
        return grant
    }

    private func draw(
        from pool: borrowing Atomic<UInt64>, _ soft: UInt64, _ hard: UInt64, debt: UInt64, _ grant: inout Grant
    ) -> UInt64 {
        let limit = min(soft, hard)
        guard limit < .max else { return .max }
        let share = max(1, limit / Self.shares)
        // Bounded by the hard limit and a share and a packet of each part.
        let before = pool.wrappingAdd(share &+ debt, ordering: .relaxed).oldValue
        let taken = before &+ debt
        if taken &+ share >= soft { grant.notices.insert(.softLimit) }
        guard taken < hard else {
            grant.isRefused = true
            grant.notices.insert(.hardLimit)
            return 0
        }
        return min(share, hard - taken)
    }

    /// What of these no part has told before.
    func tell(_ notices: SANotices) -> SANotices {
        let old = told.bitwiseOr(notices.rawValue, ordering: .relaxed).oldValue
        return notices.subtracting(SANotices(rawValue: old))
    }
}
