/// An encryption algorithm with its key size: a transform of type 1 of the IANA registry "IKEv2 Transform Type Values".
public struct EncryptionAlgorithm: Hashable, Sendable, CustomStringConvertible {
    enum Kind: UInt16 {
        case aesCBC = 12
        case aesGCM16 = 20
        case chaCha20Poly1305 = 28
    }

    let kind: Kind
    /// The size of the key proper, without the salt, in bits; 256 for ChaCha20-Poly1305.
    public let keyBits: Int

    private init(kind: Kind, keyBits: Int) {
        self.kind = kind
        self.keyBits = keyBits
    }

    /// - Parameter keyBits: the Key Length attribute as received. It must be present for AES (RFC 7296, section 3.3.5)
    ///   and absent for ChaCha20-Poly1305 (RFC 7634, section 4).
    /// - Returns: `nil` for a transform this suite does not implement, or a key size the transform does not have.
    public init?(transformID: UInt16, keyBits: UInt16?) {
        guard let kind = Kind(rawValue: transformID) else { return nil }
        switch (kind, keyBits) {
        case (.chaCha20Poly1305, nil): self.init(kind: kind, keyBits: 256)
        case (.aesCBC, let bits?), (.aesGCM16, let bits?):
            guard bits == 128 || bits == 192 || bits == 256 else { return nil }
            self.init(kind: kind, keyBits: Int(bits))
        default: return nil
        }
    }

    /// AES-GCM with a tag of 16 octets (RFC 4106 for ESP, RFC 5282 for IKE).
    ///
    /// - Parameter bits: the key size: 128, 192 or 256. Another value is a programming error.
    public static func aesGCM16(_ bits: Int) -> EncryptionAlgorithm { aes(.aesGCM16, bits) }

    /// AES-CBC (RFC 3602), which needs an ``IntegrityAlgorithm`` beside it.
    ///
    /// - Parameter bits: the key size: 128, 192 or 256. Another value is a programming error.
    public static func aesCBC(_ bits: Int) -> EncryptionAlgorithm { aes(.aesCBC, bits) }

    /// ChaCha20-Poly1305 (RFC 7634).
    public static let chaCha20Poly1305 = EncryptionAlgorithm(kind: .chaCha20Poly1305, keyBits: 256)

    private static func aes(_ kind: Kind, _ bits: Int) -> EncryptionAlgorithm {
        precondition(bits == 128 || bits == 192 || bits == 256, "AES keys have 128, 192 or 256 bits")
        return EncryptionAlgorithm(kind: kind, keyBits: bits)
    }

    /// The number of the transform in the IANA registry.
    public var transformID: UInt16 { kind.rawValue }

    /// The value of the Key Length attribute to send; `nil` when the attribute must not be sent.
    public var keyLengthAttribute: UInt16? { kind == .chaCha20Poly1305 ? nil : UInt16(keyBits) }

    /// Whether the algorithm protects integrity by itself.
    public var isAEAD: Bool { kind != .aesCBC }

    /// Octets of the key proper, without the salt.
    public var keyLength: Int { keyBits / 8 }

    /// Octets of the salt that follow the key in the key material (RFC 4106, section 8.1; RFC 7634, section 2).
    public var saltLength: Int { isAEAD ? 4 : 0 }

    /// Octets of key material taken from the key schedule: key, then salt.
    public var keyMaterialLength: Int { keyLength + saltLength }

    /// Octets of the initialization vector that each message or packet carries.
    public var ivLength: Int { isAEAD ? 8 : 16 }

    /// Octets of the tag of an AEAD; 0 otherwise, where the ``IntegrityAlgorithm`` says it.
    public var icvLength: Int { isAEAD ? 16 : 0 }

    /// The plaintext must be padded to a multiple of so many octets: 16 for CBC; 1 for an AEAD, which asks for no
    /// padding (ESP itself aligns to 4 octets, RFC 4303, section 2.4).
    public var blockSize: Int { isAEAD ? 1 : 16 }

    /// For example `AES-GCM-256`.
    public var description: String {
        switch kind {
        case .aesCBC: "AES-CBC-\(keyBits)"
        case .aesGCM16: "AES-GCM-\(keyBits)"
        case .chaCha20Poly1305: "ChaCha20-Poly1305"
        }
    }
}
