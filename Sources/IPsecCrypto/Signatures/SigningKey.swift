import Crypto
import CryptoExtras
import SwiftASN1

/// A private key that signs: RSA of at least 2048 bits, ECDSA on P-256, P-384 or P-521, Ed25519, Ed448, or
/// ML-DSA-65 or -87.
public struct SigningKey: Sendable {
    private enum Backing: Sendable {
        case rsa(_RSA.Signing.PrivateKey)
        case p256(P256.Signing.PrivateKey)
        case p384(P384.Signing.PrivateKey)
        case p521(P521.Signing.PrivateKey)
        case ed25519(Curve25519.Signing.PrivateKey)
        case ed448(Ed448.PrivateKey)
        case mlDSA65(MLDSA65.PrivateKey)
        case mlDSA87(MLDSA87.PrivateKey)
    }

    private let backing: Backing
    public let publicKey: VerificationKey

    /// Reads the one private key in a PEM text: PKCS#8 (`PRIVATE KEY`, RFC 5958), PKCS#1 (`RSA PRIVATE KEY`, RFC
    /// 8017) or SEC 1 (`EC PRIVATE KEY`, RFC 5915). Other PEM blocks beside it, such as curve parameters, are passed
    /// over.
    ///
    /// Throws `unusableKey` if there is none, it is encrypted, damaged or too weak; `unsupportedAlgorithm` if it is
    /// of another kind.
    public init(pem: String) throws(CryptoError) {
        backing = try Self.read(pem)
        publicKey = try Self.publicKey(of: backing)
    }

    // MARK: Reading

    private static func read(_ pem: String) throws(CryptoError) -> Backing {
        // Both the PKCS#8 label and the old "Proc-Type: 4,ENCRYPTED" header carry the word, and base64 cannot.
        guard !pem.contains("ENCRYPTED") else {
            throw CryptoError(
                .unusableKey,
                """
                the private key is encrypted; store it without passphrase in a file only the daemon can read \
                (openssl pkey -in OLD -out NEW)
                """
            )
        }
        let documents: [PEMDocument]
        do {
            documents = try PEMDocument.parseMultiple(pemString: pem)
        } catch {
            throw CryptoError(.unusableKey, "the private key is not well-formed PEM")
        }
        let keys = documents.filter { $0.discriminator.hasSuffix("PRIVATE KEY") }
        guard let document = keys.first else {
            throw CryptoError(.unusableKey, "there is no PEM block with a private key")
        }
        guard keys.count == 1 else {
            throw CryptoError(.unusableKey, "there are \(keys.count) private keys where one is expected")
        }
        switch document.discriminator {
        case "PRIVATE KEY": return try readPKCS8(document.derBytes)
        case "RSA PRIVATE KEY": return try readRSA(document.derBytes)
        case "EC PRIVATE KEY": return try readEC(document.derBytes)
        default:
            throw CryptoError(
                .unusableKey, "private keys in the form \"\(document.discriminator)\" are not supported; use PKCS#8")
        }
    }

    private static func readPKCS8(_ der: [UInt8]) throws(CryptoError) -> Backing {
        let algorithm: KeyAlgorithm
        let inner: ArraySlice<UInt8>
        do {
            (algorithm, inner) = try DER.sequence(try DER.parse(der), identifier: .sequence) { nodes in
                _ = try Int(derEncoded: &nodes)
                guard let identifier = nodes.next() else {
                    throw CryptoError(.unusableKey, "the key lacks its algorithm")
                }
                let algorithm = try KeyAlgorithm(identifier)
                let key = try ASN1OctetString(derEncoded: &nodes)
                // Attributes and a copy of the public key may follow; neither is needed.
                while nodes.next() != nil {}
                return (algorithm, key.bytes)
            }
        } catch let error as CryptoError {
            throw error
        } catch {
            throw CryptoError(.unusableKey, "the private key is not a PKCS#8 structure")
        }
        do {
            switch algorithm {
            case .rsa: return try readRSA(Array(inner))
            case .p256: return .p256(try P256.Signing.PrivateKey(derRepresentation: der))
            case .p384: return .p384(try P384.Signing.PrivateKey(derRepresentation: der))
            case .p521: return .p521(try P521.Signing.PrivateKey(derRepresentation: der))
            case .ed25519:
                let seed = try ASN1OctetString(derEncoded: Array(inner))
                return .ed25519(try Curve25519.Signing.PrivateKey(rawRepresentation: seed.bytes))
            case .ed448:
                let octets = try ASN1OctetString(derEncoded: Array(inner))
                guard let key = Ed448.PrivateKey(Array(octets.bytes)) else {
                    throw CryptoError(.unusableKey, "an Ed448 key has \(Ed448.keyLength) octets")
                }
                return .ed448(key)
            case .mlDSA65:
                return .mlDSA65(
                    try MLDSA65.PrivateKey(seedRepresentation: try mlDSASeed(inner), publicKey: nil))
            case .mlDSA87:
                return .mlDSA87(
                    try MLDSA87.PrivateKey(seedRepresentation: try mlDSASeed(inner), publicKey: nil))
            }
        } catch let error as CryptoError {
            throw error
        } catch {
            throw CryptoError(.unusableKey, "the private key is not a valid \(algorithm) key")
        }
    }

    /// The seed of an ML-DSA key (RFC 9881, section 6): alone, under the tag [0], or first of two beside the expanded key.
    private static func mlDSASeed(_ inner: ArraySlice<UInt8>) throws -> ArraySlice<UInt8> {
        let node = try DER.parse(inner)
        if node.identifier == .sequence {
            return try DER.sequence(node, identifier: .sequence) { nodes in
                let seed = try ASN1OctetString(derEncoded: &nodes)
                _ = try ASN1OctetString(derEncoded: &nodes)
                return seed.bytes
            }
        }
        let seedTag = ASN1Identifier(tagWithNumber: 0, tagClass: .contextSpecific)
        guard node.identifier == seedTag else {
            throw CryptoError(
                .unusableKey, "the ML-DSA key is stored expanded only; store it with its seed, of 32 octets")
        }
        return try ASN1OctetString(derEncoded: node, withIdentifier: seedTag).bytes
    }

    private static func readRSA(_ der: [UInt8]) throws(CryptoError) -> Backing {
        do {
            return .rsa(try _RSA.Signing.PrivateKey(unsafeDERRepresentation: der))
        } catch {
            throw CryptoError(.unusableKey, "the private key is not a valid RSA key, or is far too short")
        }
    }

    private static func readEC(_ der: [UInt8]) throws(CryptoError) -> Backing {
        if let key = try? P256.Signing.PrivateKey(derRepresentation: der) { return .p256(key) }
        if let key = try? P384.Signing.PrivateKey(derRepresentation: der) { return .p384(key) }
        if let key = try? P521.Signing.PrivateKey(derRepresentation: der) { return .p521(key) }
        throw CryptoError(.unusableKey, "the private key is not a valid key on P-256, P-384 or P-521")
    }

    private static func publicKey(of backing: Backing) throws(CryptoError) -> VerificationKey {
        switch backing {
        case .rsa(let key):
            try VerificationKey(.rsa(key.publicKey), subjectPublicKeyInfo: Array(key.publicKey.derRepresentation))
        case .p256(let key):
            try VerificationKey(.p256(key.publicKey), subjectPublicKeyInfo: Array(key.publicKey.derRepresentation))
        case .p384(let key):
            try VerificationKey(.p384(key.publicKey), subjectPublicKeyInfo: Array(key.publicKey.derRepresentation))
        case .p521(let key):
            try VerificationKey(.p521(key.publicKey), subjectPublicKeyInfo: Array(key.publicKey.derRepresentation))
        case .ed25519(let key):
            try VerificationKey(
                .ed25519(key.publicKey),
                subjectPublicKeyInfo: PublicKeyInfo.encoded(.ed25519, Array(key.publicKey.rawRepresentation)))
        case .ed448(let key):
            try VerificationKey(subjectPublicKeyInfo: PublicKeyInfo.encoded(.ed448, key.publicKey))
        case .mlDSA65(let key):
            try VerificationKey(
                .mlDSA65(key.publicKey),
                subjectPublicKeyInfo: PublicKeyInfo.encoded(.mlDSA65, Array(key.publicKey.rawRepresentation)))
        case .mlDSA87(let key):
            try VerificationKey(
                .mlDSA87(key.publicKey),
                subjectPublicKeyInfo: PublicKeyInfo.encoded(.mlDSA87, Array(key.publicKey.rawRepresentation)))
        }
    }

    // MARK: Signing

    /// The algorithms this key can sign with, best first, given the hashes the peer announced (RFC 7427 section 4).
    ///
    /// The hash that fits the key's strength comes first, then longer ones, then shorter ones; PSS before PKCS#1
    /// v1.5. Empty if the peer's hashes and the key do not go together. Ed25519, Ed448 and ML-DSA need the peer to have
    /// announced ``HashAlgorithm/identity``.
    public func algorithms(acceptedHashes: [HashAlgorithm]) -> [SignatureAlgorithm] {
        let hashes = preferredHashes.filter(acceptedHashes.contains)
        switch publicKey.kind {
        case .rsa: return hashes.map { .rsaPSS($0) } + hashes.map { .rsaPKCS1($0) }
        case .ecdsa: return hashes.map { .ecdsa($0) }
        case .ed25519: return acceptedHashes.contains(.identity) ? [.ed25519] : []
        case .ed448: return acceptedHashes.contains(.identity) ? [.ed448] : []
        case .mlDSA65: return acceptedHashes.contains(.identity) ? [.mlDSA65] : []
        case .mlDSA87: return acceptedHashes.contains(.identity) ? [.mlDSA87] : []
        }
    }

    private var preferredHashes: [HashAlgorithm] {
        switch publicKey.kind {
        case .rsa(bits: ...3072), .ecdsa(bits: 256): [.sha2_256, .sha2_384, .sha2_512]
        case .rsa(bits: ...7680), .ecdsa(bits: 384): [.sha2_384, .sha2_512, .sha2_256]
        case .rsa, .ecdsa: [.sha2_512, .sha2_384, .sha2_256]
        case .ed25519, .ed448, .mlDSA65, .mlDSA87: []
        }
    }

    /// Signs `data`; ECDSA signatures come in their DER form.
    ///
    /// Throws `unsupportedAlgorithm` if the algorithm is not one of this key's or is refused altogether.
    public func sign(_ data: [UInt8], with algorithm: SignatureAlgorithm) throws(CryptoError) -> [UInt8] {
        let signature: [UInt8]?
        do {
            signature =
                switch (backing, algorithm) {
                case (.rsa(let key), .rsaPKCS1(let hash)):
                    try RSASigner(key: key, padding: .insecurePKCS1v1_5).sign(data, hash: hash)
                case (.rsa(let key), .rsaPSS(let hash)):
                    try RSASigner(key: key, padding: .PSS).sign(data, hash: hash)
                case (.p256(let key), .ecdsa(let hash)): try key.sign(data, hash: hash)
                case (.p384(let key), .ecdsa(let hash)): try key.sign(data, hash: hash)
                case (.p521(let key), .ecdsa(let hash)): try key.sign(data, hash: hash)
                case (.ed25519(let key), .ed25519): Array(try key.signature(for: data))
                case (.ed448(let key), .ed448): key.sign(data)
                case (.mlDSA65(let key), .mlDSA65): Array(try key.signature(for: data))
                case (.mlDSA87(let key), .mlDSA87): Array(try key.signature(for: data))
                default: nil
                }
        } catch {
            throw CryptoError(.libraryFailure, "signing with \(algorithm) failed")
        }
        guard let signature else {
            throw CryptoError(
                .unsupportedAlgorithm, algorithm.refusal ?? "an \(publicKey.kind) key cannot sign with \(algorithm)")
        }
        return signature
    }
}

private struct RSASigner: DigestSigning {
    let key: _RSA.Signing.PrivateKey
    let padding: _RSA.Signing.Padding

    func sign(digest: some Digest) throws -> [UInt8] {
        Array(try key.signature(for: digest, padding: padding).rawRepresentation)
    }
}

extension P256.Signing.PrivateKey: DigestSigning {
    func sign(digest: some Digest) throws -> [UInt8] { Array(try signature(for: digest).derRepresentation) }
}

extension P384.Signing.PrivateKey: DigestSigning {
    func sign(digest: some Digest) throws -> [UInt8] { Array(try signature(for: digest).derRepresentation) }
}

extension P521.Signing.PrivateKey: DigestSigning {
    func sign(digest: some Digest) throws -> [UInt8] { Array(try signature(for: digest).derRepresentation) }
}
