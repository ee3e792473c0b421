import CIPsecMB
import Octets

/// Seals and opens the ESP packets of one SA in place: the packet path (RFC 4303, section 2).
///
/// Everything that can be prepared is prepared when it is made. Sealing and opening neither allocate nor count
/// references; libcrypto's HMAC, which copies a digest state for every packet, is the exception. One thread uses a
/// cipher at a time. When it goes, the keys in it are wiped.
///
/// A packet in memory: SPI (4 octets), sequence number (4, or 8 where all of it is sent), IV, payload with padding, Pad Length and
/// Next Header, integrity check value.
public struct PacketCipher: ~Copyable, Sendable {
    enum Implementation: ~Copyable, Sendable {
        case combined(CombinedPacketCipher)
        case separate(SeparatePacketCipher)
        case multiBufferGCM(MultiBufferGCM)
        case multiBufferCombined(MultiBufferCombinedCipher)
        case multiBufferSeparate(MultiBufferSeparateCipher)
    }

    private let implementation: Implementation
    private let wholeNumbers: WholeNumbers
    /// The library that does the work; beside ipsec-mb, libcrypto may do batches of a few packets.
    public let provider: CipherProvider
    /// Octets of the IV in each packet; 0 without encryption, and where the IV is implicit (RFC 8750).
    public let ivLength: Int
    /// Octets of the integrity check value at the end of each packet.
    public let icvLength: Int
    /// Payload and ESP trailer together must be a multiple of so many octets, a power of two: 16 for CBC, 1 for the others. ESP asks
    /// for 4 besides (RFC 4303, section 2.4).
    public let blockSize: Int

    /// - Parameters:
    ///   - encryptionKey: the key, then the salt of an AEAD.
    ///   - integrity: `nil` with an AEAD, needed otherwise; the same goes for its key.
    ///   - use: what it will be asked to do; it refuses every packet to do anything else with.
    ///   - sendsWholeNumbers: packets carry all 64 bits of their sequence numbers, which then count as extended. A separate
    ///     integrity algorithm covers them where they stand, and nothing behind the packet.
    ///   - provider: the library to use; `nil` for the best that is here and has the algorithms. What a library lacks,
    ///     libcrypto does: ``provider`` says so.
    /// - Throws: ``CryptoError/Code/invalidLength`` for a key that does not fit,
    ///   ``CryptoError/Code/unsupportedAlgorithm`` for algorithms that do not go together,
    ///   ``CryptoError/Code/libraryFailure`` if libcrypto has no such cipher, or the library that was named is not on this
    ///   machine.
    public init(
        encryption: EncryptionAlgorithm, encryptionKey: SecretOctets, integrity: IntegrityAlgorithm?,
        integrityKey: SecretOctets?, use: CipherUse = .both, sendsWholeNumbers: Bool = false,
        provider: CipherProvider? = nil
    ) throws(CryptoError) {
        let material = try ProtectionKeys(
            encryption: encryption, encryptionKey: encryptionKey, integrity: integrity, integrityKey: integrityKey)
        if let provider, !CipherProvider.available.contains(provider) {
            throw CryptoError(.libraryFailure, "\(provider.rawValue) cannot be used on this machine")
        }
        let best: CipherProvider = cygnet_mb_is_available() ? .ipsecMB : .libcrypto
        let chosen = (provider ?? best).has(encryption) ? provider ?? best : .libcrypto
        let implementation: Implementation
        let lead = sendsWholeNumbers ? WholeNumbers.lead : 0
        switch (material, chosen) {
        case (.combined(let key, let salt), .libcrypto):
            implementation = .combined(try CombinedPacketCipher(encryption, key: key, salt: salt, use: use))
            icvLength = encryption.icvLength
        case (.combined(let key, let salt), .ipsecMB):
            switch encryption.mode {
            case .gcm, .gmac:
                implementation = .multiBufferGCM(try MultiBufferGCM(encryption, key: key, salt: salt, use: use))
            default:
                implementation = .multiBufferCombined(
                    try MultiBufferCombinedCipher(encryption, key: key, salt: salt, use: use))
            }
            icvLength = encryption.icvLength
        case (.separate(let key, let integrity, let integrityKey), .libcrypto):
            implementation = .separate(
                try SeparatePacketCipher(
                    encryption, key: key, integrity: integrity, integrityKey: integrityKey, use: use, lead: lead))
            icvLength = integrity.icvLength
        case (.separate(let key, let integrity, let integrityKey), .ipsecMB):
            implementation = .multiBufferSeparate(
                try MultiBufferSeparateCipher(
                    encryption, key: key, integrity: integrity, integrityKey: integrityKey, use: use, lead: lead))
            icvLength = integrity.icvLength
        }
        self.implementation = implementation
        wholeNumbers = !sendsWholeNumbers ? .none : integrity == nil ? .associated : .covered
        self.provider = chosen
        ivLength = encryption.ivLength
        blockSize = encryption.blockSize
    }

    /// Writes the IV, encrypts the payload in place and writes the integrity check value.
    ///
    /// The IV of an AEAD or a counter mode is the sequence number; that of CBC is unpredictable: the sequence number encrypted
    /// under a key derived from the encryption key (NIST SP 800-38A, appendix C).
    ///
    /// - Parameters:
    ///   - packet: the SPI, which the caller has written together with what is sent of `sequence`.
    ///   - count: octets of the whole packet, with room for the IV and the integrity check value.
    ///   - sequence: never used before with this cipher: a counter mode loses all protection otherwise.
    ///   - extended: whether the SA has extended sequence numbers; of no account where whole numbers are sent.
    /// - Returns: whether the packet may be sent. `false` if `count` cannot be that of a packet, or libcrypto failed.
    public mutating func seal(
        _ packet: UnsafeMutableRawPointer, count: Int, sequence: UInt64, extended: Bool
    ) -> Bool {
        if hasWholeNumbers { return Self.alone(packet, count, sequence) { seal($0, extended: true) } }
        return switch implementation {
        case .combined(let cipher): cipher.seal(packet, count: count, sequence: sequence, extended: extended)
        case .separate(let cipher): cipher.seal(packet, count: count, sequence: sequence, extended: extended)
        case .multiBufferGCM(let cipher):
            Self.alone(packet, count, sequence) { cipher.seal($0, extended: extended) }
        case .multiBufferCombined(let cipher):
            Self.alone(packet, count, sequence) { cipher.seal($0, extended: extended) }
        case .multiBufferSeparate(let cipher):
            Self.alone(packet, count, sequence) { cipher.seal($0, extended: extended) }
        }
    }

    /// Checks the integrity check value, in constant time, and decrypts the payload in place.
    ///
    /// - Parameters:
    ///   - packet: the SPI of a packet as received.
    ///   - count: octets of the whole packet.
    ///   - sequenceHigh: the inferred high 32 bits of the sequence number (RFC 4303, appendix A); ignored unless
    ///     `extended`.
    /// - Returns: whether the packet is authentic. If not, no plaintext is left in it; its payload may have become
    ///   zero.
    public mutating func open(
        _ packet: UnsafeMutableRawPointer, count: Int, sequenceHigh: UInt32, extended: Bool
    ) -> Bool {
        if hasWholeNumbers {
            return Self.alone(packet, count, UInt64(sequenceHigh) << 32) { open($0, extended: true) }
        }
        return switch implementation {
        case .combined(let cipher): cipher.open(packet, count: count, sequenceHigh: sequenceHigh, extended: extended)
        case .separate(let cipher): cipher.open(packet, count: count, sequenceHigh: sequenceHigh, extended: extended)
        case .multiBufferGCM(let cipher):
            Self.alone(packet, count, UInt64(sequenceHigh) << 32) { cipher.open($0, extended: extended) }
        case .multiBufferCombined(let cipher):
            Self.alone(packet, count, UInt64(sequenceHigh) << 32) { cipher.open($0, extended: extended) }
        case .multiBufferSeparate(let cipher):
            Self.alone(packet, count, UInt64(sequenceHigh) << 32) { cipher.open($0, extended: extended) }
        }
    }

    private var hasWholeNumbers: Bool {
        if case .none = wholeNumbers { false } else { true }
    }

    /// A packet as a batch of its own.
    /// - Returns: whether it came out good.
    @inline(__always)
    private static func alone(
        _ octets: UnsafeMutableRawPointer, _ count: Int, _ sequence: UInt64,
        _ work: (UnsafeMutableBufferPointer<CipherPacket>) -> Void
    ) -> Bool {
        var packet = CipherPacket(octets: octets, count: count, sequence: sequence)
        withUnsafeMutablePointer(to: &packet) { work(UnsafeMutableBufferPointer(start: $0, count: 1)) }
        return packet.isGood
    }

    /// Seals the packets of a batch as ``seal(_:count:sequence:extended:)`` does, and says of each what came of it.
    ///
    /// - Parameters:
    ///   - packets: in memory that does not overlap, with sequence numbers that all differ.
    ///   - extended: whether the SA has extended sequence numbers.
    public mutating func seal(_ packets: UnsafeMutableBufferPointer<CipherPacket>, extended: Bool) {
        guard hasWholeNumbers else { return sealAll(packets, extended: extended) }
        packets.shorten(wholeNumbers)
        if case .covered = wholeNumbers { sealAll(packets, extended: false) } else { sealAll(packets, extended: true) }
        packets.lengthen(wholeNumbers)
    }

    @inline(__always)
    private func sealAll(_ packets: UnsafeMutableBufferPointer<CipherPacket>, extended: Bool) {
        switch implementation {
        case .combined(let cipher): cipher.seal(packets, extended: extended)
        case .separate(let cipher): cipher.seal(packets, extended: extended)
        case .multiBufferGCM(let cipher): cipher.seal(packets, extended: extended)
        case .multiBufferCombined(let cipher): cipher.seal(packets, extended: extended)
        case .multiBufferSeparate(let cipher): cipher.seal(packets, extended: extended)
        }
    }

    /// Opens the packets of a batch as ``open(_:count:sequenceHigh:extended:)`` does, and says of each what came of it. One that
    /// is not authentic changes nothing for the others.
    ///
    /// - Parameters:
    ///   - packets: in memory that does not overlap.
    ///   - extended: whether the SA has extended sequence numbers.
    public mutating func open(_ packets: UnsafeMutableBufferPointer<CipherPacket>, extended: Bool) {
        guard hasWholeNumbers else { return openAll(packets, extended: extended) }
        packets.shorten(wholeNumbers)
        if case .covered = wholeNumbers { openAll(packets, extended: false) } else { openAll(packets, extended: true) }
        packets.lengthen(wholeNumbers)
    }

    @inline(__always)
    private func openAll(_ packets: UnsafeMutableBufferPointer<CipherPacket>, extended: Bool) {
        switch implementation {
        case .combined(let cipher): cipher.open(packets, extended: extended)
        case .separate(let cipher): cipher.open(packets, extended: extended)
        case .multiBufferGCM(let cipher): cipher.open(packets, extended: extended)
        case .multiBufferCombined(let cipher): cipher.open(packets, extended: extended)
        case .multiBufferSeparate(let cipher): cipher.open(packets, extended: extended)
        }
    }
}

extension CipherPacket {
    var sequenceHigh: UInt32 { UInt32(truncatingIfNeeded: sequence >> 32) }
}

/// Where the fields of an ESP packet begin.
enum ESPLayout {
    static let sequence = 4
    static let iv = 8

    /// What `count` octets leave beside `overhead`, as libcrypto counts; `nil` if they are too few, or far too many.
    @inline(__always)
    static func length(_ count: Int, without overhead: Int) -> Int32? {
        guard count >= overhead, count <= Int(Int32.max) else { return nil }
        return Int32(truncatingIfNeeded: count - overhead)
    }
}
