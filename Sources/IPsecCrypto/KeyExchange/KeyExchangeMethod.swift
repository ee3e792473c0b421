import Octets

/// A key exchange method: a transform of type 4. The raw value is its number in the IANA registry.
public enum KeyExchangeMethod: UInt16, CaseIterable, Sendable, CustomStringConvertible {
    case modp2048 = 14
    case modp3072 = 15
    case modp4096 = 16
    case ecp256 = 19
    case ecp384 = 20
    case ecp521 = 21
    case curve25519 = 31

    /// Octets of the public value in a Key Exchange payload: the size of the modulus for MODP (RFC 7296, section 3.4),
    /// both coordinates for ECP (RFC 5903, section 7), 32 for Curve25519 (RFC 8031, section 3.1).
    public var publicValueLength: Int {
        switch self {
        case .modp2048: 256
        case .modp3072: 384
        case .modp4096: 512
        case .ecp256: 64
        case .ecp384: 96
        case .ecp521: 132
        case .curve25519: 32
        }
    }

    /// Octets of the random seed that a private key is made from.
    ///
    /// For MODP it is the exponent, sized for the highest strength that RFC 3526, section 8, gives the group.
    public var privateSeedLength: Int {
        switch self {
        case .modp2048: 40
        case .modp3072: 53
        case .modp4096: 60
        case .ecp256: 32
        case .ecp384: 48
        case .ecp521: 66
        case .curve25519: 32
        }
    }

    /// The private key that the seed stands for: always the same for the same seed.
    ///
    /// The seed is the private key itself, most significant octet first for MODP and ECP, as RFC 7748 has it for
    /// Curve25519. Of a seed for ECP-521 only the 521 low bits count, otherwise few seeds would do.
    ///
    /// - Parameter seed: ``privateSeedLength`` octets from a cryptographic random generator.
    /// - Throws: ``CryptoError/Code/unusableSeed`` if the seed gives no private key of this method: draw another;
    ///   ``CryptoError/Code/invalidLength`` if it has another length.
    public func makeKey(seed: SecretOctets) throws(CryptoError) -> KeyExchangeKey {
        guard seed.count == privateSeedLength else {
            throw CryptoError(.invalidLength, "\(self) takes a seed of \(privateSeedLength) octets, not \(seed.count)")
        }
        return try KeyExchangeKey(method: self, seed: seed)
    }

    /// For example `ECP-256`.
    public var description: String {
        switch self {
        case .modp2048: "MODP-2048"
        case .modp3072: "MODP-3072"
        case .modp4096: "MODP-4096"
        case .ecp256: "ECP-256"
        case .ecp384: "ECP-384"
        case .ecp521: "ECP-521"
        case .curve25519: "Curve25519"
        }
    }
}
