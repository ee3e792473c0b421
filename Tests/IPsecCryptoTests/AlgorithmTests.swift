import IPsecCrypto
import Octets
import Testing

@Suite("Algorithms and their numbers")
struct AlgorithmTests {
    @Test(
        "Encryption algorithms have the sizes of RFC 4106, RFC 7634 and RFC 3602",
        arguments: [
            (EncryptionAlgorithm.aesGCM16(128), 16, 4, 8, 16, 1), (.aesGCM16(192), 24, 4, 8, 16, 1),
            (.aesGCM16(256), 32, 4, 8, 16, 1), (.chaCha20Poly1305, 32, 4, 8, 16, 1),
            (.aesCBC(128), 16, 0, 16, 0, 16), (.aesCBC(192), 24, 0, 16, 0, 16), (.aesCBC(256), 32, 0, 16, 0, 16),
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
            .chaCha20Poly1305,
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
            (11, nil), (18, 128), (19, 128), (21, 128), (0, nil), (65535, 65535),
        ] as [(UInt16, UInt16?)])
    func unknown(transformID: UInt16, keyBits: UInt16?) {
        #expect(EncryptionAlgorithm(transformID: transformID, keyBits: keyBits) == nil)
    }

    @Test("Integrity algorithms have the sizes of RFC 4868, section 2.6", arguments: IntegrityAlgorithm.allCases)
    func integritySizes(algorithm: IntegrityAlgorithm) {
        let sizes: [IntegrityAlgorithm: (key: Int, icv: Int)] = [
            .hmacSHA2_256_128: (32, 16), .hmacSHA2_384_192: (48, 24), .hmacSHA2_512_256: (64, 32),
        ]
        #expect(sizes[algorithm]?.key == algorithm.keyLength)
        #expect(sizes[algorithm]?.icv == algorithm.icvLength)
    }

    @Test("The registry's numbers are those of IANA")
    func numbers() {
        #expect(PRF.allCases.map(\.rawValue) == [5, 6, 7])
        #expect(IntegrityAlgorithm.allCases.map(\.rawValue) == [12, 13, 14])
        #expect(KeyExchangeMethod.allCases.map(\.rawValue) == [14, 15, 16, 19, 20, 21, 31])
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
