import IPsecCrypto
import Octets
import Testing

@Suite("Key exchange on elliptic curves")
struct CurveKeyExchangeTests {
    struct Vector: Sendable, CustomTestStringConvertible {
        let method: KeyExchangeMethod
        let initiatorKey, initiatorValue, responderKey, responderValue, secret: String
        var testDescription: String { method.description }
    }

    /// RFC 7748, section 6.1, and RFC 5903, sections 8.1, 8.2 and 8.3.
    static let published = [
        Vector(
            method: .curve25519,
            initiatorKey: "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
            initiatorValue: "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
            responderKey: "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
            responderValue: "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
            secret: "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"),
        Vector(
            method: .ecp256,
            initiatorKey: "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
            initiatorValue: """
                dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180
                5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3
                """,
            responderKey: "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53",
            responderValue: """
                d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63
                56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab
                """,
            secret: "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de"),
        Vector(
            method: .ecp384,
            initiatorKey: """
                099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b538041e649ee3faef896783ab194
                """,
            initiatorValue: """
                667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6de3ac808acb4bdb4c88732aee95f41aa
                9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c
                """,
            responderKey: """
                41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942e0308312916b8ed2960e4bd55a7448fc
                """,
            responderValue: """
                e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d0d1ac43a0336def96fda41d0774a3571
                dcfbec7aacf3196472169e838430367f66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c
                """,
            secret: """
                11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5d4a270f59746
                """),
        Vector(
            method: .ecp521,
            initiatorKey: """
                0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a095aa
                85a30fe1c2952c6771d937ba9777f5957b2639bab072462f68c27a57382d4a52
                """,
            initiatorValue: """
                0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbee1e3
                bf42e00b8e380aeae57c2d107564941885942af5a7f4601723c4195d176ced3e
                017cae20b6641d2eeb695786d8c946146239d099e18e1d5a514c739d7cb4a10ad8a7
                88015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3926f9582
                """,
            responderKey: """
                0145ba99a847af43793fdd0e872e7cdfa16be30fdc780f97bccc3f078380201e9c67
                7d600b343757a3bdbf2a3163e4c2f869cca7458aa4a4effc311f5cb151685eb9
                """,
            responderValue: """
                00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a219b97
                c356436adc6e95bb0352f6be64a6c2912d4ef2d0433ced2b6171640012d9460f
                015c68226383956e3bd066e797b623c27ce0eac2f551a10c2c724d9852077b87220b
                6536c5c408a1d2aebb8e86d678ae49cb57091f4732296579ab44fcd17f0fc56a
                """,
            secret: """
                01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04d142
                7e73ca4baa240a34786859810c06b3c715a3a8cc3151f2bee417996d19f3ddea
                """),
    ]

    @Test(
        "Exchanges are those of RFC 7748, section 6, RFC 5903, section 8, and RFC 7027, appendix A",
        arguments: published + LibcryptoCurveVectors.published)
    func publishedExchange(vector: Vector) throws {
        let initiator = try vector.method.makeKey(seed: secret(vector.initiatorKey))
        let responder = try vector.method.makeKey(seed: secret(vector.responderKey))
        #expect(initiator.publicValue == octets(vector.initiatorValue))
        #expect(responder.publicValue == octets(vector.responderValue))
        #expect(try initiator.sharedSecret(with: responder.publicValue) == secret(vector.secret))
        #expect(try responder.sharedSecret(with: initiator.publicValue) == secret(vector.secret))
    }

    /// The orders of the groups (RFC 5903, section 3).
    static let orders: [(KeyExchangeMethod, String)] = [
        (.ecp256, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
        (
            .ecp384,
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973"
        ),
        (
            .ecp521,
            """
            01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa
            51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409
            """
        ),
    ]

    @Test("Scalars outside the group's order are no keys", arguments: orders)
    func unusableSeeds(method: KeyExchangeMethod, order: String) throws {
        let count = method.privateSeedLength
        for scalar in [[UInt8](repeating: 0, count: count), octets(order), [UInt8](repeating: 0xff, count: count)] {
            #expect(throws: CryptoError(.unusableSeed, "")) { try method.makeKey(seed: SecretOctets(scalar)) }
        }
        var greatest = octets(order)
        greatest[count - 1] -= 1
        let (first, last) = (
            try method.makeKey(seed: SecretOctets(ModularGroupTests.small(1, count))),
            try method.makeKey(seed: SecretOctets(greatest))
        )
        // The generator and its negative have the same x coordinate.
        #expect(first.publicValue.prefix(count) == last.publicValue.prefix(count))
        #expect(first.publicValue != last.publicValue)
    }

    @Test("Of a seed for ECP-521 only 521 bits count")
    func seedOf521() throws {
        var seed = octets(Self.published[3].responderKey)
        seed[0] |= 0xfe
        let key = try KeyExchangeMethod.ecp521.makeKey(seed: SecretOctets(seed))
        #expect(key.publicValue == octets(Self.published[3].responderValue))
    }

    @Test(
        "Points off the curve are refused (RFC 6989, section 2.3)",
        arguments: published.dropFirst() + LibcryptoCurveVectors.published.dropLast())
    func invalidPoints(vector: Vector) throws {
        let key = try vector.method.makeKey(seed: secret(vector.initiatorKey))
        let valid = octets(vector.responderValue)
        var refused = [[UInt8](repeating: 0, count: valid.count), [UInt8](repeating: 0xff, count: valid.count)]
        for index in [0, valid.count / 2 - 1, valid.count / 2, valid.count - 1] {
            var changed = valid
            changed[index] ^= 1
            refused.append(changed)
        }
        refused.append(Array(valid[(valid.count / 2)...] + valid[..<(valid.count / 2)]))
        for value in refused {
            #expect(throws: CryptoError(.invalidPublicValue, "")) { try key.sharedSecret(with: value) }
        }
    }

    @Test(
        "Points of small order on Curve25519 are refused (RFC 7748, section 6.1)",
        arguments: [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000080",
        ])
    func smallOrder(value: String) throws {
        let key = try KeyExchangeMethod.curve25519.makeKey(seed: SecretOctets(counting(32)))
        #expect(throws: CryptoError(.invalidPublicValue, "")) { try key.sharedSecret(with: octets(value)) }
    }

    @Test("Points of small order on Curve448 are refused", arguments: LibcryptoCurveVectors.smallOrderOnCurve448)
    func smallOrderOnCurve448(value: String) throws {
        let key = try KeyExchangeMethod.curve448.makeKey(seed: SecretOctets(counting(56)))
        #expect(throws: CryptoError(.invalidPublicValue, "")) { try key.sharedSecret(with: octets(value)) }
    }

    @Test("Edge cases of Wycheproof on the Brainpool curves agree", arguments: LibcryptoCurveVectors.edgeCases)
    func edgeCases(vector: LibcryptoCurveVectors.EdgeCase) throws {
        let key = try vector.method.makeKey(seed: secret(vector.seed))
        #expect(try key.sharedSecret(with: octets(vector.value)) == secret(vector.secret))
    }

    @Test(
        "Every seed gives a Brainpool key, zero and all ones included",
        arguments: [KeyExchangeMethod.brainpoolP256r1, .brainpoolP384r1, .brainpoolP512r1])
    func brainpoolSeeds(method: KeyExchangeMethod) throws {
        for octet in [0, 0xff] as [UInt8] {
            let key = try method.makeKey(
                seed: SecretOctets([UInt8](repeating: octet, count: method.privateSeedLength)))
            let other = try method.makeKey(seed: SecretOctets(counting(method.privateSeedLength)))
            #expect(try key.sharedSecret(with: other.publicValue) == other.sharedSecret(with: key.publicValue))
        }
    }

    @Test("The unused bit of a Curve25519 public value is ignored (RFC 7748, section 5)")
    func unusedBit() throws {
        let vector = Self.published[0]
        let key = try vector.method.makeKey(seed: secret(vector.initiatorKey))
        var value = octets(vector.responderValue)
        value[31] |= 0x80
        #expect(try key.sharedSecret(with: value) == secret(vector.secret))
    }

    @Test("Public values of every other length are refused", arguments: KeyExchangeMethod.allCases)
    func lengths(method: KeyExchangeMethod) throws {
        let key = try method.makeKey(seed: SecretOctets(counting(method.privateSeedLength)))
        #expect(key.method == method)
        #expect(key.publicValue.count == method.publicValueLength)
        let counts = Set(0...140).union([
            255, 256, 257, 383, 384, 385, 511, 512, 513, 767, 768, 769, 1023, 1024, 1025, 1087, 1088, 1089, 1567, 1568,
            1569,
            65_535,
        ])
        for count in counts.subtracting([method.responseLength]) {
            #expect(throws: CryptoError(.invalidLength, "")) {
                try key.sharedSecret(with: [UInt8](repeating: 4, count: count))
            }
        }
    }

    @Test("Seeds of every other length are refused", arguments: KeyExchangeMethod.allCases)
    func seedLengths(method: KeyExchangeMethod) {
        for count in Set(0...80).subtracting([method.privateSeedLength]) {
            #expect(throws: CryptoError(.invalidLength, "")) { try method.makeKey(seed: SecretOctets(counting(count))) }
        }
    }

    @Test(
        "The same seed gives the same key, another one another",
        arguments: KeyExchangeMethod.allCases.filter { !$0.isEncapsulation })
    func determinism(method: KeyExchangeMethod) throws {
        let seed = SecretOctets(counting(method.privateSeedLength))
        let (first, second) = (try method.makeKey(seed: seed), try method.makeKey(seed: seed))
        let other = try method.makeKey(seed: SecretOctets(counting(method.privateSeedLength, from: 77)))
        #expect(first.publicValue == second.publicValue)
        #expect(first.publicValue != other.publicValue)
        #expect(try first.sharedSecret(with: other.publicValue) == other.sharedSecret(with: first.publicValue))
    }
}
