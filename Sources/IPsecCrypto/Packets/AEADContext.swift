import COpenSSL
import Octets

/// An AEAD of libcrypto with its key in place: AES-GCM, AES-CCM or ChaCha20-Poly1305, with a tag of any length they have.
///
/// The rules of ``CipherContext`` hold for it too. The order of calls is that of CCM, which wants the length of the text,
/// and to open also the tag, before anything else: begin, expect the tag, authenticate once, process once, finish.
struct AEADContext: ~Copyable, Sendable {
    private nonisolated(unsafe) let context: OpaquePointer
    private let needsLength: Bool
    private let tagLength: Int32

    /// Octets of the nonce of CCM: what its 4 octets of length leave (RFC 4309, section 4). The others have 12.
    private static let nonceLengthOfCCM: Int32 = 11

    init(_ algorithm: EncryptionAlgorithm, key: SecretOctets, encrypting: Bool) throws(CryptoError) {
        let cipher =
            switch (algorithm.mode, algorithm.keyBits) {
            case (.chaCha20Poly1305, _): EVP_chacha20_poly1305()
            case (.gcm, 128), (.gmac, 128): EVP_aes_128_gcm()
            case (.gcm, 192), (.gmac, 192): EVP_aes_192_gcm()
            case (.gcm, 256), (.gmac, 256): EVP_aes_256_gcm()
            case (.ccm, 128): EVP_aes_128_ccm()
            case (.ccm, 192): EVP_aes_192_ccm()
            case (.ccm, 256): EVP_aes_256_ccm()
            default: throw CryptoError(.unsupportedAlgorithm, "\(algorithm) is no AEAD")
            }
        let isCCM = algorithm.mode == .ccm
        let tag = Int32(algorithm.icvLength)
        guard let cipher, let context = EVP_CIPHER_CTX_new() else { throw Self.failure }
        let direction: Int32 = encrypting ? 1 : 0
        let ready = key.withUnsafeBytes { key in
            // libcrypto reads as many octets as the cipher's key has.
            key.count == Int(EVP_CIPHER_get_key_length(cipher))
                && EVP_CipherInit_ex(context, cipher, nil, nil, nil, direction) == 1
                && (!isCCM
                    || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, Self.nonceLengthOfCCM, nil) == 1
                        && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tag, nil) == 1)
                && EVP_CipherInit_ex(
                    context, nil, nil, key.bindMemory(to: UInt8.self).baseAddress, nil, direction) == 1
        }
        guard ready else {
            EVP_CIPHER_CTX_free(context)
            throw Self.failure
        }
        self.context = context
        needsLength = isCCM
        tagLength = tag
    }

    deinit { EVP_CIPHER_CTX_free(context) }

    private static var failure: CryptoError { CryptoError(.libraryFailure, "libcrypto gives no such AEAD") }

    /// Begins a text to seal. `nonce` has as many octets as the algorithm takes: its salt, then 8.
    @inline(__always)
    func begin(nonce: UnsafeRawPointer, count: Int32) -> Bool {
        EVP_CipherInit_ex(context, nil, nil, nil, nonce.assumingMemoryBound(to: UInt8.self), -1) == 1
            && tell(count)
    }

    /// Begins a text to open that ought to have this tag.
    @inline(__always)
    func begin(nonce: UnsafeRawPointer, count: Int32, expecting tag: UnsafeMutableRawPointer) -> Bool {
        EVP_CipherInit_ex(context, nil, nil, nil, nonce.assumingMemoryBound(to: UInt8.self), -1) == 1
            && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tagLength, tag) == 1
            && tell(count)
    }

    @inline(__always)
    private func tell(_ count: Int32) -> Bool {
        guard needsLength else { return true }
        var done: Int32 = 0
        return EVP_CipherUpdate(context, nil, &done, nil, count) == 1
    }

    /// Adds octets to authenticate and not to encrypt.
    @inline(__always)
    func authenticate(_ octets: UnsafeRawPointer, count: Int32) -> Bool {
        guard count > 0 else { return true }
        var done: Int32 = 0
        return EVP_CipherUpdate(context, nil, &done, octets.assumingMemoryBound(to: UInt8.self), count) == 1
    }

    /// Encrypts or decrypts the text in place. With CCM this already fails where the tag does not fit.
    @inline(__always)
    func process(_ text: UnsafeMutableRawPointer, count: Int32) -> Bool {
        guard count > 0 else { return true }
        var done: Int32 = 0
        let octets = text.assumingMemoryBound(to: UInt8.self)
        return EVP_CipherUpdate(context, octets, &done, octets, count) == 1 && done == count
    }

    /// Ends a text to seal and writes its tag.
    @inline(__always)
    func finish(writing tag: UnsafeMutableRawPointer) -> Bool {
        var done: Int32 = 0
        // These modes give no octets at the end, so the place for them is never written.
        return EVP_CipherFinal_ex(context, tag.assumingMemoryBound(to: UInt8.self), &done) == 1
            && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, tagLength, tag) == 1
    }

    /// Ends a text to open: whether the tag fits.
    @inline(__always)
    func finish() -> Bool {
        var done: Int32 = 0
        var nothing: UInt8 = 0
        return EVP_CipherFinal_ex(context, &nothing, &done) == 1
    }
}
