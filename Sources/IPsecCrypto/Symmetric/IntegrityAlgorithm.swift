/// An integrity algorithm: a transform of type 3. The raw value is its number in the IANA registry.
///
/// All are HMAC-SHA2 truncated to half the hash (RFC 4868), which AES-CBC is combined with.
public enum IntegrityAlgorithm: UInt16, CaseIterable, Sendable, CustomStringConvertible {
    case hmacSHA2_256_128 = 12
    case hmacSHA2_384_192 = 13
    case hmacSHA2_512_256 = 14

    var hmac: HMACSHA2 {
        switch self {
        case .hmacSHA2_256_128: .sha256
        case .hmacSHA2_384_192: .sha384
        case .hmacSHA2_512_256: .sha512
        }
    }

    /// Octets of the key: the size of the hash (RFC 4868, section 2.1.1).
    public var keyLength: Int { hmac.outputLength }

    /// Octets of the truncated integrity check value.
    public var icvLength: Int { keyLength / 2 }

    /// For example `HMAC-SHA2-256-128`.
    public var description: String {
        switch self {
        case .hmacSHA2_256_128: "HMAC-SHA2-256-128"
        case .hmacSHA2_384_192: "HMAC-SHA2-384-192"
        case .hmacSHA2_512_256: "HMAC-SHA2-512-256"
        }
    }
}
