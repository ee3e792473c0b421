import Crypto
import Foundation
import IPsecCrypto
import Octets
import Testing

private func pem(_ der: [UInt8]) -> String {
    """
    -----BEGIN PRIVATE KEY-----\n\(Data(der).base64EncodedString(options: .lineLength64Characters))\n-----END \
    PRIVATE KEY-----\n
    """
}

@Suite("Ed448 and ML-DSA")
struct Ed448AndMLDSATests {
    /// RFC 8032, section 7.4: secret key, public key, message, signature.
    static let rfc8032 = [
        (
            """
            6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3528c8a3fcc2f044e39a3fc5b94492f8f
            032e7549a20098f95b
            """,
            """
            5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778edf124769b46c7061bd6783df1e50f6c
            d1fa1abeafe8256180
            """,
            "",
            """
            533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f2b233f034f628281f2fd7a22ddd47d78
            28c59bd0a21bfd3980ff0d2028d4b18a9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7cdda8530a113a0f4db
            b61149f05a7363268c71d95808ff2e652600
            """
        ),
        (
            """
            c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463afbea67c5e8d2877c5e3bc397a659949e
            f8021e954e0a12274e
            """,
            """
            43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c0866aea01eb00742802b8438ea4cb82169c
            235160627b4c3a9480
            """,
            "03",
            """
            26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f4352541b143c4b981b7e18f62de8ccdf633
            fc1bf037ab7cd779805e0dbcc0aae1cbcee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1953d2a0f
            f3348ab21aa4adafd1d234441cf807c03a00
            """
        ),
    ]

    @Test("An Ed448 key is read from PKCS#8 and signs as RFC 8032, section 7.4, prints", arguments: rfc8032)
    func ed448(secret: String, publicKey: String, message: String, signature: String) throws {
        let key = try SigningKey(pem: pem(octets("3047020100300506032b6571043b0439") + octets(secret)))
        #expect(key.publicKey.kind == .ed448)
        #expect(key.publicKey.subjectPublicKeyInfo == octets("3043300506032b6571033a00") + octets(publicKey))
        #expect(key.algorithms(acceptedHashes: [.sha2_512]).isEmpty)
        #expect(key.algorithms(acceptedHashes: [.sha2_512, .identity]) == [.ed448])
        let made = try key.sign(octets(message), with: .ed448)
        #expect(made == octets(signature))
        #expect(key.publicKey.isValid(made, of: octets(message), with: .ed448))
        #expect(!key.publicKey.isValid(made, of: octets(message) + [1], with: .ed448))
        #expect(!key.publicKey.isValid(made, of: octets(message), with: .ed25519))
        #expect(throws: IPsecCrypto.CryptoError(.unsupportedAlgorithm, "")) { try key.sign([], with: .ed25519) }
    }

    @Test("Wycheproof Ed448 cases are told apart", arguments: WycheproofEd448.cases)
    func wycheproof(vector: WycheproofEd448.Case) throws {
        let key = try VerificationKey(subjectPublicKeyInfo: octets(vector.key))
        let valid = key.isValid(octets(vector.signature), of: octets(vector.message), with: .ed448)
        #expect(valid == vector.isValid)
    }

    @Test(
        "An ML-DSA key is made from its seed, and a signature of Wycheproof verifies", arguments: WycheproofMLDSA.cases)
    func mlDSA(vector: WycheproofMLDSA.Case) throws {
        let key = try SigningKey(pem: pem(octets(vector.pkcs8)))
        #expect(key.publicKey.kind == vector.kind)
        // What stands before the key proper in the SubjectPublicKeyInfo has 22 octets.
        let digest = Array(SHA256.hash(data: key.publicKey.subjectPublicKeyInfo.dropFirst(22)))
        #expect(digest == octets(vector.publicKeyDigest))
        let verification = try VerificationKey(subjectPublicKeyInfo: key.publicKey.subjectPublicKeyInfo)
        let message = Array("Hello world".utf8)
        let signature = octets(vector.signature)
        #expect(verification.isValid(signature, of: message, with: vector.algorithm))
        for index in [0, signature.count / 2, signature.count - 1] {
            var changed = signature
            changed[index] ^= 1
            #expect(!verification.isValid(changed, of: message, with: vector.algorithm))
        }
        #expect(!verification.isValid(signature + [0], of: message, with: vector.algorithm))
        #expect(!verification.isValid(signature.dropLast(), of: message, with: vector.algorithm))
        #expect(!verification.isValid([], of: message, with: vector.algorithm))
        #expect(!verification.isValid(signature, of: message, with: .ed448))
    }

    @Test("ML-DSA signs for a peer that announced IDENTITY, and for no other", arguments: WycheproofMLDSA.cases)
    func signing(vector: WycheproofMLDSA.Case) throws {
        let key = try SigningKey(pem: pem(octets(vector.pkcs8)))
        #expect(key.algorithms(acceptedHashes: [.sha2_256, .sha2_512]).isEmpty)
        #expect(key.algorithms(acceptedHashes: [.identity]) == [vector.algorithm])
        let signature = try key.sign([1, 2, 3], with: vector.algorithm)
        #expect(key.publicKey.isValid(signature, of: [1, 2, 3], with: vector.algorithm))
        #expect(!key.publicKey.isValid(signature, of: [1, 2, 4], with: vector.algorithm))
    }

    @Test("An ML-DSA key with seed and expanded key is taken, one without seed is refused with the reason")
    func mlDSAForms() throws {
        let seed = [UInt8](repeating: 0x2a, count: 32)
        let identifier = octets("020100300b0609608648016503040312")
        let both = octets("30820fde") + identifier + octets("04820fca30820fc60420") + seed
        let expanded = octets("04820fa0") + [UInt8](repeating: 1, count: 4000)
        let key = try SigningKey(pem: pem(both + expanded))
        #expect(key.publicKey == (try SigningKey(pem: pem(octets(WycheproofMLDSA.cases[0].pkcs8)))).publicKey)
        let bare = octets("30820fb8") + identifier + octets("04820fa4") + expanded
        let error = #expect(throws: IPsecCrypto.CryptoError.self) { try SigningKey(pem: pem(bare)) }
        #expect(error?.reason.contains("seed") == true)
    }

    @Test("ML-DSA-44 is refused by name")
    func mlDSA44() {
        let der = octets("30820532300b0609608648016503040311 0382052100") + [UInt8](repeating: 0, count: 1312)
        let error = #expect(throws: IPsecCrypto.CryptoError.self) { try VerificationKey(subjectPublicKeyInfo: der) }
        #expect(error?.code == .unsupportedAlgorithm)
        #expect(error?.reason.contains("ML-DSA-44") == true)
    }

    @Test("Keys of another length are refused")
    func lengths() {
        for der in [
            octets("3042300506032b6571033900") + [UInt8](repeating: 1, count: 56),
            octets("3044300506032b6571033b00") + [UInt8](repeating: 1, count: 58),
            octets("30820532300b0609608648016503040312 0382052100") + [UInt8](repeating: 0, count: 1312),
        ] {
            #expect(throws: IPsecCrypto.CryptoError(.unusableKey, "")) {
                try VerificationKey(subjectPublicKeyInfo: der)
            }
        }
    }
}
