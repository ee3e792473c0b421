/// The header of an IPv4 or IPv6 packet, read once and checked against the octets that are there.
///
/// IPv6 extension headers and what follows are found by ``upperLayer(in:)``.
public struct IPHeader: Hashable, Sendable {
    public let family: IPFamily
    /// The TOS octet of IPv4 or the traffic class of IPv6: DSCP in the high six bits, ECN in the low two (RFC 3168).
    public let trafficClass: UInt8
    /// Octets of the header: 20 to 60 for IPv4, 40 for IPv6.
    public let headerLength: Int
    /// Octets of the whole packet as its header has it; octets behind are padding.
    public let totalLength: Int
    /// Protocol of IPv4; the first Next Header of IPv6.
    public let nextProtocol: UInt8
    /// Time to live or hop limit.
    public let hopLimit: UInt8
    public let source: IPAddress
    public let destination: IPAddress
    /// Flags and fragment offset as IPv4 has them; 0 for IPv6.
    private let fragmentation: UInt16

    /// `nil` if `packet` is no IP packet or shorter than its header says.
    public init?(_ packet: UnsafeRawBufferPointer) {
        guard let base = packet.baseAddress, packet.count >= Self.v4MinimumLength else { return nil }
        switch base.octet(at: 0) >> 4 {
        case 4:
            headerLength = Int(base.octet(at: 0) & 0x0f) * 4
            totalLength = Int(base.networkUInt16(at: 2))
            guard headerLength >= Self.v4MinimumLength, totalLength >= headerLength, totalLength <= packet.count
            else { return nil }
            family = .v4
            trafficClass = base.octet(at: 1)
            fragmentation = base.networkUInt16(at: 6)
            hopLimit = base.octet(at: 8)
            nextProtocol = base.octet(at: 9)
            source = IPAddress(v4: base.networkUInt32(at: 12))
            destination = IPAddress(v4: base.networkUInt32(at: 16))
        case 6:
            guard packet.count >= Self.v6Length else { return nil }
            totalLength = Self.v6Length + Int(base.networkUInt16(at: 4))
            guard totalLength <= packet.count else { return nil }
            family = .v6
            headerLength = Self.v6Length
            trafficClass = UInt8(truncatingIfNeeded: base.networkUInt16(at: 0) >> 4)
            fragmentation = 0
            nextProtocol = base.octet(at: 6)
            hopLimit = base.octet(at: 7)
            source = IPAddress(v6: base.networkUInt128(at: 8))
            destination = IPAddress(v6: base.networkUInt128(at: 24))
        default:
            return nil
        }
    }

    /// Octets of an IPv4 header without options.
    public static let v4MinimumLength = 20
    public static let v6Length = 40

    /// Octets of the header a tunnel puts in front.
    public static func minimumLength(_ family: IPFamily) -> Int { family == .v4 ? v4MinimumLength : v6Length }

    /// Whether a router must not fragment the packet: the DF bit of IPv4; always so for IPv6.
    public var dontFragment: Bool { family == .v6 || fragmentation & 0x4000 != 0 }
    var moreFragments: Bool { fragmentation & 0x2000 != 0 }
    /// Offset of an IPv4 fragment in octets.
    var fragmentOffset: Int { Int(fragmentation & 0x1fff) * 8 }
}
