/// Where the next layer's header is in a packet, and whether the packet is a fragment.
public struct UpperLayer: Hashable, Sendable {
    /// The protocol; 0 if a fragment does not show it.
    public let ipProtocol: UInt8
    /// Offset of the next layer's first octet from the start of the packet. In a later fragment, of the fragment's data.
    public let offset: Int
    /// The packet is part of a larger one.
    public let isFragment: Bool
    /// A fragment other than the first: the next layer's header is not in it.
    public let isLaterFragment: Bool
}

/// Numbers of protocols and IPv6 extension headers (IANA "Protocol Numbers") that packets are told apart by.
public enum IPProtocol {
    public static let hopByHopOptions: UInt8 = 0
    public static let icmp: UInt8 = 1
    public static let ipv4: UInt8 = 4
    public static let tcp: UInt8 = 6
    public static let udp: UInt8 = 17
    public static let dccp: UInt8 = 33
    public static let ipv6: UInt8 = 41
    public static let routing: UInt8 = 43
    public static let fragment: UInt8 = 44
    public static let esp: UInt8 = 50
    public static let icmpv6: UInt8 = 58
    public static let noNextHeader: UInt8 = 59
    public static let destinationOptions: UInt8 = 60
    public static let sctp: UInt8 = 132
    public static let mobility: UInt8 = 135
    public static let udpLite: UInt8 = 136
}

extension IPHeader {
    /// So many extension headers are walked; no honest packet has more.
    static let maximumExtensionHeaders = 8

    /// Finds the next layer by skipping the IPv6 extension headers that RFC 4301, section 4.4.1.1, names.
    ///
    /// - Parameter packet: the packet this header was read from.
    /// - Returns: `nil` if a header is cut off or there are more than eight of them.
    public func upperLayer(in packet: UnsafeRawBufferPointer) -> UpperLayer? {
        guard let base = packet.baseAddress, totalLength <= packet.count else { return nil }
        guard family == .v6 else {
            return UpperLayer(
                ipProtocol: nextProtocol, offset: headerLength, isFragment: moreFragments || fragmentOffset > 0,
                isLaterFragment: fragmentOffset > 0)
        }
        var next = nextProtocol
        var offset = headerLength
        var isFragment = false
        for _ in 0..<Self.maximumExtensionHeaders {
            guard Self.isSkipped(next) else {
                return UpperLayer(ipProtocol: next, offset: offset, isFragment: isFragment, isLaterFragment: false)
            }
            guard totalLength - offset >= 8 else { return nil }
            let following = base.octet(at: offset)
            if next == IPProtocol.fragment {
                let field = base.networkUInt16(at: offset + 2)
                offset += 8
                // An "atomic" fragment with neither offset nor more to come is a whole packet (RFC 6946).
                isFragment = isFragment || field & 0xfff9 != 0
                if field & 0xfff8 != 0 {
                    // What follows belongs somewhere in the middle; if the first fragment went on with another
                    // extension header, nothing here tells the protocol.
                    return UpperLayer(
                        ipProtocol: Self.isSkipped(following) ? 0 : following, offset: offset, isFragment: true,
                        isLaterFragment: true)
                }
            } else {
                offset += (Int(base.octet(at: offset + 1)) + 1) * 8
                guard offset <= totalLength else { return nil }
            }
            next = following
        }
        return nil
    }

    private static func isSkipped(_ number: UInt8) -> Bool {
        switch number {
        case IPProtocol.hopByHopOptions, IPProtocol.routing, IPProtocol.fragment, IPProtocol.destinationOptions: true
        default: false
        }
    }
}
