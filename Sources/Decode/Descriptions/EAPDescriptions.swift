// RFC 3748: EAP, in the payload of RFC 7296 section 3.16.
import IKEMessage
import Octets

extension EAPPayload: DescribedPayload {
    var summary: String {
        "\(code.described) \(identifier)" + (method.map { ", \(Self.methods[$0] ?? "method \($0)")" } ?? "")
    }

    func fields(in context: MessageContext) -> [Field] {
        let body = Array(data.dropFirst())
        guard method != nil, !body.isEmpty else { return [] }
        switch method {
        case 1: return [.text("identity", body)]
        case 2: return [.text("notification", body)]
        case 3: return body.map { Field("method wanted", Self.methods[$0] ?? "\($0)") }
        default: return [.opaque("method data", body)]
        }
    }

    /// IANA "EAP Method Types"; those that IKE meets.
    private static let methods: [UInt8: String] = [
        1: "Identity", 2: "Notification", 3: "Legacy Nak", 4: "MD5-Challenge", 5: "One-Time Password",
        6: "Generic Token Card", 13: "EAP-TLS", 18: "EAP-SIM", 21: "EAP-TTLS", 23: "EAP-AKA", 25: "PEAP",
        26: "MS-EAP-Authentication",
        33: "EAP-TLV", 43: "EAP-FAST", 50: "EAP-AKA'", 52: "EAP-pwd", 55: "TEAP", 254: "Expanded Type",
    ]
}
