// Data of the notifications of RFC 8784 (PPK) and RFC 9370 (additional key exchanges).
import Credentials
import IKEMessage
import Octets

extension NotificationTable {
    static let postQuantumNotifications: [NotifyType: NotificationReader] = [
        // RFC 8784 section 5.1: the form of a PPK_ID.
        .ppkIdentity: { reader, _ throws(OctetError) in
            let type = try reader.readUInt8("PPK_ID type")
            let names: [UInt8: String] = [1: "PPK_ID_OPAQUE", 2: "PPK_ID_FIXED"]
            let name = names[type] ?? "PPK_ID of type \(type)"
            let octets = reader.readRest()
            return [octets.allSatisfy { (0x21...0x7E).contains($0) } ? .text(name, octets) : .opaque(name, octets)]
        },
        .noPPKAuth: { reader, _ throws(OctetError) in [.opaque("authentication data", reader.readRest())] },
        // RFC 9370 section 2.2.4.
        .additionalKeyExchange: { reader, _ throws(OctetError) in [.opaque("link", reader.readRest())] },
    ]
}
