// Data of the notifications of RFC 9347 (aggregation and fragmentation).
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
        }
    ]
}
