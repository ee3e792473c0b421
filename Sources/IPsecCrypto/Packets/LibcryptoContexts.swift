import COpenSSL
import Octets

/// A cipher of libcrypto with its key schedule in place; per packet only the IV changes.
///
/// Freeing it wipes the key. It has one owner, who uses it from one thread at a time; hence it may be sent to another.
struct CipherContext: ~Copyable, Sendable {
    private nonisolated(unsafe) let context: OpaquePointer

    init(_ cipher: OpaquePointer?, key: SecretOctets, encrypting: Bool) throws(CryptoError) {
        guard let cipher, let context = EVP_CIPHER_CTX_new() else { throw Self.failure }
        let ready = key.withUnsafeBytes { key in
            // libcrypto reads as many octets as the cipher's key has.
            key.count == Int(EVP_CIPHER_get_key_length(cipher))
                && EVP_CipherInit_ex(
                    context, cipher, nil, key.bindMemory(to: UInt8.self).baseAddress, nil, encrypting ? 1 : 0) == 1
                && EVP_CIPHER_CTX_set_padding(context, 0) == 1
        }
        guard ready else {
            EVP_CIPHER_CTX_free(context)
            throw Self.failure
        }
        self.context = context
    }

    deinit { EVP_CIPHER_CTX_free(context) }

    private static var failure: CryptoError { CryptoError(.libraryFailure, "libcrypto gives no such cipher") }

    /// Begins a packet. `iv` has as many octets as the cipher takes.
    @inline(__always)
    func begin(iv: UnsafeRawPointer) -> Bool {
        EVP_CipherInit_ex(context, nil, nil, nil, iv.assumingMemoryBound(to: UInt8.self), -1) == 1
    }

    /// Adds octets to authenticate and not to encrypt.
    @inline(__always)
    func authenticate(_ octets: UnsafeRawPointer, count: Int32) -> Bool {
        var done: Int32 = 0
        return EVP_CipherUpdate(context, nil, &done, octets.assumingMemoryBound(to: UInt8.self), count) == 1
    }

    /// Encrypts or decrypts; input and output may be the same place.
    @inline(__always)
    func process(_ input: UnsafeRawPointer, to output: UnsafeMutableRawPointer, count: Int32) -> Bool {
        guard count > 0 else { return true }
        var done: Int32 = 0
        let updated = EVP_CipherUpdate(
            context, output.assumingMemoryBound(to: UInt8.self), &done, input.assumingMemoryBound(to: UInt8.self),
            count)
        return updated == 1 && done == count
    }

    /// Ends the sealing of a packet and writes its tag.
    @inline(__always)
    func finish(writing tag: UnsafeMutableRawPointer, count: Int32) -> Bool {
        var done: Int32 = 0
        // Stream modes give no octets at the end, so the place for them is never written.
        return EVP_CipherFinal_ex(context, tag.assumingMemoryBound(to: UInt8.self), &done) == 1
            && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, count, tag) == 1
    }

    /// Ends the opening of a packet: whether the tag fits.
    @inline(__always)
    func finish(expecting tag: UnsafeMutableRawPointer, count: Int32) -> Bool {
        var done: Int32 = 0
        guard EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, count, tag) == 1 else { return false }
        return EVP_CipherFinal_ex(context, tag.assumingMemoryBound(to: UInt8.self), &done) == 1
    }
}

/// HMAC of libcrypto with its key in place; the rules of ``CipherContext`` hold for it too.
struct HMACContext: ~Copyable, Sendable {
    private nonisolated(unsafe) let context: OpaquePointer
    /// Octets of the code before it is truncated.
    private let length: Int

    init(_ hash: HMACSHA2, key: SecretOctets) throws(CryptoError) {
        let algorithm = EVP_MAC_fetch(nil, "HMAC", nil)
        defer { EVP_MAC_free(algorithm) }
        guard let algorithm, let context = EVP_MAC_CTX_new(algorithm) else { throw Self.failure }
        let name: StaticString =
            switch hash {
            case .sha256: "SHA2-256"
            case .sha384: "SHA2-384"
            case .sha512: "SHA2-512"
            }
        let ready = key.withUnsafeBytes { key in
            name.withUTF8Buffer { name in
                withUnsafeTemporaryAllocation(byteCount: name.count + 1, alignment: 1) { digest in
                    digest.copyMemory(from: UnsafeRawBufferPointer(name))
                    digest[name.count] = 0
                    let parameters = [
                        OSSL_PARAM_construct_utf8_string(
                            OSSL_MAC_PARAM_DIGEST, digest.bindMemory(to: CChar.self).baseAddress, 0),
                        OSSL_PARAM_construct_end(),
                    ]
                    return EVP_MAC_init(
                        context, key.bindMemory(to: UInt8.self).baseAddress, key.count, parameters) == 1
                }
            }
        }
        guard ready, EVP_MAC_CTX_get_mac_size(context) == hash.outputLength else {
            EVP_MAC_CTX_free(context)
            throw Self.failure
        }
        self.context = context
        length = hash.outputLength
    }

    deinit { EVP_MAC_CTX_free(context) }

    private static var failure: CryptoError { CryptoError(.libraryFailure, "libcrypto gives no such HMAC") }

    /// Begins a packet under the same key.
    @inline(__always)
    func begin() -> Bool { EVP_MAC_init(context, nil, 0, nil) == 1 }

    @inline(__always)
    func authenticate(_ octets: UnsafeRawPointer, count: Int) -> Bool {
        EVP_MAC_update(context, octets.assumingMemoryBound(to: UInt8.self), count) == 1
    }

    /// Ends a packet and writes the whole code, 64 octets at most.
    @inline(__always)
    func finish(writing code: UnsafeMutableRawPointer) -> Bool {
        var written = 0
        return EVP_MAC_final(context, code.assumingMemoryBound(to: UInt8.self), &written, length) == 1
            && written == length
    }
}

/// A few octets of working memory that belong to one cipher, and are wiped with it.
struct Scratch: ~Copyable, Sendable {
    nonisolated(unsafe) let octets: UnsafeMutableRawPointer
    private let count: Int

    init(count: Int) {
        self.count = count
        octets = .allocate(byteCount: count, alignment: 16)
        octets.initializeMemory(as: UInt8.self, repeating: 0, count: count)
    }

    deinit {
        OPENSSL_cleanse(octets, count)
        octets.deallocate()
    }
}
