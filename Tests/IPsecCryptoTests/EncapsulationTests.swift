import IPsecCrypto
import Octets
import Testing

// swift-crypto holds its ML-KEM against the vectors of NIST and Wycheproof; here stands what IKE wants of it (FIPS 203, sections 7.2
// and 7.3).
@Suite("Key encapsulation")
struct EncapsulationTests {
    private static let methods: [KeyExchangeMethod] = [.mlKEM768, .mlKEM1024]

    private func seed(_ octet: UInt8) -> SecretOctets { SecretOctets([UInt8](repeating: octet, count: 64)) }

    @Test("The responder's ciphertext gives both the same secret, and another each time", arguments: methods)
    func agreement(_ method: KeyExchangeMethod) throws {
        let key = try method.makeKey(seed: seed(1))
        #expect(key.publicValue == (try method.makeKey(seed: seed(1)).publicValue))
        #expect(key.publicValue != (try method.makeKey(seed: seed(2)).publicValue))
        let (first, second) = (
            try method.respond(to: key.publicValue, seed: seed(3)),
            try method.respond(to: key.publicValue, seed: seed(3))
        )
        #expect(first.publicValue.count == method.responseLength)
        #expect(first.secret.count == 32)
        #expect(try key.sharedSecret(with: first.publicValue) == first.secret)
        #expect(try key.sharedSecret(with: second.publicValue) == second.secret)
        #expect(first.secret != second.secret)
    }

    @Test(
        "An encapsulation key of another length, or with a coefficient that is not reduced, is refused",
        arguments: methods)
    func badKey(_ method: KeyExchangeMethod) throws {
        var value = try method.makeKey(seed: seed(1)).publicValue
        #expect(throws: CryptoError(.invalidLength, "")) {
            try method.respond(to: Array(value.dropLast()), seed: seed(2))
        }
        // The first coefficient becomes 4095, which is not below 3329.
        value[0] = 0xff
        value[1] |= 0x0f
        #expect(throws: CryptoError(.invalidPublicValue, "")) { try method.respond(to: value, seed: seed(2)) }
    }

    @Test("A ciphertext that was changed gives another secret and no error", arguments: methods)
    func changedCiphertext(_ method: KeyExchangeMethod) throws {
        let key = try method.makeKey(seed: seed(1))
        var answer = try method.respond(to: key.publicValue, seed: seed(2))
        answer.publicValue[5] ^= 1
        #expect(try key.sharedSecret(with: answer.publicValue) != answer.secret)
    }
}
