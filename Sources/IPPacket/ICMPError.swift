/// ICMP errors a gateway sends towards the sender of a packet it does not carry (RFC 792, RFC 1191, RFC 4443).
///
/// How often they are sent is for the caller to limit (RFC 1812, section 4.3.2.8; RFC 4443, section 2.4 f).
public enum ICMPError: Hashable, Sendable {
    /// The packet does not fit: "fragmentation needed and DF set" with the MTU of RFC 1191, or ICMPv6 "packet too big".
    /// The MTU is that of the largest packet that would have fitted; towards IPv6 hosts never less than 1280 octets.
    case tooBig(mtu: Int)
    /// Communication is administratively prohibited: what RFC 4301, section 6, has for discarded packets.
    case prohibited
    /// The network behind the tunnel cannot be reached just now.
    case unreachable

    /// No message is longer than this, headers included: 576 octets towards IPv4 (RFC 1812, section 4.3.2.3), 1280 towards
    /// IPv6 (RFC 4443, section 2.4 c).
    public static let maximumLength = 1280
    private static let headerLength = 8

    /// Writes the whole IP packet.
    ///
    /// - Parameters:
    ///   - packet: the packet as its sender sent it; its source becomes the destination of the message.
    ///   - source: the address of ours that the message comes from.
    ///   - output: at least ``maximumLength`` octets.
    /// - Returns: the octets written; `nil` if no error may be sent about this packet (RFC 1122, section 3.2.2; RFC 4443,
    ///   section 2.4 e), if it is not of the family of `source`, if `source` is not one host's address, or if `tooBig` does
    ///   not apply as IPv4's DF bit is not set.
    public func write(
        about packet: UnsafeRawBufferPointer, from source: IPAddress, into output: UnsafeMutableRawBufferPointer
    ) -> Int? {
        guard let header = IPHeader(packet), header.family == source.family, source.isUnicastHost,
            isAllowed(about: header, in: packet), output.count >= Self.maximumLength, let base = output.baseAddress,
            let original = packet.baseAddress
        else { return nil }
        let ipLength = IPHeader.minimumLength(header.family)
        let limit = header.family == .v4 ? 576 : Self.maximumLength
        let quoted = min(header.totalLength, limit - ipLength - Self.headerLength)
        let length = ipLength + Self.headerLength + quoted
        let icmp = base + ipLength
        icmp.storeOctet(type(header.family), at: 0)
        icmp.storeOctet(code(header.family), at: 1)
        icmp.storeNetwork(UInt16(0), at: 2)
        icmp.storeNetwork(parameter(header.family), at: 4)
        (icmp + Self.headerLength).copyMemory(from: original, byteCount: quoted)
        var sum = InternetChecksum.sum(UnsafeRawBufferPointer(start: icmp, count: length - ipLength))
        switch header.family {
        case .v4: Self.writeV4(base, length: length, from: source, to: header.source)
        case .v6:
            sum &+= InternetChecksum.pseudoHeaderSum(
                source: source, destination: header.source, ipProtocol: IPProtocol.icmpv6, length: length - ipLength)
            Self.writeV6(base, length: length, from: source, to: header.source)
        }
        icmp.storeNetwork(InternetChecksum.finish(sum), at: 2)
        return length
    }

    private func type(_ family: IPFamily) -> UInt8 {
        switch (self, family) {
        case (_, .v4): 3
        case (.tooBig, .v6): 2
        case (_, .v6): 1
        }
    }

    private func code(_ family: IPFamily) -> UInt8 {
        switch (self, family) {
        case (.tooBig, .v4): 4
        case (.tooBig, .v6): 0
        case (.prohibited, .v4): 13
        case (.prohibited, .v6): 1
        case (.unreachable, .v4): 0
        case (.unreachable, .v6): 0
        }
    }

    private func parameter(_ family: IPFamily) -> UInt32 {
        guard case .tooBig(let mtu) = self else { return 0 }
        // RFC 1191 has 16 bits for it and RFC 791 no less than 68 octets on any link.
        return family == .v4 ? UInt32(min(max(mtu, 68), 0xffff)) : UInt32(clamping: max(mtu, 1280))
    }

    private func isAllowed(about header: IPHeader, in packet: UnsafeRawBufferPointer) -> Bool {
        guard header.source.isUnicastHost, let upper = header.upperLayer(in: packet) else { return false }
        var isTooBig = false
        if case .tooBig = self { isTooBig = true }
        switch header.family {
        case .v4:
            guard !isTooBig || header.dontFragment, !upper.isLaterFragment, header.destination.isUnicastHost
            else { return false }
        case .v6:
            guard isTooBig || header.destination.isUnicastHost else { return false }
        }
        return upper.isLaterFragment || !Self.isError(upper, in: packet, upTo: header.totalLength)
    }

    /// Whether a packet is an ICMP error itself, or may be: cut off before its type.
    private static func isError(_ upper: UpperLayer, in packet: UnsafeRawBufferPointer, upTo end: Int) -> Bool {
        switch upper.ipProtocol {
        case IPProtocol.icmp:
            guard upper.offset < end else { return true }
            switch packet[upper.offset] {
            case 0, 8, 9, 10, 13, 14, 15, 16, 17, 18: return false
            default: return true
            }
        case IPProtocol.icmpv6:
            // Informational messages have the high bit set; redirects get no answer either.
            return upper.offset >= end || packet[upper.offset] < 128 || packet[upper.offset] == 137
        default:
            return false
        }
    }

    private static func writeV4(
        _ base: UnsafeMutableRawPointer, length: Int, from source: IPAddress, to destination: IPAddress
    ) {
        base.storeOctet(0x45, at: 0)
        base.storeOctet(0xc0, at: 1)  // internetwork control, as RFC 1812, section 4.3.2.5, recommends
        base.storeNetwork(UInt16(length), at: 2)
        base.storeNetwork(UInt32(0), at: 4)  // never fragmented, so without identification (RFC 6864)
        base.storeOctet(64, at: 8)
        base.storeOctet(IPProtocol.icmp, at: 9)
        base.storeNetwork(UInt16(0), at: 10)
        base.storeNetwork(source, at: 12)
        base.storeNetwork(destination, at: 16)
        base.storeNetwork(
            InternetChecksum.checksum(of: UnsafeRawBufferPointer(start: base, count: IPHeader.v4MinimumLength)), at: 10)
    }

    private static func writeV6(
        _ base: UnsafeMutableRawPointer, length: Int, from source: IPAddress, to destination: IPAddress
    ) {
        base.storeNetwork(UInt32(0x6000_0000), at: 0)
        base.storeNetwork(UInt16(length - IPHeader.v6Length), at: 4)
        base.storeOctet(IPProtocol.icmpv6, at: 6)
        base.storeOctet(64, at: 7)
        base.storeNetwork(source, at: 8)
        base.storeNetwork(destination, at: 24)
    }
}

extension IPAddress {
    /// Whether the address can be that of one host elsewhere: neither unspecified, loopback, multicast nor broadcast.
    public var isUnicastHost: Bool {
        switch family {
        case .v4:
            let first = UInt8(truncatingIfNeeded: value >> 24)
            return first != 0 && first != 127 && first < 224
        case .v6:
            return value > 1 && UInt8(truncatingIfNeeded: value >> 120) != 0xff
        }
    }
}
