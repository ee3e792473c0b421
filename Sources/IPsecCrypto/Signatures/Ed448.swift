import COpenSSL
import Octets

/// Ed448 (RFC 8032) with an empty context, as RFC 8420 has it in IKEv2; computed by libcrypto, as swift-crypto lacks it.
enum Ed448 {
    static let keyLength = 57
    static let signatureLength = 114

    /// A public key.
    final class PublicKey: Sendable {
        // Written only in `init` and read by libcrypto afterwards, so sharing it is safe.
        private nonisolated(unsafe) let key: OpaquePointer

        /// `nil` if these are not 57 octets. Octets that are no point make a key that verifies nothing.
        init?(_ octets: [UInt8]) {
            guard octets.count == keyLength,
                let key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED448, nil, octets, octets.count)
            else { return nil }
            self.key = key
        }

        deinit { EVP_PKEY_free(key) }

        func isValid(_ signature: [UInt8], of data: [UInt8]) -> Bool {
            guard signature.count == signatureLength, let context = EVP_MD_CTX_new() else { return false }
            defer { EVP_MD_CTX_free(context) }
            return EVP_DigestVerifyInit(context, nil, nil, nil, key) == 1
                && EVP_DigestVerify(context, signature, signature.count, data, data.count) == 1
        }
    }

    /// A private key.
    final class PrivateKey: Sendable {
        // Written only in `init` and read by libcrypto afterwards, so sharing it is safe.
        private nonisolated(unsafe) let key: OpaquePointer
        /// 57 octets.
        let publicKey: [UInt8]

        /// `nil` if these are not 57 octets.
        init?(_ octets: [UInt8]) {
            guard octets.count == keyLength,
                let key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED448, nil, octets, octets.count)
            else { return nil }
            var value = [UInt8](repeating: 0, count: keyLength)
            var count = value.count
            guard EVP_PKEY_get_raw_public_key(key, &value, &count) == 1, count == keyLength else {
                EVP_PKEY_free(key)
                return nil
            }
            self.key = key
            publicKey = value
        }

        deinit { EVP_PKEY_free(key) }

        /// `nil` if libcrypto fails.
        func sign(_ data: [UInt8]) -> [UInt8]? {
            guard let context = EVP_MD_CTX_new() else { return nil }
            defer { EVP_MD_CTX_free(context) }
            var signature = [UInt8](repeating: 0, count: signatureLength)
            var count = signature.count
            guard EVP_DigestSignInit(context, nil, nil, nil, key) == 1,
                EVP_DigestSign(context, &signature, &count, data, data.count) == 1, count == signatureLength
            else { return nil }
            return signature
        }
    }
}
