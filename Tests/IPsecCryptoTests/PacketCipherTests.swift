import IPsecCrypto
import Octets
import Testing

@Suite("Protection of ESP packets")
struct PacketCipherTests {
    /// Sequence numbers around the places where a half overflows.
    static let sequences: [UInt64] = [1, 2, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, 0x8765_4321_0000_0000, .max]

    static func high(_ sequence: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: sequence >> 32) }

    @Test(
        "Packets of RFC 7634, appendix A, and draft-mcgrew-gcm-test-01 open", arguments: PacketVector.combined,
        CipherProvider.available)
    func openVectors(vector: PacketVector, provider: CipherProvider) throws {
        let cipher = ArrayPacketCipher(
            try PacketCipher(
                encryption: vector.encryption, encryptionKey: secret(vector.key), integrity: nil, integrityKey: nil,
                provider: provider))
        let result = cipher.open(vector.packet, sequenceHigh: vector.sequenceHigh, extended: vector.isExtended)
        #expect(result.authentic)
        #expect(result.octets == vector.header + octets(vector.iv) + vector.opened + octets(vector.icv))
    }

    @Test(
        "Packets of RFC 7634, appendix A, and draft-mcgrew-gcm-test-01 are sealed octet for octet",
        arguments: PacketVector.combined.filter { !$0.isExtended }, CipherProvider.available)
    func sealVectors(vector: PacketVector, provider: CipherProvider) throws {
        let cipher = ArrayPacketCipher(
            try PacketCipher(
                encryption: vector.encryption, encryptionKey: secret(vector.key), integrity: nil, integrityKey: nil,
                provider: provider))
        // Without extended sequence numbers the IV alone comes from the number passed in.
        let iv = octets(vector.iv).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let blank = vector.header + [UInt8](repeating: 0, count: 8) + vector.opened + [UInt8](repeating: 0, count: 16)
        #expect(cipher.seal(blank, sequence: iv, extended: false) == vector.packet)
    }

    @Test(
        "Packets of RFC 3602, section 4, open once they have an ICV", arguments: PacketVector.rfc3602,
        CipherProvider.available)
    func rfc3602(vector: PacketVector, provider: CipherProvider) throws {
        let integrityKey = SecretOctets(counting(32))
        let cipher = ArrayPacketCipher(
            try PacketCipher(
                encryption: vector.encryption, encryptionKey: secret(vector.key), integrity: .hmacSHA2_256_128,
                integrityKey: integrityKey, provider: provider))
        let icv = try PRF.hmacSHA2_256.compute(key: integrityKey, vector.packet).unprotected.prefix(16)
        let result = cipher.open(vector.packet + icv, sequenceHigh: 0, extended: false)
        #expect(result.authentic)
        #expect(result.octets == vector.header + octets(vector.iv) + vector.opened + icv)
    }

    /// RFC 4868, section 2.7.2: keys, data and the codes as truncated.
    static let authenticators: [(IntegrityAlgorithm, [UInt8], String, String)] = [
        (.hmacSHA2_256_128, [0x0b], "4869205468657265", "198a607eb44bfbc69903a0f1cf2bbdc5"),
        (
            .hmacSHA2_384_192, [0x0b], "4869205468657265",
            "b6a8d5636f5c6a7224f9977dcf7ee6c7fb6d0c48cbdee973"
        ),
        (
            .hmacSHA2_512_256, [0x0b], "4869205468657265",
            "637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8"
        ),
        (
            .hmacSHA2_256_128, Array("Jefe".utf8), "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
            "167f928588c5cc2eef8e3093caa0e87c"
        ),
        (
            .hmacSHA2_384_192, Array("Jefe".utf8), "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
            "2c7353974f1842fd66d53c452ca42122b28c0b594cfb184d"
        ),
        (
            .hmacSHA2_512_256, Array("Jefe".utf8), "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
            "cb370917ae8a7ce28cfd1d8f4705d6141c173b2a9362c15df235dfb251b15454"
        ),
    ]

    @Test("Keys and truncations are those of RFC 4868, section 2.7.2", arguments: authenticators)
    func rfc4868(algorithm: IntegrityAlgorithm, pattern: [UInt8], data: String, code: String) throws {
        let prf: PRF =
            switch algorithm {
            case .hmacSHA2_256_128: .hmacSHA2_256
            case .hmacSHA2_384_192: .hmacSHA2_384
            default: .hmacSHA2_512
            }
        let key = (0..<algorithm.keyLength).map { pattern[$0 % pattern.count] }
        let output = try prf.compute(key: SecretOctets(key), octets(data)).unprotected
        #expect(output.prefix(algorithm.icvLength) == octets(code)[...])
    }

    @Test("What is sealed opens again, at every size and about every overflow", arguments: CipherSuite.packets)
    func roundTrip(suite: CipherSuite) throws {
        let (sender, receiver) = (try suite.arrayPacketCipher(), try suite.arrayPacketCipher())
        for sequence in Self.sequences {
            for extended in [false, true] {
                for count in stride(from: 16, through: 1440, by: 16) {
                    let blank = suite.packet(payload: counting(count), sequence: sequence)
                    let sealed = try #require(sender.seal(blank, sequence: sequence, extended: extended))
                    #expect(sealed[..<8] == blank[..<8])
                    let payload = 8 + sender.ivLength..<sealed.count - sender.icvLength
                    #expect((sealed[payload] == blank[payload]) == suite.encryption.leavesPayloadReadable)
                    let result = receiver.open(sealed, sequenceHigh: Self.high(sequence), extended: extended)
                    #expect(result.authentic)
                    #expect(Array(result.octets[payload]) == counting(count))
                }
            }
        }
    }

    @Test("A packet cipher opens what a message cipher seals", arguments: CipherSuite.all)
    func messageToPacket(suite: CipherSuite) throws {
        let messages = try suite.messageCipher()
        let packets = try suite.arrayPacketCipher()
        for count in 0...80 {
            let header = octets("0102030400000005")
            let body = try messages.seal(counting(count), after: header, iv: counting(suite.encryption.ivLength))
            let result = packets.open(header + body, sequenceHigh: 0, extended: false)
            #expect(result.authentic)
            #expect(Array(result.octets[(8 + messages.ivLength)...].prefix(count)) == counting(count))
        }
    }

    @Test("A message cipher opens what a packet cipher seals", arguments: CipherSuite.all)
    func packetToMessage(suite: CipherSuite) throws {
        let messages = try suite.messageCipher()
        let packets = try suite.arrayPacketCipher()
        for sequence in Self.sequences {
            for extended in [false, true] {
                // Only an AEAD has the high bits where a message can have them: before the IV.
                guard suite.encryption.isAEAD || !extended else { continue }
                let blank = suite.packet(payload: counting(47) + [0], sequence: sequence)
                let sealed = try #require(packets.seal(blank, sequence: sequence, extended: extended))
                let associated = extended ? sealed[..<4] + sequence.bigEndianOctets : sealed[..<8]
                #expect(try messages.open(Array(sealed[8...]), after: Array(associated)) == counting(47))
            }
        }
    }

    @Test(
        "The code covers the high bits of an extended sequence number last (RFC 4303)", arguments: CipherSuite.packets)
    func extendedCode(suite: CipherSuite) throws {
        guard suite.integrity != nil else { return }
        let cipher = try suite.arrayPacketCipher()
        let sequence: UInt64 = 0x0102_0304_0506_0708
        for extended in [false, true] {
            let blank = suite.packet(payload: counting(32), sequence: sequence)
            let sealed = try #require(cipher.seal(blank, sequence: sequence, extended: extended))
            let covered = sealed.dropLast(suite.icvLength) + (extended ? [1, 2, 3, 4] : [])
            #expect(try Array(sealed.suffix(suite.icvLength)) == suite.code(of: Array(covered)))
        }
    }

    @Test("A change of any octet is noticed", arguments: CipherSuite.packets)
    func tampering(suite: CipherSuite) throws {
        let cipher = try suite.arrayPacketCipher()
        for extended in [false, true] {
            let blank = suite.packet(payload: counting(48), sequence: 0x7_0000_0009)
            let sealed = try #require(cipher.seal(blank, sequence: 0x7_0000_0009, extended: extended))
            for index in sealed.indices {
                var changed = sealed
                changed[index] ^= 0x04
                #expect(!cipher.open(changed, sequenceHigh: 7, extended: extended).authentic)
            }
            #expect(cipher.open(sealed, sequenceHigh: 7, extended: extended).authentic)
        }
    }

    @Test("With extended sequence numbers the inferred high half must be right", arguments: CipherSuite.packets)
    func sequenceHigh(suite: CipherSuite) throws {
        let cipher = try suite.arrayPacketCipher()
        let blank = suite.packet(payload: counting(48), sequence: 0x7_0000_0009)
        let sealed = try #require(cipher.seal(blank, sequence: 0x7_0000_0009, extended: true))
        for high in [0, 6, 8, 0x0700_0000, .max] as [UInt32] {
            #expect(!cipher.open(sealed, sequenceHigh: high, extended: true).authentic)
        }
        #expect(!cipher.open(sealed, sequenceHigh: 7, extended: false).authentic)
        #expect(cipher.open(sealed, sequenceHigh: 7, extended: true).authentic)
    }

    @Test("A refused packet holds no plaintext", arguments: CipherSuite.packets)
    func nothingRevealed(suite: CipherSuite) throws {
        let cipher = try suite.arrayPacketCipher()
        let payload = counting(48, from: 0x41)
        let blank = suite.packet(payload: payload, sequence: 5)
        let sealed = try #require(cipher.seal(blank, sequence: 5, extended: false))
        var forged = sealed
        forged[sealed.count - 1] ^= 1
        let result = cipher.open(forged, sequenceHigh: 0, extended: false)
        #expect(!result.authentic)
        let place = 8 + cipher.ivLength..<sealed.count - cipher.icvLength
        let remains = Array(result.octets[place])
        #expect(remains == [UInt8](repeating: 0, count: 48) || remains == Array(sealed[place]))
    }

    @Test("Nothing of 0 to 100 octets opens by chance", arguments: CipherSuite.packets)
    func shortPackets(suite: CipherSuite) throws {
        let cipher = try suite.arrayPacketCipher()
        for count in 1...100 {
            for extended in [false, true] {
                let packet = [UInt8](repeating: 0, count: count)
                #expect(!cipher.open(packet, sequenceHigh: 0, extended: extended).authentic)
            }
        }
    }

    @Test("Counts that no packet has are refused before memory is touched", arguments: CipherSuite.packets)
    func impossibleCounts(suite: CipherSuite) throws {
        var cipher = try suite.packetCipher()
        let overhead = 8 + cipher.ivLength + cipher.icvLength
        withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { memory in
            guard let address = memory.baseAddress else { return }
            let counts = [Int.min, -1] + Array(0..<overhead) + [Int(Int32.max) + 200, Int.max]
            for count in counts {
                let sealed = cipher.seal(address, count: count, sequence: 1, extended: false)
                let opened = cipher.open(address, count: count, sequenceHigh: 0, extended: false)
                #expect(!sealed && !opened, "\(count) octets")
            }
            for extra in 0...33 {
                let sealed = cipher.seal(address, count: overhead + extra, sequence: 1, extended: false)
                #expect(sealed == (extra % cipher.blockSize == 0 && extra > 0))
            }
        }
    }

    @Test(
        "The IV of a counter mode is the sequence number, that of CBC neither it nor repeated",
        arguments: CipherSuite.packets)
    func initializationVectors(suite: CipherSuite) throws {
        let cipher = try suite.arrayPacketCipher()
        guard cipher.ivLength > 0 else { return }
        var seen: Set<[UInt8]> = []
        for sequence in Self.sequences {
            let blank = suite.packet(payload: counting(16), sequence: sequence)
            let sealed = try #require(cipher.seal(blank, sequence: sequence, extended: true))
            let iv = Array(sealed[8..<8 + cipher.ivLength])
            #expect((iv == sequence.bigEndianOctets) == suite.encryption.acceptsCounterAsIV)
            #expect(
                Array(iv.suffix(8)) != sequence.bigEndianOctets || suite.encryption.acceptsCounterAsIV)
            #expect(seen.insert(iv).inserted)
        }
    }

    @Test("Sealing the same packet twice gives the same octets, whatever came between", arguments: CipherSuite.packets)
    func reuse(suite: CipherSuite) throws {
        let cipher = try suite.arrayPacketCipher()
        let blank = suite.packet(payload: counting(64), sequence: 3)
        let first = cipher.seal(blank, sequence: 3, extended: false)
        _ = cipher.seal(suite.packet(payload: counting(1024), sequence: 4), sequence: 4, extended: true)
        _ = cipher.open([UInt8](repeating: 9, count: 200), sequenceHigh: 1, extended: true)
        let second = cipher.seal(blank, sequence: 3, extended: false)
        #expect(first != nil)
        #expect(first == second)
    }

    @Test("The lengths told are those of the algorithms", arguments: CipherSuite.packets)
    func lengths(suite: CipherSuite) throws {
        let cipher = try suite.packetCipher()
        let (iv, icv, block) = (cipher.ivLength, cipher.icvLength, cipher.blockSize)
        #expect(iv == suite.encryption.ivLength)
        #expect(icv == suite.icvLength)
        #expect(block == suite.encryption.blockSize)
    }

    @Test("Keys of another length are refused", arguments: CipherSuite.packets)
    func keyLengths(suite: CipherSuite) {
        for count in 0...80 where count != suite.encryption.keyMaterialLength {
            #expect(throws: CryptoError(.invalidLength, "")) {
                _ = try PacketCipher(
                    encryption: suite.encryption, encryptionKey: SecretOctets(counting(count)),
                    integrity: suite.integrity, integrityKey: suite.integrityKey, provider: suite.provider)
            }
        }
    }

    @Test("A packet cipher made here can be used by a task elsewhere")
    func transfer() async throws {
        let suite = CipherSuite.all[0]
        let blank = suite.packet(payload: counting(32), sequence: 1)
        let here = try suite.arrayPacketCipher().seal(blank, sequence: 1, extended: false)
        let cipher = try suite.packetCipher()
        let there = await Self.seal(blank, with: cipher)
        #expect(here == there)
    }

    @concurrent
    private static func seal(_ packet: [UInt8], with cipher: consuming PacketCipher) async -> [UInt8]? {
        ArrayPacketCipher(cipher).seal(packet, sequence: 1, extended: false)
    }
}
