import COpenSSL
import Octets

/// ESP with AES-CBC (RFC 3602) and HMAC-SHA2 (RFC 4868), computed by libcrypto.
///
/// The integrity check value covers everything from the SPI to the end of the ciphertext and, with extended sequence
/// numbers, the 32 high bits after it, which are not sent (RFC 4303, section 2.2.1).
struct SeparatePacketCipher: ~Copyable, Sendable {
    private let encryption: CipherContext
    private let decryption: CipherContext
    private let ivGeneration: CipherContext
    private let integrity: HMACContext
    /// Octets of the truncated integrity check value.
    private let icvLength: Int
    /// The computed code in the first 64 octets, then a block for the counter.
    private let scratch: Scratch

    private static let block = 16
    private static let counter = 64

    init(
        _ algorithm: EncryptionAlgorithm, key: SecretOctets, integrity: IntegrityAlgorithm, integrityKey: SecretOctets
    ) throws(CryptoError) {
        let cipher =
            switch (algorithm.kind, algorithm.keyBits) {
            case (.aesCBC, 128): EVP_aes_128_cbc()
            case (.aesCBC, 192): EVP_aes_192_cbc()
            case (.aesCBC, 256): EVP_aes_256_cbc()
            default: throw CryptoError(.unsupportedAlgorithm, "\(algorithm) takes no separate integrity algorithm")
            }
        let encryption = try CipherContext(cipher, key: key, encrypting: true)
        let decryption = try CipherContext(cipher, key: key, encrypting: false)
        let ivKey = PRF.hmacSHA2_256.compute(key: key, Array("Cygnet ESP CBC IV".utf8))
        let ivGeneration = try CipherContext(EVP_aes_256_ecb(), key: ivKey, encrypting: true)
        let authentication = try HMACContext(integrity.hmac, key: integrityKey)
        self.encryption = encryption
        self.decryption = decryption
        self.ivGeneration = ivGeneration
        self.integrity = authentication
        icvLength = integrity.icvLength
        scratch = Scratch(count: Self.counter + Self.block)
    }

    /// Octets of ciphertext in a packet of so many octets, if it can be one.
    @inline(__always)
    private func ciphertextLength(_ count: Int) -> Int32? {
        guard let length = ESPLayout.length(count, without: ESPLayout.iv + Self.block + icvLength),
            length > 0, length % Int32(Self.block) == 0
        else { return nil }
        return length
    }

    /// Computes the code of `count` octets of the packet into the scratch memory.
    @inline(__always)
    private func authenticate(
        _ packet: UnsafeMutableRawPointer, count: Int, sequenceHigh: UInt32, extended: Bool
    ) -> Bool {
        guard integrity.begin(), integrity.authenticate(packet, count: count) else { return false }
        if extended {
            let high = scratch.octets + Self.counter
            high.storeBytes(of: sequenceHigh.bigEndian, as: UInt32.self)
            guard integrity.authenticate(high, count: 4) else { return false }
        }
        return integrity.finish(writing: scratch.octets)
    }

    func seal(_ packet: UnsafeMutableRawPointer, count: Int, sequence: UInt64, extended: Bool) -> Bool {
        guard let length = ciphertextLength(count) else { return false }
        let counter = scratch.octets + Self.counter
        counter.storeBytes(of: 0, as: UInt64.self)
        counter.storeBytes(of: sequence.bigEndian, toByteOffset: 8, as: UInt64.self)
        let iv = packet + ESPLayout.iv
        let payload = iv + Self.block
        guard ivGeneration.process(counter, to: iv, count: Int32(Self.block)),
            encryption.begin(iv: iv),
            encryption.process(payload, to: payload, count: length),
            authenticate(
                packet, count: count - icvLength, sequenceHigh: UInt32(truncatingIfNeeded: sequence >> 32),
                extended: extended)
        else { return false }
        (packet + count - icvLength).copyMemory(from: scratch.octets, byteCount: icvLength)
        return true
    }

    func open(_ packet: UnsafeMutableRawPointer, count: Int, sequenceHigh: UInt32, extended: Bool) -> Bool {
        guard let length = ciphertextLength(count),
            authenticate(packet, count: count - icvLength, sequenceHigh: sequenceHigh, extended: extended),
            CRYPTO_memcmp(scratch.octets, packet + count - icvLength, icvLength) == 0
        else { return false }
        let iv = packet + ESPLayout.iv
        let payload = iv + Self.block
        return decryption.begin(iv: iv) && decryption.process(payload, to: payload, count: length)
    }
}
