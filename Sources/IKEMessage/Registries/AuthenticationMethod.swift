/// Method of an AUTH payload (RFC 7296 section 3.8).
public struct AuthenticationMethod: RegisteredNumber {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let rsaDigitalSignature = Self(rawValue: 1)
    public static let sharedKey = Self(rawValue: 2)
    public static let dssDigitalSignature = Self(rawValue: 3)
    /// ECDSA with SHA-256 on the P-256 curve (RFC 4754).
    public static let ecdsaP256 = Self(rawValue: 9)
    /// ECDSA with SHA-384 on the P-384 curve (RFC 4754).
    public static let ecdsaP384 = Self(rawValue: 10)
    /// ECDSA with SHA-512 on the P-521 curve (RFC 4754).
    public static let ecdsaP521 = Self(rawValue: 11)
    /// Generic Secure Password Authentication Method (RFC 6467).
    public static let genericSecurePassword = Self(rawValue: 12)
    /// RFC 7619.
    public static let null = Self(rawValue: 13)
    /// RFC 7427: the data hold an AlgorithmIdentifier, see ``SignatureAuthenticationData``.
    public static let digitalSignature = Self(rawValue: 14)

    public static let names: [Self: String] = [
        .rsaDigitalSignature: "RSA Digital Signature",
        .sharedKey: "Shared Key Message Integrity Code",
        .dssDigitalSignature: "DSS Digital Signature",
        .ecdsaP256: "ECDSA with SHA-256 on the P-256 curve",
        .ecdsaP384: "ECDSA with SHA-384 on the P-384 curve",
        .ecdsaP521: "ECDSA with SHA-512 on the P-521 curve",
        .genericSecurePassword: "Generic Secure Password Authentication Method",
        .null: "NULL Authentication",
        .digitalSignature: "Digital Signature",
    ]

    public var isPrivateUse: Bool { rawValue >= 201 }
}

/// Hash algorithm of a SIGNATURE_HASH_ALGORITHMS notification (RFC 7427 section 4).
public struct HashAlgorithmID: RegisteredNumber {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let sha1 = Self(rawValue: 1)
    public static let sha2_256 = Self(rawValue: 2)
    public static let sha2_384 = Self(rawValue: 3)
    public static let sha2_512 = Self(rawValue: 4)
    /// The signature algorithm takes the message itself, as Ed25519 does (RFC 8420).
    public static let identity = Self(rawValue: 5)
    public static let streebog256 = Self(rawValue: 6)
    public static let streebog512 = Self(rawValue: 7)

    public static let names: [Self: String] = [
        .sha1: "SHA1",
        .sha2_256: "SHA2-256",
        .sha2_384: "SHA2-384",
        .sha2_512: "SHA2-512",
        .identity: "Identity",
        .streebog256: "STREEBOG_256",
        .streebog512: "STREEBOG_512",
    ]

    public var isPrivateUse: Bool { rawValue >= 1024 }
}
