import COpenSSL
import Crypto
import CryptoExtras
import Octets

/// Protects what an Encrypted payload, or an Encrypted Fragment payload, carries (RFC 7296, section 3.14; RFC 7383).
///
/// The protected body is IV, ciphertext, integrity check value. The ciphertext hides the plaintext, padding to the
/// block size and the Pad Length octet. With an AEAD the octets of the message before the IV are associated data (RFC
/// 5282, section 5.1); otherwise the integrity check value covers those octets, the IV and the ciphertext.
public struct MessageCipher: Sendable {
    private enum Keys {
        case aesGCM16(SymmetricKey, salt: SecretOctets)
        case chaCha20Poly1305(SymmetricKey, salt: SecretOctets)
        /// AES-CCM, and AES-GCM with a short tag, which swift-crypto does not have.
        case aead(EncryptionAlgorithm, SecretOctets, salt: SecretOctets)
        case aesCBC(SymmetricKey, KeyedCode, integrityKey: SymmetricKey)
        case aesCTR(SecretOctets, nonce: SecretOctets, KeyedCode, integrityKey: SymmetricKey)
    }

    private let keys: Keys
    private let blockSize: Int
    private let icvLength: Int
    /// Octets of the IV to pass to ``seal(_:after:iv:)``.
    public let ivLength: Int

    /// - Parameters:
    ///   - encryptionKey: the key, then the salt of an AEAD: SK_ei or SK_er as derived.
    ///   - integrity: `nil` with an AEAD, needed otherwise; the same goes for its key.
    /// - Throws: ``CryptoError/Code/invalidLength`` for a key that does not fit,
    ///   ``CryptoError/Code/unsupportedAlgorithm`` for algorithms that do not go together.
    public init(
        encryption: EncryptionAlgorithm, encryptionKey: SecretOctets, integrity: IntegrityAlgorithm?,
        integrityKey: SecretOctets?
    ) throws(CryptoError) {
        guard encryption.protectsIKE else {
            throw CryptoError(.unsupportedAlgorithm, "\(encryption) is for ESP alone")
        }
        let material = try ProtectionKeys(
            encryption: encryption, encryptionKey: encryptionKey, integrity: integrity, integrityKey: integrityKey)
        switch material {
        case .combined(let key, let salt):
            keys =
                switch encryption.kind {
                case .chaCha20Poly1305: .chaCha20Poly1305(key.symmetricKey, salt: salt)
                case .aesGCM16: .aesGCM16(key.symmetricKey, salt: salt)
                default: .aead(encryption, key, salt: salt)
                }
            icvLength = encryption.icvLength
        case .separate(let key, let integrity, let integrityKey):
            keys =
                encryption.mode == .counter
                ? .aesCTR(
                    key[0..<encryption.keyLength],
                    nonce: key[encryption.keyLength..<encryption.keyMaterialLength], integrity.code,
                    integrityKey: integrityKey.symmetricKey)
                : .aesCBC(key.symmetricKey, integrity.code, integrityKey: integrityKey.symmetricKey)
            icvLength = integrity.icvLength
        }
        blockSize = encryption.blockSize
        ivLength = encryption.ivLength
    }

    /// Octets of the body that ``seal(_:after:iv:)`` makes of so many octets of plaintext.
    public func sealedLength(of plaintextCount: Int) -> Int {
        ivLength + plaintextCount + paddingLength(of: plaintextCount) + 1 + icvLength
    }

    /// Padding that makes plaintext, padding and the Pad Length octet a whole number of blocks.
    private func paddingLength(of plaintextCount: Int) -> Int {
        blockSize - 1 - plaintextCount % blockSize
    }

    /// The protected body: IV, ciphertext, integrity check value.
    ///
    /// - Parameters:
    ///   - header: every octet of the message before the IV, lengths already filled in.
    ///   - iv: ``ivLength`` octets: unpredictable for CBC, never used before under this key for the others.
    /// - Throws: ``CryptoError/Code/invalidLength`` for an IV of another length.
    public func seal(_ plaintext: [UInt8], after header: [UInt8], iv: [UInt8]) throws(CryptoError) -> [UInt8] {
        guard iv.count == ivLength else {
            throw CryptoError(.invalidLength, "the IV takes \(ivLength) octets, not \(iv.count)")
        }
        let padding = paddingLength(of: plaintext.count)
        var padded = plaintext
        padded.reserveCapacity(plaintext.count + padding + 1)
        padded.append(contentsOf: repeatElement(0, count: padding))
        padded.append(UInt8(padding))

        var body = iv
        body.reserveCapacity(sealedLength(of: plaintext.count))
        do {
            switch keys {
            case .aesGCM16(let key, let salt):
                let nonce = try AES.GCM.Nonce(data: salt.unprotected + iv)
                let box = try AES.GCM.seal(padded, using: key, nonce: nonce, authenticating: header)
                body += box.ciphertext
                body += box.tag
            case .chaCha20Poly1305(let key, let salt):
                let nonce = try ChaChaPoly.Nonce(data: salt.unprotected + iv)
                let box = try ChaChaPoly.seal(padded, using: key, nonce: nonce, authenticating: header)
                body += box.ciphertext
                body += box.tag
            case .aead(let algorithm, let key, let salt):
                body += try Self.seal(padded, algorithm, key, nonce: salt.unprotected + iv, after: header)
            case .aesCTR(let key, let nonce, let keyed, let integrityKey):
                body += try Self.count(padded, key, nonce: nonce, iv: iv)
                body += try code(keyed, integrityKey, header, body[...])
            case .aesCBC(let key, let keyed, let integrityKey):
                body += try AES._CBC.encrypt(padded, using: key, iv: .init(ivBytes: iv), noPadding: true)
                body += try code(keyed, integrityKey, header, body[...])
            }
        } catch {
            throw CryptoError(.libraryFailure, "encryption of a message failed: \(error)")
        }
        return body
    }

    /// The plaintext of a protected body, without padding.
    ///
    /// - Parameters:
    ///   - body: IV, ciphertext and integrity check value as received.
    ///   - header: every octet of the message before the IV, as received.
    /// - Throws: ``CryptoError/Code/authenticationFailed`` whenever the body is not authentic, too short ones included;
    ///   ``CryptoError/Code/invalidLength`` when it is authentic and its Pad Length does not fit.
    public func open(_ body: [UInt8], after header: [UInt8]) throws(CryptoError) -> [UInt8] {
        let ciphertextCount = body.count - ivLength - icvLength
        guard ciphertextCount > 0, ciphertextCount % blockSize == 0 else { throw Self.notAuthentic }
        let iv = body[..<ivLength]
        let ciphertext = body[ivLength..<ivLength + ciphertextCount]
        let icv = body[(ivLength + ciphertextCount)...]

        var padded: [UInt8]
        do {
            switch keys {
            case .aesGCM16(let key, let salt):
                let nonce = try AES.GCM.Nonce(data: salt.unprotected + iv)
                let box = try AES.GCM.SealedBox(nonce: nonce, ciphertext: ciphertext, tag: icv)
                padded = Array(try AES.GCM.open(box, using: key, authenticating: header))
            case .chaCha20Poly1305(let key, let salt):
                let nonce = try ChaChaPoly.Nonce(data: salt.unprotected + iv)
                let box = try ChaChaPoly.SealedBox(nonce: nonce, ciphertext: ciphertext, tag: icv)
                padded = Array(try ChaChaPoly.open(box, using: key, authenticating: header))
            case .aead(let algorithm, let key, let salt):
                padded = try Self.open(
                    Array(ciphertext), Array(icv), algorithm, key, nonce: salt.unprotected + iv, after: header)
            case .aesCTR(let key, let nonce, let keyed, let integrityKey):
                let expected = try code(keyed, integrityKey, header, body[..<icv.startIndex])
                guard constantTimeEqual(expected, icv) else { throw Self.notAuthentic }
                padded = try Self.count(Array(ciphertext), key, nonce: nonce, iv: Array(iv))
            case .aesCBC(let key, let keyed, let integrityKey):
                // Nothing is decrypted that has not been authenticated, so there is no padding oracle.
                let expected = try code(keyed, integrityKey, header, body[..<icv.startIndex])
                guard constantTimeEqual(expected, icv) else { throw Self.notAuthentic }
                padded = Array(try AES._CBC.decrypt(ciphertext, using: key, iv: .init(ivBytes: iv), noPadding: true))
            }
        } catch {
            throw Self.notAuthentic
        }

        guard let padding = padded.popLast().map(Int.init), padding <= padded.count else {
            throw CryptoError(.invalidLength, "the Pad Length of an authentic message exceeds the message")
        }
        padded.removeLast(padding)
        return padded
    }

    private func code(
        _ keyed: KeyedCode, _ key: SymmetricKey, _ header: [UInt8], _ protected: ArraySlice<UInt8>
    ) throws(CryptoError) -> [UInt8] {
        try SecretOctets(count: icvLength) { (output) throws(CryptoError) in
            try header.withOctets { (header) throws(CryptoError) in
                try Array(protected).withOctets { (protected) throws(CryptoError) in
                    try keyed.authenticate([header, protected], key: key, into: output)
                }
            }
        }.unprotected
    }

    // MARK: What swift-crypto does not have

    /// Ciphertext and tag.
    private static func seal(
        _ text: [UInt8], _ algorithm: EncryptionAlgorithm, _ key: SecretOctets, nonce: [UInt8], after header: [UInt8]
    ) throws(CryptoError) -> [UInt8] {
        let context = try AEADContext(algorithm, key: key, encrypting: true)
        let count = Int32(clamping: text.count)
        var sealed = text + [UInt8](repeating: 0, count: algorithm.icvLength)
        let done = sealed.withUnsafeMutableBytes { octets in
            guard let place = octets.baseAddress else { return false }
            return context.begin(nonce: nonce, count: count)
                && context.authenticate(header, count: Int32(clamping: header.count))
                && context.process(place, count: count) && context.finish(writing: place + text.count)
        }
        guard done else { throw CryptoError(.libraryFailure, "libcrypto failed to seal") }
        return sealed
    }

    private static func open(
        _ text: [UInt8], _ tag: [UInt8], _ algorithm: EncryptionAlgorithm, _ key: SecretOctets, nonce: [UInt8],
        after header: [UInt8]
    ) throws(CryptoError) -> [UInt8] {
        let context = try AEADContext(algorithm, key: key, encrypting: false)
        let count = Int32(clamping: text.count)
        var (opened, tag) = (text, tag)
        let isAuthentic = opened.withUnsafeMutableBytes { octets in
            guard let place = octets.baseAddress else { return false }
            return context.begin(nonce: nonce, count: count, expecting: &tag)
                && context.authenticate(header, count: Int32(clamping: header.count))
                && context.process(place, count: count) && context.finish()
        }
        guard isAuthentic else { throw notAuthentic }
        return opened
    }

    /// Counter mode, which is its own inverse: the first block is nonce, IV and 1 (RFC 5930, section 2.2).
    private static func count(
        _ text: [UInt8], _ key: SecretOctets, nonce: SecretOctets, iv: [UInt8]
    ) throws(CryptoError) -> [UInt8] {
        let cipher =
            switch key.count {
            case 16: EVP_aes_128_ctr()
            case 24: EVP_aes_192_ctr()
            default: EVP_aes_256_ctr()
            }
        let context = try CipherContext(cipher, key: key, encrypting: true)
        var result = text
        let done = result.withUnsafeMutableBytes { octets in
            guard let place = octets.baseAddress else { return true }
            return context.begin(iv: nonce.unprotected + iv + UInt32(1).bigEndianOctets)
                && context.process(place, to: place, count: Int32(clamping: octets.count))
        }
        guard done else { throw CryptoError(.libraryFailure, "libcrypto failed to encrypt by counter mode") }
        return result
    }

    private static let notAuthentic = CryptoError(.authenticationFailed, "the message is not authentic")
}
