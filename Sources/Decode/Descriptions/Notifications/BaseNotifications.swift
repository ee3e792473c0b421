// Data of the notifications of RFC 7296, RFC 8019 (puzzles).
import IKEMessage
import IPPacket
import IPsecCrypto
import Octets

extension NotificationTable {
    static let baseNotifications: [NotifyType: NotificationReader] = [
        // RFC 7296 section 3.10.1.
        .unsupportedCriticalPayload: { reader, _ throws(OctetError) in
            [Field("payload type", PayloadType(rawValue: try reader.readUInt8("payload type")).described)]
        },
        .invalidMessageID: { reader, _ throws(OctetError) in
            [Field("message ID", try reader.readUInt32("message ID"))]
        },
        .invalidSPI: { reader, _ throws(OctetError) in [Field("SPI", try reader.readOctets(4, "SPI").hexadecimal)] },
        .invalidKEPayload: { reader, _ throws(OctetError) in
            [Field("wanted", described(.keyExchange, try reader.readUInt16("key exchange method")))]
        },
        .invalidSelectors: { reader, _ throws(OctetError) in [.opaque("beginning of the packet", reader.readRest())] },
        .setWindowSize: { reader, _ throws(OctetError) in
            [Field("window size", try reader.readUInt32("window size"))]
        },
        // RFC 7296 section 2.22.
        .ipcompSupported: { reader, _ throws(OctetError) in
            let cpi = try reader.readUInt16("CPI")
            let transform = try reader.readUInt8("transform ID")
            let names: [UInt8: String] = [1: "IPCOMP_OUI", 2: "IPCOMP_DEFLATE", 3: "IPCOMP_LZS", 4: "IPCOMP_LZJH"]
            return [Field("CPI", cpi), Field("transform", names[transform] ?? "UNKNOWN(\(transform))")]
        },
        .natDetectionSourceIP: { reader, context throws(OctetError) in
            try natDetection(&reader, context, of: context.source, "source")
        },
        .natDetectionDestinationIP: { reader, context throws(OctetError) in
            try natDetection(&reader, context, of: context.destination, "destination")
        },
        .cookie: { reader, _ throws(OctetError) in [.opaque("cookie", reader.readRest())] },
        // RFC 8019 section 8.1.
        .puzzle: { reader, _ throws(OctetError) in
            [
                Field("PRF", described(.pseudorandomFunction, try reader.readUInt16("PRF"))),
                Field("difficulty", "\(try reader.readUInt8("difficulty")) bits"), .opaque("cookie", reader.readRest()),
            ]
        },
    ]

    /// RFC 7296 section 2.23: SHA-1 of SPIs, address and port as the sender sees them. If it is that of the packet's own, no NAT
    /// has changed them up to here.
    private static func natDetection(
        _ reader: inout OctetReader, _ context: MessageContext, of place: Place, _ end: String
    ) throws(OctetError) -> [Field] {
        let hash = try reader.readOctets(20, "hash")
        let header = context.header
        let port = place.port ?? 0
        let here = NamingDigest.sha1(
            header.initiatorSPI.bigEndianOctets + header.responderSPI.bigEndianOctets + place.address.octets
                + port.bigEndianOctets)
        let verdict =
            hash == here
            ? "that of the packet's \(end)" : "not that of the packet's \(end): changed on the way, or meant so"
        return [Field("hash", verdict, octets: hash)]
    }
}
