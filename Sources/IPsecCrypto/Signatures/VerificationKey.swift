import Crypto
import CryptoExtras
import SwiftASN1

/// A public key that verifies signatures: RSA, ECDSA on a NIST curve, Ed25519, Ed448, or ML-DSA.
public struct VerificationKey: Sendable, Hashable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable, CustomStringConvertible {
        case rsa(bits: Int)
        case ecdsa(bits: Int)
        case ed25519
        case ed448
        case mlDSA65
        case mlDSA87

        public var description: String {
            switch self {
            case .rsa(let bits): "RSA \(bits)"
            case .ecdsa(let bits): "ECDSA P-\(bits)"
            case .ed25519: "Ed25519"
            case .ed448: "Ed448"
            case .mlDSA65: "ML-DSA-65"
            case .mlDSA87: "ML-DSA-87"
            }
        }
    }

    /// RSA moduli below the first bound can be factored in reach; above the second a single verification costs too
    /// much.
    package static let acceptedRSABits = 2048...8192
    package static let leastRSAExponent = 65537

    enum Backing: Sendable {
        case rsa(_RSA.Signing.PublicKey)
        case p256(P256.Signing.PublicKey)
        case p384(P384.Signing.PublicKey)
        case p521(P521.Signing.PublicKey)
        case ed25519(Curve25519.Signing.PublicKey)
        case ed448(Ed448.PublicKey)
        case mlDSA65(MLDSA65.PublicKey)
        case mlDSA87(MLDSA87.PublicKey)
    }

    private let backing: Backing
    /// The SubjectPublicKeyInfo (RFC 5280 section 4.1) in DER, as it was read.
    public let subjectPublicKeyInfo: [UInt8]
    public let kind: Kind

    /// Reads a SubjectPublicKeyInfo of RFC 5280 section 4.1 in DER.
    ///
    /// Throws `unusableKey` if the octets are not a key, or if it is an RSA key shorter than 2048 bits, longer than
    /// 8192 bits or with an exponent below 65537; `unsupportedAlgorithm` if it is a key of a kind that is not
    /// supported.
    public init(subjectPublicKeyInfo der: [UInt8]) throws(CryptoError) {
        let info = try PublicKeyInfo(der)
        try self.init(Self.backing(of: info, der: der), subjectPublicKeyInfo: der)
    }

    init(_ backing: Backing, subjectPublicKeyInfo der: [UInt8]) throws(CryptoError) {
        switch backing {
        case .rsa(let key): kind = .rsa(bits: try Self.checkStrength(key))
        case .p256: kind = .ecdsa(bits: 256)
        case .p384: kind = .ecdsa(bits: 384)
        case .p521: kind = .ecdsa(bits: 521)
        case .ed25519: kind = .ed25519
        case .ed448: kind = .ed448
        case .mlDSA65: kind = .mlDSA65
        case .mlDSA87: kind = .mlDSA87
        }
        self.backing = backing
        subjectPublicKeyInfo = der
    }

    private static func backing(of info: PublicKeyInfo, der: [UInt8]) throws(CryptoError) -> Backing {
        do {
            switch info.algorithm {
            case .rsa: return .rsa(try _RSA.Signing.PublicKey(unsafeDERRepresentation: der))
            case .p256: return .p256(try P256.Signing.PublicKey(x963Representation: info.key))
            case .p384: return .p384(try P384.Signing.PublicKey(x963Representation: info.key))
            case .p521: return .p521(try P521.Signing.PublicKey(x963Representation: info.key))
            case .ed25519: return .ed25519(try Curve25519.Signing.PublicKey(rawRepresentation: info.key))
            case .ed448:
                guard let key = Ed448.PublicKey(Array(info.key)) else { break }
                return .ed448(key)
            case .mlDSA65: return .mlDSA65(try MLDSA65.PublicKey(rawRepresentation: info.key))
            case .mlDSA87: return .mlDSA87(try MLDSA87.PublicKey(rawRepresentation: info.key))
            }
        } catch {
            // Why is of no use to anybody.
        }
        throw CryptoError(.unusableKey, "the public key is not a valid \(info.algorithm) key")
    }

    /// The modulus length in bits, if the key is strong enough.
    private static func checkStrength(_ key: _RSA.Signing.PublicKey) throws(CryptoError) -> Int {
        let bits = key.keySizeInBits
        guard acceptedRSABits.contains(bits) else {
            throw CryptoError(
                .unusableKey,
                """
                the RSA key has \(bits) bits; \(acceptedRSABits.lowerBound) to \(acceptedRSABits.upperBound) are \
                accepted
                """
            )
        }
        // Small exponents are what makes forged PKCS#1 v1.5 padding cheap.
        guard let exponent = try? key.getKeyPrimitives().publicExponent, exponent.count <= 8,
            exponent.reduce(UInt64(0), { $0 << 8 | UInt64($1) }) >= leastRSAExponent
        else {
            throw CryptoError(.unusableKey, "the RSA key has a public exponent below \(leastRSAExponent)")
        }
        return bits
    }

    /// Whether `signature` over `data` was made with the private key to this public key.
    ///
    /// ECDSA signatures are expected in DER. False for every algorithm with a ``SignatureAlgorithm/refusal`` and for
    /// algorithms of other kinds of keys.
    public func isValid(_ signature: [UInt8], of data: [UInt8], with algorithm: SignatureAlgorithm) -> Bool {
        switch (backing, algorithm) {
        case (.rsa(let key), .rsaPKCS1(let hash)):
            RSAVerifier(key: key, padding: .insecurePKCS1v1_5).isValid(signature, of: data, hash: hash)
        case (.rsa(let key), .rsaPSS(let hash)):
            RSAVerifier(key: key, padding: .PSS).isValid(signature, of: data, hash: hash)
        case (.p256(let key), .ecdsa(let hash)): key.isValid(signature, of: data, hash: hash)
        case (.p384(let key), .ecdsa(let hash)): key.isValid(signature, of: data, hash: hash)
        case (.p521(let key), .ecdsa(let hash)): key.isValid(signature, of: data, hash: hash)
        case (.ed25519(let key), .ed25519): signature.count == 64 && key.isValidSignature(signature, for: data)
        case (.ed448(let key), .ed448): key.isValid(signature, of: data)
        case (.mlDSA65(let key), .mlDSA65): key.isValidSignature(signature, for: data)
        case (.mlDSA87(let key), .mlDSA87): key.isValidSignature(signature, for: data)
        default: false
        }
    }

    public static func == (left: VerificationKey, right: VerificationKey) -> Bool {
        left.subjectPublicKeyInfo == right.subjectPublicKeyInfo
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(subjectPublicKeyInfo) }

    public var description: String { kind.description }
}

/// An RSA key with the padding to verify under. PSS in the library below means MGF1 with the same hash and a salt of
/// exactly the hash length; PKCS#1 v1.5 compares the whole encoded block.
private struct RSAVerifier: DigestVerifying {
    let key: _RSA.Signing.PublicKey
    let padding: _RSA.Signing.Padding

    func isValid(_ signature: [UInt8], digest: some Digest) -> Bool {
        guard signature.count == (key.keySizeInBits + 7) / 8 else { return false }
        return key.isValidSignature(
            _RSA.Signing.RSASignature(rawRepresentation: signature), for: digest, padding: padding)
    }
}

extension P256.Signing.PublicKey: DigestVerifying {
    func isValid(_ signature: [UInt8], digest: some Digest) -> Bool {
        guard let raw = VerificationKey.ecdsaDERToRaw(signature, curveBits: 256),
            let signature = try? P256.Signing.ECDSASignature(rawRepresentation: raw)
        else { return false }
        return isValidSignature(signature, for: digest)
    }
}

extension P384.Signing.PublicKey: DigestVerifying {
    func isValid(_ signature: [UInt8], digest: some Digest) -> Bool {
        guard let raw = VerificationKey.ecdsaDERToRaw(signature, curveBits: 384),
            let signature = try? P384.Signing.ECDSASignature(rawRepresentation: raw)
        else { return false }
        return isValidSignature(signature, for: digest)
    }
}

extension P521.Signing.PublicKey: DigestVerifying {
    func isValid(_ signature: [UInt8], digest: some Digest) -> Bool {
        guard let raw = VerificationKey.ecdsaDERToRaw(signature, curveBits: 521),
            let signature = try? P521.Signing.ECDSASignature(rawRepresentation: raw)
        else { return false }
        return isValidSignature(signature, for: digest)
    }
}
