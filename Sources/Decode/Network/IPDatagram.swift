import IPPacket
import Octets

/// An IP packet as far as a capture holds it: unlike the data path, which refuses what is not whole, this takes packets that
/// were cut when they were recorded.
struct IPDatagram {
    struct Fragment {
        var identification: UInt32
        /// In octets.
        var offset: Int
        var moreFollow: Bool
    }

    var source: IPAddress
    var destination: IPAddress
    /// The upper layer's protocol; in an IPv6 fragment that of the first header after the fragment header.
    var ipProtocol: UInt8
    var payload: ArraySlice<UInt8>
    /// Octets of the payload that are not in the capture.
    var missing: Int
    var fragment: Fragment?

    /// Extension headers that are walked at most; no honest packet has more.
    private static let extensionLimit = 8

    init(
        source: IPAddress, destination: IPAddress, ipProtocol: UInt8, payload: ArraySlice<UInt8>, missing: Int,
        fragment: Fragment? = nil
    ) {
        self.source = source
        self.destination = destination
        self.ipProtocol = ipProtocol
        self.payload = payload
        self.missing = missing
        self.fragment = fragment
    }

    /// `nil` if the octets do not begin with a whole IP header.
    init?(_ octets: ArraySlice<UInt8>) {
        guard let first = octets.first else { return nil }
        let reader = OctetReader(octets, offset: 0)
        do throws(OctetError) {
            switch first >> 4 {
            case 4: try self.init(v4: reader)
            case 6: try self.init(v6: reader)
            default: return nil
            }
        } catch {
            return nil
        }
    }

    private init?(v4 octets: OctetReader) throws(OctetError) {
        var reader = octets
        let headerLength = Int(try reader.readUInt8("version") & 0x0F) * 4
        try reader.skip(1, "type of service")
        let totalLength = Int(try reader.readUInt16("total length"))
        let identification = try reader.readUInt16("identification")
        let fragmentation = try reader.readUInt16("fragment offset")
        try reader.skip(1, "time to live")
        ipProtocol = try reader.readUInt8("protocol")
        try reader.skip(2, "checksum")
        source = IPAddress(v4: try reader.readUInt32("source"))
        destination = IPAddress(v4: try reader.readUInt32("destination"))
        guard headerLength >= IPHeader.v4MinimumLength else { return nil }
        try reader.skip(headerLength - IPHeader.v4MinimumLength, "options")
        // Offloaded segments are captured before their length is filled in.
        let length = totalLength == 0 ? reader.remaining : totalLength - headerLength
        guard length >= 0 else { return nil }
        payload = reader.readRest().prefix(length)
        missing = length - payload.count
        let offset = Int(fragmentation & 0x1FFF) * 8
        let moreFollow = fragmentation & 0x2000 != 0
        if moreFollow || offset > 0 {
            fragment = Fragment(identification: UInt32(identification), offset: offset, moreFollow: moreFollow)
        }
    }

    private init?(v6 octets: OctetReader) throws(OctetError) {
        var reader = octets
        try reader.skip(4, "version")
        let payloadLength = Int(try reader.readUInt16("payload length"))
        ipProtocol = try reader.readUInt8("next header")
        try reader.skip(1, "hop limit")
        guard let source = IPAddress(octets: try reader.readOctets(16, "source")),
            let destination = IPAddress(octets: try reader.readOctets(16, "destination"))
        else { return nil }
        self.source = source
        self.destination = destination
        // Likewise zero in offloaded segments; jumbograms do not carry IKE.
        let length = payloadLength == 0 ? reader.remaining : payloadLength
        payload = reader.readRest().prefix(length)
        missing = length - payload.count
        guard skipExtensions() else { return nil }
    }

    /// Skips IPv6 extension headers up to the upper layer, or to the data of a fragment; `false` if one is cut off.
    mutating func skipExtensions() -> Bool {
        for _ in 0..<Self.extensionLimit {
            let start = payload.startIndex
            switch ipProtocol {
            case IPProtocol.hopByHopOptions, IPProtocol.routing, IPProtocol.destinationOptions:
                guard payload.count >= 8 else { return false }
                let length = (Int(payload[start + 1]) + 1) * 8
                guard payload.count >= length else { return false }
                ipProtocol = payload[start]
                payload = payload.dropFirst(length)
            case IPProtocol.fragment:
                guard payload.count >= 8 else { return false }
                let field = UInt16(payload[start + 2]) << 8 | UInt16(payload[start + 3])
                let identification = payload[(start + 4)..<(start + 8)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                ipProtocol = payload[start]
                payload = payload.dropFirst(8)
                // One with neither offset nor more to come is a whole packet (RFC 6946).
                guard field & 0xFFF9 == 0 else {
                    fragment = Fragment(
                        identification: identification, offset: Int(field & 0xFFF8), moreFollow: field & 1 != 0)
                    return true
                }
            default: return true
            }
        }
        return false
    }
}
