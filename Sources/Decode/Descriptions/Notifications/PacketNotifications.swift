// Data of the notifications of RFC 9347 (aggregation and fragmentation) and RFC 9611 (per-resource child SAs).
import IKEMessage
import Octets

extension NotificationTable {
    static let packetNotifications: [NotifyType: NotificationReader] = [
        // RFC 9347 section 5.1.
        .useAGGFRAG: { reader, _ throws(OctetError) in
            let flags = try reader.readUInt8("flags")
            return [
                Field("congestion control", flags & 2 != 0 ? "wanted" : "not needed"),
                Field("fragmentation", flags & 1 != 0 ? "not accepted" : "accepted"),
            ]
        },
        // RFC 9611 section 5.1.
        .saResourceInfo: { reader, _ throws(OctetError) in
            [.opaque("resource identifier, the sender's own", reader.readRest())]
        },
    ]
}
