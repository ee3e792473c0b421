/// Encoding of a CERT or CERTREQ payload (RFC 7296 section 3.6).
public struct CertificateEncoding: RegisteredNumber {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let pkcs7 = Self(rawValue: 1)
    public static let pgp = Self(rawValue: 2)
    public static let dnsSignedKey = Self(rawValue: 3)
    /// One DER-encoded X.509 certificate whose key verifies the AUTH payload, or a further certificate of its chain.
    public static let x509Signature = Self(rawValue: 4)
    public static let kerberosToken = Self(rawValue: 6)
    public static let certificateRevocationList = Self(rawValue: 7)
    public static let authorityRevocationList = Self(rawValue: 8)
    public static let spkiCertificate = Self(rawValue: 9)
    public static let x509Attribute = Self(rawValue: 10)
    /// Deprecated by RFC 7670 in favour of ``rawPublicKey``.
    public static let rawRSAKey = Self(rawValue: 11)
    public static let hashAndURLOfX509Certificate = Self(rawValue: 12)
    public static let hashAndURLOfX509Bundle = Self(rawValue: 13)
    /// RFC 4806.
    public static let ocspContent = Self(rawValue: 14)
    /// RFC 7670.
    public static let rawPublicKey = Self(rawValue: 15)

    public static let names: [Self: String] = [
        .pkcs7: "PKCS #7 wrapped X.509 certificate",
        .pgp: "PGP Certificate",
        .dnsSignedKey: "DNS Signed Key",
        .x509Signature: "X.509 Certificate - Signature",
        .kerberosToken: "Kerberos Token",
        .certificateRevocationList: "Certificate Revocation List (CRL)",
        .authorityRevocationList: "Authority Revocation List (ARL)",
        .spkiCertificate: "SPKI Certificate",
        .x509Attribute: "X.509 Certificate - Attribute",
        .rawRSAKey: "Raw RSA Key",
        .hashAndURLOfX509Certificate: "Hash and URL of X.509 certificate",
        .hashAndURLOfX509Bundle: "Hash and URL of X.509 bundle",
        .ocspContent: "OCSP Content",
        .rawPublicKey: "Raw Public Key",
    ]

    public var isPrivateUse: Bool { rawValue >= 201 }
}
