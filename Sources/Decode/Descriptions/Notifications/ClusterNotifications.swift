// Data of the notifications of RFC 6311 (message IDs and counters of clusters).
import IKEMessage
import Octets

extension NotificationTable {
    static let clusterNotifications: [NotifyType: NotificationReader] = [
        // RFC 6311 section 7.
        .ikev2MessageIDSync: { reader, _ throws(OctetError) in
            [
                Field("nonce", try reader.readOctets(4, "nonce").hexadecimal),
                Field("next message ID to send", try reader.readUInt32("message ID to send")),
                Field("next message ID to receive", try reader.readUInt32("message ID to receive")),
            ]
        },
        // Four octets, or eight with extended sequence numbers.
        .ipsecReplayCounterSync: { reader, _ throws(OctetError) in
            let delta =
                reader.remaining == 8
                ? try reader.readUInt64("delta") : UInt64(try reader.readUInt32("delta"))
            return [Field("added to the outgoing sequence number", delta)]
        },
    ]
}
