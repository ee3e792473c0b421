import Octets

/// A key exchange method: a transform of type 4. The raw value is its number in the IANA registry.
public enum KeyExchangeMethod: UInt16, CaseIterable, Sendable, CustomStringConvertible {
    case modp2048 = 14
    case modp3072 = 15
    case modp4096 = 16
    case modp6144 = 17
    case modp8192 = 18
    case ecp256 = 19
    case ecp384 = 20
    case ecp521 = 21
    case brainpoolP256r1 = 28
    case brainpoolP384r1 = 29
    case brainpoolP512r1 = 30
    case curve25519 = 31
    case curve448 = 32
    case mlKEM768 = 36
    case mlKEM1024 = 37

    /// Whether the responder encapsulates a secret for the initiator's key, in place of making a key of its own (FIPS 203).
    public var isEncapsulation: Bool { self == .mlKEM768 || self == .mlKEM1024 }

    /// Octets of the initiator's public value in a Key Exchange payload, and of the responder's but for encapsulation: the size of the modulus for MODP (RFC 7296, section 3.4),
    /// both coordinates for ECP (RFC 5903, section 7) and Brainpool (RFC 6954, section 2.1), 32 and 56 for Curve25519 and
    /// Curve448 (RFC 8031, section 3.1), the encapsulation key for ML-KEM (FIPS 203, section 8).
    public var publicValueLength: Int {
        switch self {
        case .modp2048: 256
        case .modp3072: 384
        case .modp4096: 512
        case .modp6144: 768
        case .modp8192: 1024
        case .ecp256, .brainpoolP256r1: 64
        case .ecp384, .brainpoolP384r1: 96
        case .ecp521: 132
        case .brainpoolP512r1: 128
        case .curve25519: 32
        case .curve448: 56
        case .mlKEM768: 1184
        case .mlKEM1024: 1568
        }
    }

    /// Octets of the responder's value: for ML-KEM the ciphertext (FIPS 203, section 8).
    public var responseLength: Int {
        switch self {
        case .mlKEM768: 1088
        case .mlKEM1024: 1568
        default: publicValueLength
        }
    }

    /// Octets of the random seed that a private key is made from.
    ///
    /// For MODP it is the exponent, sized for the highest strength that RFC 3526, section 8, gives the group. For Brainpool
    /// it is 64 bits longer than the order of the curve, so that what is left of it after division is evenly spread. For ML-KEM it
    /// is d and z of FIPS 203, algorithm 19.
    public var privateSeedLength: Int {
        switch self {
        case .modp2048: 40
        case .modp3072: 53
        case .modp4096: 60
        case .modp6144: 68
        case .modp8192: 78
        case .ecp256: 32
        case .ecp384: 48
        case .ecp521: 66
        case .brainpoolP256r1: 40
        case .brainpoolP384r1: 56
        case .brainpoolP512r1: 72
        case .curve25519: 32
        case .curve448: 56
        case .mlKEM768, .mlKEM1024: 64
        }
    }

    /// Seeds to draw so that one of them gives a private key.
    public var seedsToDraw: Int {
        switch self {
        // Where the seed is the key itself, it may be one that the method does not have.
        case .modp2048, .modp3072, .modp4096, .modp6144, .modp8192, .ecp256, .ecp384, .ecp521: 4
        case .brainpoolP256r1, .brainpoolP384r1, .brainpoolP512r1, .curve25519, .curve448, .mlKEM768, .mlKEM1024: 1
        }
    }

    /// The private key that the seed stands for: always the same for the same seed.
    ///
    /// The seed is the private key itself, most significant octet first for MODP and ECP, as RFC 7748 has it for
    /// Curve25519 and Curve448. Of a seed for ECP-521 only the 521 low bits count, otherwise few seeds would do. On the
    /// Brainpool curves, whose orders are far from a power of two, the key is seed mod (n - 1) + 1 (FIPS 186-5, appendix
    /// A.2.1).
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

    /// What a responder does: makes its value and the secret that goes with both.
    ///
    /// - Parameters:
    ///   - peerPublicValue: the initiator's Key Exchange Data as received.
    ///   - seed: as for ``makeKey(seed:)``. ML-KEM does not use it: the library draws what it encapsulates itself.
    /// - Throws: as ``makeKey(seed:)`` and ``KeyExchangeKey/sharedSecret(with:)``; for ML-KEM also for an encapsulation key that
    ///   FIPS 203, section 7.2, has us refuse.
    public func respond(
        to peerPublicValue: [UInt8], seed: SecretOctets
    ) throws(CryptoError) -> (publicValue: [UInt8], secret: SecretOctets) {
        guard !isEncapsulation else { return try Encapsulation.encapsulate(self, for: peerPublicValue) }
        let key = try makeKey(seed: seed)
        return (key.publicValue, try key.sharedSecret(with: peerPublicValue))
    }

    /// For example `ECP-256`.
    public var description: String {
        switch self {
        case .modp2048: "MODP-2048"
        case .modp3072: "MODP-3072"
        case .modp4096: "MODP-4096"
        case .modp6144: "MODP-6144"
        case .modp8192: "MODP-8192"
        case .ecp256: "ECP-256"
        case .ecp384: "ECP-384"
        case .ecp521: "ECP-521"
        case .brainpoolP256r1: "Brainpool P256r1"
        case .brainpoolP384r1: "Brainpool P384r1"
        case .brainpoolP512r1: "Brainpool P512r1"
        case .curve25519: "Curve25519"
        case .curve448: "Curve448"
        case .mlKEM768: "ML-KEM-768"
        case .mlKEM1024: "ML-KEM-1024"
        }
    }
}
