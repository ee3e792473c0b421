import COpenSSL
import Octets

/// ESP with AES-CBC (RFC 3602), AES-CTR (RFC 3686) or no encryption (RFC 2410), and a separate integrity algorithm,
/// computed by libcrypto.
///
/// The integrity check value covers everything from the SPI to the end of the ciphertext and, with extended sequence
/// numbers, the 32 high bits after it, which are not sent (RFC 4303, section 2.2.1).
struct SeparatePacketCipher: ~Copyable, Sendable {
    // Not private: with that the compiler emits references to metadata it does not emit.
    enum Encryption: ~Copyable, Sendable {
        case none
        /// One for each direction that the cipher is used for.
        case chaining(sealing: ChainingSealer?, opening: CipherContext?)
        case counting(CipherContext)
    }

    struct ChainingSealer: ~Copyable, Sendable {
        let encryption: CipherContext
        let ivGeneration: CipherContext
    }

    private let encryption: Encryption
    private let integrity: PacketAuthenticator
    private let ivLength: Int
    private let blockSize: Int32
    /// Octets of the truncated integrity check value.
    private let icvLength: Int
    /// Octets before the packet that are authenticated with it.
    private let lead: Int
    /// The computed code in the first 64 octets, then a block for a counter.
    private let scratch: Scratch

    private static let block = 16
    private static let counter = 64
    /// Where the block of counter mode begins: nonce, IV and a count from 1 on (RFC 3686, section 4).
    private static let counterBlock = counter + block
    private static let nonceLength = 4

    /// - Parameters:
    ///   - key: the key, then the nonce of counter mode.
    ///   - lead: octets before the packets that are authenticated with them.
    init(
        _ algorithm: EncryptionAlgorithm, key material: SecretOctets, integrity: IntegrityAlgorithm,
        integrityKey: SecretOctets, use: CipherUse, lead: Int = 0
    ) throws(CryptoError) {
        let key = material[0..<algorithm.keyLength]
        let scratch = Scratch(count: Self.counterBlock + Self.block)
        let encryption: Encryption
        switch algorithm.mode {
        case .none: encryption = .none
        case .cbc:
            let cipher =
                switch algorithm.keyBits {
                case 128: EVP_aes_128_cbc()
                case 192: EVP_aes_192_cbc()
                default: EVP_aes_256_cbc()
                }
            let sealer =
                use.seals
                ? ChainingSealer(
                    encryption: try CipherContext(cipher, key: key, encrypting: true),
                    ivGeneration: try CipherContext(EVP_aes_256_ecb(), key: Self.ivKey(of: key), encrypting: true))
                : nil
            let opener = use.opens ? try CipherContext(cipher, key: key, encrypting: false) : nil
            encryption = .chaining(sealing: sealer, opening: opener)
        case .counter:
            let cipher =
                switch algorithm.keyBits {
                case 128: EVP_aes_128_ctr()
                case 192: EVP_aes_192_ctr()
                default: EVP_aes_256_ctr()
                }
            encryption = .counting(try CipherContext(cipher, key: key, encrypting: true))
            material[algorithm.keyLength..<algorithm.keyMaterialLength].withUnsafeBytes { nonce in
                UnsafeMutableRawBufferPointer(start: scratch.octets + Self.counterBlock, count: Self.nonceLength)
                    .copyMemory(from: nonce)
            }
            scratch.octets.storeBytes(of: UInt32(1).bigEndian, toByteOffset: Self.counterBlock + 12, as: UInt32.self)
        case .ccm, .gcm, .gmac, .chaCha20Poly1305:
            throw CryptoError(.unsupportedAlgorithm, "\(algorithm) takes no separate integrity algorithm")
        }
        let authentication = try PacketAuthenticator(integrity, key: integrityKey)
        self.encryption = encryption
        self.integrity = authentication
        self.scratch = scratch
        ivLength = algorithm.ivLength
        blockSize = Int32(algorithm.blockSize)
        icvLength = integrity.icvLength
        self.lead = lead
    }

    /// The key of AES-256 under which the sequence numbers are encrypted that become IVs of CBC.
    static func ivKey(of key: SecretOctets) -> SecretOctets {
        key.authenticationCode(of: Array("Cygnet ESP CBC IV".utf8))
    }

    /// Octets of ciphertext in a packet of so many octets, if it can be one.
    @inline(__always)
    private func ciphertextLength(_ count: Int) -> Int32? {
        guard let length = ESPLayout.length(count, without: ESPLayout.iv + ivLength + icvLength),
            length > 0, length % blockSize == 0
        else { return nil }
        return length
    }

    /// Computes the code of `count` octets of the packet into the scratch memory.
    @inline(__always)
    private func authenticate(
        _ packet: UnsafeMutableRawPointer, count: Int, sequenceHigh: UInt32, extended: Bool
    ) -> Bool {
        let high = scratch.octets + Self.counter
        high.storeBytes(of: sequenceHigh.bigEndian, as: UInt32.self)
        return integrity.authenticate(
            packet - lead, count: lead + count, trailing: high, trailingCount: extended ? 4 : 0, writing: scratch.octets
        )
    }

    /// The block that counter mode begins a packet with.
    @inline(__always)
    private func firstCounter(_ packet: UnsafeMutableRawPointer) -> UnsafeRawPointer {
        let block = scratch.octets + Self.counterBlock
        (block + Self.nonceLength).copyMemory(from: packet + ESPLayout.iv, byteCount: 8)
        return UnsafeRawPointer(block)
    }

    /// Writes the IV and encrypts.
    @inline(__always)
    private func encrypt(_ packet: UnsafeMutableRawPointer, _ length: Int32, _ sequence: UInt64) -> Bool {
        let iv = packet + ESPLayout.iv
        let payload = iv + ivLength
        switch encryption {
        case .none: return true
        case .chaining(let cipher?, _):
            let counter = scratch.octets + Self.counter
            counter.storeBytes(of: 0, as: UInt64.self)
            counter.storeBytes(of: sequence.bigEndian, toByteOffset: 8, as: UInt64.self)
            return cipher.ivGeneration.process(counter, to: iv, count: Int32(Self.block))
                && cipher.encryption.begin(iv: iv)
                && cipher.encryption.process(payload, to: payload, count: length)
        case .chaining(nil, _): return false
        case .counting(let cipher):
            iv.storeBytes(of: sequence.bigEndian, as: UInt64.self)
            return cipher.begin(iv: firstCounter(packet)) && cipher.process(payload, to: payload, count: length)
        }
    }

    func seal(_ packet: UnsafeMutableRawPointer, count: Int, sequence: UInt64, extended: Bool) -> Bool {
        guard let length = ciphertextLength(count), encrypt(packet, length, sequence),
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
        let payload = iv + ivLength
        let isOpen: Bool
        switch encryption {
        case .none: isOpen = true
        case .chaining(_, let cipher?):
            isOpen = cipher.begin(iv: iv) && cipher.process(payload, to: payload, count: length)
        case .chaining(_, nil): isOpen = false
        case .counting(let cipher):
            isOpen = cipher.begin(iv: firstCounter(packet)) && cipher.process(payload, to: payload, count: length)
        }
        // What libcrypto has decrypted before it failed is not for anybody.
        if !isOpen { payload.initializeMemory(as: UInt8.self, repeating: 0, count: Int(length)) }
        return isOpen
    }

    func seal(_ packets: UnsafeMutableBufferPointer<CipherPacket>, extended: Bool) {
        for index in packets.indices {
            let packet = packets[index]
            packets[index].isGood = seal(
                packet.octets, count: packet.count, sequence: packet.sequence, extended: extended)
        }
    }

    func open(_ packets: UnsafeMutableBufferPointer<CipherPacket>, extended: Bool) {
        for index in packets.indices {
            let packet = packets[index]
            packets[index].isGood = open(
                packet.octets, count: packet.count, sequenceHigh: packet.sequenceHigh, extended: extended)
        }
    }
}
