import IPPacket
import IPsecCrypto
import IPsecPolicy

/// What became of a packet to be sent.
public struct SealResult: Sendable {
    /// `nil` if the packet may be sent.
    public var drop: DropReason?
    /// Where the ESP packet begins, in the buffer the inner packet was given in.
    public var offset = 0
    /// Octets of the ESP packet, from SPI to integrity check value.
    public var count = 0
    /// TOS or traffic class for the outer header.
    public var outerTrafficClass: UInt8 = 0
    public var notices = SANotices()
    /// The packet's sequence number, with extension or without.
    public var sequence: UInt64 = 0
}

/// A security association of ESP that sends (RFC 4303): seals packets in place.
///
/// One thread owns it. Sealing allocates nothing, counts no references and takes no lock.
public struct OutboundSA: ~Copyable, Sendable {
    /// Octets a caller leaves free in front of an inner packet: enough for ESP header and IV of every algorithm.
    public static let headroom = 32
    /// Octets a caller leaves free behind an inner packet, for padding, trailer and integrity check value of every
    /// algorithm. Traffic flow confidentiality padding comes on top, as far as the buffer has room for it.
    public static let tailroom = 64

    public let spi: UInt32
    public let mode: SAMode
    public let isExtended: Bool
    public private(set) var counters = SACounters()
    public var options: SAOptions
    /// The outer path; changes when the peer moves.
    public private(set) var overhead: ESPOverhead

    private var cipher: PacketCipher
    /// Whether the mode is transport mode: to ask the mode itself copies all that it holds.
    public let isTransport: Bool
    private let encryption: EncryptionAlgorithm
    private let integrity: IntegrityAlgorithm?
    private var usage: UsageMeter
    /// The last number used is 0 before the first packet (RFC 4303, section 3.3.3).
    private var numbering: Numbering
    /// Octets of SPI and what is sent of the number.
    private let headerLength: Int

    /// Where a numbering without extension asks to be replaced: at three quarters. At a million packets a second that leaves
    /// 18 minutes.
    static let softSequence: UInt64 = 3 << 30
    static let softExtendedSequence: UInt64 = 3 << 62

    /// - Parameter sequence: the last number already used, for an association that is taken over.
    /// - Parameter provider: what encrypts; `nil` for the fastest that is there and has the algorithm.
    /// - Throws: if keys and algorithms do not fit together, or the SPI is below 256.
    public init(
        _ parameters: SAParameters, sequence: UInt64 = 0, provider: CipherProvider? = nil
    ) throws(CryptoError) {
        try parameters.checkNoSubspaces()
        try self.init(
            parameters, numbering: Numbering(isExtended: parameters.extendedSequenceNumbers, last: sequence),
            usage: UsageMeter(parameters.lifetime), provider: provider)
    }

    init(
        _ parameters: SAParameters, numbering: Numbering, usage: UsageMeter, provider: CipherProvider?
    ) throws(CryptoError) {
        try parameters.checkSPI()
        let hasSubspace = numbering.subspace != nil
        cipher = try PacketCipher(
            encryption: parameters.encryption, encryptionKey: parameters.encryptionKey,
            integrity: parameters.integrity, integrityKey: parameters.integrityKey, use: .sealing,
            sendsWholeNumbers: hasSubspace, provider: provider)
        spi = parameters.spi
        mode = parameters.mode
        isTransport = parameters.mode.isTransport
        isExtended = numbering.isExtended
        options = parameters.options
        encryption = parameters.encryption
        integrity = parameters.integrity
        overhead = ESPOverhead(
            outer: parameters.remote.address.family, encapsulation: parameters.encapsulation,
            encryption: parameters.encryption, integrity: parameters.integrity, hasSubspaces: hasSubspace)
        self.usage = usage
        self.numbering = numbering
        headerLength = hasSubspace ? SubspaceNumber.headerLength : ESPOverhead.espHeader
    }

    /// Octets that ESP puts before an inner packet: header and IV.
    public var prefixLength: Int { headerLength + cipher.ivLength }

    /// What it has done in its subspace; `nil` if it has none.
    public var subspaceReport: SubspaceReport? {
        numbering.subspace.map {
            SubspaceReport(
                id: $0, highest: SubspaceNumber(rawValue: numbering.last).counter,
                packets: counters.packets &+ counters.dummiesSent)
        }
    }

    /// Follows a peer or an own address that has changed.
    public mutating func move(outer: IPFamily, encapsulation: Encapsulation) {
        overhead = ESPOverhead(
            outer: outer, encapsulation: encapsulation, encryption: encryption, integrity: integrity,
            hasSubspaces: numbering.subspace != nil)
    }

    /// Octets of the largest packet, before it is sealed, that fits outer packets of `outerMTU` octets.
    ///
    /// - Parameter front: in transport mode, octets of the packet that stay before the ESP header.
    public func maximumSize(outerMTU: Int, front: Int) -> Int {
        isTransport
            ? overhead.maximumSize(outerMTU: outerMTU, front: front) : overhead.maximumInnerSize(outerMTU: outerMTU)
    }

    /// Seals a packet in place. In transport mode its IP header is not part of the result: the caller sends what is, with the
    /// header's hop limit and options.
    ///
    /// - Parameters:
    ///   - buffer: memory of the caller's, and of nobody else's while this runs.
    ///   - offset: where the inner packet begins; at least ``headroom`` from the start of the buffer.
    ///   - count: octets of the inner packet; at least ``tailroom`` are free behind it.
    public mutating func seal(_ buffer: UnsafeMutableRawBufferPointer, offset: Int, count: Int) -> SealResult {
        var result = layOut(buffer, offset: offset, count: count)
        guard result.drop == nil, let base = buffer.baseAddress else { return result }
        if !cipher.seal(base + result.offset, count: result.count, sequence: numbering.last, extended: isExtended) {
            takeBack(octets: count)
            result.drop = .cipherFailure
        }
        return result
    }

    /// Does everything of ``seal(_:offset:count:)`` but encrypt: what it lays out has to go through ``seal(_:innerCounts:)``
    /// before it may be sent.
    package mutating func layOut(_ buffer: UnsafeMutableRawBufferPointer, offset: Int, count: Int) -> SealResult {
        guard let base = buffer.baseAddress, offset >= 0, count >= IPHeader.v4MinimumLength,
            count <= buffer.count - offset
        else { return dropped(.malformedInner) }
        if isTransport { return layOutTransport(buffer, base, offset: offset, count: count) }
        let inner = UnsafeRawPointer(base + offset)
        let nextHeader: UInt8
        let innerClass: UInt8
        // The receiver tells the inner packet from padding by its own length, so that has to be right.
        switch inner.octet(at: 0) >> 4 {
        case 4 where Int(inner.networkUInt16(at: 2)) == count:
            nextHeader = IPProtocol.ipv4
            innerClass = TrafficClass.read(inner, .v4)
        case 6 where count >= IPHeader.v6Length && Int(inner.networkUInt16(at: 4)) + IPHeader.v6Length == count:
            nextHeader = IPProtocol.ipv6
            innerClass = TrafficClass.read(inner, .v6)
        default:
            return dropped(.malformedInner)
        }
        var result = number(buffer, offset: offset, count: count, nextHeader: nextHeader)
        guard result.drop == nil else { return result }
        result.outerTrafficClass =
            (options.copyDSCP ? innerClass & 0xfc : options.dscp << 2) | (options.copyECN ? innerClass & 0x03 : 0)
        counters.packets &+= 1
        counters.octets &+= UInt64(count)
        return result
    }

    private mutating func layOutTransport(
        _ buffer: UnsafeMutableRawBufferPointer, _ base: UnsafeMutableRawPointer, offset: Int, count: Int
    ) -> SealResult {
        let packet = UnsafeRawBufferPointer(start: base + offset, count: count)
        guard let header = IPHeader(packet), header.totalLength == count else { return dropped(.malformedInner) }
        let front: TransportFront
        do {
            front = try TransportFront(header, in: packet)
        } catch {
            return dropped(error)
        }
        var result = number(
            buffer, offset: offset + front.count, count: count - front.count, nextHeader: front.nextHeader)
        guard result.drop == nil else { return result }
        result.outerTrafficClass = header.trafficClass
        counters.packets &+= 1
        counters.octets &+= UInt64(count)
        return result
    }

    /// Encrypts packets that ``layOut(_:offset:count:)`` has laid out, in its order. Those that are not good afterwards must not
    /// be sent; they are counted as dropped.
    ///
    /// - Parameter innerCounts: octets of the inner packet of each.
    package mutating func seal(
        _ packets: UnsafeMutableBufferPointer<CipherPacket>, innerCounts: UnsafePointer<Int>
    ) {
        cipher.seal(packets, extended: isExtended)
        for index in packets.indices where !packets[index].isGood { takeBack(octets: innerCounts[index]) }
    }

    /// Counts as dropped what had been counted as sealed.
    private mutating func takeBack(octets: Int) {
        counters.count(.cipherFailure)
        counters.packets &-= 1
        counters.octets &-= UInt64(octets)
    }

    /// Makes and seals a dummy packet, which the peer drops (RFC 4303, section 2.6).
    ///
    /// - Parameters:
    ///   - offset: where an inner packet would begin, with headroom and tailroom as for ``seal(_:offset:count:)``.
    ///   - count: octets of the packet it pretends to carry.
    public mutating func sealDummy(_ buffer: UnsafeMutableRawBufferPointer, offset: Int, count: Int) -> SealResult {
        guard let base = buffer.baseAddress, offset >= 0, count >= 0, count <= buffer.count - offset else {
            return dropped(.noRoom)
        }
        // What stood in the buffer before shall not leave the host, sealed or not.
        (base + offset).initializeMemory(as: UInt8.self, repeating: 0, count: count)
        var result = number(buffer, offset: offset, count: count, nextHeader: IPProtocol.noNextHeader)
        guard result.drop == nil else { return result }
        guard cipher.seal(base + result.offset, count: result.count, sequence: numbering.last, extended: isExtended)
        else {
            return dropped(.cipherFailure, result.notices)
        }
        result.outerTrafficClass = options.dscp << 2
        counters.dummiesSent &+= 1
        return result
    }

    private mutating func dropped(_ reason: DropReason, _ notices: SANotices = []) -> SealResult {
        counters.count(reason)
        var result = SealResult()
        result.drop = reason
        result.notices = notices
        return result
    }

    /// Writes everything around a payload and gives the packet its sequence number.
    @inline(__always)
    private mutating func number(
        _ buffer: UnsafeMutableRawBufferPointer, offset: Int, count: Int, nextHeader: UInt8
    ) -> SealResult {
        guard !usage.isExhausted else { return dropped(.lifetimeEnded, usage.tell(.hardLimit)) }
        // A number used twice would undo counter modes, so the end is hard (RFC 4303, section 3.3.3).
        guard numbering.last < numbering.end else { return dropped(.sequenceExhausted, usage.tell(.hardLimit)) }
        let prefix = headerLength + cipher.ivLength
        let room = buffer.count - offset - cipher.icvLength
        guard let base = buffer.baseAddress, offset >= prefix,
            let payload = writeTrailer(base + offset, count: count, room: room, nextHeader: nextHeader)
        else { return dropped(.noRoom) }
        // From here on the number counts as used, whatever happens.
        numbering.last += 1
        let sequence = numbering.last
        let packet = base + offset - prefix
        // The number ends where the header does. Of one that is not sent whole the SPI takes the place of the high half.
        packet.storeNetwork(sequence, at: headerLength - 8)
        packet.storeNetwork(spi, at: 0)
        var result = SealResult()
        result.sequence = sequence
        result.offset = offset - prefix
        result.count = prefix + payload + cipher.icvLength
        result.notices = usage.use(octets: payload, isLate: sequence >= numbering.soft)
        if sequence == numbering.end { result.notices.formUnion(usage.tell(.hardLimit)) }
        return result
    }

    /// Writes traffic flow confidentiality padding, padding, Pad Length and Next Header behind an inner packet.
    ///
    /// - Returns: octets from the start of the inner packet to the end of Next Header; `nil` if there is no room.
    @inline(__always)
    private func writeTrailer(_ inner: UnsafeMutableRawPointer, count: Int, room: Int, nextHeader: UInt8) -> Int? {
        let alignment = overhead.alignment
        // A power of two.
        func aligned(_ count: Int) -> Int { (count + ESPOverhead.trailer + alignment - 1) & ~(alignment - 1) }
        var count = count
        // Only an inner packet's own length lets the receiver tell such padding (RFC 4303, section 2.7).
        if !isTransport, let target = options.tfcPaddingTo, target > count {
            // As far as the buffer goes, and the 16 bits of an IP packet's length.
            let filled = min(target, 0xffff, room / alignment * alignment - ESPOverhead.trailer)
            if filled > count {
                (inner + count).initializeMemory(as: UInt8.self, repeating: 0, count: filled - count)
                count = filled
            }
        }
        let payload = aligned(count)
        guard payload <= room else { return nil }
        let padding = payload - ESPOverhead.trailer - count
        for index in 0..<padding {
            inner.storeOctet(UInt8(truncatingIfNeeded: index + 1), at: count + index)
        }
        inner.storeOctet(UInt8(truncatingIfNeeded: padding), at: payload - 2)
        inner.storeOctet(nextHeader, at: payload - 1)
        return payload
    }
}

extension SAParameters {
    func checkSPI() throws(CryptoError) {
        guard spi >= 256 else {
            throw CryptoError(.unsupportedAlgorithm, "SPI \(spi) is reserved (RFC 4303, section 2.1)")
        }
    }
}
