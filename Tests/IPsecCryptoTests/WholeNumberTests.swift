import Crypto
import Foundation
import IPsecCrypto
import Octets
import Testing

@Suite("Packets that carry whole sequence numbers")
struct WholeNumberTests {
    /// Subspace 3, first packet.
    private static let number: UInt64 = 0x0003_0000_0000_0001
    private static let header: [UInt8] = [0xc0, 0xde, 0, 1, 0, 3, 0, 0, 0, 0, 0, 1]
    private static let plaintext = [UInt8](0..<48)

    private static func key(_ count: Int) -> SecretOctets { SecretOctets([UInt8](0..<UInt8(count))) }

    /// Seals copies as one batch.
    private static func sealed(
        _ encryption: EncryptionAlgorithm, _ integrity: IntegrityAlgorithm? = nil, key: SecretOctets, copies: Int = 1,
        provider: CipherProvider
    ) throws -> [[UInt8]] {
        var cipher = try PacketCipher(
            encryption: encryption, encryptionKey: key, integrity: integrity,
            integrityKey: integrity.map { Self.key($0.keyLength) }, use: .sealing, sendsWholeNumbers: true,
            provider: provider)
        var packets = [[UInt8]](
            repeating: header + [UInt8](repeating: 0, count: cipher.ivLength) + plaintext
                + [UInt8](repeating: 0, count: cipher.icvLength), count: copies)
        let size = packets[0].count
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: size * copies, alignment: 16)
        defer { memory.deallocate() }
        let base = try #require(memory.baseAddress)
        for (index, packet) in packets.enumerated() { (base + index * size).copyMemory(from: packet, byteCount: size) }
        var work = (0..<copies).map { CipherPacket(octets: base + $0 * size, count: size, sequence: number) }
        work.withUnsafeMutableBufferPointer { cipher.seal($0, extended: true) }
        for index in packets.indices {
            #expect(work[index].isGood && work[index].octets == base + index * size && work[index].count == size)
            packets[index] = Array(memory[index * size..<(index + 1) * size])
        }
        return packets
    }

    private static func open(
        _ packet: [UInt8], _ encryption: EncryptionAlgorithm, _ integrity: IntegrityAlgorithm?, key: SecretOctets,
        provider: CipherProvider
    ) throws -> [UInt8]? {
        var cipher = try PacketCipher(
            encryption: encryption, encryptionKey: key, integrity: integrity,
            integrityKey: integrity.map { Self.key($0.keyLength) }, use: .opening, sendsWholeNumbers: true,
            provider: provider)
        var packet = packet
        let high = packet[4..<8].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let isGood = packet.withUnsafeMutableBytes {
            guard let base = $0.baseAddress else { return false }
            return cipher.open(base, count: $0.count, sequenceHigh: high, extended: true)
        }
        #expect(Array(packet.prefix(8)) == Array(Self.header.prefix(4)) + high.bigEndianOctets)
        return isGood ? packet : nil
    }

    @Test(
        "Of an implicit IV the nonce is salt and whole number, and 12 octets are associated data",
        arguments: CipherProvider.available)
    func implicit(_ provider: CipherProvider) throws {
        let salt: [UInt8] = [0xaa, 0xbb, 0xcc, 0xdd]
        let key = [UInt8](repeating: 7, count: 32)
        let nonce = salt + [0, 3, 0, 0, 0, 0, 0, 1]
        let box = try AES.GCM.seal(
            Self.plaintext, using: SymmetricKey(data: key), nonce: AES.GCM.Nonce(data: nonce),
            authenticating: Self.header)
        let expected = Self.header + Array(box.ciphertext) + Array(box.tag)
        for copies in [1, 5] {
            let packets = try Self.sealed(
                .aesGCM16ImplicitIV(256), key: SecretOctets(key + salt), copies: copies, provider: provider)
            #expect(packets == [[UInt8]](repeating: expected, count: copies))
        }
    }

    @Test("An explicit IV is the whole number", arguments: CipherProvider.available)
    func explicit(_ provider: CipherProvider) throws {
        let salt: [UInt8] = [0xaa, 0xbb, 0xcc, 0xdd]
        let key = [UInt8](repeating: 7, count: 32)
        let iv: [UInt8] = [0, 3, 0, 0, 0, 0, 0, 1]
        let box = try AES.GCM.seal(
            Self.plaintext, using: SymmetricKey(data: key), nonce: AES.GCM.Nonce(data: salt + iv),
            authenticating: Self.header)
        let packets = try Self.sealed(.aesGCM16(256), key: SecretOctets(key + salt), copies: 3, provider: provider)
        let expected = Self.header + iv + Array(box.ciphertext) + Array(box.tag)
        #expect(packets == [[UInt8]](repeating: expected, count: 3))
    }

    @Test(
        "A separate code covers SPI, whole number, IV and ciphertext, and nothing behind them",
        arguments: CipherProvider.available)
    func separate(_ provider: CipherProvider) throws {
        for (encryption, count) in [(EncryptionAlgorithm.aesCBC(256), 32), (.aesCTR(128), 20), (.null, 0)] {
            for copies in [1, 20] {
                let packets = try Self.sealed(
                    encryption, .hmacSHA2_256_128, key: Self.key(count), copies: copies, provider: provider)
                for packet in packets {
                    let code = HMAC<SHA256>.authenticationCode(
                        for: packet.dropLast(16), using: SymmetricKey(data: [UInt8](0..<32)))
                    #expect(packet.suffix(16).elementsEqual(Array(code).prefix(16)), "\(encryption)")
                    #expect(packet.prefix(12).elementsEqual(Self.header))
                }
            }
        }
    }

    @Test("What one library seals another opens, and a changed number fails", arguments: CipherProvider.available)
    func exchange(_ provider: CipherProvider) throws {
        let suites: [(EncryptionAlgorithm, IntegrityAlgorithm?)] = [
            (.aesGCM16(128), nil), (.aesGCM16ImplicitIV(256), nil), (.chaCha20Poly1305, nil),
            (.chaCha20Poly1305ImplicitIV, nil), (.aesCCM16(256), nil), (.nullWithGMAC(256), nil),
            (.aesCBC(128), .aesXCBC_96), (.aesCTR(256), .aesCMAC_96), (.null, .hmacSHA1_96),
        ]
        for (encryption, integrity) in suites {
            let key = Self.key(encryption.keyMaterialLength)
            let packet = try #require(
                try Self.sealed(encryption, integrity, key: key, copies: 2, provider: provider).last)
            let start = 12 + encryption.ivLength
            for other in CipherProvider.available {
                let opened = try Self.open(packet, encryption, integrity, key: key, provider: other)
                #expect(opened?[start..<start + 48].elementsEqual(Self.plaintext) == true, "\(encryption)")
                for octet in 4..<12 {
                    var changed = packet
                    changed[octet] ^= 1
                    #expect(try Self.open(changed, encryption, integrity, key: key, provider: other) == nil)
                }
            }
        }
    }

    @Test("What is too short for header, IV and code is refused", arguments: CipherProvider.available)
    func short(_ provider: CipherProvider) throws {
        let suites: [(EncryptionAlgorithm, IntegrityAlgorithm?)] = [
            (.aesGCM16(128), nil), (.aesCBC(128), .hmacSHA2_256_128),
        ]
        for (encryption, integrity) in suites {
            var cipher = try PacketCipher(
                encryption: encryption, encryptionKey: Self.key(encryption.keyMaterialLength), integrity: integrity,
                integrityKey: integrity.map { Self.key($0.keyLength) }, sendsWholeNumbers: true, provider: provider)
            var memory = [UInt8](repeating: 1, count: 128)
            for count in 0..<(12 + cipher.ivLength + cipher.icvLength) {
                memory.withUnsafeMutableBytes {
                    let base = $0.baseAddress! + 16
                    let isOpen = cipher.open(base, count: count, sequenceHigh: 0x0101_0101, extended: true)
                    let isSealed = cipher.seal(base, count: count, sequence: 0x0101_0101_0101_0101, extended: true)
                    #expect(!isOpen && !isSealed)
                }
            }
            #expect(memory.allSatisfy { $0 == 1 })
        }
    }
}
