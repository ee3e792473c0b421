import IPsecCrypto
import Octets
import Testing

@Suite("AES-CTR, AES-CCM, short tags, GMAC and implicit IVs")
struct CounterModeTests {
    @Test(
        "AES-CTR packets of RFC 3686, section 6, open once they have an ICV", arguments: CounterModeVectors.rfc3686,
        CipherProvider.available)
    func rfc3686(vector: CounterModeVectors.Vector, provider: CipherProvider) throws {
        let integrityKey = SecretOctets(counting(32))
        let cipher = ArrayPacketCipher(
            try PacketCipher(
                encryption: .aesCTR(vector.bits), encryptionKey: secret(vector.key), integrity: .hmacSHA2_256_128,
                integrityKey: integrityKey, provider: provider))
        let packet = octets("0000432100000001") + octets(vector.iv) + octets(vector.ciphertext)
        let icv = try PRF.hmacSHA2_256.compute(key: integrityKey, packet).unprotected.prefix(16)
        let result = cipher.open(packet + icv, sequenceHigh: 0, extended: false)
        #expect(result.authentic)
        #expect(result.octets.dropFirst(16).dropLast(16) == octets(vector.plaintext)[...])
    }

    @Test("AES-CTR messages begin as RFC 3686, section 6, has it", arguments: CounterModeVectors.rfc3686)
    func rfc5930(vector: CounterModeVectors.Vector) throws {
        let cipher = try MessageCipher(
            encryption: .aesCTR(vector.bits), encryptionKey: secret(vector.key), integrity: .hmacSHA2_256_128,
            integrityKey: SecretOctets(counting(32)))
        let plaintext = octets(vector.plaintext)
        let body = try cipher.seal(plaintext, after: [1, 2, 3], iv: octets(vector.iv))
        #expect(body[8..<8 + plaintext.count] == octets(vector.ciphertext)[...])
        #expect(try cipher.open(body, after: [1, 2, 3]) == plaintext)
    }

    @Test("AES-CCM packets of Wycheproof open", arguments: CCMVectors.packets, CipherProvider.available)
    func ccmPackets(vector: PacketVector, provider: CipherProvider) throws {
        let cipher = ArrayPacketCipher(
            try PacketCipher(
                encryption: vector.encryption, encryptionKey: secret(vector.key), integrity: nil, integrityKey: nil,
                provider: provider))
        let result = cipher.open(vector.packet, sequenceHigh: 0, extended: false)
        #expect(result.authentic)
        #expect(result.octets == vector.header + octets(vector.iv) + vector.opened + octets(vector.icv))
    }

    @Test("AES-CCM texts of CAVP and Wycheproof are authentic, and no others", arguments: CCMVectors.all)
    func ccmMessages(vector: CCMVectors.Vector) throws {
        let cipher = try MessageCipher(
            encryption: vector.encryption, encryptionKey: secret(vector.key), integrity: nil, integrityKey: nil)
        let (associated, body) = (octets(vector.associated), octets(vector.iv) + octets(vector.sealed))
        // The tag of CCM covers the plaintext, so it fits only what has been decrypted rightly. The last octet of these
        // texts is then no Pad Length, which is another error than a tag that does not fit.
        #expect(throws: CryptoError(.invalidLength, "")) { try cipher.open(body, after: associated) }
        for index in body.indices {
            var changed = body
            changed[index] ^= 1
            #expect(throws: CryptoError(.authenticationFailed, "")) { try cipher.open(changed, after: associated) }
        }
    }

    @Test(
        "A shorter tag of AES-GCM is the beginning of the long one", arguments: PacketVector.mcgrew,
        CipherProvider.available)
    func shortTags(vector: PacketVector, provider: CipherProvider) throws {
        for (encryption, length) in [
            (EncryptionAlgorithm.aesGCM8(vector.encryption.keyBits), 8), (.aesGCM12(vector.encryption.keyBits), 12),
        ] {
            let cipher = ArrayPacketCipher(
                try PacketCipher(
                    encryption: encryption, encryptionKey: secret(vector.key), integrity: nil, integrityKey: nil,
                    provider: provider))
            let packet = Array(vector.packet.dropLast(16 - length))
            let result = cipher.open(packet, sequenceHigh: vector.sequenceHigh, extended: vector.isExtended)
            #expect(result.authentic)
            #expect(result.octets.dropFirst(16).dropLast(length) == vector.opened[...])
        }
    }

    @Test(
        "The AES-GMAC packet of draft-mcgrew-gcm-test-01 is sealed octet for octet, and opens",
        arguments: CipherProvider.available)
    func gmac(provider: CipherProvider) throws {
        let cipher = ArrayPacketCipher(
            try PacketCipher(
                encryption: .nullWithGMAC(128),
                encryptionKey: secret("4c80cdefbb5d10da906ac73c3613a634 22433c64"), integrity: nil, integrityKey: nil,
                provider: provider))
        let packet = octets(
            """
            0000432100000007 0000000000000000 45000030da3a00008001df3bc0a80005c0a80001
            0800c6cd020007006162636465666768696a6b6c6d6e6f707172737401020201
            """)
        let icv = octets("f2a9a836e155106aa8dcd618e4099aaa")
        #expect(cipher.seal(packet + [UInt8](repeating: 0, count: 16), sequence: 0, extended: false) == packet + icv)
        let result = cipher.open(packet + icv, sequenceHigh: 0, extended: false)
        #expect(result.authentic)
        #expect(result.octets == packet + icv)
    }

    static let implicit: [(implicit: EncryptionAlgorithm, explicit: EncryptionAlgorithm)] = [
        (.aesGCM16ImplicitIV(256), .aesGCM16(256)), (.aesGCM16ImplicitIV(128), .aesGCM16(128)),
        (.aesCCM8ImplicitIV(128), .aesCCM8(128)), (.chaCha20Poly1305ImplicitIV, .chaCha20Poly1305),
    ]

    @Test(
        "An implicit IV is the sequence number, and leaves out nothing else (RFC 8750)",
        arguments: implicit, CipherProvider.available)
    func implicitIV(_ pair: (implicit: EncryptionAlgorithm, explicit: EncryptionAlgorithm), provider: CipherProvider)
        throws
    {
        let (short, long) = (
            CipherSuite(encryption: pair.implicit, integrity: nil, provider: provider),
            CipherSuite(encryption: pair.explicit, integrity: nil, provider: provider)
        )
        let (sealing, opening) = (try short.arrayPacketCipher(), try long.arrayPacketCipher())
        for (sequence, extended) in [(7, false), (0xffff_ffff, false), (7, true), (0x0102_0304_0506_0708, true)]
            as [(UInt64, Bool)]
        {
            let payload = counting(40)
            let blank = short.packet(payload: payload, sequence: sequence)
            let sealed = try #require(sealing.seal(blank, sequence: sequence, extended: extended))
            #expect(sealed.count == 8 + 40 + short.icvLength)
            // With its IV put in, it is a packet of the explicit kind.
            let whole = sealed[..<8] + sequence.bigEndianOctets + sealed[8...]
            let result = opening.open(
                Array(whole), sequenceHigh: UInt32(truncatingIfNeeded: sequence >> 32), extended: extended)
            #expect(result.authentic)
            #expect(Array(result.octets[16..<56]) == payload)
        }
    }

    @Test(
        "Without encryption or with an implicit IV no IKE message is protected",
        arguments: [
            EncryptionAlgorithm.null, .nullWithGMAC(256), .aesGCM16ImplicitIV(256), .aesCCM8ImplicitIV(128),
            .chaCha20Poly1305ImplicitIV,
        ])
    func notForIKE(encryption: EncryptionAlgorithm) {
        let suite = CipherSuite(encryption: encryption, integrity: encryption.isAEAD ? nil : .hmacSHA2_256_128)
        #expect(!encryption.protectsIKE)
        #expect(throws: CryptoError(.unsupportedAlgorithm, "")) { try suite.messageCipher() }
    }

    @Test("NULL and AES-CTR need an integrity algorithm", arguments: [EncryptionAlgorithm.null, .aesCTR(128)])
    func integrityNeeded(encryption: EncryptionAlgorithm) {
        let key = SecretOctets(counting(encryption.keyMaterialLength))
        #expect(throws: CryptoError(.unsupportedAlgorithm, "")) {
            _ = try PacketCipher(encryption: encryption, encryptionKey: key, integrity: nil, integrityKey: nil)
        }
    }
}
