import Octets

/// Keys found to fit the algorithms they are for, taken apart into what the ciphers need.
enum ProtectionKeys {
    /// An AEAD: the key proper and its salt.
    case combined(key: SecretOctets, salt: SecretOctets)
    /// Encryption with a separate integrity algorithm.
    case separate(key: SecretOctets, integrity: IntegrityAlgorithm, integrityKey: SecretOctets)

    init(
        encryption: EncryptionAlgorithm, encryptionKey: SecretOctets, integrity: IntegrityAlgorithm?,
        integrityKey: SecretOctets?
    ) throws(CryptoError) {
        guard encryptionKey.count == encryption.keyMaterialLength else {
            throw CryptoError(
                .invalidLength,
                "\(encryption) takes \(encryption.keyMaterialLength) octets of key, not \(encryptionKey.count)")
        }
        if encryption.isAEAD {
            guard integrity == nil, integrityKey == nil else {
                throw CryptoError(.unsupportedAlgorithm, "\(encryption) takes no separate integrity algorithm")
            }
            self = .combined(
                key: encryptionKey[0..<encryption.keyLength],
                salt: encryptionKey[encryption.keyLength..<encryption.keyMaterialLength])
        } else {
            guard let integrity, let integrityKey else {
                throw CryptoError(.unsupportedAlgorithm, "\(encryption) needs an integrity algorithm and its key")
            }
            guard integrityKey.count == integrity.keyLength else {
                throw CryptoError(
                    .invalidLength,
                    "\(integrity) takes a key of \(integrity.keyLength) octets, not \(integrityKey.count)")
            }
            self = .separate(key: encryptionKey, integrity: integrity, integrityKey: integrityKey)
        }
    }
}
