import COpenSSL
import Octets

/// ESP with an AEAD: AES-GCM (RFC 4106) or ChaCha20-Poly1305 (RFC 7634), computed by libcrypto.
///
/// The nonce is salt, IV. The associated data are SPI and sequence number: the 32 bits of the header, or all 64 bits
/// with extended sequence numbers (RFC 4106, section 5).
struct CombinedPacketCipher: ~Copyable, Sendable {
    private let sealing: CipherContext
    private let opening: CipherContext
    private let scratch: Scratch

    static let ivLength = 8
    static let icvLength = 16
    private static let saltLength = 4
    /// Where the associated data of an extended sequence number stand in the scratch memory, after the nonce.
    private static let associatedData = 16

    init(_ algorithm: EncryptionAlgorithm, key: SecretOctets, salt: SecretOctets) throws(CryptoError) {
        let cipher =
            switch (algorithm.kind, algorithm.keyBits) {
            case (.chaCha20Poly1305, _): EVP_chacha20_poly1305()
            case (.aesGCM16, 128): EVP_aes_128_gcm()
            case (.aesGCM16, 192): EVP_aes_192_gcm()
            case (.aesGCM16, 256): EVP_aes_256_gcm()
            default: throw CryptoError(.unsupportedAlgorithm, "\(algorithm) is no AEAD")
            }
        guard salt.count == Self.saltLength else { throw CryptoError(.invalidLength, "the salt takes 4 octets") }
        let sealing = try CipherContext(cipher, key: key, encrypting: true)
        let opening = try CipherContext(cipher, key: key, encrypting: false)
        self.sealing = sealing
        self.opening = opening
        scratch = Scratch(count: 32)
        salt.withUnsafeBytes { salt in
            UnsafeMutableRawBufferPointer(start: scratch.octets, count: salt.count).copyMemory(from: salt)
        }
    }

    @inline(__always)
    private func begin(
        _ context: borrowing CipherContext, _ packet: UnsafeMutableRawPointer, sequenceHigh: UInt32, extended: Bool
    ) -> Bool {
        scratch.octets.storeBytes(
            of: packet.loadUnaligned(fromByteOffset: ESPLayout.iv, as: UInt64.self), toByteOffset: Self.saltLength,
            as: UInt64.self)
        guard context.begin(iv: scratch.octets) else { return false }
        guard extended else { return context.authenticate(packet, count: 8) }
        let data = scratch.octets + Self.associatedData
        data.copyMemory(from: packet, byteCount: 4)
        data.storeBytes(of: sequenceHigh.bigEndian, toByteOffset: 4, as: UInt32.self)
        (data + 8).copyMemory(from: packet + ESPLayout.sequence, byteCount: 4)
        return context.authenticate(data, count: 12)
    }

    func seal(_ packet: UnsafeMutableRawPointer, count: Int, sequence: UInt64, extended: Bool) -> Bool {
        let payload = ESPLayout.iv + Self.ivLength
        guard let length = ESPLayout.length(count, without: payload + Self.icvLength) else { return false }
        packet.storeBytes(of: sequence.bigEndian, toByteOffset: ESPLayout.iv, as: UInt64.self)
        return begin(sealing, packet, sequenceHigh: UInt32(truncatingIfNeeded: sequence >> 32), extended: extended)
            && sealing.process(packet + payload, to: packet + payload, count: length)
            && sealing.finish(writing: packet + count - Self.icvLength, count: Int32(Self.icvLength))
    }

    func open(_ packet: UnsafeMutableRawPointer, count: Int, sequenceHigh: UInt32, extended: Bool) -> Bool {
        let payload = ESPLayout.iv + Self.ivLength
        guard let length = ESPLayout.length(count, without: payload + Self.icvLength) else { return false }
        if begin(opening, packet, sequenceHigh: sequenceHigh, extended: extended)
            && opening.process(packet + payload, to: packet + payload, count: length)
            && opening.finish(expecting: packet + count - Self.icvLength, count: Int32(Self.icvLength))
        {
            return true
        }
        // libcrypto has decrypted before it knew; nobody shall see what was not authentic.
        (packet + payload).initializeMemory(as: UInt8.self, repeating: 0, count: Int(length))
        return false
    }
}
