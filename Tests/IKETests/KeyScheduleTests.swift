import IKE
import IPsecCrypto
import Octets
import Testing

// RFC 7296 prints no vectors for its key schedule. The expected values were computed independently, in Python:
//
//   def prf(h, k, d): return hmac.new(k, d, h).digest()
//   def plus(h, k, s, n):
//       out = t = b''; i = 1
//       while len(out) < n: t = prf(h, k, t + s + bytes([i])); out += t; i += 1
//       return out[:n]
//   ni = bytes(range(32)); nr = bytes(range(32, 64)); g = bytes(range(64, 96)); g2 = bytes(range(96, 128))
//   sk = plus('sha256', prf('sha256', ni + nr, g), ni + nr + spi + spr, 3 * 32 + 2 * 36)
//   new = plus('sha512', prf('sha256', sk[:32], g2 + ni + nr), ni + nr + spi2 + spr2, 3 * 64 + 2 * (32 + 64))
//   child = plus('sha256', sk[:32], ni + nr, 2 * (16 + 32)); pfs = plus('sha256', sk[:32], g2 + ni + nr, 2 * 36)
//   signed = message + nr + prf('sha256', SK_pi, idi); auth = prf('sha256', prf('sha256', b'secret', pad), signed)

@Suite("Key schedule")
struct KeyScheduleTests {
    private let initiatorNonce = Array<UInt8>(0..<32)
    private let responderNonce = Array<UInt8>(32..<64)
    private let gcm = IKESuite(encryption: .aesGCM16(256), integrity: nil, prf: .hmacSHA2_256, keyExchange: .curve25519)

    private func keys() throws -> IKEKeys {
        try IKEKeys.initial(
            suite: gcm, sharedSecret: SecretOctets(Array<UInt8>(64..<96)), initiatorNonce: initiatorNonce,
            responderNonce: responderNonce, initiatorSPI: 0x1011_1213_1415_1617, responderSPI: 0x2021_2223_2425_2627)
    }

    private func hex(_ secret: SecretOctets) -> String { secret.unprotected.hexadecimal }

    @Test("The keys of a new IKE SA follow from nonces, SPIs and shared secret (RFC 7296 section 2.14)")
    func initial() throws {
        let keys = try keys()
        #expect(hex(keys.skD) == "1b90567817c8ae9a7cc018e23e0e809a802e43907ec4c0f57d7e8820f3a24a8e")
        #expect(hex(keys.skEi) == "e9838f0928efc871d13e6fe0a587a299da4e650ed1bc9dc8e2559eee082099c1a314346a")
        #expect(hex(keys.skEr) == "1e3d14f443e5598f2e370528378ad8a16da725a85f5a264b1db9e008295f57ab4d29989a")
        #expect(hex(keys.skPi) == "90779d529a7bedff87f62c4c7e6831a230a5d7af9c80ff95ee639cac33f04a92")
        #expect(hex(keys.skPr) == "18e44c2959f6c3a938df541efb3797fd3fa8ea8369b639299a607b549a868131")
    }

    @Test("An AEAD cipher takes no integrity keys out of the material")
    func noIntegrityKeys() throws {
        let keys = try keys()
        #expect(keys.skAi.count == 0)
        #expect(keys.skAr.count == 0)
    }

    @Test("A rekeyed IKE SA is seeded with the old PRF and expanded with the new one (RFC 7296 section 2.18)")
    func rekeyed() throws {
        let suite = IKESuite(
            encryption: .aesCBC(256), integrity: .hmacSHA2_512_256, prf: .hmacSHA2_512, keyExchange: .curve25519)
        let keys = try keys().rekeyed(
            suite: suite, sharedSecret: SecretOctets(Array<UInt8>(96..<128)), initiatorNonce: initiatorNonce,
            responderNonce: responderNonce, initiatorSPI: 0x3031_3233_3435_3637, responderSPI: 0x4041_4243_4445_4647)
        #expect(hex(keys.skD).hasPrefix("1f4694eaf944a4adc8e792b7d2251b5986acd06688821728dbe26b04563d859c"))
        #expect(hex(keys.skAi).hasPrefix("b16d46ba9342db3931eea628376cfb61583f708eb9aced4b56c76ee837499325"))
        #expect(hex(keys.skAr).hasPrefix("ed6c1c752c33e8433e59a9bc8b8710abac42cbfb108cef300dd98d1fce712b78"))
        #expect(hex(keys.skEi) == "b08e3ccde3dffeca36c059cd349b59bfb4975f28ef038bc7715bbac70876da80")
        #expect(hex(keys.skEr) == "377e8e201cb786f94245b3331b40ef2956b8b745523448c9c8be40c9418db22c")
        #expect(hex(keys.skPr).hasSuffix("2954e8f5b5388340a64e0f331b7df51dd"))
    }

    @Test("A child's keys come from SK_d, those of the exchange's initiator first (RFC 7296 section 2.17)")
    func child() throws {
        let child = try keys().childKeys(
            suite: ChildSuite(
                encryption: .aesCBC(128), integrity: .hmacSHA2_256_128, keyExchange: nil, sequenceNumbers: .extended),
            sharedSecret: nil, initiatorNonce: initiatorNonce, responderNonce: responderNonce)
        #expect(hex(child.fromInitiator.encryption) == "0819c6ffd8ece4378f9531ac0b8c016b")
        #expect(
            child.fromInitiator.integrity.map(hex)
                == "607ba4f0fc8040f66a45cefe03b538603bc151083c22a4f25b401a3cc45708ec")
        #expect(hex(child.fromResponder.encryption) == "6af6113e4074706a02f321326a2a4005")
        #expect(
            child.fromResponder.integrity.map(hex)
                == "16ccfc6d81d5ba4a7c27d96b5bf4f114a090c004c4082fede072bf572e251eed")
    }

    @Test("With a key exchange of its own, a child's keys depend on its secret")
    func childWithKeyExchange() throws {
        let child = try keys().childKeys(
            suite: ChildSuite(
                encryption: .aesGCM16(256), integrity: nil, keyExchange: .curve25519, sequenceNumbers: .extended),
            sharedSecret: SecretOctets(Array<UInt8>(96..<128)), initiatorNonce: initiatorNonce,
            responderNonce: responderNonce)
        #expect(
            hex(child.fromInitiator.encryption)
                == "c556314c7a75902e628c7c3b545253c3a3ae334cea002df6cbb5fa1a34022d387684cbc2")
        #expect(
            hex(child.fromResponder.encryption)
                == "24196bec5b65a4318571546af2df8c1dc27d6f73bb7c7a91ce20e3dd7ae2d45f395a8119")
    }

    @Test("AUTH covers the message, the other side's nonce and the identity (RFC 7296 section 2.15)")
    func authentication() throws {
        let signed = try AuthenticationOctets.signed(
            message: Array("first message".utf8), otherNonce: responderNonce,
            identityBody: [2, 0, 0, 0] + Array("gw.example.org".utf8), key: try keys().skPi, prf: .hmacSHA2_256)
        #expect(
            Array(signed.suffix(32)).hexadecimal == "aae9187db49232840528003744c83363af7da165aef5d10ad5603d39bcfae91b")
        #expect(Array(signed.prefix(45)) == Array("first message".utf8) + responderNonce)
        let proof = try AuthenticationOctets.sharedKeyProof(
            SecretOctets(Array("secret".utf8)), octets: signed, prf: .hmacSHA2_256)
        #expect(hex(proof) == "6562edde6c376fb3be39d421018a37f275e9694f6273b3135e26bdd514da8c86")
    }
}
