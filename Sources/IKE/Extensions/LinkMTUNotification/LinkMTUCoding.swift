import IKEMessage
import IPPacket
import Octets

/// How packets that come in fragments, or are too large, are told of on a connection.
public struct LinkMTUPolicy: Hashable, Sendable {
    /// Octets that our link takes (LMTU); `nil` for 1500.
    public var linkMTU: Int?
    /// Octets of the largest outer packet that is to be sent to us (EMTU_R), IP header included; `nil` for any.
    public var largestPacket: Int?

    public init(linkMTU: Int? = nil, largestPacket: Int? = nil) {
        self.linkMTU = linkMTU
        self.largestPacket = largestPacket
    }
}

/// The data of LMAP: four bits IP version, twelve that are zero, 16 bits of length (section 3).
struct LargestAtomicPacket: Hashable {
    var family: IPFamily
    /// Octets of the outer packet that came through whole, IP header included.
    var octets: Int

    init(family: IPFamily, octets: Int) {
        self.family = family
        self.octets = octets
    }

    /// IPv6 counts a packet without its fixed header.
    private static func uncounted(_ family: IPFamily) -> Int { family == .v6 ? IPHeader.v6Length : 0 }

    init(_ data: [UInt8]) throws(OctetError) {
        var reader = OctetReader(data)
        let word = try reader.readUInt32("IP version and fragment length")
        guard reader.isAtEnd else { throw reader.invalid("LMAP", "more than four octets") }
        switch word >> 28 {
        case 4: family = .v4
        case 6: family = .v6
        case let version: throw reader.invalid("IP version", "\(version)")
        }
        octets = Int(word & 0xffff) + Self.uncounted(family)
    }

    var data: [UInt8] {
        let length = UInt32(UInt16(clamping: octets - Self.uncounted(family)))
        return ((family == .v4 ? 4 : 6) << 28 | length).bigEndianOctets
    }
}

/// The data of PTB: two numbers of four octets. The draft's prose has four octets for both, its figure eight.
struct PacketTooBig: Hashable {
    /// Octets that the link of the sender of the notification takes.
    var linkMTU: Int
    /// Octets of the largest packet, put together from fragments, that it can use.
    var largestPacket: Int

    init(linkMTU: Int, largestPacket: Int) {
        self.linkMTU = linkMTU
        self.largestPacket = largestPacket
    }

    init(_ data: [UInt8]) throws(OctetError) {
        var reader = OctetReader(data)
        linkMTU = Int(try reader.readUInt32("link MTU"))
        largestPacket = Int(try reader.readUInt32("largest packet"))
        guard reader.isAtEnd else { throw reader.invalid("PTB", "more than eight octets") }
    }

    var data: [UInt8] { UInt32(clamping: linkMTU).bigEndianOctets + UInt32(clamping: largestPacket).bigEndianOctets }
}
