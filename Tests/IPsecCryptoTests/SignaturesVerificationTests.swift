import IPsecCrypto
import Octets
import Testing

private func decoded(_ hexadecimal: String) throws -> [UInt8] { try #require([UInt8](hexadecimal: hexadecimal)) }

/// A SubjectPublicKeyInfo from its fixed beginning and the key, both in hexadecimal.
private func key(_ prefix: String, _ value: String) throws -> VerificationKey {
    try VerificationKey(subjectPublicKeyInfo: try decoded(prefix + value))
}

private let p256Prefix = "3059301306072a8648ce3d020106082a8648ce3d030107034200"
private let p384Prefix = "3076301006072a8648ce3d020106052b81040022036200"
private let p521Prefix = "30819b301006072a8648ce3d020106052b8104002303818600"
private let ed25519Prefix = "302a300506032b6570032100"

@Suite("Signature verification")
struct SignatureVerificationTests {
    @Test("Wycheproof RSA PKCS#1 v1.5 cases are told apart", arguments: WycheproofRSA.pkcs1)
    func rsaPKCS1(_ vector: WycheproofCase) throws {
        let key = try VerificationKey(subjectPublicKeyInfo: try decoded(WycheproofRSA.pkcs1Key))
        let valid = key.isValid(
            try decoded(vector.signature), of: try decoded(vector.message), with: .rsaPKCS1(.sha2_256))
        #expect(valid == vector.isValid)
    }

    @Test("Wycheproof RSA PSS cases are told apart", arguments: WycheproofRSA.pss)
    func rsaPSS(_ vector: WycheproofCase) throws {
        let key = try VerificationKey(subjectPublicKeyInfo: try decoded(WycheproofRSA.pssKey))
        let valid = key.isValid(
            try decoded(vector.signature), of: try decoded(vector.message), with: .rsaPSS(.sha2_256))
        #expect(valid == vector.isValid)
    }

    @Test(
        "A PSS signature without salt is refused, though its mathematics hold", arguments: WycheproofRSA.pssWithoutSalt)
    func rsaPSSWithoutSalt(_ vector: WycheproofCase) throws {
        let key = try VerificationKey(subjectPublicKeyInfo: try decoded(WycheproofRSA.pssWithoutSaltKey))
        #expect(
            !key.isValid(try decoded(vector.signature), of: try decoded(vector.message), with: .rsaPSS(.sha2_256)))
    }

    @Test("An RSA key with exponent 3 is refused (Wycheproof case 239)")
    func smallExponent() throws {
        let der = try decoded(WycheproofRSA.exponent3Key)
        let error = #expect(throws: CryptoError.self) { try VerificationKey(subjectPublicKeyInfo: der) }
        #expect(error?.code == .unusableKey)
        #expect(error?.reason.contains("exponent") == true)
    }

    @Test("Wycheproof ECDSA P-256 encodings are told apart", arguments: WycheproofECDSA.p256)
    func ecdsaP256(_ vector: WycheproofCase) throws {
        let key = try VerificationKey(subjectPublicKeyInfo: try decoded(WycheproofECDSA.p256Key))
        let valid = key.isValid(try decoded(vector.signature), of: try decoded(vector.message), with: .ecdsa(.sha2_256))
        #expect(valid == vector.isValid)
    }

    @Test("Wycheproof ECDSA P-384 signatures over SHA2-512 verify", arguments: WycheproofECDSA.p384)
    func ecdsaP384(_ vector: WycheproofCase) throws {
        let key = try VerificationKey(subjectPublicKeyInfo: try decoded(WycheproofECDSA.p384Key))
        let valid = key.isValid(try decoded(vector.signature), of: try decoded(vector.message), with: .ecdsa(.sha2_512))
        #expect(valid == vector.isValid)
    }

    @Test("Wycheproof ECDSA P-521 encodings are told apart", arguments: WycheproofECDSA.p521)
    func ecdsaP521(_ vector: WycheproofCase) throws {
        let key = try VerificationKey(subjectPublicKeyInfo: try decoded(WycheproofECDSA.p521Key))
        let valid = key.isValid(try decoded(vector.signature), of: try decoded(vector.message), with: .ecdsa(.sha2_512))
        #expect(valid == vector.isValid)
    }

    @Test("ECDSA signatures over \"sample\" verify (RFC 6979 A.2.5, A.2.6, A.2.7)", arguments: ECDSAVector.rfc6979)
    func rfc6979(_ vector: ECDSAVector) throws {
        let key = try key(vector.prefix, "04" + vector.x + vector.y)
        let raw = try decoded(vector.r + vector.s)
        let der = try #require(VerificationKey.ecdsaRawToDER(raw, curveBits: vector.bits))
        #expect(key.kind == .ecdsa(bits: vector.bits))
        #expect(key.isValid(der, of: Array("sample".utf8), with: .ecdsa(vector.hash)))
        #expect(!key.isValid(der, of: Array("test".utf8), with: .ecdsa(vector.hash)))
        #expect(VerificationKey.ecdsaDERToRaw(der, curveBits: vector.bits) == raw)
    }

    @Test("Ed25519 signatures verify (RFC 8032 section 7.1)", arguments: Ed25519Vector.rfc8032)
    func ed25519(_ vector: Ed25519Vector) throws {
        let key = try key(ed25519Prefix, vector.publicKey)
        let message = try decoded(vector.message)
        var signature = try decoded(vector.signature)
        #expect(key.isValid(signature, of: message, with: .ed25519))
        signature[3] ^= 1
        #expect(!key.isValid(signature, of: message, with: .ed25519))
        #expect(!key.isValid(signature.dropLast(), of: message, with: .ed25519))
        #expect(!key.isValid([], of: message, with: .ed25519))
    }

    @Test("A signature is not valid under an algorithm of another kind of key")
    func wrongKind() throws {
        let vector = try #require(Ed25519Vector.rfc8032.first)
        let key = try key(ed25519Prefix, vector.publicKey)
        let signature = try decoded(vector.signature)
        for algorithm in [SignatureAlgorithm.ecdsa(.sha2_256), .rsaPSS(.sha2_256), .rsaPKCS1(.sha2_256)] {
            #expect(!key.isValid(signature, of: [], with: algorithm))
        }
    }

    @Test("A point that is not on the curve is refused as a key")
    func pointOffCurve() throws {
        let vector = try #require(ECDSAVector.rfc6979.first)
        let der = try decoded(vector.prefix + "04" + vector.x + vector.x)
        #expect(throws: CryptoError(.unusableKey, "")) { try VerificationKey(subjectPublicKeyInfo: der) }
    }

    @Test("Octets cut short anywhere are refused as a key, and never trap")
    func truncatedKey() throws {
        let der = try decoded(WycheproofRSA.pkcs1Key)
        for count in 0..<der.count {
            #expect(throws: CryptoError.self) { try VerificationKey(subjectPublicKeyInfo: Array(der.prefix(count))) }
        }
    }

    @Test("A key on another curve is refused by name")
    func unsupportedCurve() throws {
        // secp256k1, object identifier 1.3.132.0.10.
        let der = try decoded(
            "3056301006072a8648ce3d020106052b8104000a034200" + "04" + String(repeating: "11", count: 64))
        let error = #expect(throws: CryptoError.self) { try VerificationKey(subjectPublicKeyInfo: der) }
        #expect(error?.code == .unsupportedAlgorithm)
        #expect(error?.reason.contains("1.3.132.0.10") == true)
    }
}

@Suite("ECDSA signature forms")
struct SignatureFormsTests {
    @Test("Short numbers are padded to the width of the curve and stripped again")
    func padding() throws {
        let raw = [UInt8](repeating: 0, count: 31) + [0x7f] + [UInt8](repeating: 0, count: 30) + [0x80, 0x01]
        let der = try #require(VerificationKey.ecdsaRawToDER(raw, curveBits: 256))
        #expect(der == [0x30, 0x08, 0x02, 0x01, 0x7f, 0x02, 0x03, 0x00, 0x80, 0x01])
        #expect(VerificationKey.ecdsaDERToRaw(der, curveBits: 256) == raw)
    }

    @Test("Raw signatures of every wrong length are refused")
    func wrongLength() {
        for count in 0..<200 where count != 132 {
            #expect(VerificationKey.ecdsaRawToDER([UInt8](repeating: 1, count: count), curveBits: 521) == nil)
        }
        #expect(VerificationKey.ecdsaRawToDER([UInt8](repeating: 1, count: 132), curveBits: 521) != nil)
    }

    @Test("A number wider than the curve is refused")
    func tooWide() throws {
        let raw = [UInt8](repeating: 0x11, count: 96)
        let der = try #require(VerificationKey.ecdsaRawToDER(raw, curveBits: 384))
        #expect(VerificationKey.ecdsaDERToRaw(der, curveBits: 384) == raw)
        #expect(VerificationKey.ecdsaDERToRaw(der, curveBits: 256) == nil)
    }

    @Test("All-zero and negative numbers are refused")
    func zeroAndNegative() {
        #expect(VerificationKey.ecdsaDERToRaw([0x30, 6, 2, 1, 0, 2, 1, 1], curveBits: 256) == nil)
        #expect(VerificationKey.ecdsaDERToRaw([0x30, 6, 2, 1, 0xff, 2, 1, 1], curveBits: 256) == nil)
        #expect(VerificationKey.ecdsaDERToRaw([0x30, 6, 2, 1, 1, 2, 1, 1], curveBits: 256) != nil)
    }
}

struct Ed25519Vector: Sendable {
    let secretKey: String
    let publicKey: String
    let message: String
    let signature: String

    static let rfc8032 = [
        Ed25519Vector(
            secretKey: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            publicKey: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", message: "",
            signature: """
                e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
                5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b
                """),
        Ed25519Vector(
            secretKey: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            publicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", message: "72",
            signature: """
                92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00
                """),
        Ed25519Vector(
            secretKey: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            publicKey: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", message: "af82",
            signature: """
                6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
                18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a
                """),
    ]
}

struct ECDSAVector: Sendable {
    let bits: Int
    let hash: HashAlgorithm
    let prefix: String
    let x: String
    let y: String
    let r: String
    let s: String

    private static let p256x = "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    private static let p256y = "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"

    static let rfc6979 = [
        ECDSAVector(
            bits: 256, hash: .sha2_256, prefix: p256Prefix, x: p256x, y: p256y,
            r: "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
            s: "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"),
        ECDSAVector(
            bits: 256, hash: .sha2_384, prefix: p256Prefix, x: p256x, y: p256y,
            r: "0eafea039b20e9b42309fb1d89e213057cbf973dc0cfc8f129edddc800ef7719",
            s: "4861f0491e6998b9455193e34e7b0d284ddd7149a74b95b9261f13abde940954"),
        ECDSAVector(
            bits: 256, hash: .sha2_512, prefix: p256Prefix, x: p256x, y: p256y,
            r: "8496a60b5e9b47c825488827e0495b0e3fa109ec4568fd3f8d1097678eb97f00",
            s: "2362ab1adbe2b8adf9cb9edab740ea6049c028114f2460f96554f61fae3302fe"),
        ECDSAVector(
            bits: 384, hash: .sha2_384, prefix: p384Prefix,
            x: "ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64def8f0ea9055866064a254515480bc13",
            y: "8015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720",
            r: "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46",
            s: "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8"),
        ECDSAVector(
            bits: 521, hash: .sha2_512, prefix: p521Prefix,
            x: """
                01894550d0785932e00eaa23b694f213f8c3121f86dc97a04e5a7167db4e5bcd371123d46e45db6b5d5370a7f20fb633\
                155d38ffa16d2bd761dcac474b9a2f5023a4
                """,
            y: """
                00493101c962cd4d2fddf782285e64584139c2f91b47f87ff82354d6630f746a28a0db25741b5b34a828008b22acc23f\
                924faafbd4d33f81ea66956dfeaa2bfdfcf5
                """,
            r: """
                00c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f174e25a1ee9017b5d450606add152b53\
                4931d7d4e8455cc91f9b15bf05ec36e377fa
                """,
            s: """
                00617cce7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b68af282623eaa63e5b5c0723d8b8c37ff077\
                7b1a20f8ccb1dccc43997f1ee0e44da4a67a
                """),
    ]
}
