/// Counts what an association has carried against its lifetime, and says once when a limit is reached.
struct UsageMeter: Sendable {
    private let softOctets: UInt64
    private let softPackets: UInt64
    private var octets: UInt64 = 0
    private var packets: UInt64 = 0
    private var told = SANotices()
    /// Below both there is nothing to tell.
    private var firstOctets: UInt64
    private var firstPackets: UInt64
    /// Where several parts of an association share its lifetime. Such a part has been granted what is below the two above.
    private let shared: SharedUsage?
    /// From here on nothing more may be carried. Of a part that has been refused more it is 0.
    private var hardOctets: UInt64
    private let hardPackets: UInt64

    init(_ lifetime: SALifetime) {
        softOctets = lifetime.softOctets
        softPackets = lifetime.softPackets
        firstOctets = min(lifetime.softOctets, lifetime.hardOctets)
        firstPackets = min(lifetime.softPackets, lifetime.hardPackets)
        hardOctets = lifetime.hardOctets
        hardPackets = lifetime.hardPackets
        shared = nil
    }

    /// Of a part of an association.
    init(_ shared: SharedUsage) {
        softOctets = .max
        softPackets = .max
        hardOctets = .max
        hardPackets = .max
        firstOctets = 0
        firstPackets = 0
        self.shared = shared
        // Nobody is there yet to be told: what there is to tell is told with the next share.
        _ = renew(shared)
    }

    /// Whether nothing more may be carried.
    @inline(__always)
    var isExhausted: Bool { octets >= hardOctets || packets >= hardPackets }

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
        if let shared {
            notices = renew(shared)
        } else {
            if octets >= softOctets || packets >= softPackets { notices = .softLimit }
            if isExhausted { notices.insert(.hardLimit) }
        }
        if isLate { notices.insert(.softLimit) }
        return tell(notices)
    }

    /// Asks for what has been used up.
    private mutating func renew(_ shared: SharedUsage) -> SANotices {
        let needsOctets = octets >= firstOctets
        let needsPackets = packets >= firstPackets
        let grant = shared.take(
            octetsOver: needsOctets ? octets - firstOctets : 0, needsOctets: needsOctets, needsPackets: needsPackets)
        func end(_ used: UInt64, _ granted: UInt64) -> UInt64 {
            let (end, overflow) = used.addingReportingOverflow(granted)
            return overflow ? .max : end
        }
        if needsOctets { firstOctets = end(octets, grant.octets) }
        if needsPackets { firstPackets = end(packets, grant.packets) }
        if grant.isRefused { hardOctets = 0 }
        return grant.notices
    }

    /// What of these has not been told before.
    @inline(__always)
    mutating func tell(_ notices: SANotices) -> SANotices {
        let new = notices.subtracting(told)
        told.formUnion(new)
        guard !new.isEmpty, let shared else { return new }
        return shared.tell(new)
    }
}
