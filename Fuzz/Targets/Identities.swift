import Credentials

extension FuzzTarget {
    /// Identities, as a peer sends them and as a person writes them. Input: the type, then the data.
    static let identities = FuzzTarget(
        name: "identities", longest: 1024,
        seeds: {
            let texts = [
                "gw.example.org", "someone@example.org", "CN=gw, O=Example\\, Inc., C=CH", "192.0.2.1", "2001:db8::1",
                "keyid:0x0102", "dn:CN=\\41+OU=x", "fqdn:gw", "1.2.3=#0401ff",
            ]
            return try texts.flatMap { text in
                let identity = try Identity(configured: text)
                return [[0] + Array(text.utf8), [identity.type] + identity.data]
            }
        }
    ) { octets in
        var input = FuzzInput(octets)
        let type = input.octet(), data = Array(input.rest)
        if let identity = Identity(type: type, data: data) {
            try expect(identity.type == type && identity.data == data, "it is written otherwise than it was read")
            try expect(identity.matches(identity) || type == 9, "an identity does not match itself")
            let text = "\(identity)".forLog()
            try expect(text.unicodeScalars.allSatisfy { $0.value >= 0x20 }, "control characters in \(text)")
        }
        if type == 0, let identity = try? Identity(configured: String(decoding: data, as: UTF8.self)) {
            try expect(identity.matches(identity), "an identity that was written does not match itself")
            try expect(
                Identity(type: identity.type, data: identity.data) == identity, "what was written cannot be sent")
        }
    }
}
