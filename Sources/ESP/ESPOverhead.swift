import IPPacket
import IPsecCrypto

/// What ESP adds to a packet, in octets.
public struct ESPOverhead: Hashable, Sendable {
    /// In tunnel mode: outer IP header, UDP or TCP header where there is one, ESP header, IV, and the integrity check value.
    public let fixed: Int
    /// Inner packet, padding, Pad Length and Next Header together are a multiple of so many octets.
    public let alignment: Int

    static let espHeader = 8
    /// Pad Length and Next Header.
    static let trailer = 2
    static let udpHeader = 8
    /// A TCP header with timestamps, and the length before the packet (RFC 9329, section 3). A packet that fits beside them, and no
    /// other, leaves with one segment.
    static let tcpHeader = 34

    public init(
        outer: IPFamily, encapsulation: Encapsulation, encryption: EncryptionAlgorithm, integrity: IntegrityAlgorithm?,
        hasSubspaces: Bool = false
    ) {
        outerHeader = IPHeader.minimumLength(outer)
        fixed =
            outerHeader + Self.carrier(encapsulation) + (hasSubspaces ? SubspaceNumber.headerLength : Self.espHeader)
            + encryption.ivLength + (integrity?.icvLength ?? encryption.icvLength)
        // RFC 4303, section 2.4: the ciphertext ends on a 4-octet boundary whatever the cipher.
        alignment = max(encryption.blockSize, 4)
    }

    private static func carrier(_ encapsulation: Encapsulation) -> Int {
        switch encapsulation {
        case .ip: 0
        case .udp: udpHeader
        case .tcp: tcpHeader
        }
    }

    private let outerHeader: Int

    /// Octets of the outer IP packet for an inner packet of `inner` octets.
    public func outerSize(inner: Int) -> Int {
        fixed + (inner + Self.trailer + alignment - 1) / alignment * alignment
    }

    /// Octets of the largest inner packet whose outer packet is no longer than `outerMTU`; 0 if none fits.
    ///
    /// This is the MTU to tell a sender whose packet does not fit, and to clamp segments to. IPv6 hosts need not go below
    /// 1280 octets: where this is less, their packets up to 1280 octets are to be sent and the outer packet fragmented
    /// (RFC 2473, section 7.1).
    public func maximumInnerSize(outerMTU: Int) -> Int {
        max((outerMTU - fixed) / alignment * alignment - Self.trailer, 0)
    }

    /// The same in transport mode, for a packet of which `front` octets stay before the ESP header.
    public func maximumSize(outerMTU: Int, front: Int) -> Int {
        front + max((outerMTU - (fixed - outerHeader) - front) / alignment * alignment - Self.trailer, 0)
    }
}
