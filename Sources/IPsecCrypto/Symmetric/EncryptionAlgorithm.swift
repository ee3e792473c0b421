/// An encryption algorithm with its key size: a transform of type 1 of the IANA registry "IKEv2 Transform Type Values".
public struct EncryptionAlgorithm: Hashable, Sendable, CustomStringConvertible {
    enum Kind: UInt16 {
        case null = 11
        case aesCBC = 12
        case aesCTR = 13
        case aesCCM8 = 14
        case aesCCM12 = 15
        case aesCCM16 = 16
        case aesGCM8 = 18
        case aesGCM12 = 19
        case aesGCM16 = 20
        case nullWithGMAC = 21
        case chaCha20Poly1305 = 28
        case aesCCM8ImplicitIV = 29
        case aesGCM16ImplicitIV = 30
        case chaCha20Poly1305ImplicitIV = 31
    }

    /// How the octets are worked on.
    enum Mode {
        case none
        case cbc
        case counter
        case ccm
        case gcm
        case gmac
        case chaCha20Poly1305
    }

    let kind: Kind
    /// The size of the key proper, without the salt, in bits; 256 for ChaCha20-Poly1305, 0 for NULL.
    public let keyBits: Int

    private init(kind: Kind, keyBits: Int) {
        self.kind = kind
        self.keyBits = keyBits
    }

    /// - Parameter keyBits: the Key Length attribute as received. It must be present for AES (RFC 7296, section 3.3.5)
    ///   and absent for NULL and for ChaCha20-Poly1305 (RFC 7634, section 4).
    /// - Returns: `nil` for a transform this suite does not implement, or a key size the transform does not have.
    public init?(transformID: UInt16, keyBits: UInt16?) {
        guard let kind = Kind(rawValue: transformID) else { return nil }
        switch (Self.fixedKeyBits(kind), keyBits) {
        case (let fixed?, nil): self.init(kind: kind, keyBits: fixed)
        case (nil, let bits?):
            guard bits == 128 || bits == 192 || bits == 256 else { return nil }
            self.init(kind: kind, keyBits: Int(bits))
        default: return nil
        }
    }

    /// The key size of algorithms that have only one, and that send no Key Length attribute.
    private static func fixedKeyBits(_ kind: Kind) -> Int? {
        switch kind {
        case .null: 0
        case .chaCha20Poly1305, .chaCha20Poly1305ImplicitIV: 256
        default: nil
        }
    }

    // MARK: The algorithms

    // For all that take the size of a key: 128, 192 or 256 bits; another value is a programming error.

    /// AES-GCM with a tag of 16 octets (RFC 4106 for ESP, RFC 5282 for IKE).
    public static func aesGCM16(_ bits: Int) -> EncryptionAlgorithm { aes(.aesGCM16, bits) }
    /// AES-GCM with a tag of 12 octets.
    public static func aesGCM12(_ bits: Int) -> EncryptionAlgorithm { aes(.aesGCM12, bits) }
    /// AES-GCM with a tag of 8 octets.
    public static func aesGCM8(_ bits: Int) -> EncryptionAlgorithm { aes(.aesGCM8, bits) }
    /// AES-CCM with a tag of 16 octets (RFC 4309 for ESP, RFC 5282 for IKE).
    public static func aesCCM16(_ bits: Int) -> EncryptionAlgorithm { aes(.aesCCM16, bits) }
    /// AES-CCM with a tag of 12 octets.
    public static func aesCCM12(_ bits: Int) -> EncryptionAlgorithm { aes(.aesCCM12, bits) }
    /// AES-CCM with a tag of 8 octets.
    public static func aesCCM8(_ bits: Int) -> EncryptionAlgorithm { aes(.aesCCM8, bits) }
    /// AES-CBC (RFC 3602), which needs an ``IntegrityAlgorithm`` beside it.
    public static func aesCBC(_ bits: Int) -> EncryptionAlgorithm { aes(.aesCBC, bits) }
    /// AES in counter mode (RFC 3686 for ESP, RFC 5930 for IKE), which needs an ``IntegrityAlgorithm`` beside it.
    public static func aesCTR(_ bits: Int) -> EncryptionAlgorithm { aes(.aesCTR, bits) }
    /// ChaCha20-Poly1305 (RFC 7634).
    public static let chaCha20Poly1305 = EncryptionAlgorithm(kind: .chaCha20Poly1305, keyBits: 256)
    /// No encryption (RFC 2410), only with an ``IntegrityAlgorithm`` beside it, and only in ESP.
    public static let null = EncryptionAlgorithm(kind: .null, keyBits: 0)
    /// No encryption, but a tag by AES-GMAC (RFC 4543); only in ESP.
    public static func nullWithGMAC(_ bits: Int) -> EncryptionAlgorithm { aes(.nullWithGMAC, bits) }
    /// AES-CCM with a tag of 8 octets whose IV is the sequence number and is not sent (RFC 8750); only in ESP.
    public static func aesCCM8ImplicitIV(_ bits: Int) -> EncryptionAlgorithm { aes(.aesCCM8ImplicitIV, bits) }
    /// AES-GCM with a tag of 16 octets whose IV is the sequence number and is not sent (RFC 8750); only in ESP.
    public static func aesGCM16ImplicitIV(_ bits: Int) -> EncryptionAlgorithm { aes(.aesGCM16ImplicitIV, bits) }
    /// ChaCha20-Poly1305 whose IV is the sequence number and is not sent (RFC 8750); only in ESP.
    public static let chaCha20Poly1305ImplicitIV = EncryptionAlgorithm(
        kind: .chaCha20Poly1305ImplicitIV, keyBits: 256)

    private static func aes(_ kind: Kind, _ bits: Int) -> EncryptionAlgorithm {
        precondition(bits == 128 || bits == 192 || bits == 256, "AES keys have 128, 192 or 256 bits")
        return EncryptionAlgorithm(kind: kind, keyBits: bits)
    }

    // MARK: On the wire

    /// The number of the transform in the IANA registry.
    public var transformID: UInt16 { kind.rawValue }

    /// The value of the Key Length attribute to send; `nil` when the attribute must not be sent.
    public var keyLengthAttribute: UInt16? { Self.fixedKeyBits(kind) == nil ? UInt16(keyBits) : nil }

    // MARK: Properties

    var mode: Mode {
        switch kind {
        case .null: .none
        case .aesCBC: .cbc
        case .aesCTR: .counter
        case .aesCCM8, .aesCCM12, .aesCCM16, .aesCCM8ImplicitIV: .ccm
        case .aesGCM8, .aesGCM12, .aesGCM16, .aesGCM16ImplicitIV: .gcm
        case .nullWithGMAC: .gmac
        case .chaCha20Poly1305, .chaCha20Poly1305ImplicitIV: .chaCha20Poly1305
        }
    }

    /// Whether the algorithm protects integrity by itself, so that no ``IntegrityAlgorithm`` may stand beside it.
    public var isAEAD: Bool {
        switch mode {
        case .none, .cbc, .counter: false
        case .ccm, .gcm, .gmac, .chaCha20Poly1305: true
        }
    }

    /// Whether the payload can be read by everybody on the way.
    public var leavesPayloadReadable: Bool { mode == .none || mode == .gmac }

    /// Whether packets carry no IV, the sequence number being it (RFC 8750).
    public var hasImplicitIV: Bool {
        switch kind {
        case .aesCCM8ImplicitIV, .aesGCM16ImplicitIV, .chaCha20Poly1305ImplicitIV: true
        default: false
        }
    }

    /// Whether an IKE SA may use it: not without encryption (RFC 7296, section 5), and not where sequence numbers are
    /// needed, which IKE messages do not have (RFC 8750, section 7).
    public var protectsIKE: Bool { !leavesPayloadReadable && !hasImplicitIV }

    /// Whether the IV only has to differ from message to message, as a counter does; otherwise it must be unpredictable.
    public var acceptsCounterAsIV: Bool { mode != .cbc }

    /// Octets of the key proper, without the salt.
    public var keyLength: Int { keyBits / 8 }

    /// Octets of the salt that follow the key in the key material: 4 for GCM and GMAC (RFC 4106, section 8.1), for
    /// ChaCha20-Poly1305 (RFC 7634, section 2) and for the nonce of CTR (RFC 3686, section 5.1); 3 for CCM (RFC 4309,
    /// section 7.1).
    public var saltLength: Int {
        switch mode {
        case .none, .cbc: 0
        case .ccm: 3
        case .counter, .gcm, .gmac, .chaCha20Poly1305: 4
        }
    }

    /// Octets of key material taken from the key schedule: key, then salt.
    public var keyMaterialLength: Int { keyLength + saltLength }

    /// Octets of the initialization vector that each message or packet carries.
    public var ivLength: Int {
        switch mode {
        case .none: 0
        case .cbc: 16
        case .counter, .ccm, .gcm, .gmac, .chaCha20Poly1305: hasImplicitIV ? 0 : 8
        }
    }

    /// Octets of the tag of an AEAD; 0 otherwise, where the ``IntegrityAlgorithm`` says it.
    public var icvLength: Int {
        switch kind {
        case .null, .aesCBC, .aesCTR: 0
        case .aesCCM8, .aesGCM8, .aesCCM8ImplicitIV: 8
        case .aesCCM12, .aesGCM12: 12
        case .aesCCM16, .aesGCM16, .nullWithGMAC, .chaCha20Poly1305, .aesGCM16ImplicitIV,
            .chaCha20Poly1305ImplicitIV:
            16
        }
    }

    /// The plaintext must be padded to a multiple of so many octets: 16 for CBC; 1 for the others, which ask for no
    /// padding (ESP itself aligns to 4 octets, RFC 4303, section 2.4).
    public var blockSize: Int { mode == .cbc ? 16 : 1 }

    /// For example `AES-GCM-256`, `AES-CCM-8-128`: the length of the tag stands between if it is not 16 octets.
    public var description: String {
        let tag = icvLength == 16 ? "" : "-\(icvLength)"
        let suffix = hasImplicitIV ? " with implicit IV" : ""
        return switch mode {
        case .none: "NULL"
        case .cbc: "AES-CBC-\(keyBits)"
        case .counter: "AES-CTR-\(keyBits)"
        case .ccm: "AES-CCM\(tag)-\(keyBits)\(suffix)"
        case .gcm: "AES-GCM\(tag)-\(keyBits)\(suffix)"
        case .gmac: "NULL with AES-GMAC-\(keyBits)"
        case .chaCha20Poly1305: "ChaCha20-Poly1305\(suffix)"
        }
    }
}
