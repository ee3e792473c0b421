/// What Wireshark's key tables call algorithms, and the transforms of IANA's registries that are meant.
enum AnalyserNames {
    struct Encryption: Sendable {
        let transformID: UInt16
        /// In bits; `nil` where the table of ESP leaves it to the key.
        let keyBits: UInt16?
        /// Octets that follow the key proper: the salt of an AEAD, the nonce of a counter mode.
        let saltLength: Int
    }

    struct Integrity: Sendable {
        /// `nil` for none.
        let transformID: UInt16?
    }

    // MARK: ikev2_decryption_table

    static let ikeEncryption: [String: Encryption] = {
        var names: [String: Encryption] = [
            "3DES [RFC2451]": Encryption(transformID: 3, keyBits: nil, saltLength: 0),
            "NULL [RFC2410]": Encryption(transformID: 11, keyBits: nil, saltLength: 0),
            chaCha20Poly1305: Encryption(transformID: 28, keyBits: nil, saltLength: 4),
        ]
        for bits: UInt16 in [128, 192, 256] {
            names["AES-CBC-\(bits) [RFC3602]"] = Encryption(transformID: 12, keyBits: bits, saltLength: 0)
            names["AES-CTR-\(bits) [RFC5930]"] = Encryption(transformID: 13, keyBits: bits, saltLength: 4)
            for (index, length) in [8, 12, 16].enumerated() {
                names["AES-CCM-\(bits) with \(length) octet ICV [RFC5282]"] = Encryption(
                    transformID: 14 + UInt16(index), keyBits: bits, saltLength: 3)
                names["AES-GCM-\(bits) with \(length) octet ICV [RFC5282]"] = Encryption(
                    transformID: 18 + UInt16(index), keyBits: bits, saltLength: 4)
            }
        }
        return names
    }()

    /// Wireshark has no name for it; this is the one `cygnet run --save-keys` writes.
    static let chaCha20Poly1305 = "ChaCha20-Poly1305 [RFC7634]"

    static let ikeIntegrity: [String: Integrity] = [
        "NONE [RFC4306]": Integrity(transformID: nil),
        "HMAC_MD5_96 [RFC2403]": Integrity(transformID: 1),
        "HMAC_SHA1_96 [RFC2404]": Integrity(transformID: 2),
        "HMAC_MD5_128 [RFC4595]": Integrity(transformID: 6),
        "HMAC_SHA1_160 [RFC4595]": Integrity(transformID: 7),
        "HMAC_SHA2_256_128 [RFC4868]": Integrity(transformID: 12),
        "HMAC_SHA2_384_192 [RFC4868]": Integrity(transformID: 13),
        "HMAC_SHA2_512_256 [RFC4868]": Integrity(transformID: 14),
        "AES_XCBC_96 [RFC3566]": Integrity(transformID: 5),
        "AES_CMAC_96 [RFC4494]": Integrity(transformID: 8),
    ]

    // MARK: esp_sa

    static let espEncryption: [String: Encryption] = [
        "NULL": Encryption(transformID: 11, keyBits: nil, saltLength: 0),
        "TripleDES-CBC [RFC2451]": Encryption(transformID: 3, keyBits: nil, saltLength: 0),
        "DES-CBC [RFC2405]": Encryption(transformID: 2, keyBits: nil, saltLength: 0),
        "CAST5-CBC [RFC2144]": Encryption(transformID: 6, keyBits: nil, saltLength: 0),
        "BLOWFISH-CBC [RFC2451]": Encryption(transformID: 7, keyBits: nil, saltLength: 0),
        "AES-CBC [RFC3602]": Encryption(transformID: 12, keyBits: nil, saltLength: 0),
        "AES-CTR [RFC3686]": Encryption(transformID: 13, keyBits: nil, saltLength: 4),
        // The old name says nothing of the ICV; 16 octets are what everybody uses.
        "AES-GCM [RFC4106]": Encryption(transformID: 20, keyBits: nil, saltLength: 4),
        "AES-GCM with 8 octet ICV [RFC4106]": Encryption(transformID: 18, keyBits: nil, saltLength: 4),
        "AES-GCM with 12 octet ICV [RFC4106]": Encryption(transformID: 19, keyBits: nil, saltLength: 4),
        "AES-GCM with 16 octet ICV [RFC4106]": Encryption(transformID: 20, keyBits: nil, saltLength: 4),
        "AES-CCM with 8 octet ICV [RFC4309]": Encryption(transformID: 14, keyBits: nil, saltLength: 3),
        "AES-CCM with 12 octet ICV [RFC4309]": Encryption(transformID: 15, keyBits: nil, saltLength: 3),
        "AES-CCM with 16 octet ICV [RFC4309]": Encryption(transformID: 16, keyBits: nil, saltLength: 3),
        "ChaCha20 with Poly1305 [RFC7634]": Encryption(transformID: 28, keyBits: nil, saltLength: 4),
    ]

    static let espIntegrity: [String: Integrity] = [
        "NULL": Integrity(transformID: nil),
        "HMAC-MD5-96 [RFC2403]": Integrity(transformID: 1),
        "HMAC-SHA-1-96 [RFC2404]": Integrity(transformID: 2),
        "AES-XCBC-MAC-96 [RFC3566]": Integrity(transformID: 5),
        "AES-CMAC-96 [RFC4494]": Integrity(transformID: 8),
        "HMAC-SHA-256-128 [RFC4868]": Integrity(transformID: 12),
        "HMAC-SHA-384-192 [RFC4868]": Integrity(transformID: 13),
        "HMAC-SHA-512-256 [RFC4868]": Integrity(transformID: 14),
    ]

    /// Forms of Wireshark's that take the packet unchecked, or that no registry has: known by name, and not opened here.
    static func isKnownElsewhere(_ name: String) -> Bool {
        let name = name.lowercased()
        return name.hasSuffix("[no checking]") || name.hasPrefix("twofish") || name.contains("ripemd")
            || name.contains("draft-ietf-ipsec-ciph-sha-256-00")
    }
}
