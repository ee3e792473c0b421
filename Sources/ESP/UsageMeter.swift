/// Counts what an association has carried against its lifetime, and says once when a limit is reached.
struct UsageMeter: Sendable {
    private let lifetime: SALifetime
    private var octets: UInt64 = 0
    private var packets: UInt64 = 0
    private var told = SANotices()
    /// Below both there is nothing to tell.
    private let firstOctets: UInt64
    private let firstPackets: UInt64

    init(_ lifetime: SALifetime) {
        self.lifetime = lifetime
        firstOctets = min(lifetime.softOctets, lifetime.hardOctets)
        firstPackets = min(lifetime.softPackets, lifetime.hardPackets)
    }

    /// Whether nothing more may be carried.
    @inline(__always)
    var isExhausted: Bool { octets >= lifetime.hardOctets || packets >= lifetime.hardPackets }

    /// Counts a packet.
    ///
    /// - Parameter isLate: another soft limit, outside the meter, has been reached.
    @inline(__always)
    mutating func use(octets count: Int, isLate: Bool = false) -> SANotices {
        octets &+= UInt64(truncatingIfNeeded: count)
        packets &+= 1
        guard isLate || octets >= firstOctets || packets >= firstPackets else { return [] }
        return noticesAtLimit(isLate)
    }

    private mutating func noticesAtLimit(_ isLate: Bool) -> SANotices {
        var notices = SANotices()
        if isLate || octets >= lifetime.softOctets || packets >= lifetime.softPackets {
            notices = .softLimit
        }
        if isExhausted { notices.insert(.hardLimit) }
        return tell(notices)
    }

    /// What of these has not been told before.
    @inline(__always)
    mutating func tell(_ notices: SANotices) -> SANotices {
        let new = notices.subtracting(told)
        told.formUnion(new)
        return new
    }
}
