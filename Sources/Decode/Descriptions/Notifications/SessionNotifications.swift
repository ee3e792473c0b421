// Data of the notifications of RFC 4478 (repeated authentication), RFC 5723 (resumption) and RFC 6290 (crash detection).
import IKEMessage
import Octets

extension NotificationTable {
    static let sessionNotifications: [NotifyType: NotificationReader] = [
        // RFC 4478 section 3.
        .authLifetime: { reader, _ throws(OctetError) in [Field("lifetime", "\(try reader.readUInt32("lifetime")) s")]
        },
        // RFC 5723 section 7.
        .ticketLTOpaque: { reader, _ throws(OctetError) in
            [Field("lifetime", "\(try reader.readUInt32("lifetime")) s"), .opaque("ticket", reader.readRest())]
        },
        .ticketOpaque: { reader, _ throws(OctetError) in [.opaque("ticket", reader.readRest())] },
        // RFC 6290 section 4.1.
        .quickCrashDetection: { reader, _ throws(OctetError) in [.opaque("token", reader.readRest())] },
    ]
}
