import Crypto
import Octets

/// A key pair of ML-KEM (FIPS 203): the initiator's, for which the responder encapsulates a secret.
struct Encapsulation: Sendable {
    private enum PrivateKey {
        case mlKEM768(MLKEM768.PrivateKey)
        case mlKEM1024(MLKEM1024.PrivateKey)
    }

    private let key: PrivateKey
    let publicValue: [UInt8]

    /// - Parameter seed: d and z, of 32 octets each (FIPS 203, algorithm 19).
    init(_ method: KeyExchangeMethod, seed: SecretOctets) throws(CryptoError) {
        do {
            switch method {
            case .mlKEM768:
                let key = try seed.withUnsafeBytes { try MLKEM768.PrivateKey(seedRepresentation: $0, publicKey: nil) }
                publicValue = Array(key.publicKey.rawRepresentation)
                self.key = .mlKEM768(key)
            case .mlKEM1024:
                let key = try seed.withUnsafeBytes { try MLKEM1024.PrivateKey(seedRepresentation: $0, publicKey: nil) }
                publicValue = Array(key.publicKey.rawRepresentation)
                self.key = .mlKEM1024(key)
            default: throw CryptoError(.unsupportedAlgorithm, "\(method) encapsulates nothing")
            }
        } catch let error as CryptoError {
            throw error
        } catch {
            throw CryptoError(.unusableSeed, "the seed gives no private key of \(method)")
        }
    }

    /// The secret in a ciphertext. One that has not been made for this key gives another secret than its maker has, and no error
    /// (FIPS 203, section 6.3): the next message of the peer shows it.
    ///
    /// - Throws: ``CryptoError/Code/invalidLength`` for a ciphertext of another length (FIPS 203, section 7.3).
    func decapsulate(_ ciphertext: [UInt8]) throws(CryptoError) -> SecretOctets {
        do {
            let secret =
                switch key {
                case .mlKEM768(let key): try key.decapsulate(ciphertext)
                case .mlKEM1024(let key): try key.decapsulate(ciphertext)
                }
            return secret.withUnsafeBytes { SecretOctets($0) }
        } catch {
            throw CryptoError(
                .invalidLength, "the peer's ciphertext of \(ciphertext.count) octets is of another length")
        }
    }

    /// Encapsulates a secret, with random octets of the library's.
    ///
    /// - Throws: ``CryptoError/Code/invalidLength`` and ``CryptoError/Code/invalidPublicValue`` for an encapsulation key that
    ///   FIPS 203, section 7.2, has us refuse: of another length, or with a coefficient that is not reduced.
    static func encapsulate(
        _ method: KeyExchangeMethod, for encapsulationKey: [UInt8]
    ) throws(CryptoError) -> (publicValue: [UInt8], secret: SecretOctets) {
        guard encapsulationKey.count == method.publicValueLength else {
            throw CryptoError(
                .invalidLength,
                "a public value of \(method) has \(method.publicValueLength) octets, not \(encapsulationKey.count)")
        }
        do {
            let result =
                method == .mlKEM768
                ? try MLKEM768.PublicKey(rawRepresentation: encapsulationKey).encapsulate()
                : try MLKEM1024.PublicKey(rawRepresentation: encapsulationKey).encapsulate()
            return (Array(result.encapsulated), result.sharedSecret.withUnsafeBytes { SecretOctets($0) })
        } catch {
            throw CryptoError(.invalidPublicValue, "the peer's octets are no acceptable public value of \(method)")
        }
    }
}
