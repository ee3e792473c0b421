import SwiftASN1

/// The kinds of keys that sign, told apart by the AlgorithmIdentifier of a SubjectPublicKeyInfo or of a PKCS#8 key.
enum KeyAlgorithm: String, CustomStringConvertible {
    case rsa = "RSA"
    case p256 = "P-256"
    case p384 = "P-384"
    case p521 = "P-521"
    case ed25519 = "Ed25519"
    case ed448 = "Ed448"
    case mlDSA65 = "ML-DSA-65"
    case mlDSA87 = "ML-DSA-87"

    var description: String { rawValue }

    /// Reads an AlgorithmIdentifier; throws a ``CryptoError`` if it names another kind of key.
    init(_ node: ASN1Node) throws {
        self = try DER.sequence(node, identifier: .sequence) { nodes in
            let algorithm = try ASN1ObjectIdentifier(derEncoded: &nodes)
            switch algorithm {
            case .AlgorithmIdentifier.rsaEncryption:
                _ = try ASN1Null(derEncoded: &nodes)
                return .rsa
            case .AlgorithmIdentifier.idEcPublicKey:
                return try Self.named(try ASN1ObjectIdentifier(derEncoded: &nodes))
            case .ed25519:
                return .ed25519
            case .ed448:
                return .ed448
            case .mlDSA65:
                return .mlDSA65
            case .mlDSA87:
                return .mlDSA87
            case .mlDSA44:
                throw CryptoError(
                    .unsupportedAlgorithm, "ML-DSA-44 is not supported; ML-DSA-65 and ML-DSA-87 are")
            case .rsaPSS:
                throw CryptoError(
                    .unsupportedAlgorithm,
                    """
                    RSA keys restricted to PSS (id-RSASSA-PSS) are not supported; use a plain RSA key, which signs \
                    PSS too
                    """
                )
            default:
                throw CryptoError(
                    .unsupportedAlgorithm,
                    """
                    keys of algorithm \(algorithm) are not supported; RSA, ECDSA on P-256, P-384, P-521, Ed25519, \
                    Ed448, ML-DSA-65 and ML-DSA-87 are
                    """
                )
            }
        }
    }

    private static func named(_ curve: ASN1ObjectIdentifier) throws -> KeyAlgorithm {
        switch curve {
        case .NamedCurves.secp256r1: return .p256
        case .NamedCurves.secp384r1: return .p384
        case .NamedCurves.secp521r1: return .p521
        default:
            throw CryptoError(
                .unsupportedAlgorithm, "the elliptic curve \(curve) is not supported; P-256, P-384 and P-521 are")
        }
    }
}

/// The two parts of a SubjectPublicKeyInfo, RFC 5280 section 4.1.
struct PublicKeyInfo {
    let algorithm: KeyAlgorithm
    let key: ArraySlice<UInt8>

    init(_ der: [UInt8]) throws(CryptoError) {
        do {
            (algorithm, key) = try DER.sequence(try DER.parse(der), identifier: .sequence) { nodes in
                guard let identifier = nodes.next() else {
                    throw CryptoError(.unusableKey, "the public key lacks its algorithm")
                }
                let algorithm = try KeyAlgorithm(identifier)
                let bits = try ASN1BitString(derEncoded: &nodes)
                guard bits.paddingBits == 0 else {
                    throw CryptoError(.unusableKey, "the public key ends within an octet")
                }
                return (algorithm, bits.bytes)
            }
        } catch let error as CryptoError {
            throw error
        } catch {
            throw CryptoError(.unusableKey, "the public key is not a SubjectPublicKeyInfo in DER")
        }
    }

    /// The SubjectPublicKeyInfo of a key whose algorithm has no parameters (RFC 8410, section 4; RFC 9881, section 4).
    static func encoded(_ algorithm: ASN1ObjectIdentifier, _ key: [UInt8]) throws(CryptoError) -> [UInt8] {
        var serializer = DER.Serializer()
        do {
            try serializer.appendConstructedNode(identifier: .sequence) { coder in
                try coder.appendConstructedNode(identifier: .sequence) { try $0.serialize(algorithm) }
                try coder.serialize(ASN1BitString(bytes: key[...]))
            }
        } catch {
            throw CryptoError(.libraryFailure, "the public key cannot be encoded")
        }
        return serializer.serializedBytes
    }
}
