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
}

/// A code of libcrypto, HMAC or CMAC, with its key in place; the rules of ``CipherContext`` hold for it too.
struct CodeContext: ~Copyable, Sendable {
    private nonisolated(unsafe) let context: OpaquePointer
    /// Octets of the code before it is truncated.
    private let length: Int

    init(_ code: KeyedCode, key: SecretOctets) throws(CryptoError) {
        let (algorithm, parameter, value): (String, String, String) =
            switch code {
            case .hmacSHA1: ("HMAC", OSSL_MAC_PARAM_DIGEST, "SHA1")
            case .hmacSHA2_256: ("HMAC", OSSL_MAC_PARAM_DIGEST, "SHA2-256")
            case .hmacSHA2_384: ("HMAC", OSSL_MAC_PARAM_DIGEST, "SHA2-384")
            case .hmacSHA2_512: ("HMAC", OSSL_MAC_PARAM_DIGEST, "SHA2-512")
            case .aesCMAC: ("CMAC", OSSL_MAC_PARAM_CIPHER, "AES-128-CBC")
            case .aesXCBC: throw Self.failure
            }
        let method = EVP_MAC_fetch(nil, algorithm, nil)
        defer { EVP_MAC_free(method) }
        guard let method, let context = EVP_MAC_CTX_new(method) else { throw Self.failure }
        var text = Array(value.utf8CString)
        let ready = text.withUnsafeMutableBufferPointer { text in
            parameter.withCString { name in
                let parameters = [
                    OSSL_PARAM_construct_utf8_string(name, text.baseAddress, 0), OSSL_PARAM_construct_end(),
                ]
                return key.withUnsafeBytes { key in
                    EVP_MAC_init(context, key.bindMemory(to: UInt8.self).baseAddress, key.count, parameters) == 1
                }
            }
        }
        guard ready, EVP_MAC_CTX_get_mac_size(context) == code.outputLength else {
            EVP_MAC_CTX_free(context)
            throw Self.failure
        }
        self.context = context
        length = code.outputLength
    }

    deinit { EVP_MAC_CTX_free(context) }

    private static var failure: CryptoError { CryptoError(.libraryFailure, "libcrypto gives no such code") }

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
