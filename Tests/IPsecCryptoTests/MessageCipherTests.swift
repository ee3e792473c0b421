import IPsecCrypto
import Octets
import Testing

@Suite("Protection of IKE messages")
struct MessageCipherTests {
    static let header = counting(32, from: 0xc0)

    func iv(_ suite: CipherSuite) -> [UInt8] { counting(suite.encryption.ivLength, from: 7) }

    @Test("The message of RFC 7634, appendix B, is sealed and opened octet for octet")
    func rfc7634() throws {
        let cipher = try MessageCipher(
            encryption: .chaCha20Poly1305,
            encryptionKey: secret("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f a0a1a2a3"),
            integrity: nil, integrityKey: nil)
        let header = octets("c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e20250000000009 00000045 29000029")
        let body = octets(
            "1011121314151617 610394701f8d017f7c12924889 6b71bfe25236efd7cdc67066906315b2")
        let plaintext = octets("0000000c000040010000000a")
        #expect(try cipher.seal(plaintext, after: header, iv: octets("1011121314151617")) == body)
        #expect(try cipher.open(body, after: header) == plaintext)
    }

    @Test("Packets of RFC 7634 and draft-mcgrew-gcm-test-01 open as messages", arguments: PacketVector.combined)
    func espVectors(vector: PacketVector) throws {
        let cipher = try MessageCipher(
            encryption: vector.encryption, encryptionKey: secret(vector.key), integrity: nil, integrityKey: nil)
        // Their last octet, the Next Header of ESP, is taken for the Pad Length of IKE.
        let padding = Int(try #require(vector.opened.last))
        let opened = try cipher.open(Array(vector.packet.dropFirst(8)), after: octets(vector.associated))
        #expect(opened == vector.opened.dropLast(padding + 1))
    }

    @Test("CBC encrypts as in RFC 3602, section 4, case 3")
    func rfc3602() throws {
        let cipher = try MessageCipher(
            encryption: .aesCBC(128), encryptionKey: secret("6c3ea0477630ce21a2ce334aa746c2cd"),
            integrity: .hmacSHA2_256_128, integrityKey: SecretOctets(counting(32)))
        let plaintext = Array("This is a 48-byte message (exactly 3 AES blocks)".utf8)
        let body = try cipher.seal(plaintext, after: [], iv: octets("c782dc4c098c66cbd9cd27d825682c81"))
        // A fourth block holds the padding of IKE.
        #expect(body.count == 16 + 64 + 16)
        #expect(
            body[16..<64]
                == octets(
                    """
                    d0a02b3836451753d493665d33f0e8862dea54cdb293abc7506939276772f8d5021c19216bad525c8579695d83ba2684
                    """)[...])
    }

    @Test("What is sealed opens again, at every size", arguments: CipherSuite.all)
    func roundTrip(suite: CipherSuite) throws {
        let cipher = try suite.messageCipher()
        for count in Array(0...100) + [1399, 65_000] {
            let plaintext = counting(count)
            let body = try cipher.seal(plaintext, after: Self.header, iv: iv(suite))
            #expect(body.count == cipher.sealedLength(of: count))
            #expect(body.prefix(cipher.ivLength) == iv(suite)[...])
            #expect(try cipher.open(body, after: Self.header) == plaintext)
        }
    }

    @Test("CBC is given the least padding that fills a block, the others none", arguments: CipherSuite.all)
    func padding(suite: CipherSuite) throws {
        let cipher = try suite.messageCipher()
        for count in 0...64 {
            let protected = cipher.sealedLength(of: count) - suite.encryption.ivLength - suite.icvLength
            let least = suite.encryption.blockSize == 1 ? count + 1 : (count + 16) / 16 * 16
            #expect(protected == least)
        }
    }

    @Test("Header, IV and ciphertext are what the code covers", arguments: CipherSuite.all)
    func coverage(suite: CipherSuite) throws {
        guard suite.integrity != nil else { return }
        let body = try suite.messageCipher().seal(counting(40), after: Self.header, iv: iv(suite))
        #expect(try Array(body.suffix(suite.icvLength)) == suite.code(of: Self.header + body.dropLast(suite.icvLength)))
    }

    @Test("A change of any octet is noticed", arguments: CipherSuite.all)
    func tampering(suite: CipherSuite) throws {
        let cipher = try suite.messageCipher()
        let body = try cipher.seal(counting(20), after: Self.header, iv: iv(suite))
        for index in body.indices {
            var changed = body
            changed[index] ^= 0x10
            #expect(throws: CryptoError(.authenticationFailed, "")) { try cipher.open(changed, after: Self.header) }
        }
        for index in Self.header.indices {
            var changed = Self.header
            changed[index] ^= 0x01
            #expect(throws: CryptoError(.authenticationFailed, "")) { try cipher.open(body, after: changed) }
        }
        #expect(throws: CryptoError(.authenticationFailed, "")) { try cipher.open(body + [0], after: Self.header) }
        #expect(throws: CryptoError(.authenticationFailed, "")) { try cipher.open(body, after: Self.header + [0]) }
        #expect(throws: CryptoError(.authenticationFailed, "")) {
            try cipher.open(Array(body.dropLast()), after: Self.header)
        }
    }

    @Test("Nothing of 0 to 80 octets opens by chance", arguments: CipherSuite.all)
    func shortBodies(suite: CipherSuite) throws {
        let cipher = try suite.messageCipher()
        for count in 0...80 {
            for octet in [0, 1, 0xff] as [UInt8] {
                let body = [UInt8](repeating: octet, count: count)
                #expect(throws: CryptoError(.authenticationFailed, "")) { try cipher.open(body, after: Self.header) }
                #expect(throws: CryptoError(.authenticationFailed, "")) { try cipher.open(body, after: []) }
            }
        }
    }

    @Test("Every prefix of a sealed body is refused", arguments: CipherSuite.all)
    func prefixes(suite: CipherSuite) throws {
        let cipher = try suite.messageCipher()
        let body = try cipher.seal(counting(33), after: Self.header, iv: iv(suite))
        for count in 0..<body.count {
            #expect(throws: CryptoError(.authenticationFailed, "")) {
                try cipher.open(Array(body.prefix(count)), after: Self.header)
            }
        }
    }

    @Test("A Pad Length beyond the authentic plaintext is an error of its own", arguments: CipherSuite.all)
    func padLength(suite: CipherSuite) throws {
        let cipher = try suite.messageCipher()
        let packets = try suite.arrayPacketCipher()
        // ESP leaves padding to its caller, so a packet can carry what a message of ours never does.
        for (payload, expected) in [
            (counting(15) + [15], []), (counting(15) + [14], [1]), (counting(15) + [0], counting(15)),
            (counting(15) + [16], nil), (counting(15) + [255], nil),
        ] as [([UInt8], [UInt8]?)] {
            let blank = suite.packet(payload: payload, sequence: 9)
            let packet = try #require(packets.seal(blank, sequence: 9, extended: false))
            let (header, body) = (Array(packet[..<8]), Array(packet[8...]))
            if let expected {
                #expect(try cipher.open(body, after: header) == expected)
            } else {
                #expect(throws: CryptoError(.invalidLength, "")) { try cipher.open(body, after: header) }
            }
        }
    }

    @Test("Another key, another salt and another integrity key open nothing", arguments: CipherSuite.all)
    func otherKeys(suite: CipherSuite) throws {
        let body = try suite.messageCipher().seal(counting(20), after: Self.header, iv: iv(suite))
        let length = suite.encryption.keyMaterialLength
        for index in suite.encryption.isAEAD ? [0, length - 5, length - 4, length - 1] : [] {
            var key = suite.encryptionKey.unprotected
            key[index] ^= 0x80
            let other = try MessageCipher(
                encryption: suite.encryption, encryptionKey: SecretOctets(key), integrity: nil, integrityKey: nil)
            #expect(throws: CryptoError(.authenticationFailed, "")) { try other.open(body, after: Self.header) }
        }
        if let integrity = suite.integrity {
            let other = try MessageCipher(
                encryption: suite.encryption, encryptionKey: suite.encryptionKey, integrity: integrity,
                integrityKey: SecretOctets(counting(integrity.keyLength, from: 0x91)))
            #expect(throws: CryptoError(.authenticationFailed, "")) { try other.open(body, after: Self.header) }
        }
    }

    @Test("An IV of another length is refused", arguments: CipherSuite.all)
    func ivLengths(suite: CipherSuite) throws {
        let cipher = try suite.messageCipher()
        for count in 0...24 where count != cipher.ivLength {
            #expect(throws: CryptoError(.invalidLength, "")) {
                try cipher.seal([1], after: Self.header, iv: counting(count))
            }
        }
    }

    @Test("Keys of another length are refused", arguments: CipherSuite.all)
    func keyLengths(suite: CipherSuite) throws {
        for count in 0...80 where count != suite.encryption.keyMaterialLength {
            #expect(throws: CryptoError(.invalidLength, "")) {
                try MessageCipher(
                    encryption: suite.encryption, encryptionKey: SecretOctets(counting(count)),
                    integrity: suite.integrity, integrityKey: suite.integrityKey)
            }
        }
        guard let integrity = suite.integrity else { return }
        for count in 0...80 where count != integrity.keyLength {
            #expect(throws: CryptoError(.invalidLength, "")) {
                try MessageCipher(
                    encryption: suite.encryption, encryptionKey: suite.encryptionKey, integrity: integrity,
                    integrityKey: SecretOctets(counting(count)))
            }
        }
    }

    @Test("Algorithms that do not go together are refused", arguments: CipherSuite.all)
    func combinations(suite: CipherSuite) throws {
        let other: IntegrityAlgorithm? = suite.integrity == nil ? .hmacSHA2_256_128 : nil
        let otherKey = other.map { SecretOctets(counting($0.keyLength)) }
        #expect(throws: CryptoError(.unsupportedAlgorithm, "")) {
            try MessageCipher(
                encryption: suite.encryption, encryptionKey: suite.encryptionKey, integrity: other,
                integrityKey: otherKey)
        }
        #expect(throws: CryptoError(.unsupportedAlgorithm, "")) {
            _ = try PacketCipher(
                encryption: suite.encryption, encryptionKey: suite.encryptionKey, integrity: other,
                integrityKey: otherKey)
        }
    }
}
