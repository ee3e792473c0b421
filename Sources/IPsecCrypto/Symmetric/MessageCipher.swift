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
        case aesGCM(SymmetricKey, salt: SecretOctets)
        case chaCha20Poly1305(SymmetricKey, salt: SecretOctets)
        case aesCBC(SymmetricKey, HMACSHA2, integrityKey: SymmetricKey)
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
        let material = try ProtectionKeys(
            encryption: encryption, encryptionKey: encryptionKey, integrity: integrity, integrityKey: integrityKey)
        switch material {
        case .combined(let key, let salt):
            keys =
                encryption.kind == .chaCha20Poly1305
                ? .chaCha20Poly1305(key.symmetricKey, salt: salt) : .aesGCM(key.symmetricKey, salt: salt)
            icvLength = encryption.icvLength
        case .separate(let key, let integrity, let integrityKey):
            keys = .aesCBC(key.symmetricKey, integrity.hmac, integrityKey: integrityKey.symmetricKey)
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
    ///   - iv: ``ivLength`` octets: never used before under this key for an AEAD, unpredictable for CBC.
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
            case .aesGCM(let key, let salt):
                let nonce = try AES.GCM.Nonce(data: salt.unprotected + iv)
                let box = try AES.GCM.seal(padded, using: key, nonce: nonce, authenticating: header)
                body += box.ciphertext
                body += box.tag
            case .chaCha20Poly1305(let key, let salt):
                let nonce = try ChaChaPoly.Nonce(data: salt.unprotected + iv)
                let box = try ChaChaPoly.seal(padded, using: key, nonce: nonce, authenticating: header)
                body += box.ciphertext
                body += box.tag
            case .aesCBC(let key, let hmac, let integrityKey):
                body += try AES._CBC.encrypt(padded, using: key, iv: .init(ivBytes: iv), noPadding: true)
                body += code(hmac, integrityKey, header, body[...])
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
            case .aesGCM(let key, let salt):
                let nonce = try AES.GCM.Nonce(data: salt.unprotected + iv)
                let box = try AES.GCM.SealedBox(nonce: nonce, ciphertext: ciphertext, tag: icv)
                padded = Array(try AES.GCM.open(box, using: key, authenticating: header))
            case .chaCha20Poly1305(let key, let salt):
                let nonce = try ChaChaPoly.Nonce(data: salt.unprotected + iv)
                let box = try ChaChaPoly.SealedBox(nonce: nonce, ciphertext: ciphertext, tag: icv)
                padded = Array(try ChaChaPoly.open(box, using: key, authenticating: header))
            case .aesCBC(let key, let hmac, let integrityKey):
                // Nothing is decrypted that has not been authenticated, so there is no padding oracle.
                let expected = code(hmac, integrityKey, header, body[..<icv.startIndex])
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
        _ hmac: HMACSHA2, _ key: SymmetricKey, _ header: [UInt8], _ protected: ArraySlice<UInt8>
    ) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: icvLength) { output, count in
            output.initialize(repeating: 0)
            header.withUnsafeBytes { header in
                protected.withUnsafeBytes { protected in
                    hmac.authenticate([header, protected], key: key, into: UnsafeMutableRawBufferPointer(output))
                }
            }
            count = icvLength
        }
    }

    private static let notAuthentic = CryptoError(.authenticationFailed, "the message is not authentic")
}
