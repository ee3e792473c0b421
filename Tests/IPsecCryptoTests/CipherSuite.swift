import IPsecCrypto
import Octets
import Testing

/// A pair of algorithms that protect messages or packets together, with made-up keys.
struct CipherSuite: Sendable, CustomTestStringConvertible {
    let encryption: EncryptionAlgorithm
    let integrity: IntegrityAlgorithm?
    /// What seals and opens packets.
    var provider = CipherProvider.libcrypto

    /// Those that protect messages as well as packets, with each provider of packet ciphers there is.
    static let all = [
        CipherSuite(encryption: .aesGCM16(128), integrity: nil),
        CipherSuite(encryption: .aesGCM16(192), integrity: nil),
        CipherSuite(encryption: .aesGCM16(256), integrity: nil),
        CipherSuite(encryption: .chaCha20Poly1305, integrity: nil),
        CipherSuite(encryption: .aesCBC(128), integrity: .hmacSHA2_256_128),
        CipherSuite(encryption: .aesCBC(192), integrity: .hmacSHA2_384_192),
        CipherSuite(encryption: .aesCBC(256), integrity: .hmacSHA2_512_256),
        CipherSuite(encryption: .aesCBC(256), integrity: .hmacSHA2_256_128),
        CipherSuite(encryption: .aesCBC(256), integrity: .hmacSHA1_96),
        CipherSuite(encryption: .aesCBC(128), integrity: .aesXCBC_96),
        CipherSuite(encryption: .aesCBC(128), integrity: .aesCMAC_96),
        CipherSuite(encryption: .aesCTR(128), integrity: .hmacSHA2_256_128),
        CipherSuite(encryption: .aesCTR(256), integrity: .aesXCBC_96),
        CipherSuite(encryption: .aesGCM8(128), integrity: nil),
        CipherSuite(encryption: .aesGCM12(256), integrity: nil),
        CipherSuite(encryption: .aesCCM8(128), integrity: nil),
        CipherSuite(encryption: .aesCCM12(192), integrity: nil),
        CipherSuite(encryption: .aesCCM16(256), integrity: nil),
    ].withProviders

    /// Those that protect packets.
    static let packets =
        all
        + [
            CipherSuite(encryption: .null, integrity: .hmacSHA2_256_128),
            CipherSuite(encryption: .null, integrity: .aesCMAC_96),
            CipherSuite(encryption: .nullWithGMAC(256), integrity: nil),
            CipherSuite(encryption: .aesCCM8ImplicitIV(128), integrity: nil),
            CipherSuite(encryption: .aesGCM16ImplicitIV(256), integrity: nil),
            CipherSuite(encryption: .chaCha20Poly1305ImplicitIV, integrity: nil),
        ].withProviders

    /// Every transform and size of key that there is for packets, once.
    static let everything: [CipherSuite] = {
        let sizes = [128, 192, 256]
        let combined =
            sizes.flatMap {
                [
                    EncryptionAlgorithm.aesGCM8($0), .aesGCM12($0), .aesGCM16($0), .aesGCM16ImplicitIV($0),
                    .nullWithGMAC($0),
                    .aesCCM8($0), .aesCCM12($0), .aesCCM16($0), .aesCCM8ImplicitIV($0),
                ]
            } + [.chaCha20Poly1305, .chaCha20Poly1305ImplicitIV]
        let encrypting = sizes.flatMap { [EncryptionAlgorithm.aesCBC($0), .aesCTR($0)] } + [.null]
        return combined.map { CipherSuite(encryption: $0, integrity: nil) }
            + encrypting.flatMap { encryption in
                IntegrityAlgorithm.allCases.map { CipherSuite(encryption: encryption, integrity: $0) }
            }
    }()

    func with(_ provider: CipherProvider) -> CipherSuite {
        CipherSuite(encryption: encryption, integrity: integrity, provider: provider)
    }

    var testDescription: String {
        [encryption.description, integrity?.description, "by \(provider.rawValue)"].compactMap(\.self).joined(
            separator: " ")
    }
    var encryptionKey: SecretOctets { SecretOctets(counting(encryption.keyMaterialLength, from: 0x20)) }
    var integrityKey: SecretOctets? { integrity.map { SecretOctets(counting($0.keyLength, from: 0x90)) } }
    var icvLength: Int { integrity?.icvLength ?? encryption.icvLength }

    func messageCipher() throws -> MessageCipher {
        try MessageCipher(
            encryption: encryption, encryptionKey: encryptionKey, integrity: integrity, integrityKey: integrityKey)
    }

    func packetCipher(_ use: CipherUse = .both) throws -> PacketCipher {
        try PacketCipher(
            encryption: encryption, encryptionKey: encryptionKey, integrity: integrity, integrityKey: integrityKey,
            use: use, provider: provider)
    }

    func arrayPacketCipher() throws -> ArrayPacketCipher { ArrayPacketCipher(try packetCipher()) }

    /// The whole code of the integrity algorithm, by a PRF that published vectors have shown right, cut to its length.
    func code(of protected: [UInt8]) throws -> [UInt8] {
        let prf: PRF =
            switch try #require(integrity) {
            case .hmacSHA1_96: .hmacSHA1
            case .aesXCBC_96: .aes128XCBC
            case .aesCMAC_96: .aes128CMAC
            case .hmacSHA2_256_128: .hmacSHA2_256
            case .hmacSHA2_384_192: .hmacSHA2_384
            case .hmacSHA2_512_256: .hmacSHA2_512
            }
        return try prf.compute(key: try #require(integrityKey), protected).unprotected.prefix(icvLength).map(\.self)
    }

    /// A packet before sealing: SPI, the low half of the sequence number, room for the IV, payload, room for the code.
    func packet(payload: [UInt8], sequence: UInt64, spi: UInt32 = 0x1122_3344) -> [UInt8] {
        spi.bigEndianOctets + UInt32(truncatingIfNeeded: sequence).bigEndianOctets
            + [UInt8](repeating: 0, count: encryption.ivLength) + payload + [UInt8](repeating: 0, count: icvLength)
    }
}

extension [CipherSuite] {
    /// Each with all providers there are, also where they leave it to libcrypto.
    var withProviders: [CipherSuite] { flatMap { suite in CipherProvider.available.map { suite.with($0) } } }
}

/// A packet cipher that takes and gives arrays; a class, because the macros of the tests cannot hold what is not
/// copyable.
final class ArrayPacketCipher {
    private var cipher: PacketCipher
    let ivLength, icvLength, blockSize: Int

    init(_ cipher: consuming PacketCipher) {
        ivLength = cipher.ivLength
        icvLength = cipher.icvLength
        blockSize = cipher.blockSize
        self.cipher = cipher
    }

    /// The sealed packet; `nil` if it was refused.
    func seal(_ packet: [UInt8], sequence: UInt64, extended: Bool) -> [UInt8]? {
        var packet = packet
        let count = packet.count
        let done = packet.withUnsafeMutableBytes { octets in
            octets.baseAddress.map { cipher.seal($0, count: count, sequence: sequence, extended: extended) } ?? false
        }
        return done ? packet : nil
    }

    /// Whether the packet is authentic, and what is then in its place.
    func open(_ packet: [UInt8], sequenceHigh: UInt32, extended: Bool) -> (authentic: Bool, octets: [UInt8]) {
        var packet = packet
        let count = packet.count
        let done = packet.withUnsafeMutableBytes { octets in
            octets.baseAddress.map {
                cipher.open($0, count: count, sequenceHigh: sequenceHigh, extended: extended)
            } ?? false
        }
        return (done, packet)
    }
}
