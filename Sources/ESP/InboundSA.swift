import IPPacket
import IPsecCrypto
import IPsecPolicy

/// What became of a received packet.
public struct OpenResult: Sendable {
    /// `nil` if the inner packet may be passed on.
    public var drop: DropReason?
    /// Where the inner packet, or the one made again in transport mode, begins, in the buffer the ESP packet was given in.
    public var offset = 0
    /// Octets of the inner packet, padding taken off.
    public var count = 0
    public var family = IPFamily.v4
    /// The packet was authentic and no replay, whatever became of it then.
    public var isAuthentic = false
    /// Authentic, and with the highest sequence number so far: the address it came from is the peer's present one
    /// (RFC 7296, section 2.23). A packet from a past address that arrives late does not move the peer back.
    public var isNewest = false
    public var notices = SANotices()
}

/// A received packet of a batch, and what became of it.
public struct ReceivedPacket: Sendable {
    /// Memory of the caller's, as ``InboundSA/open(_:offset:count:outer:)`` wants it.
    public nonisolated(unsafe) var buffer: UnsafeMutableRawBufferPointer
    public var offset: Int
    /// Octets of the ESP packet.
    public var count: Int
    public var outer: ReceivedHeader
    public internal(set) var result = OpenResult()
    /// Nothing spoke against it before it was decrypted.
    var isAdmitted = false

    public init(_ buffer: UnsafeMutableRawBufferPointer, offset: Int, count: Int, outer: ReceivedHeader) {
        self.buffer = buffer
        self.offset = offset
        self.count = count
        self.outer = outer
    }
}

/// A security association of ESP that receives (RFC 4303): opens packets in place.
///
/// One thread owns it, and with it the replay window. Opening allocates nothing, counts no references and takes no lock.
/// A replayed packet is never passed on, and decrypted only if it came in one batch with its like; a forged one never moves the
/// window.
public struct InboundSA: ~Copyable, Sendable {
    public let spi: UInt32
    public let mode: SAMode
    /// Whether the mode is transport mode: to ask the mode itself copies all that it holds.
    public let isTransport: Bool
    public private(set) var counters = SACounters()

    private var cipher: PacketCipher
    private let selectors: SelectorSet
    /// A bit for each class (DSCP) that inner packets may have.
    private let classes: UInt64
    private var window: ReplayWindow
    /// In place of the window, where sequence numbers have subspaces.
    private let subspaces: SubspaceWindows
    private let hasSubspaces: Bool
    private var usage: UsageMeter
    /// No packet has come yet.
    private var isFirst = true
    /// The flow that packets have last passed of.
    private var known = KnownFlow()

    /// - Parameters:
    ///   - highestSequence: where the window stands, for an association that is taken over.
    ///   - provider: what decrypts; `nil` for the fastest that is there and has the algorithm.
    /// - Throws: if keys and algorithms do not fit together, or the SPI is below 256.
    public init(
        _ parameters: SAParameters, highestSequence: UInt64 = 0, provider: CipherProvider? = nil
    ) throws(CryptoError) {
        try parameters.checkNoSubspaces()
        try self.init(
            parameters, highestSequence: highestSequence,
            subspaces: SubspaceWindows(count: 0, part: 0, of: 1, windowSize: 0),
            usage: UsageMeter(parameters.lifetime), provider: provider)
    }

    /// - Parameter subspaces: of none where numbers have none.
    init(
        _ parameters: SAParameters, highestSequence: UInt64 = 0, subspaces: consuming SubspaceWindows,
        usage: UsageMeter, provider: CipherProvider?
    ) throws(CryptoError) {
        try parameters.checkSPI()
        let hasSubspaces = subspaces.count > 0
        cipher = try PacketCipher(
            encryption: parameters.encryption, encryptionKey: parameters.encryptionKey,
            integrity: parameters.integrity, integrityKey: parameters.integrityKey, use: .opening,
            sendsWholeNumbers: hasSubspaces, provider: provider)
        spi = parameters.spi
        mode = parameters.mode
        isTransport = parameters.mode.isTransport
        selectors = SelectorSet(local: parameters.localSelectors, remote: parameters.remoteSelectors)
        classes = parameters.dscp?.mask ?? .max
        window = ReplayWindow(
            size: hasSubspaces ? 0 : parameters.replayWindow, extended: parameters.extendedSequenceNumbers,
            highest: highestSequence)
        self.subspaces = subspaces
        self.hasSubspaces = hasSubspaces
        self.usage = usage
    }

    /// The highest sequence number received; 0 before the first, and where numbers have subspaces.
    public var highestSequence: UInt64 { window.highest }

    /// How many subspaces the association has; 0 where numbers have none.
    public var subspaceCount: Int { subspaces.count }

    /// What this part has done in each of its subspaces of which an authentic packet has come.
    public var subspaceReports: [SubspaceReport] { subspaces.reports }

    /// Opens a packet in place.
    ///
    /// - Parameters:
    ///   - buffer: memory of the caller's, and of nobody else's while this runs. Where the packet is not passed on, its
    ///     payload may have been overwritten.
    ///   - offset: where the ESP packet begins, with its SPI. In transport mode an IP header is written before what was in it:
    ///     at least ``headroom`` octets are free in front, apart from the received header.
    ///   - count: octets of the ESP packet.
    ///   - outer: what is known of the outer header.
    public mutating func open(
        _ buffer: UnsafeMutableRawBufferPointer, offset: Int, count: Int, outer: ReceivedHeader
    ) -> OpenResult {
        var packet = ReceivedPacket(buffer, offset: offset, count: count, outer: outer)
        if hasSubspaces { open(&packet, divided: true) } else { open(&packet, divided: false) }
        return packet.result
    }

    @inline(__always)
    private mutating func open(_ packet: inout ReceivedPacket, divided: Bool) {
        guard let work = admit(&packet, divided: divided) else { return }
        let high = UInt32(truncatingIfNeeded: work.sequence >> 32)
        let isGood = cipher.open(
            work.octets, count: packet.count, sequenceHigh: high, extended: window.isExtended)
        finish(&packet, sequence: work.sequence, isGood: isGood, divided: divided)
    }

    /// Opens many packets, each as ``open(_:offset:count:outer:)`` does, in their order. One that is there twice is dropped
    /// once; its copy may have been decrypted by then.
    ///
    /// - Parameter work: room for as many packets of the cipher.
    public mutating func open(
        _ packets: UnsafeMutableBufferPointer<ReceivedPacket>, work: UnsafeMutablePointer<CipherPacket>
    ) {
        // Decided once: what follows is compiled for each of the two.
        if hasSubspaces { open(packets, work, divided: true) } else { open(packets, work, divided: false) }
    }

    /// - Parameter divided: whether numbers have subspaces.
    @inline(__always)
    private mutating func open(
        _ packets: UnsafeMutableBufferPointer<ReceivedPacket>, _ work: UnsafeMutablePointer<CipherPacket>,
        divided: Bool
    ) {
        var count = 0
        for index in packets.indices {
            guard let item = admit(&packets[index], divided: divided) else { continue }
            (work + count).initialize(to: item)
            count += 1
        }
        cipher.open(UnsafeMutableBufferPointer(start: work, count: count), extended: window.isExtended)
        var next = 0
        for index in packets.indices where packets[index].isAdmitted {
            finish(
                &packets[index], sequence: work[next].sequence, isGood: work[next].isGood, divided: divided)
            next += 1
        }
    }

    /// Looks at what does not need the key.
    ///
    /// - Returns: the work for the cipher; `nil` if the packet is dropped.
    @inline(__always)
    private mutating func admit(_ packet: inout ReceivedPacket, divided: Bool) -> CipherPacket? {
        let count = packet.count
        let payload = count - Self.headerLength(divided) - cipher.ivLength - cipher.icvLength
        guard let base = packet.buffer.baseAddress, packet.offset >= 0, count <= packet.buffer.count - packet.offset,
            payload >= ESPOverhead.trailer, payload & (cipher.blockSize - 1) == 0
        else { return refuse(&packet, .malformedESP) }
        let octets = base + packet.offset
        guard UnsafeRawPointer(octets).networkUInt32(at: 0) == spi else { return refuse(&packet, .wrongSPI) }
        guard !usage.isExhausted else { return refuse(&packet, .lifetimeEnded) }
        if divided {
            let number = SubspaceNumber(UnsafeRawPointer(octets))
            if let reason = subspaces.refusal(of: number) { return refuse(&packet, reason) }
            packet.isAdmitted = true
            return CipherPacket(octets: octets, count: count, sequence: number.rawValue)
        }
        switch window.check(UnsafeRawPointer(octets).networkUInt32(at: 4)) {
        case .fresh(let number):
            packet.isAdmitted = true
            return CipherPacket(octets: octets, count: count, sequence: number)
        case .replayed: return refuse(&packet, .replayed)
        case .stale: return refuse(&packet, .stale)
        }
    }

    /// Octets of SPI and what is sent of the number.
    @inline(__always)
    private static func headerLength(_ divided: Bool) -> Int {
        divided ? SubspaceNumber.headerLength : ESPOverhead.espHeader
    }

    private mutating func refuse(_ packet: inout ReceivedPacket, _ reason: DropReason) -> CipherPacket? {
        if reason == .lifetimeEnded { packet.result.notices = usage.tell(.hardLimit) }
        counters.count(reason)
        packet.result.drop = reason
        return nil
    }

    /// Decides on a packet that the cipher has seen.
    @inline(__always)
    private mutating func finish(
        _ packet: inout ReceivedPacket, sequence: UInt64, isGood: Bool, divided: Bool
    ) {
        if let reason = pass(&packet, sequence: sequence, isGood: isGood, divided: divided) {
            counters.count(reason)
            packet.result.drop = reason
        } else {
            counters.packets &+= 1
            counters.octets &+= UInt64(packet.result.count)
        }
    }

    @inline(__always)
    private mutating func pass(
        _ packet: inout ReceivedPacket, sequence: UInt64, isGood: Bool, divided: Bool
    ) -> DropReason? {
        guard isGood, let base = packet.buffer.baseAddress else { return .notAuthentic }
        // Packets before it in the same batch may have used up the lifetime, had its number, or left it behind.
        guard !usage.isExhausted else {
            packet.result.notices = usage.tell(.hardLimit)
            return .lifetimeEnded
        }
        switch divided ? subspaces.accept(SubspaceNumber(rawValue: sequence)) : window.accept(sequence) {
        case .newest: packet.result.isNewest = true
        case .late: break
        case .replayed: return .replayed
        case .stale: return .stale
        }
        let prefix = Self.headerLength(divided) + cipher.ivLength
        let payload = packet.count - prefix - cipher.icvLength
        let octets = base + packet.offset
        packet.result.isAuthentic = true
        packet.result.notices = usage.use(octets: payload)
        if isFirst {
            isFirst = false
            packet.result.notices.formUnion(usage.tell(.firstPacket))
        }
        packet.result.offset = packet.offset + prefix
        let trailer = UnsafeRawPointer(octets + prefix + payload - ESPOverhead.trailer)
        let padding = Int(trailer.octet(at: 0))
        let available = payload - ESPOverhead.trailer - padding
        guard available >= 0 else { return .badPadding }
        for index in 0..<padding
        where UnsafeRawPointer(octets + prefix).octet(at: available + index) != UInt8(truncatingIfNeeded: index + 1) {
            return .badPadding
        }
        let nextHeader = trailer.octet(at: 1)
        guard nextHeader != IPProtocol.noNextHeader else { return .dummy }
        if isTransport, case .transport(let hosts) = mode {
            return rebuild(octets, prefix, available, nextHeader, packet.outer, hosts, &packet.result)
        }
        return unwrap(
            octets + prefix, available, nextHeader, ECN(trafficClass: packet.outer.trafficClass), &packet.result)
    }

    /// From the decrypted payload to an inner packet that may be passed on.
    @inline(__always)
    private mutating func unwrap(
        _ inner: UnsafeMutableRawPointer, _ available: Int, _ nextHeader: UInt8, _ outer: ECN,
        _ result: inout OpenResult
    ) -> DropReason? {
        let octets = UnsafeRawPointer(inner)
        switch nextHeader {
        case IPProtocol.ipv4: result.family = .v4
        case IPProtocol.ipv6: result.family = .v6
        default: return .unexpectedNextHeader
        }
        if let count = known.count(of: octets, available, result.family) {
            result.count = count
            return forward(inner, UnsafeRawPointer(inner), outer, result.family)
        }
        // What the inner header's length leaves over is traffic flow confidentiality padding (RFC 4303, section 2.7).
        guard let header = IPHeader(UnsafeRawBufferPointer(start: octets, count: available)),
            header.family == result.family
        else { return .malformedInner }
        let packet = UnsafeRawBufferPointer(start: octets, count: header.totalLength)
        guard let selector = PacketSelector(header, in: packet) else { return .malformedInner }
        guard selectors.match(selector, .inbound) == .yes else { return .outsideSelectors }
        known.remember(octets, header.totalLength, header.family)
        result.count = header.totalLength
        return forward(inner, octets, outer, header.family)
    }

    /// Looks at the class of the inner packet, and gives it the congestion mark it is to have.
    @inline(__always)
    private mutating func forward(
        _ inner: UnsafeMutableRawPointer, _ octets: UnsafeRawPointer, _ outer: ECN, _ family: IPFamily
    ) -> DropReason? {
        let trafficClass = TrafficClass.read(octets, family)
        guard classes == .max || classes >> UInt64(trafficClass >> 2) & 1 == 1 else { return .outsideClasses }
        let mark = ECN(trafficClass: trafficClass)
        guard mark != outer else { return nil }
        guard let forwarded = ECN.decapsulated(inner: mark, outer: outer) else { return .illegalCongestionMark }
        if ECN.isSuspicious(inner: mark, outer: outer) { counters.suspiciousCongestionMarks &+= 1 }
        if forwarded != mark { TrafficClass.setECN(forwarded, in: inner, family) }
        return nil
    }

    /// Room before an ESP packet for the IP header that transport mode puts before its payload.
    public static let headroom = 40

    /// From the decrypted payload in transport mode to a packet with an IP header. Its addresses are those agreed upon: the
    /// outer ones are not authentic, and a NAT may have changed them.
    private mutating func rebuild(
        _ packet: UnsafeMutableRawPointer, _ prefix: Int, _ available: Int, _ nextHeader: UInt8,
        _ received: ReceivedHeader, _ hosts: TransportHosts, _ result: inout OpenResult
    ) -> DropReason? {
        let family = hosts.local.family
        let reuses =
            family == .v4 && received.count >= IPHeader.v4MinimumLength && result.offset - prefix >= received.count
        let front = reuses ? received.count : IPHeader.minimumLength(family)
        guard result.offset >= front, front + available <= 0xffff else { return .noRoom }
        let start = packet + prefix - front
        if reuses {
            start.copyMemory(from: packet - front, byteCount: front)
            TransportFront.reuse(at: start, count: front, hosts, nextHeader: nextHeader, payload: available)
        } else {
            TransportFront.write(at: start, hosts, received, nextHeader: nextHeader, payload: available)
        }
        let whole = UnsafeMutableRawBufferPointer(start: start, count: front + available)
        let octets = UnsafeRawBufferPointer(whole)
        guard let header = IPHeader(octets), let upper = header.upperLayer(in: octets),
            let selector = PacketSelector(header, in: octets)
        else { return .malformedInner }
        // Fragments are not sealed in transport mode, and one inside would hide its ports.
        guard !upper.isFragment else { return .fragment }
        guard selectors.match(selector, .inbound) == .yes else { return .outsideSelectors }
        hosts.correctChecksum(of: whole, upper)
        result.family = family
        result.offset -= front
        result.count = front + available
        return nil
    }
}
