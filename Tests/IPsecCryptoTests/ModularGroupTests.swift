import IPsecCrypto
import Octets
import Testing

@Suite("Key exchange in the MODP groups of RFC 3526")
struct ModularGroupTests {
    static func key(_ method: KeyExchangeMethod, from first: UInt8 = 1) throws -> KeyExchangeKey {
        try method.makeKey(seed: SecretOctets(counting(method.privateSeedLength, from: first)))
    }

    /// A number of one octet, padded to the size of the group.
    static func small(_ value: UInt8, _ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count - 1) + [value] }

    @Test("Public values and secrets are those of plain integer arithmetic", arguments: ModularGroupVector.all)
    func knownAnswers(vector: ModularGroupVector) throws {
        let initiator = try Self.key(vector.method)
        let responder = try Self.key(vector.method, from: 101)
        #expect(initiator.publicValue == octets(vector.initiator))
        #expect(responder.publicValue == octets(vector.responder))
        #expect(try initiator.sharedSecret(with: responder.publicValue) == secret(vector.secret))
        #expect(try responder.sharedSecret(with: initiator.publicValue) == secret(vector.secret))
    }

    @Test("Values not between 1 and p - 1 are refused (RFC 6989, section 2.1)", arguments: ModularGroupVector.all)
    func refusedValues(vector: ModularGroupVector) throws {
        let key = try Self.key(vector.method)
        let count = vector.method.publicValueLength
        var (below, prime, above) = (octets(vector.prime), octets(vector.prime), octets(vector.prime))
        below[count - 1] &-= 1
        // p ends in 64 one bits, so p + 1 ends in 64 zero bits and a carry.
        for index in above.indices.suffix(8) { above[index] = 0 }
        above[count - 9] += 1
        let refused = [
            Self.small(0, count), Self.small(1, count), below, prime, above, [UInt8](repeating: 0xff, count: count),
        ]
        for value in refused {
            #expect(throws: CryptoError(.invalidPublicValue, "")) { try key.sharedSecret(with: value) }
        }
        prime[count - 1] -= 2
        #expect(try key.sharedSecret(with: prime).count == count)
    }

    @Test("A short secret is padded on the left (RFC 7296, section 2.14)", arguments: ModularGroupVector.all)
    func leftPadding(vector: ModularGroupVector) throws {
        let method = vector.method
        let three = try method.makeKey(seed: SecretOctets(Self.small(3, method.privateSeedLength)))
        #expect(three.publicValue == Self.small(8, method.publicValueLength))
        let shared = try three.sharedSecret(with: Self.small(5, method.publicValueLength))
        #expect(shared == SecretOctets(Self.small(125, method.publicValueLength)))
    }

    @Test("Exponents of zero and one are no keys", arguments: ModularGroupVector.all)
    func unusableSeeds(vector: ModularGroupVector) throws {
        let method = vector.method
        for value in [0, 1] as [UInt8] {
            #expect(throws: CryptoError(.unusableSeed, "")) {
                try method.makeKey(seed: SecretOctets(Self.small(value, method.privateSeedLength)))
            }
        }
        let two = try method.makeKey(seed: SecretOctets(Self.small(2, method.privateSeedLength)))
        #expect(two.publicValue == Self.small(4, method.publicValueLength))
    }

    @Test("Exponents are at least twice the strength of the group (RFC 3526, section 8)")
    func exponentSizes() {
        #expect(KeyExchangeMethod.modp2048.privateSeedLength * 8 >= 2 * 160)
        #expect(KeyExchangeMethod.modp3072.privateSeedLength * 8 >= 2 * 210)
        #expect(KeyExchangeMethod.modp4096.privateSeedLength * 8 >= 2 * 240)
        #expect(KeyExchangeMethod.modp6144.privateSeedLength * 8 >= 2 * 270)
        #expect(KeyExchangeMethod.modp8192.privateSeedLength * 8 >= 2 * 310)
    }

    @Test("One group serves several threads at once")
    func concurrency() async throws {
        let vector = ModularGroupVector.all[0]
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    let key = try Self.key(vector.method)
                    return try key.sharedSecret(with: octets(vector.responder)) == secret(vector.secret)
                }
            }
            for try await agreed in group { #expect(agreed) }
        }
    }
}
