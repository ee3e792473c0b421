import ESP
import IPPacket
import IPsecCrypto
import IPsecPolicy

/// An association that sends, with where it sends to. After its activation only the outbound worker it belongs to touches it, until
/// that has acknowledged its removal.
struct OutboundEntry: ~Copyable {
    var sa: OutboundSA
    /// Our SPI of the pair.
    let pair: UInt32
    let policy: UInt32
    var encapsulation: Encapsulation
    var local: SocketAddress
    var remote: SocketAddress
    /// Descriptor of the socket to send by; negative for TCP connections.
    var socket: Int32
    /// The TCP connection; 0 if it goes by none.
    var stream: UInt64
    var path: PathMTU
    /// Whether "don't fragment" is left out of the outer header.
    var mayBeFragmented = false
    /// Octets of the largest outer packet that the peer can put together.
    var largestReassembled = Int.max
    /// Whoever sends too large packets into one tunnel takes no other's answers.
    var tooBigLimit = RateLimit(perSecond: 20, burst: 20)

    init(
        _ sa: consuming OutboundSA, _ parameters: SAParameters, pair: UInt32, policy: UInt32, socket: Int32,
        outerMTU: Int
    ) {
        self.sa = sa
        self.pair = pair
        self.policy = policy
        self.socket = socket
        encapsulation = parameters.encapsulation
        stream = parameters.stream?.rawValue ?? 0
        local = parameters.local
        remote = parameters.remote
        path = PathMTU(parameters.remote.address.family, linkMTU: outerMTU)
        take(parameters.outerPath)
    }

    /// Takes what the peer says of the way to it.
    mutating func take(_ outer: OuterPath) {
        path.limit = outer.largestWhole
        mayBeFragmented = outer.mayBeFragmented
        largestReassembled = outer.largestReassembled ?? .max
    }

    /// Whether the peer can put together what a packet becomes.
    ///
    /// - Parameter front: as in ``OutboundSA/maximumSize(outerMTU:front:)``.
    func canBeReassembled(_ size: Int, front: Int) -> Bool {
        largestReassembled == .max || size <= sa.maximumSize(outerMTU: largestReassembled, front: front)
    }

    var report: SACountersReport {
        var report = SACountersReport(
            spi: sa.spi, inboundSPI: pair, direction: .outbound, policy: policy, local: local, remote: remote,
            counters: sa.counters)
        if let subspace = sa.subspaceReport { report.subspaces = [subspace] }
        return report
    }
}

/// An association that sends as one worker knows it: each of them has a candidate of its own for it, to find whose the packets are
/// that the device gives it.
struct Candidate: ~Copyable {
    private let selectors: SelectorSet
    /// A bit for each class of packets.
    private let classes: UInt64
    let policy: UInt32
    /// The worker it belongs to.
    let owner: Int
    /// Our SPI of the pair.
    let pair: UInt32
    /// Those for the same traffic among which each worker has its own.
    let group: SAGroup?
    /// When this worker last said that it has none of its own, by the monotonic clock.
    var lastWish: Int64 = .min
    /// The SPI that it sends with.
    let spi: UInt32
    /// Touched by its owner only.
    let entry: UnsafeMutablePointer<OutboundEntry>
    /// The next older one of the same policy.
    var next: UnsafeMutablePointer<Candidate>?

    init(
        _ parameters: SAParameters, pair: UInt32, policy: UInt32, owner: Int, entry: UnsafeMutablePointer<OutboundEntry>
    ) {
        selectors = SelectorSet(local: parameters.localSelectors, remote: parameters.remoteSelectors)
        classes = parameters.dscp?.mask ?? .max
        self.pair = pair
        group = parameters.group
        self.policy = policy
        self.owner = owner
        spi = parameters.spi
        self.entry = entry
    }

    /// Whether it may carry a packet.
    func carries(_ packet: PacketSelector) -> Bool {
        (classes == .max || classes >> UInt64(packet.dscp & 63) & 1 == 1)
            && selectors.match(packet, .outbound) == .yes
    }
}

/// An association that receives. After its installation only the inbound worker it belongs to touches it, until that has acknowledged
/// its removal.
struct InboundEntry: ~Copyable {
    var sa: InboundSA
    let policy: UInt32
    var encapsulation: Encapsulation
    /// The TCP connection that it is known to come by; 0 if by none.
    var stream: UInt64
    var local: SocketAddress
    var remote: SocketAddress
    /// Where the peer was last reported to have moved to, so that it is reported once.
    var reported: SocketAddress?
    /// A peer whose place seems to change with each packet is reported once a second.
    var reportLimit = RateLimit(perSecond: 1, burst: 1)
    /// What is to be told of packets that came in fragments or are too large; that is done once a second.
    var arrivals = ArrivalSummary()
    var arrivalLimit = RateLimit(perSecond: 1, burst: 1)
    let largestReceived: Int
    /// Into how many parts the association is divided, of which this is one; 1 if it is all of it.
    let parts: Int

    init(_ sa: consuming InboundSA, _ parameters: SAParameters, policy: UInt32, parts: Int) {
        self.sa = sa
        self.parts = parts
        self.policy = policy
        encapsulation = parameters.encapsulation
        stream = parameters.stream?.rawValue ?? 0
        local = parameters.local
        remote = parameters.remote
        largestReceived = parameters.largestReceived
    }

    /// Octets before an ESP packet, at least: of IP, and of UDP.
    var headerLength: Int {
        IPHeader.minimumLength(remote.address.family) + (encapsulation == .udp ? 8 : 0)
    }

    /// Which part of the association a packet is for, counted from its owner's on. The owner drops what is for none.
    func part(of number: SubspaceNumber) -> Int {
        let id = Int(number.subspace)
        return id < sa.subspaceCount ? id % parts : 0
    }

    var report: SACountersReport {
        var report = SACountersReport(
            spi: sa.spi, inboundSPI: sa.spi, direction: .inbound, policy: policy, local: local, remote: remote,
            counters: sa.counters)
        report.subspaces = sa.subspaceReports
        return report
    }
}

extension UInt32 {
    /// An SPI as people write it.
    var spiText: String {
        let digits = String(self, radix: 16)
        return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
    }
}

/// The policies, each with its associations, as one outbound worker uses them.
struct PolicyTable: ~Copyable {
    struct Row {
        let id: UInt32
        /// The association activated last.
        var newest: UnsafeMutablePointer<Candidate>?
        /// When an association was last asked for, by the monotonic clock.
        var lastAcquire: Int64 = .min
    }

    let database: SecurityPolicyDatabase
    let rows: UnsafeMutableBufferPointer<Row>
    private let indices: [UInt32: Int]

    init(_ policies: [SecurityPolicy]) {
        database = SecurityPolicyDatabase(policies)
        rows = .allocate(capacity: policies.count)
        _ = rows.initialize(from: policies.map { Row(id: $0.id) })
        indices = Dictionary(policies.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { $1 })
    }

    deinit { rows.deallocate() }

    /// The association that a worker's packet goes by: of those of a policy that may carry it the one activated last; in a group of
    /// such, the worker's own.
    func newest(of row: Int, for packet: PacketSelector, worker: Int) -> UnsafeMutablePointer<Candidate>? {
        var candidate = rows[row].newest
        while let older = candidate, !older.pointee.carries(packet) { candidate = older.pointee.next }
        guard let found = candidate, let group = found.pointee.group else { return candidate }
        return newest(of: group, from: found, for: packet, worker)
    }

    /// Of associations for the same traffic the newest of the worker's own; else the newest of those that serve all, if there is one.
    private func newest(
        of group: SAGroup, from first: UnsafeMutablePointer<Candidate>, for packet: PacketSelector, _ worker: Int
    ) -> UnsafeMutablePointer<Candidate> {
        var fallback: UnsafeMutablePointer<Candidate>?
        var candidate: UnsafeMutablePointer<Candidate>? = first
        while let member = candidate {
            if let its = member.pointee.group, its.number == group.number, member.pointee.carries(packet) {
                if member.pointee.owner == worker { return member }
                if its.isFallback, fallback == nil { fallback = member }
            }
            candidate = member.pointee.next
        }
        return fallback ?? first
    }

    /// Links associations to their policies. An association whose policy is gone carries nothing.
    ///
    /// - Parameter candidates: oldest first.
    func link(_ candidates: [UnsafeMutablePointer<Candidate>]) {
        for index in rows.indices { rows[index].newest = nil }
        for candidate in candidates { link(candidate) }
    }

    /// Links one association, as the newest of its policy.
    func link(_ candidate: UnsafeMutablePointer<Candidate>) {
        candidate.pointee.next = nil
        guard let index = indices[candidate.pointee.policy] else { return }
        candidate.pointee.next = rows[index].newest
        rows[index].newest = candidate
    }

    /// Takes one association out of its policy's chain.
    func unlink(_ candidate: UnsafeMutablePointer<Candidate>) {
        guard let index = indices[candidate.pointee.policy] else { return }
        if rows[index].newest == candidate {
            rows[index].newest = candidate.pointee.next
        } else {
            var before = rows[index].newest
            while let newer = before, newer.pointee.next != candidate { before = newer.pointee.next }
            before?.pointee.next = candidate.pointee.next
        }
        candidate.pointee.next = nil
    }
}
