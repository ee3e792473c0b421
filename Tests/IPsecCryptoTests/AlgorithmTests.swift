import IPsecCrypto
import Octets
import Testing

@Suite("Algorithms and their numbers")
struct AlgorithmTests {
    @Test(
        "Encryption algorithms have the sizes that their RFCs give them",
        arguments: [
            (EncryptionAlgorithm.aesGCM16(128), 16, 4, 8, 16, 1), (.aesGCM16(192), 24, 4, 8, 16, 1),
            (.aesGCM16(256), 32, 4, 8, 16, 1), (.chaCha20Poly1305, 32, 4, 8, 16, 1),
            (.aesCBC(128), 16, 0, 16, 0, 16), (.aesCBC(192), 24, 0, 16, 0, 16), (.aesCBC(256), 32, 0, 16, 0, 16),
            (.aesCTR(128), 16, 4, 8, 0, 1), (.aesCTR(256), 32, 4, 8, 0, 1), (.null, 0, 0, 0, 0, 1),
            (.aesCCM8(128), 16, 3, 8, 8, 1), (.aesCCM12(192), 24, 3, 8, 12, 1), (.aesCCM16(256), 32, 3, 8, 16, 1),
            (.aesGCM8(128), 16, 4, 8, 8, 1), (.aesGCM12(256), 32, 4, 8, 12, 1),
            (.nullWithGMAC(256), 32, 4, 8, 16, 1), (.aesCCM8ImplicitIV(128), 16, 3, 0, 8, 1),
            (.aesGCM16ImplicitIV(256), 32, 4, 0, 16, 1), (.chaCha20Poly1305ImplicitIV, 32, 4, 0, 16, 1),
        ])
    func sizes(algorithm: EncryptionAlgorithm, key: Int, salt: Int, iv: Int, icv: Int, block: Int) {
        #expect(algorithm.keyLength == key)
        #expect(algorithm.saltLength == salt)
        #expect(algorithm.keyMaterialLength == key + salt)
        #expect(algorithm.ivLength == iv)
        #expect(algorithm.icvLength == icv)
        #expect(algorithm.blockSize == block)
        #expect(algorithm.isAEAD == (icv > 0))
    }

    @Test(
        "An encryption algorithm is found again by what it sends in a proposal",
        arguments: [
            EncryptionAlgorithm.aesGCM16(128), .aesGCM16(256), .aesCBC(128), .aesCBC(192), .aesCBC(256),
            .chaCha20Poly1305, .null, .aesCTR(192), .aesCCM8(128), .aesCCM12(192), .aesCCM16(256), .aesGCM8(128),
            .aesGCM12(256), .nullWithGMAC(128), .aesCCM8ImplicitIV(128), .aesGCM16ImplicitIV(256),
            .chaCha20Poly1305ImplicitIV,
        ])
    func proposal(algorithm: EncryptionAlgorithm) {
        let found = EncryptionAlgorithm(
            transformID: algorithm.transformID, keyBits: algorithm.keyLengthAttribute)
        #expect(found == algorithm)
    }

    @Test(
        "Unknown transforms and impossible key sizes are no algorithm",
        arguments: [
            (20, nil), (20, 0), (20, 64), (20, 127), (20, 512), (12, nil), (12, 0), (12, 129), (28, 256), (28, 0),
            (11, 0), (11, 128), (13, nil), (14, nil), (18, 129), (21, nil), (29, nil), (31, 256), (0, nil), (2, nil),
            (3, nil), (23, 128), (65535, 65535),
        ] as [(UInt16, UInt16?)])
    func unknown(transformID: UInt16, keyBits: UInt16?) {
        #expect(EncryptionAlgorithm(transformID: transformID, keyBits: keyBits) == nil)
    }

    @Test("Integrity algorithms have the sizes that their RFCs give them", arguments: IntegrityAlgorithm.allCases)
    func integritySizes(algorithm: IntegrityAlgorithm) {
        let sizes: [IntegrityAlgorithm: (key: Int, icv: Int)] = [
            .hmacSHA1_96: (20, 12), .aesXCBC_96: (16, 12), .aesCMAC_96: (16, 12), .hmacSHA2_256_128: (32, 16),
            .hmacSHA2_384_192: (48, 24), .hmacSHA2_512_256: (64, 32),
        ]
        #expect(sizes[algorithm]?.key == algorithm.keyLength)
        #expect(sizes[algorithm]?.icv == algorithm.icvLength)
    }

    @Test("The registry's numbers are those of IANA")
    func numbers() {
        #expect(PRF.allCases.map(\.rawValue) == [2, 4, 5, 6, 7, 8])
        #expect(IntegrityAlgorithm.allCases.map(\.rawValue) == [2, 5, 8, 12, 13, 14])
        #expect(
            KeyExchangeMethod.allCases.map(\.rawValue) == [14, 15, 16, 17, 18, 19, 20, 21, 28, 29, 30, 31, 32, 36, 37])
        #expect(EncryptionAlgorithm.aesCBC(256).transformID == 12)
        #expect(EncryptionAlgorithm.aesGCM16(256).transformID == 20)
        #expect(EncryptionAlgorithm.chaCha20Poly1305.transformID == 28)
    }

    @Test("Errors are equal by their code alone")
    func errors() {
        #expect(CryptoError(.invalidLength, "short") == CryptoError(.invalidLength, "long"))
        #expect(CryptoError(.invalidLength, "short") != CryptoError(.unusableSeed, "short"))
        #expect(CryptoError(.invalidLength, "short").description == "short")
    }
}
