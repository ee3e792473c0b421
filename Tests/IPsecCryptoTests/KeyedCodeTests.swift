import IPsecCrypto
import Octets
import Testing

@Suite("Codes that are not HMAC-SHA2")
struct KeyedCodeTests {
    struct Vector: Sendable, CustomTestStringConvertible {
        let name: String
        let prf: PRF
        let key, data, code: [UInt8]
        var testDescription: String { name }
    }

    private static func counted(_ name: String, _ prf: PRF, _ key: [UInt8], _ count: Int, _ code: String) -> Vector {
        Vector(name: name, prf: prf, key: key, data: counting(count, from: 0), code: octets(code))
    }

    private static let plain = counting(16, from: 0)
    private static let exampleKey = octets("2b7e151628aed2a6abf7158809cf4f3c")
    private static let exampleData = octets(
        """
        6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51
        30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710
        """)

    private static func cmac(_ number: Int, _ count: Int, _ code: String) -> Vector {
        Vector(
            name: "RFC 4493, example \(number)", prf: .aes128CMAC, key: exampleKey,
            data: Array(exampleData.prefix(count)), code: octets(code))
    }

    static let xcbc = [
        counted("RFC 3566, case 1", .aes128XCBC, plain, 0, "75f0251d528ac01c4573dfd584d79f29"),
        counted("RFC 3566, case 2", .aes128XCBC, plain, 3, "5b376580ae2f19afe7219ceef172756f"),
        counted("RFC 3566, case 3", .aes128XCBC, plain, 16, "d2a246fa349b68a79998a4394ff7a263"),
        counted("RFC 3566, case 4", .aes128XCBC, plain, 20, "47f51b4564966215b8985c63055ed308"),
        counted("RFC 3566, case 5", .aes128XCBC, plain, 32, "f54f0ec8d2b9f3d36807734bd5283fd4"),
        counted(
            "RFC 4434, a key of 10 octets", .aes128XCBC, counting(10, from: 0), 20, "0fa087af7d866e7653434e602fdde835"),
        counted(
            "RFC 4434, a key of 18 octets", .aes128XCBC, plain + [0xed, 0xcb], 20, "8cd3c93ae598a9803006ffb67c40e9e4"),
    ]

    static let cmac = [
        cmac(1, 0, "bb1d6929e95937287fa37d129b756746"), cmac(2, 16, "070a16b46b4d4144f79bdd9dd04a287c"),
        cmac(3, 40, "dfa66747de9ae63030ca32611497c827"), cmac(4, 64, "51f0bebf7e3b9d92fc49741779363cfe"),
        counted(
            "RFC 4615, a key of 18 octets", .aes128CMAC, plain + [0xed, 0xcb], 20, "84a348a4a45d235babfffc0d2b4da09a"),
        counted("RFC 4615, a key of 16 octets", .aes128CMAC, plain, 20, "980ae87b5f4c9c5214f5b6a8455e4c2d"),
        counted(
            "RFC 4615, a key of 10 octets", .aes128CMAC, counting(10, from: 0), 20, "290d9e112edb09ee141fcf64c0b72f3d"),
    ]

    static let sha1 = [
        Vector(
            name: "RFC 2202, case 1", prf: .hmacSHA1, key: [UInt8](repeating: 0x0b, count: 20),
            data: Array("Hi There".utf8), code: octets("b617318655057264e28bc0b6fb378c8ef146be00")),
        Vector(
            name: "RFC 2202, case 2", prf: .hmacSHA1, key: Array("Jefe".utf8),
            data: Array("what do ya want for nothing?".utf8), code: octets("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")),
        Vector(
            name: "RFC 2202, case 3", prf: .hmacSHA1, key: [UInt8](repeating: 0xaa, count: 20),
            data: [UInt8](repeating: 0xdd, count: 50), code: octets("125d7342b9ac11cd91a39af48aa17b4f63f175d3")),
        Vector(
            name: "RFC 2202, case 6", prf: .hmacSHA1, key: [UInt8](repeating: 0xaa, count: 80),
            data: Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
            code: octets("aa4ae5e15272d00e95705637ce8a3b55ed402112")),
    ]

    @Test("The PRFs give the values that RFCs print", arguments: xcbc + cmac + sha1)
    func publishedPRF(vector: Vector) throws {
        let output = try vector.prf.compute(key: SecretOctets(vector.key), vector.data)
        #expect(output == SecretOctets(vector.code))
        #expect(try vector.prf.compute(key: SecretOctets(vector.key), SecretOctets(vector.data)) == output)
    }

    @Test(
        "A packet cipher gives the code of RFC 3566, RFC 4494 or RFC 2202, cut to 96 bits",
        arguments: (xcbc + cmac + sha1).filter { $0.data.count > 8 && $0.key.count == $0.prf.outputLength },
        CipherProvider.available)
    func publishedInPackets(vector: Vector, provider: CipherProvider) throws {
        let integrity: IntegrityAlgorithm =
            switch vector.prf {
            case .aes128XCBC: .aesXCBC_96
            case .aes128CMAC: .aesCMAC_96
            default: .hmacSHA1_96
            }
        // Without encryption a packet is just what the code covers.
        let cipher = ArrayPacketCipher(
            try PacketCipher(
                encryption: .null, encryptionKey: SecretOctets([]), integrity: integrity,
                integrityKey: SecretOctets(vector.key), provider: provider))
        let sealed = cipher.seal(
            vector.data + [UInt8](repeating: 0, count: 12), sequence: 0, extended: false)
        #expect(sealed == vector.data + vector.code.prefix(12))
        #expect(cipher.open(vector.data + vector.code.prefix(12), sequenceHigh: 0, extended: false).authentic)
    }

    @Test(
        "The codes of packets and of messages agree at every length, with and without trailing octets",
        arguments: [IntegrityAlgorithm.aesXCBC_96, .aesCMAC_96, .hmacSHA1_96], CipherProvider.available)
    func lengths(integrity: IntegrityAlgorithm, provider: CipherProvider) throws {
        let suite = CipherSuite(encryption: .null, integrity: integrity, provider: provider)
        let cipher = try suite.arrayPacketCipher()
        for count in Array(1...70) + [500, 511, 512, 513, 528, 1400, 1401] {
            for extended in [false, true] {
                let blank = suite.packet(payload: counting(count), sequence: 0x0102_0304_0506_0708)
                let sealed = try #require(cipher.seal(blank, sequence: 0x0102_0304_0506_0708, extended: extended))
                let covered = sealed.dropLast(suite.icvLength) + (extended ? [1, 2, 3, 4] : [])
                #expect(try Array(sealed.suffix(suite.icvLength)) == suite.code(of: Array(covered)))
            }
        }
    }

    @Test("Of the nonces the PRFs of AES take 64 bits each, the others everything (RFC 7296, section 2.14)")
    func seedKeys() {
        let (ours, theirs) = (counting(32, from: 1), counting(20, from: 101))
        for prf in PRF.allCases {
            let key = prf.seedKey(initiatorNonce: ours, responderNonce: theirs)
            let whole = prf != .aes128XCBC && prf != .aes128CMAC
            #expect(key == SecretOctets(whole ? ours + theirs : Array(ours[..<8] + theirs[..<8])))
        }
    }
}
