import Crypto
import Octets

/// One side's private key of a key exchange and the public value that goes with it.
public struct KeyExchangeKey: Sendable, CustomStringConvertible {
    private enum PrivateKey {
        case modp(ModularGroup, exponent: SecretOctets)
        case ecp256(P256.KeyAgreement.PrivateKey)
        case ecp384(P384.KeyAgreement.PrivateKey)
        case ecp521(P521.KeyAgreement.PrivateKey)
        case brainpool(BrainpoolCurve, scalar: SecretOctets)
        case curve25519(Curve25519.KeyAgreement.PrivateKey)
        case curve448(Curve448Key)
        case encapsulation(Encapsulation)
        case rehearsed
    }

    public let method: KeyExchangeMethod
    /// The Key Exchange Data of the Key Exchange payload: ``KeyExchangeMethod/publicValueLength`` octets.
    public let publicValue: [UInt8]
    private let key: PrivateKey
    /// Octets of what the peer sends.
    private let peerLength: Int

    /// - Parameter seed: of the length that `method` asks for, which ``KeyExchangeMethod/makeKey(seed:)`` has checked.
    init(method: KeyExchangeMethod, seed: SecretOctets) throws(CryptoError) {
        self.method = method
        peerLength = method.responseLength
        switch method {
        case .modp2048, .modp3072, .modp4096, .modp6144, .modp8192:
            let group = try ModularGroup.named(method)
            guard group.canUse(exponent: seed) else { throw Self.unusableSeed(method) }
            publicValue = try group.publicValue(exponent: seed)
            key = .modp(group, exponent: seed)
        case .ecp256:
            let scalar = try Self.make(method, seed) { try P256.KeyAgreement.PrivateKey(rawRepresentation: $0) }
            publicValue = Array(scalar.publicKey.x963Representation.dropFirst())
            key = .ecp256(scalar)
        case .ecp384:
            let scalar = try Self.make(method, seed) { try P384.KeyAgreement.PrivateKey(rawRepresentation: $0) }
            publicValue = Array(scalar.publicKey.x963Representation.dropFirst())
            key = .ecp384(scalar)
        case .ecp521:
            let lowBits = SecretOctets(count: seed.count) { (octets: UnsafeMutableRawBufferPointer) in
                seed.withUnsafeBytes { octets.copyMemory(from: $0) }
                octets[0] &= 1
            }
            let scalar = try Self.make(method, lowBits) { try P521.KeyAgreement.PrivateKey(rawRepresentation: $0) }
            publicValue = Array(scalar.publicKey.x963Representation.dropFirst())
            key = .ecp521(scalar)
        case .curve25519:
            let scalar = try Self.make(method, seed) { try Curve25519.KeyAgreement.PrivateKey(rawRepresentation: $0) }
            publicValue = Array(scalar.publicKey.rawRepresentation)
            key = .curve25519(scalar)
        case .brainpoolP256r1, .brainpoolP384r1, .brainpoolP512r1:
            let curve = try BrainpoolCurve.named(method)
            let scalar = try curve.scalar(seed: seed)
            publicValue = try curve.publicValue(scalar: scalar)
            key = .brainpool(curve, scalar: scalar)
        case .curve448:
            let scalar = try Curve448Key(seed: seed)
            publicValue = scalar.publicValue
            key = .curve448(scalar)
        case .mlKEM768, .mlKEM1024:
            let pair = try Encapsulation(method, seed: seed)
            publicValue = pair.publicValue
            key = .encapsulation(pair)
        }
    }

    /// A key with the lengths of a method and none of its arithmetic, for simulations: whoever sees both public values knows
    /// the secret. Nothing that reads a configuration or a message makes one.
    package init(rehearsing method: KeyExchangeMethod, seed: SecretOctets, isResponder: Bool) {
        self.method = method
        peerLength = isResponder ? method.publicValueLength : method.responseLength
        let octets = seed.unprotected
        publicValue = (0..<(isResponder ? method.responseLength : method.publicValueLength)).map {
            octets.isEmpty ? 0 : octets[$0 % octets.count]
        }
        key = .rehearsed
    }

    private static func make<Key>(
        _ method: KeyExchangeMethod, _ seed: SecretOctets, _ make: (UnsafeRawBufferPointer) throws -> Key
    ) throws(CryptoError) -> Key {
        do {
            return try seed.withUnsafeBytes(make)
        } catch {
            throw unusableSeed(method)
        }
    }

    private static func unusableSeed(_ method: KeyExchangeMethod) -> CryptoError {
        CryptoError(.unusableSeed, "the seed gives no private key of \(method)")
    }

    /// The secret shared with the peer: g^ir of RFC 7296, padded on the left to the size of the modulus for MODP
    /// (section 2.14), the x coordinate for ECP (RFC 5903, section 7) and Brainpool, 32 or 56 octets for Curve25519 and Curve448,
    /// 32 for ML-KEM.
    ///
    /// - Parameter peerPublicValue: the Key Exchange Data as received.
    /// - Throws: ``CryptoError/Code/invalidLength`` for data of another length than the method has;
    ///   ``CryptoError/Code/invalidPublicValue`` for a value that RFC 6989, section 2, or RFC 7748, section 6, has us
    ///   refuse.
    public func sharedSecret(with peerPublicValue: [UInt8]) throws(CryptoError) -> SecretOctets {
        guard peerPublicValue.count == peerLength else {
            throw CryptoError(
                .invalidLength, "the peer's value of \(method) has \(peerLength) octets, not \(peerPublicValue.count)")
        }
        switch key {
        case .modp(let group, let exponent):
            return try group.sharedSecret(peerPublicValue: peerPublicValue, exponent: exponent)
        case .ecp256(let scalar): return try agree(scalar, with: [Self.uncompressed] + peerPublicValue)
        case .ecp384(let scalar): return try agree(scalar, with: [Self.uncompressed] + peerPublicValue)
        case .ecp521(let scalar): return try agree(scalar, with: [Self.uncompressed] + peerPublicValue)
        case .curve25519(let scalar):
            let secret = try agree(scalar, with: peerPublicValue)
            // A point of small order gives zero, and swift-crypto lets it pass (RFC 7748, section 6.1).
            let zero = SecretOctets(count: secret.count) { (_: UnsafeMutableRawBufferPointer) in }
            guard secret != zero else { throw invalidPublicValue }
            return secret
        case .brainpool(let curve, let scalar):
            return try curve.sharedSecret(peerPublicValue: peerPublicValue, scalar: scalar)
        case .curve448(let scalar):
            return try scalar.sharedSecret(peerPublicValue: peerPublicValue)
        case .encapsulation(let pair):
            return try pair.decapsulate(peerPublicValue)
        case .rehearsed:
            let values = [publicValue, peerPublicValue].sorted { $0.lexicographicallyPrecedes($1) }
            return SHA256.hash(data: values[0] + values[1]).withUnsafeBytes { SecretOctets($0) }
        }
    }

    /// The octet before the two coordinates of a point in SEC 1, which IKE leaves out.
    private static let uncompressed: UInt8 = 4

    /// swift-crypto accepts only points on the curve; its affine coordinates cannot stand for the point at infinity.
    private func agree<Key: DiffieHellmanKeyAgreement>(
        _ key: Key, with encoded: [UInt8]
    ) throws(CryptoError) -> SecretOctets where Key.PublicKey: PublicValueDecoding {
        do {
            let peer = try Key.PublicKey(publicValue: encoded)
            return try key.sharedSecretFromKeyAgreement(with: peer).withUnsafeBytes { SecretOctets($0) }
        } catch {
            throw invalidPublicValue
        }
    }

    /// Tells the method and nothing of the private key.
    public var description: String { "<private key of \(method)>" }

    private var invalidPublicValue: CryptoError {
        CryptoError(.invalidPublicValue, "the peer's octets are no acceptable public value of \(method)")
    }
}

/// Public keys of swift-crypto under the encoding that IKE carries them in.
private protocol PublicValueDecoding {
    init(publicValue: [UInt8]) throws
}

extension P256.KeyAgreement.PublicKey: PublicValueDecoding {
    fileprivate init(publicValue: [UInt8]) throws { try self.init(x963Representation: publicValue) }
}

extension P384.KeyAgreement.PublicKey: PublicValueDecoding {
    fileprivate init(publicValue: [UInt8]) throws { try self.init(x963Representation: publicValue) }
}

extension P521.KeyAgreement.PublicKey: PublicValueDecoding {
    fileprivate init(publicValue: [UInt8]) throws { try self.init(x963Representation: publicValue) }
}

extension Curve25519.KeyAgreement.PublicKey: PublicValueDecoding {
    fileprivate init(publicValue: [UInt8]) throws { try self.init(rawRepresentation: publicValue) }
}
