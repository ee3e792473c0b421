/// A packet of a capture, with the headers of the link it was seen on.
package struct CapturedPacket: Hashable, Sendable {
    /// The first packet of the file is number 1, as Wireshark counts.
    package var number: Int
    /// `nil` in a Simple Packet Block of pcapng, which has none.
    package var time: CaptureTime?
    package var linkType: LinkType
    package var octets: [UInt8]
    /// Octets on the wire; more than ``octets`` holds if the capture was told to keep only the beginning.
    package var originalLength: Int
    /// Where the packet's record, or block, begins in the file.
    package var offset: Int
}

/// The kind of link a packet was seen on: a number of the registry of draft-ietf-opsawg-pcaplinktype.
package struct LinkType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt16

    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let null = Self(rawValue: 0)
    package static let ethernet = Self(rawValue: 1)
    package static let raw = Self(rawValue: 101)
    package static let loopback = Self(rawValue: 108)
    package static let linuxCooked = Self(rawValue: 113)
    package static let ipv4 = Self(rawValue: 228)
    package static let ipv6 = Self(rawValue: 229)
    package static let linuxCooked2 = Self(rawValue: 276)
    /// What systems call raw IP in memory, and some programs write into files for 101.
    package static let rawOfOpenBSD = Self(rawValue: 14)
    package static let rawOfOthers = Self(rawValue: 12)

    package var description: String {
        switch self {
        case .null: "NULL"
        case .ethernet: "ETHERNET"
        case .raw, .rawOfOpenBSD, .rawOfOthers: "RAW"
        case .loopback: "LOOP"
        case .linuxCooked: "LINUX_SLL"
        case .ipv4: "IPV4"
        case .ipv6: "IPV6"
        case .linuxCooked2: "LINUX_SLL2"
        default: "\(rawValue)"
        }
    }
}
