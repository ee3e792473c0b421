// Data of the notifications of RFC 4555 (MOBIKE) and RFC 5685 (redirect).
import Credentials
import IKEMessage
import IPPacket
import Octets

extension NotificationTable {
    static let mobilityNotifications: [NotifyType: NotificationReader] = [
        // RFC 4555 section 4.2.
        .additionalIP4Address: { reader, _ throws(OctetError) in [try address(&reader, .v4)] },
        .additionalIP6Address: { reader, _ throws(OctetError) in [try address(&reader, .v6)] },
        .cookie2: { reader, _ throws(OctetError) in [.opaque("cookie", reader.readRest())] },
        .noNATsAllowed: { reader, _ throws(OctetError) in
            // Both addresses and both ports; the length tells the family (section 4.2.6).
            let family: IPFamily = reader.remaining == 12 ? .v4 : .v6
            let source = try address(&reader, family)
            let destination = try address(&reader, family)
            return [
                Field("source", "\(source.value) port \(try reader.readUInt16("source port"))"),
                Field("destination", "\(destination.value) port \(try reader.readUInt16("destination port"))"),
            ]
        },
        // RFC 5685 section 8.
        .redirect: { reader, _ throws(OctetError) in
            [try gateway(&reader, "new responder"), .opaque("nonce", reader.readRest())]
        },
        .redirectedFrom: { reader, _ throws(OctetError) in [try gateway(&reader, "original responder")] },
    ]

    private static func address(_ reader: inout OctetReader, _ family: IPFamily) throws(OctetError) -> Field {
        let octets = try reader.readOctets(family.octetCount, "address")
        return Field("address", IPAddress(octets: octets).map { "\($0)" } ?? octets.hexadecimal)
    }

    /// RFC 5685 section 8.2: 1 for IPv4, 2 for IPv6, 3 for a name.
    private static func gateway(_ reader: inout OctetReader, _ name: String) throws(OctetError) -> Field {
        let type = try reader.readUInt8("gateway identity type")
        let octets = try reader.readOctets(Int(try reader.readUInt8("gateway identity length")), "gateway identity")
        switch type {
        case 1, 2: return IPAddress(octets: octets).map { Field(name, "\($0)") } ?? .opaque(name, octets)
        case 3: return .text(name, octets)
        default: return Field(name, "of type \(type)", octets: octets)
        }
    }
}
