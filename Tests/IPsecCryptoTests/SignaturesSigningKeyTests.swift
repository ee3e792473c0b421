import Crypto
import CryptoExtras
import Foundation
import IPsecCrypto
import Octets
import Testing

/// The module beside this one has a type of the same name.
private typealias KeyError = IPsecCrypto.CryptoError

private func pem(_ label: String, _ der: [UInt8]) -> String {
    """
    -----BEGIN \(label)-----\n\(Data(der).base64EncodedString(options: .lineLength64Characters))\n-----END \
    \(label)-----\n
    """
}

/// Generated once: making RSA keys is slow.
private enum Keys {
    static let rsa2048 = Result { try _RSA.Signing.PrivateKey(keySize: .bits2048) }
    static let message = Array("the octets to be signed".utf8)
}

@Suite("Signing keys")
struct SigningKeyTests {
    private func expectRoundTrip(_ key: SigningKey, _ algorithms: [SignatureAlgorithm]) throws {
        #expect(!algorithms.isEmpty)
        let verification = try VerificationKey(subjectPublicKeyInfo: key.publicKey.subjectPublicKeyInfo)
        #expect(verification == key.publicKey)
        for algorithm in algorithms {
            let signature = try key.sign(Keys.message, with: algorithm)
            #expect(verification.isValid(signature, of: Keys.message, with: algorithm), "\(algorithm)")
            #expect(!verification.isValid(signature, of: Keys.message + [0], with: algorithm), "\(algorithm)")
        }
    }

    @Test("An RSA key is read from PKCS#8 and signs with every padding and hash")
    func rsaPKCS8() throws {
        let key = try SigningKey(pem: try Keys.rsa2048.get().pkcs8PEMRepresentation)
        #expect(key.publicKey.kind == .rsa(bits: 2048))
        let algorithms = key.algorithms(acceptedHashes: [.sha1, .sha2_256, .sha2_384, .sha2_512, .identity])
        #expect(algorithms.count == 6)
        try expectRoundTrip(key, algorithms)
    }

    @Test("An RSA key is read from PKCS#1")
    func rsaPKCS1() throws {
        let text = try Keys.rsa2048.get().pemRepresentation
        #expect(text.hasPrefix("-----BEGIN RSA PRIVATE KEY-----"))
        #expect(try SigningKey(pem: text).publicKey.kind == .rsa(bits: 2048))
    }

    @Test("A PSS signature is not a PKCS#1 v1.5 signature, nor the other way round")
    func paddingsDiffer() throws {
        let key = try SigningKey(pem: try Keys.rsa2048.get().pemRepresentation)
        let pss = try key.sign(Keys.message, with: .rsaPSS(.sha2_256))
        let pkcs1 = try key.sign(Keys.message, with: .rsaPKCS1(.sha2_256))
        #expect(!key.publicKey.isValid(pss, of: Keys.message, with: .rsaPKCS1(.sha2_256)))
        #expect(!key.publicKey.isValid(pkcs1, of: Keys.message, with: .rsaPSS(.sha2_256)))
        #expect(!key.publicKey.isValid(pss, of: Keys.message, with: .rsaPSS(.sha2_384)))
    }

    @Test("An RSA key of 1024 bits is refused with its length")
    func shortRSA() throws {
        let text = try _RSA.Signing.PrivateKey(unsafeKeySize: .init(bitCount: 1024)).pemRepresentation
        let error = #expect(throws: KeyError.self) { try SigningKey(pem: text) }
        #expect(error?.code == .unusableKey)
        #expect(error?.reason.contains("1024 bits") == true)
    }

    @Test("ECDSA keys on the three curves are read from PKCS#8 and sign with every hash")
    func ecdsaPKCS8() throws {
        let texts = [
            (256, P256.Signing.PrivateKey().pemRepresentation), (384, P384.Signing.PrivateKey().pemRepresentation),
            (521, P521.Signing.PrivateKey().pemRepresentation),
        ]
        for (bits, text) in texts {
            let key = try SigningKey(pem: text)
            #expect(key.publicKey.kind == .ecdsa(bits: bits))
            try expectRoundTrip(key, key.algorithms(acceptedHashes: [.sha2_256, .sha2_384, .sha2_512]))
        }
    }

    @Test("An ECDSA key is read from SEC 1 behind its curve parameters (RFC 5915, key of RFC 6979 A.2.5)")
    func ecdsaSEC1() throws {
        let scalar = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
        let curve = "06082a8648ce3d030107"
        let der = try #require([UInt8](hexadecimal: "30310201010420" + scalar + "a00a" + curve))
        let parameters = try #require([UInt8](hexadecimal: curve))
        let key = try SigningKey(pem: pem("EC PARAMETERS", parameters) + pem("EC PRIVATE KEY", der))
        let point = """
            0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
            7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299
            """
        #expect(key.publicKey.subjectPublicKeyInfo.hexadecimal.hasSuffix(point))
        try expectRoundTrip(key, [.ecdsa(.sha2_256)])
    }

    @Test(
        "Ed25519 keys are read from PKCS#8 and make the published signatures (RFC 8032 section 7.1)",
        arguments: Ed25519Vector.rfc8032)
    func ed25519(_ vector: Ed25519Vector) throws {
        let der = try #require([UInt8](hexadecimal: "302e020100300506032b657004220420" + vector.secretKey))
        let key = try SigningKey(pem: pem("PRIVATE KEY", der))
        #expect(key.publicKey.kind == .ed25519)
        #expect(key.publicKey.subjectPublicKeyInfo.hexadecimal == "302a300506032b6570032100" + vector.publicKey)
        let message = try #require([UInt8](hexadecimal: vector.message))
        #expect(try key.sign(message, with: .ed25519).hexadecimal == vector.signature)
    }

    @Test("The hash that fits the key comes first, and PSS before PKCS#1 v1.5")
    func preference() throws {
        let all: [HashAlgorithm] = [.sha1, .sha2_512, .sha2_256, .sha2_384, .identity]
        let rsa = try SigningKey(pem: try Keys.rsa2048.get().pemRepresentation)
        #expect(rsa.algorithms(acceptedHashes: all).first == .rsaPSS(.sha2_256))
        #expect(rsa.algorithms(acceptedHashes: [.sha2_512]) == [.rsaPSS(.sha2_512), .rsaPKCS1(.sha2_512)])
        let p384 = try SigningKey(pem: P384.Signing.PrivateKey().pemRepresentation)
        #expect(p384.algorithms(acceptedHashes: all) == [.ecdsa(.sha2_384), .ecdsa(.sha2_512), .ecdsa(.sha2_256)])
    }

    @Test("No algorithm is left when the peer takes only SHA-1, and Ed25519 needs IDENTITY")
    func noCommonHash() throws {
        let key = try SigningKey(pem: P256.Signing.PrivateKey().pemRepresentation)
        #expect(key.algorithms(acceptedHashes: [.sha1, .identity]).isEmpty)
        let der = try #require(
            [UInt8](hexadecimal: "302e020100300506032b657004220420" + String(repeating: "07", count: 32)))
        let ed25519 = try SigningKey(pem: pem("PRIVATE KEY", der))
        #expect(ed25519.algorithms(acceptedHashes: [.sha2_256]).isEmpty)
        #expect(ed25519.algorithms(acceptedHashes: [.sha2_256, .identity]) == [.ed25519])
    }

    @Test("Signing with SHA-1 or with another kind of algorithm is refused with a reason")
    func refusedAlgorithms() throws {
        let rsa = try SigningKey(pem: try Keys.rsa2048.get().pemRepresentation)
        let sha1 = #expect(throws: KeyError.self) { try rsa.sign([], with: .rsaPKCS1(.sha1)) }
        #expect(sha1?.reason.contains("SHA-1") == true)
        let other = #expect(throws: KeyError.self) { try rsa.sign([], with: .ed25519) }
        #expect(other?.code == .unsupportedAlgorithm)
    }

    @Test(
        "An encrypted key is refused in both of its forms",
        arguments: [
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            """
            -----BEGIN RSA PRIVATE KEY-----
            Proc-Type: 4,ENCRYPTED
            DEK-Info: AES-256-CBC,00

            MAAA
            -----END RSA PRIVATE KEY-----
            """,
        ])
    func encrypted(_ text: String) {
        let error = #expect(throws: KeyError.self) { try SigningKey(pem: text) }
        #expect(error?.reason.contains("encrypted") == true)
    }

    @Test("Text without a private key is refused, and so are two keys")
    func count() throws {
        let key = P256.Signing.PrivateKey()
        #expect(throws: KeyError(.unusableKey, "")) { try SigningKey(pem: "") }
        #expect(throws: KeyError(.unusableKey, "")) { try SigningKey(pem: key.publicKey.pemRepresentation) }
        let two = key.pemRepresentation + "\n" + P256.Signing.PrivateKey().pemRepresentation
        let error = #expect(throws: KeyError.self) { try SigningKey(pem: two) }
        #expect(error?.reason.contains("2 private keys") == true)
    }

    @Test("A damaged key is refused wherever it is cut")
    func damaged() {
        let der = Array(P256.Signing.PrivateKey().derRepresentation)
        for count in stride(from: 1, to: der.count, by: 7) {
            #expect(throws: KeyError.self) { try SigningKey(pem: pem("PRIVATE KEY", Array(der.prefix(count)))) }
        }
    }
}
