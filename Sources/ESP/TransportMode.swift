import IPPacket
import IPsecPolicy

/// What of an outer IP header an association in transport mode needs to make a packet again.
public struct ReceivedHeader: Sendable {
    /// TOS or traffic class; 0 if it is not known.
    public var trafficClass: UInt8
    /// Time to live or hop limit.
    public var hopLimit: UInt8
    /// Octets of the IPv4 header that stands in the buffer right before the ESP packet; 0 if there is none. Its options are
    /// kept, flags and identification too.
    public var count: Int

    public init(trafficClass: UInt8 = 0, hopLimit: UInt8 = 64, count: Int = 0) {
        self.trafficClass = trafficClass
        self.hopLimit = hopLimit
        self.count = count
    }
}

/// The part of a packet that transport mode leaves in front of ESP: the IPv4 header with its options, or the IPv6 header
/// with its hop-by-hop options. Destination options are protected (RFC 4303, section 3.1.1).
public struct TransportFront: Hashable, Sendable {
    /// Octets of it.
    public let count: Int
    /// The protocol of what follows and goes into ESP.
    public let nextHeader: UInt8

    /// Hop-by-hop options longer than this are not carried.
    static let maximumOptions = 128

    /// - Throws: why transport mode cannot carry the packet: fragments are put together before (RFC 4303, section 3.1.1), and a
    ///   packet with a routing header is not addressed to the end of the association.
    public init(_ header: IPHeader, in packet: UnsafeRawBufferPointer) throws(DropReason) {
        guard let base = packet.baseAddress, header.totalLength <= packet.count,
            let upper = header.upperLayer(in: packet)
        else { throw .malformedInner }
        guard !upper.isFragment else { throw .fragment }
        guard header.family == .v6 else {
            count = header.headerLength
            nextHeader = header.nextProtocol
            return
        }
        var count = header.headerLength
        var next = header.nextProtocol
        // `upperLayer` has checked that all of them are whole.
        if next == IPProtocol.hopByHopOptions {
            next = base.octet(at: count)
            count += (Int(base.octet(at: count + 1)) + 1) * 8
        }
        var after = (next: next, offset: count)
        while after.offset < upper.offset {
            guard after.next == IPProtocol.destinationOptions else { throw .unsupportedHeader }
            after = (base.octet(at: after.offset), after.offset + (Int(base.octet(at: after.offset + 1)) + 1) * 8)
        }
        guard count - header.headerLength <= Self.maximumOptions else { throw .unsupportedHeader }
        self.count = count
        nextHeader = next
    }

    /// Writes the IP header of a packet that came without one.
    ///
    /// - Parameters:
    ///   - start: where it begins, with room for 20 or 40 octets.
    ///   - payload: octets that follow it; together at most 65535.
    static func write(
        at start: UnsafeMutableRawPointer, _ hosts: TransportHosts, _ received: ReceivedHeader,
        nextHeader: UInt8, payload: Int
    ) {
        switch hosts.local.family {
        case .v4:
            start.storeOctet(0x45, at: 0)
            start.storeOctet(received.trafficClass, at: 1)
            start.storeNetwork(UInt16(truncatingIfNeeded: IPHeader.v4MinimumLength + payload), at: 2)
            // Not to be fragmented, and so without an identification (RFC 6864).
            start.storeNetwork(UInt32(0x4000), at: 4)
            start.storeOctet(received.hopLimit, at: 8)
            finish(start, IPHeader.v4MinimumLength, hosts, nextHeader)
        case .v6:
            start.storeNetwork(0x6000_0000 | UInt32(received.trafficClass) << 20, at: 0)
            start.storeNetwork(UInt16(truncatingIfNeeded: payload), at: 4)
            start.storeOctet(nextHeader, at: 6)
            start.storeOctet(received.hopLimit, at: 7)
            start.storeNetwork(hosts.remote, at: 8)
            start.storeNetwork(hosts.local, at: 24)
        }
    }

    /// Makes the received IPv4 header, options and all, that of the packet inside.
    static func reuse(
        at start: UnsafeMutableRawPointer, count: Int, _ hosts: TransportHosts, nextHeader: UInt8, payload: Int
    ) {
        start.storeNetwork(UInt16(truncatingIfNeeded: count + payload), at: 2)
        // Whole by now, however it came.
        start.storeNetwork(UnsafeRawPointer(start).networkUInt16(at: 6) & 0x4000, at: 6)
        finish(start, count, hosts, nextHeader)
    }

    private static func finish(
        _ start: UnsafeMutableRawPointer, _ count: Int, _ hosts: TransportHosts, _ nextHeader: UInt8
    ) {
        start.storeOctet(nextHeader, at: 9)
        start.storeNetwork(UInt16(0), at: 10)
        start.storeNetwork(hosts.remote, at: 12)
        start.storeNetwork(hosts.local, at: 16)
        let checksum = InternetChecksum.checksum(of: UnsafeRawBufferPointer(start: start, count: count))
        start.storeNetwork(checksum, at: 10)
    }
}

extension TransportHosts {
    /// Lets the checksum of a received packet follow from the addresses the peer used to those the packet has here. It changes
    /// by difference, so that a packet damaged before it was sealed stays one, unless the peer's addresses are not known.
    func correctChecksum(of packet: UnsafeMutableRawBufferPointer, _ upper: UpperLayer) {
        guard isTranslationUnknown || local != localAtPeer || remote != remoteAtPeer, !upper.isFragment else { return }
        let place: Int
        switch upper.ipProtocol {
        case IPProtocol.tcp: place = 16
        case IPProtocol.udp, IPProtocol.udpLite, IPProtocol.dccp: place = 6
        case IPProtocol.icmpv6: place = 2
        // ICMP and SCTP do not cover the addresses.
        default: return
        }
        guard let base = packet.baseAddress, upper.offset + place + 2 <= packet.count else { return }
        let field = base + upper.offset + place
        let old = UnsafeRawPointer(field).networkUInt16(at: 0)
        // UDP without a checksum (RFC 768).
        if upper.ipProtocol == IPProtocol.udp, old == 0 { return }
        var new: UInt16
        if isTranslationUnknown {
            // Those of UDP-Lite and DCCP need not cover everything.
            guard ![IPProtocol.udpLite, IPProtocol.dccp].contains(upper.ipProtocol) else { return }
            field.storeNetwork(UInt16(0), at: 0)
            let covered = UnsafeRawBufferPointer(rebasing: packet[upper.offset...])
            new = InternetChecksum.finish(
                InternetChecksum.sum(covered)
                    + InternetChecksum.pseudoHeaderSum(
                        source: remote, destination: local, ipProtocol: upper.ipProtocol, length: covered.count))
        } else {
            new = InternetChecksum.updated(old, replacing: remoteAtPeer, with: remote)
            new = InternetChecksum.updated(new, replacing: localAtPeer, with: local)
        }
        if upper.ipProtocol == IPProtocol.udp, new == 0 { new = 0xffff }
        field.storeNetwork(new, at: 0)
    }
}
