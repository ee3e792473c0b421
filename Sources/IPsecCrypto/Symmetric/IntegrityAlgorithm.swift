/// An integrity algorithm: a transform of type 3. The raw value is its number in the IANA registry.
public enum IntegrityAlgorithm: UInt16, CaseIterable, Sendable, CustomStringConvertible {
    /// RFC 2404. Not broken as a code, but on its way out (RFC 8247, section 2.3): never offered by default.
    case hmacSHA1_96 = 2
    /// RFC 3566.
    case aesXCBC_96 = 5
    /// RFC 4494.
    case aesCMAC_96 = 8
    /// RFC 4868, as are the next two.
    case hmacSHA2_256_128 = 12
    case hmacSHA2_384_192 = 13
    case hmacSHA2_512_256 = 14

    var code: KeyedCode {
        switch self {
        case .hmacSHA1_96: .hmacSHA1
        case .aesXCBC_96: .aesXCBC
        case .aesCMAC_96: .aesCMAC
        case .hmacSHA2_256_128: .hmacSHA2_256
        case .hmacSHA2_384_192: .hmacSHA2_384
        case .hmacSHA2_512_256: .hmacSHA2_512
        }
    }

    /// Octets of the key: the size of the hash (RFC 2404, section 3; RFC 4868, section 2.1.1), or of the AES key.
    public var keyLength: Int { code.outputLength }

    /// Octets of the truncated integrity check value.
    public var icvLength: Int {
        switch self {
        case .hmacSHA1_96, .aesXCBC_96, .aesCMAC_96: 12
        case .hmacSHA2_256_128, .hmacSHA2_384_192, .hmacSHA2_512_256: keyLength / 2
        }
    }

    /// For example `HMAC-SHA2-256-128`.
    public var description: String {
        switch self {
        case .hmacSHA1_96: "HMAC-SHA1-96"
        case .aesXCBC_96: "AES-XCBC-96"
        case .aesCMAC_96: "AES-CMAC-96"
        case .hmacSHA2_256_128: "HMAC-SHA2-256-128"
        case .hmacSHA2_384_192: "HMAC-SHA2-384-192"
        case .hmacSHA2_512_256: "HMAC-SHA2-512-256"
        }
    }
}
