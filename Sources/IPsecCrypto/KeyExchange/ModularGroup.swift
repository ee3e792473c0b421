import COpenSSL
import Octets

/// A MODP group of RFC 3526: a safe prime p and the generator 2, with the exponentiation of libcrypto.
final class ModularGroup: Sendable {
    // Written only in `init` and read by libcrypto afterwards, so sharing them is safe.
    private nonisolated(unsafe) let modulus: OpaquePointer
    private nonisolated(unsafe) let greatest: OpaquePointer
    private nonisolated(unsafe) let generator: OpaquePointer
    private nonisolated(unsafe) let montgomery: OpaquePointer
    private let octetCount: Int

    private static let made = MadeObjects<ModularGroup> { method in
        switch method {
        case .modp2048: ModularGroup(method, BN_get_rfc3526_prime_2048)
        case .modp3072: ModularGroup(method, BN_get_rfc3526_prime_3072)
        case .modp4096: ModularGroup(method, BN_get_rfc3526_prime_4096)
        case .modp6144: ModularGroup(method, BN_get_rfc3526_prime_6144)
        case .modp8192: ModularGroup(method, BN_get_rfc3526_prime_8192)
        default: nil
        }
    }

    static func named(_ method: KeyExchangeMethod) throws(CryptoError) -> ModularGroup {
        try made.named(method, orThrow: CryptoError(.libraryFailure, "libcrypto gives no group \(method)"))
    }

    private init?(_ method: KeyExchangeMethod, _ prime: (OpaquePointer?) -> OpaquePointer?) {
        let context = BN_CTX_new()
        defer { BN_CTX_free(context) }
        let numbers = (modulus: prime(nil), greatest: BN_new(), generator: BN_new(), montgomery: BN_MONT_CTX_new())
        guard let context, let modulus = numbers.modulus, let greatest = numbers.greatest,
            let generator = numbers.generator, let montgomery = numbers.montgomery,
            BN_sub(greatest, modulus, BN_value_one()) == 1, BN_set_word(generator, 2) == 1,
            BN_MONT_CTX_set(montgomery, modulus, context) == 1,
            Int(BN_num_bits(modulus)) == 8 * method.publicValueLength
        else {
            BN_free(numbers.modulus)
            BN_free(numbers.greatest)
            BN_free(numbers.generator)
            BN_MONT_CTX_free(numbers.montgomery)
            return nil
        }
        self.modulus = modulus
        self.greatest = greatest
        self.generator = generator
        self.montgomery = montgomery
        octetCount = method.publicValueLength
    }

    deinit {
        BN_free(modulus)
        BN_free(greatest)
        BN_free(generator)
        BN_MONT_CTX_free(montgomery)
    }

    /// Zero and one give public values that the peer has to refuse.
    func canUse(exponent: SecretOctets) -> Bool {
        exponent.withUnsafeBytes { octets in
            guard let last = octets.last else { return false }
            return octets.dropLast().reduce(last & 0xfe) { $0 | $1 } != 0
        }
    }

    /// 2^exponent mod p, padded on the left to the size of p.
    func publicValue(exponent: SecretOctets) throws(CryptoError) -> [UInt8] {
        try power(generator, exponent).withUnsafeBytes { Array($0) }
    }

    /// peerPublicValue^exponent mod p, padded on the left to the size of p.
    ///
    /// The peer's value must lie between 1 and p - 1, both excluded; for a safe prime this is all that RFC 6989,
    /// section 2.1, asks for.
    func sharedSecret(peerPublicValue: [UInt8], exponent: SecretOctets) throws(CryptoError) -> SecretOctets {
        guard let peer = BN_bin2bn(peerPublicValue, Int32(peerPublicValue.count), nil) else { throw Self.failure }
        defer { BN_free(peer) }
        guard BN_cmp(peer, BN_value_one()) > 0, BN_cmp(peer, greatest) < 0 else {
            throw CryptoError(.invalidPublicValue, "the peer's public value is not between 1 and p - 1")
        }
        return try power(peer, exponent)
    }

    /// Runs in time that depends on the sizes only; libcrypto wipes its table of powers itself.
    private func power(_ base: OpaquePointer, _ exponent: SecretOctets) throws(CryptoError) -> SecretOctets {
        let context = BN_CTX_secure_new()
        let result = BN_secure_new()
        let secret = BN_secure_new()
        defer {
            BN_clear_free(secret)
            BN_clear_free(result)
            BN_CTX_free(context)
        }
        guard let context, let result, let secret else { throw Self.failure }
        BN_set_flags(secret, BN_FLG_CONSTTIME)
        let read = exponent.withUnsafeBytes { octets in
            BN_bin2bn(octets.bindMemory(to: UInt8.self).baseAddress, Int32(octets.count), secret) != nil
        }
        guard read, BN_mod_exp_mont_consttime(result, base, secret, modulus, context, montgomery) == 1 else {
            throw Self.failure
        }
        return try SecretOctets(count: octetCount) { (output) throws(CryptoError) in
            let address = output.bindMemory(to: UInt8.self).baseAddress
            guard BN_bn2binpad(result, address, Int32(output.count)) == Int32(output.count) else { throw Self.failure }
        }
    }

    private static let failure = CryptoError(.libraryFailure, "libcrypto failed to exponentiate")
}
