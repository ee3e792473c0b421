import IPPacket
import IPsecCrypto
import IPsecPolicy

/// What became of a received packet.
public struct OpenResult: Sendable {
    /// `nil` if the inner packet may be passed on.
    public var drop: DropReason?
    /// Where the inner packet begins, in the buffer the ESP packet was given in.
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

/// A security association of ESP in tunnel mode that receives (RFC 4303): opens packets in place.
///
/// One thread owns it, and with it the replay window. Opening allocates nothing, counts no references and takes no lock.
/// A replayed packet is never decrypted; a forged one never moves the window.
public struct InboundSA: ~Copyable, Sendable {
    public let spi: UInt32
    public private(set) var counters = SACounters()

    private var cipher: PacketCipher
    private let selectors: SelectorSet
    private var window: ReplayWindow
    private var usage: UsageMeter

    /// - Throws: if keys and algorithms do not fit together, or the SPI is below 256.
    public init(_ parameters: SAParameters) throws(CryptoError) {
        try self.init(parameters, highestSequence: 0)
    }

    /// - Parameter highestSequence: where the window stands, for an association that is taken over.
    public init(_ parameters: SAParameters, highestSequence: UInt64) throws(CryptoError) {
        try parameters.checkSPI()
        cipher = try PacketCipher(
            encryption: parameters.encryption, encryptionKey: parameters.encryptionKey,
            integrity: parameters.integrity, integrityKey: parameters.integrityKey)
        spi = parameters.spi
        selectors = SelectorSet(local: parameters.localSelectors, remote: parameters.remoteSelectors)
        window = ReplayWindow(
            size: parameters.replayWindow, extended: parameters.extendedSequenceNumbers, highest: highestSequence)
        usage = UsageMeter(parameters.lifetime)
    }

    /// The highest sequence number received; 0 before the first.
    public var highestSequence: UInt64 { window.highest }

    /// Opens a packet in place.
    ///
    /// - Parameters:
    ///   - buffer: memory of the caller's, and of nobody else's while this runs. Where the packet is not passed on, its
    ///     payload may have been overwritten.
    ///   - offset: where the ESP packet begins, with its SPI.
    ///   - count: octets of the ESP packet.
    ///   - outerTrafficClass: TOS or traffic class of the outer header; 0 if it is not known.
    public mutating func open(
        _ buffer: UnsafeMutableRawBufferPointer, offset: Int, count: Int, outerTrafficClass: UInt8
    ) -> OpenResult {
        var result = OpenResult()
        if let reason = process(buffer, offset, count, ECN(trafficClass: outerTrafficClass), &result) {
            counters.count(reason)
            result.drop = reason
        } else {
            counters.packets &+= 1
            counters.octets &+= UInt64(result.count)
        }
        return result
    }

    @inline(__always)
    private mutating func process(
        _ buffer: UnsafeMutableRawBufferPointer, _ offset: Int, _ count: Int, _ outer: ECN, _ result: inout OpenResult
    ) -> DropReason? {
        let prefix = TunnelOverhead.espHeader + cipher.ivLength
        let payload = count - prefix - cipher.icvLength
        guard let base = buffer.baseAddress, offset >= 0, count <= buffer.count - offset,
            payload >= TunnelOverhead.trailer, payload % cipher.blockSize == 0
        else { return .malformedESP }
        let packet = base + offset
        guard UnsafeRawPointer(packet).networkUInt32(at: 0) == spi else { return .wrongSPI }
        guard !usage.isExhausted else {
            result.notices = usage.tell(.hardLimit)
            return .lifetimeEnded
        }
        let sequence: UInt64
        switch window.check(UnsafeRawPointer(packet).networkUInt32(at: 4)) {
        case .fresh(let number): sequence = number
        case .replayed: return .replayed
        case .stale: return .stale
        }
        guard
            cipher.open(
                packet, count: count, sequenceHigh: UInt32(truncatingIfNeeded: sequence >> 32),
                extended: window.isExtended)
        else { return .notAuthentic }
        result.isNewest = window.accept(sequence)
        result.isAuthentic = true
        result.notices = usage.use(octets: payload).union(usage.tell(.firstPacket))
        result.offset = offset + prefix
        return unwrap(packet + prefix, payload, outer, &result)
    }

    /// From the decrypted payload to an inner packet that may be passed on.
    @inline(__always)
    private mutating func unwrap(
        _ inner: UnsafeMutableRawPointer, _ payload: Int, _ outer: ECN, _ result: inout OpenResult
    ) -> DropReason? {
        let octets = UnsafeRawPointer(inner)
        let padding = Int(octets.octet(at: payload - 2))
        let available = payload - TunnelOverhead.trailer - padding
        guard available >= 0 else { return .badPadding }
        for index in 0..<padding where octets.octet(at: available + index) != UInt8(truncatingIfNeeded: index + 1) {
            return .badPadding
        }
        switch octets.octet(at: payload - 1) {
        case IPProtocol.ipv4: result.family = .v4
        case IPProtocol.ipv6: result.family = .v6
        case IPProtocol.noNextHeader: return .dummy
        default: return .unexpectedNextHeader
        }
        // What the inner header's length leaves over is traffic flow confidentiality padding (RFC 4303, section 2.7).
        guard let header = IPHeader(UnsafeRawBufferPointer(start: octets, count: available)),
            header.family == result.family
        else { return .malformedInner }
        let packet = UnsafeRawBufferPointer(start: octets, count: header.totalLength)
        guard let selector = PacketSelector(header, in: packet) else { return .malformedInner }
        guard selectors.match(selector, .inbound) == .yes else { return .outsideSelectors }
        let mark = ECN(trafficClass: header.trafficClass)
        guard let forwarded = ECN.decapsulated(inner: mark, outer: outer) else { return .illegalCongestionMark }
        if ECN.isSuspicious(inner: mark, outer: outer) { counters.suspiciousCongestionMarks &+= 1 }
        TrafficClass.setECN(forwarded, in: inner, header.family)
        result.count = header.totalLength
        return nil
    }
}
