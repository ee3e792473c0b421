// Data of the notifications of RFC 8784 and RFC 9867 (PPK) and RFC 9370 (additional key exchanges).
import Credentials
import IKEMessage
import Octets

extension NotificationTable {
    static let postQuantumNotifications: [NotifyType: NotificationReader] = [
        .ppkIdentity: { reader, _ throws(OctetError) in
            // A confirmation in IKE_AUTH has none.
            reader.remaining == 0 ? [] : [try ppkIdentifier(&reader, count: reader.remaining)]
        },
        // RFC 9867.
        .ppkIdentityKey: { reader, _ throws(OctetError) in
            let identifier = try ppkIdentifier(&reader, count: max(0, reader.remaining - 8))
            return [identifier, .opaque("confirmation", reader.readRest())]
        },
        .noPPKAuth: { reader, _ throws(OctetError) in [.opaque("authentication data", reader.readRest())] },
        // RFC 9370 section 2.2.4.
        .additionalKeyExchange: { reader, _ throws(OctetError) in [.opaque("link", reader.readRest())] },
    ]

    /// RFC 8784 section 5.1: the form of a PPK_ID.
    private static func ppkIdentifier(_ reader: inout OctetReader, count: Int) throws(OctetError) -> Field {
        let type = try reader.readUInt8("PPK_ID type")
        let names: [UInt8: String] = [1: "PPK_ID_OPAQUE", 2: "PPK_ID_FIXED"]
        let name = names[type] ?? "PPK_ID of type \(type)"
        let octets = try reader.readOctets(max(0, count - 1), "identifier")
        return octets.allSatisfy { (0x21...0x7E).contains($0) } ? .text(name, octets) : .opaque(name, octets)
    }
}
