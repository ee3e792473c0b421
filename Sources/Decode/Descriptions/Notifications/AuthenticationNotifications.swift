// Data of the notifications of RFC 6467 (password methods), RFC 7427 (hash algorithms) and RFC 9593 (authentication methods).
import IKEMessage
import IPsecCrypto
import Octets

extension NotificationTable {
    static let authenticationNotifications: [NotifyType: NotificationReader] = [
        // RFC 6467 section 3.1.
        .securePasswordMethods: { reader, _ throws(OctetError) in
            var methods: [Field] = []
            let names: [UInt16: String] = [1: "PACE", 2: "AugPAKE", 3: "Secure PSK Authentication"]
            while !reader.isAtEnd {
                let method = try reader.readUInt16("method")
                methods.append(Field("method", names[method] ?? "UNKNOWN(\(method))"))
            }
            return methods
        },
        // RFC 7427 section 4.
        .signatureHashAlgorithms: { reader, _ throws(OctetError) in
            var hashes: [Field] = []
            while !reader.isAtEnd {
                hashes.append(
                    Field("hash", HashAlgorithmID(rawValue: try reader.readUInt16("hash algorithm")).described))
            }
            return hashes
        },
        // RFC 9593 section 3.2: each announcement with its own length.
        .supportedAuthMethods: { reader, _ throws(OctetError) in
            var announcements: [Field] = []
            while !reader.isAtEnd { announcements.append(try announcement(&reader)) }
            return announcements
        },
    ]

    private static func announcement(_ reader: inout OctetReader) throws(OctetError) -> Field {
        let start = reader.offset
        let length = Int(try reader.readUInt8("announcement length"))
        guard length >= 2 else {
            throw reader.invalid("announcement length", "\(length) octets; at least 2 are needed", at: start)
        }
        var body = try reader.reader(length: length - 1, "announcement")
        // Link and algorithm are there only in the longer forms (sections 3.2.2 and 3.2.3).
        let method = AuthenticationMethod(rawValue: try body.readUInt8("authentication method"))
        var fields: [Field] = []
        if !body.isAtEnd { fields.append(Field("certificate request", try body.readUInt8("certificate link"))) }
        if !body.isAtEnd {
            let identifier = body.readRest()
            let name = SignatureAlgorithm(algorithmIdentifier: identifier).map { "\($0)" }
            fields.append(Field("algorithm", name ?? "not known", octets: name == nil ? identifier : nil))
        }
        return Field("method", method.described, fields)
    }
}
