import Octets

/// Finds the IP packet in a captured frame.
enum LinkLayer {
    enum Content {
        case ip(ArraySlice<UInt8>)
        /// ARP and the like, or a frame too short for its own header.
        case other
        /// A kind of link that is not known here.
        case unknownLink
    }

    private enum EtherType {
        static let ipv4: UInt16 = 0x0800
        static let ipv6: UInt16 = 0x86DD
        /// IEEE 802.1Q, 802.1ad, and what was used for stacked tags before it.
        static let tags: Set<UInt16> = [0x8100, 0x88A8, 0x9100]
    }

    /// Nobody stacks more tags than this.
    private static let tagLimit = 4

    static func content(of packet: CapturedPacket) -> Content {
        let octets = packet.octets[...]
        switch packet.linkType {
        case .ethernet: return afterEtherType(octets, at: 12)
        case .linuxCooked: return afterEtherType(octets, at: 14)
        case .linuxCooked2:
            return octets.count >= 20 ? ethernetPayload(uint16(octets, 0), octets.dropFirst(20)) : .other
        case .null, .loopback: return afterFamily(octets)
        case .raw, .rawOfOpenBSD, .rawOfOthers, .ipv4, .ipv6: return .ip(octets)
        default: return .unknownLink
        }
    }

    private static func afterEtherType(_ octets: ArraySlice<UInt8>, at offset: Int) -> Content {
        guard octets.count >= offset + 2 else { return .other }
        return ethernetPayload(uint16(octets, offset), octets.dropFirst(offset + 2))
    }

    /// - Parameter type: an EtherType; lengths of IEEE 802.3 frames are below all that are known here.
    private static func ethernetPayload(_ type: UInt16, _ octets: ArraySlice<UInt8>) -> Content {
        var type = type
        var octets = octets
        for _ in 0..<tagLimit where EtherType.tags.contains(type) {
            guard octets.count >= 4 else { return .other }
            type = uint16(octets, 2)
            octets = octets.dropFirst(4)
        }
        return type == EtherType.ipv4 || type == EtherType.ipv6 ? .ip(octets) : .other
    }

    /// NULL has the address family in the order of the capturing machine, LOOP in network order; the numbers of IPv6
    /// differ between systems. None of them is another one turned round.
    private static func afterFamily(_ octets: ArraySlice<UInt8>) -> Content {
        guard octets.count >= 4 else { return .other }
        let family = UInt32(uint16(octets, 0)) << 16 | UInt32(uint16(octets, 2))
        let known: Set<UInt32> = [2, 10, 24, 28, 30]
        return known.contains(family) || known.contains(family.byteSwapped) ? .ip(octets.dropFirst(4)) : .other
    }

    /// The caller has seen that the octets are there.
    private static func uint16(_ octets: ArraySlice<UInt8>, _ offset: Int) -> UInt16 {
        let index = octets.startIndex + offset
        return UInt16(octets[index]) << 8 | UInt16(octets[index + 1])
    }
}
