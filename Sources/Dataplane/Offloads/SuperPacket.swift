import IPPacket

/// A packet of TCP or UDP that stands for many: the kernel has left it to us to cut it into segments.
package struct SuperPacket {
    private let octets: UnsafeRawBufferPointer
    private let family: IPFamily
    private let isTCP: Bool
    private let ipHeaderLength: Int
    /// Octets of IP and TCP or UDP headers, which each segment repeats.
    package let headerLength: Int
    /// Octets of payload of each segment but the last.
    package let segmentSize: Int
    /// Segments.
    package let count: Int
    /// Of the IPv4 header, without what differs between segments: length and identification.
    private let ipSum: UInt64
    private let identification: UInt16
    /// Of pseudo-header and TCP or UDP header, without what differs: lengths, sequence number, flags.
    private let transportSum: UInt64
    private let sequence: UInt32
    /// Data offset and flags of TCP.
    private let flags: UInt16

    private static let tcpHeaderLength = 20
    private static let udpHeaderLength = 8
    private static let fin: UInt16 = 0x01
    private static let push: UInt16 = 0x08
    private static let congestionWindowReduced: UInt16 = 0x80

    /// `nil` if packet and header do not fit together.
    ///
    /// - Parameters:
    ///   - packet: stays in place while this is used.
    ///   - header: of the same packet, as is `upper`.
    package init?(
        _ packet: UnsafeRawBufferPointer, _ offload: VirtioNetHeader, _ header: IPHeader, _ upper: UpperLayer
    ) {
        guard let base = packet.baseAddress, offload.segmentSize > 0, header.totalLength == packet.count,
            !upper.isFragment
        else { return nil }
        switch (offload.segmentation, header.family, upper.ipProtocol) {
        case (.tcpV4, .v4, IPProtocol.tcp), (.tcpV6, .v6, IPProtocol.tcp):
            guard packet.count - upper.offset >= Self.tcpHeaderLength else { return nil }
            let length = Int(packet[upper.offset + 12] >> 4) * 4
            guard length >= Self.tcpHeaderLength else { return nil }
            headerLength = upper.offset + length
            isTCP = true
        case (.udp, _, IPProtocol.udp):
            headerLength = upper.offset + Self.udpHeaderLength
            isTCP = false
        default: return nil
        }
        guard packet.count > headerLength else { return nil }
        octets = packet
        family = header.family
        ipHeaderLength = upper.offset
        segmentSize = offload.segmentSize
        count = (packet.count - headerLength + segmentSize - 1) / segmentSize
        let addresses =
            family == .v4
            ? UnsafeRawBufferPointer(start: base + 12, count: 8) : UnsafeRawBufferPointer(start: base + 8, count: 32)
        let transport = base + upper.offset
        var transportSum =
            InternetChecksum.sum(addresses) &+ UInt64(UInt16(upper.ipProtocol).bigEndian)
            &+ InternetChecksum.sum(UnsafeRawBufferPointer(start: transport, count: headerLength - upper.offset))
        sequence = isTCP ? transport.networkUInt32(at: 4) : 0
        flags = isTCP ? transport.networkUInt16(at: 12) : 0
        for offset in isTCP ? [4, 6, 12, 16] : [4, 6] {
            transportSum &+= UInt64(~transport.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
        }
        self.transportSum = transportSum
        var ipSum: UInt64 = 0
        identification = family == .v4 ? base.networkUInt16(at: 4) : 0
        if family == .v4 {
            ipSum = InternetChecksum.sum(UnsafeRawBufferPointer(start: base, count: upper.offset))
            for offset in [2, 4, 10] {
                ipSum &+= UInt64(~base.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
            }
        }
        self.ipSum = ipSum
    }

    /// Octets of the largest segment as an IP packet.
    package var largest: Int { headerLength + min(segmentSize, octets.count - headerLength) }

    /// Octets of a segment as an IP packet.
    @inline(__always)
    package func length(of index: Int) -> Int {
        headerLength + min(segmentSize, octets.count - headerLength - index * segmentSize)
    }

    /// Writes a segment as an IP packet of its own, with all its checksums.
    ///
    /// - Parameter place: room for ``length(of:)`` octets.
    @inline(__always)
    package func write(_ index: Int, to place: UnsafeMutableRawPointer) {
        guard let base = octets.baseAddress else { return }
        let length = length(of: index)
        place.copyMemory(from: base, byteCount: headerLength)
        switch family {
        case .v4:
            let number = identification &+ UInt16(truncatingIfNeeded: index)
            place.storeNetwork(UInt16(truncatingIfNeeded: length), at: 2)
            place.storeNetwork(number, at: 4)
            let sum = ipSum &+ UInt64(UInt16(truncatingIfNeeded: length).bigEndian) &+ UInt64(number.bigEndian)
            place.storeNetwork(InternetChecksum.finish(sum), at: 10)
        case .v6:
            place.storeNetwork(UInt16(truncatingIfNeeded: length - IPHeader.v6Length), at: 4)
        }
        let transport = place + ipHeaderLength
        let transportLength = UInt16(truncatingIfNeeded: length - ipHeaderLength)
        var sum = transportSum &+ UInt64(transportLength.bigEndian)
        if isTCP {
            let number = sequence &+ UInt32(truncatingIfNeeded: index * segmentSize)
            var flags = flags
            if index < count - 1 { flags &= ~(Self.fin | Self.push) }
            if index > 0 { flags &= ~Self.congestionWindowReduced }
            transport.storeNetwork(number, at: 4)
            transport.storeNetwork(flags, at: 12)
            sum &+= UInt64(number.bigEndian) &+ UInt64(flags.bigEndian)
        } else {
            transport.storeNetwork(transportLength, at: 4)
            sum &+= UInt64(transportLength.bigEndian)
        }
        sum &+= InternetChecksum.copy(
            base + headerLength + index * segmentSize, to: place + headerLength, count: length - headerLength)
        var checksum = InternetChecksum.finish(sum)
        // In UDP zero says that there is none (RFC 768).
        if !isTCP, checksum == 0 { checksum = 0xffff }
        transport.storeNetwork(checksum, at: isTCP ? 16 : 6)
    }

    /// Completes a checksum that covers the pseudo-header only.
    ///
    /// - Returns: `false` if it does not lie in the packet.
    package static func completeChecksum(
        of packet: UnsafeMutableRawBufferPointer, _ offload: VirtioNetHeader, isUDP: Bool
    ) -> Bool {
        let start = offload.checksumStart
        let field = start + offload.checksumOffset
        guard field + 2 <= packet.count, start < packet.count, let base = packet.baseAddress else { return false }
        // The field holds the pseudo-header's sum, which so counts with the rest.
        var checksum = InternetChecksum.checksum(of: UnsafeRawBufferPointer(rebasing: packet[start...]))
        if isUDP, checksum == 0 { checksum = 0xffff }
        base.storeNetwork(checksum, at: field)
        return true
    }
}
