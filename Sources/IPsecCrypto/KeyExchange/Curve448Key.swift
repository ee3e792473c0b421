import COpenSSL
import Octets

/// A private key of Curve448 (RFC 7748, RFC 8031), which libcrypto computes with.
final class Curve448Key: Sendable {
    // Written only in `init` and read by libcrypto afterwards, so sharing it is safe.
    private nonisolated(unsafe) let key: OpaquePointer
    let publicValue: [UInt8]

    static let length = 56

    /// - Parameter seed: 56 octets; every such seed is a key.
    init(seed: SecretOctets) throws(CryptoError) {
        let key = seed.withUnsafeBytes { octets in
            EVP_PKEY_new_raw_private_key(
                EVP_PKEY_X448, nil, octets.bindMemory(to: UInt8.self).baseAddress, octets.count)
        }
        guard let key else { throw Self.failure }
        var value = [UInt8](repeating: 0, count: Self.length)
        var count = value.count
        guard EVP_PKEY_get_raw_public_key(key, &value, &count) == 1, count == Self.length else {
            EVP_PKEY_free(key)
            throw Self.failure
        }
        self.key = key
        publicValue = value
    }

    deinit { EVP_PKEY_free(key) }

    /// - Parameter peerPublicValue: 56 octets.
    /// - Throws: ``CryptoError/Code/invalidPublicValue`` where the result is zero, as it is for points of small order (RFC
    ///   7748, section 6.2; RFC 8031, section 3.2).
    func sharedSecret(peerPublicValue: [UInt8]) throws(CryptoError) -> SecretOctets {
        let peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X448, nil, peerPublicValue, peerPublicValue.count)
        let context = EVP_PKEY_CTX_new(key, nil)
        defer {
            EVP_PKEY_free(peer)
            EVP_PKEY_CTX_free(context)
        }
        guard let peer, let context, EVP_PKEY_derive_init(context) == 1, EVP_PKEY_derive_set_peer(context, peer) == 1
        else { throw Self.failure }
        let secret = try SecretOctets(count: Self.length) { (output) throws(CryptoError) in
            var count = output.count
            // libcrypto refuses to give a secret of zero.
            guard EVP_PKEY_derive(context, output.bindMemory(to: UInt8.self).baseAddress, &count) == 1,
                count == output.count
            else { throw Self.refusal }
        }
        guard secret != SecretOctets([UInt8](repeating: 0, count: Self.length)) else { throw Self.refusal }
        return secret
    }

    private static let refusal = CryptoError(
        .invalidPublicValue, "the peer's octets are no acceptable public value of Curve448")
    private static let failure = CryptoError(.libraryFailure, "libcrypto failed to compute on Curve448")
}
