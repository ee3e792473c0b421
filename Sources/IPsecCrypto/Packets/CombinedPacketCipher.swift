import Octets

/// ESP with an AEAD: AES-GCM (RFC 4106), AES-CCM (RFC 4309) or ChaCha20-Poly1305 (RFC 7634), also with an IV that is not
/// sent (RFC 8750), and AES-GMAC (RFC 4543), which authenticates without encrypting.
///
/// The nonce is salt, IV. The associated data are SPI and sequence number: the 32 bits of the header, or all 64 bits
/// with extended sequence numbers (RFC 4106, section 5); with GMAC, IV and payload besides (RFC 4543, section 3.3).
struct CombinedPacketCipher: ~Copyable, Sendable {
    /// One for each direction that the cipher is used for.
    private let sealing: AEADContext?
    private let opening: AEADContext?
    private let scratch: Scratch
    private let saltLength: Int
    private let ivLength: Int
    private let icvLength: Int
    private let encrypts: Bool

    /// Where the associated data of an extended sequence number stand in the scratch memory, after the nonce.
    private static let associatedData = 16

    init(_ algorithm: EncryptionAlgorithm, key: SecretOctets, salt: SecretOctets, use: CipherUse) throws(CryptoError) {
        guard salt.count == algorithm.saltLength else {
            throw CryptoError(.invalidLength, "the salt takes \(algorithm.saltLength) octets")
        }
        let sealing = use.seals ? try AEADContext(algorithm, key: key, encrypting: true) : nil
        let opening = use.opens ? try AEADContext(algorithm, key: key, encrypting: false) : nil
        self.sealing = sealing
        self.opening = opening
        saltLength = algorithm.saltLength
        ivLength = algorithm.ivLength
        icvLength = algorithm.icvLength
        encrypts = !algorithm.leavesPayloadReadable
        scratch = Scratch(count: 32)
        salt.withUnsafeBytes { salt in
            UnsafeMutableRawBufferPointer(start: scratch.octets, count: salt.count).copyMemory(from: salt)
        }
    }

    /// Completes the nonce by the IV in the packet, or by the sequence number (RFC 8750, section 4).
    @inline(__always)
    private func nonce(_ packet: UnsafeMutableRawPointer, _ sequenceHigh: UInt32, _ extended: Bool) -> UnsafeRawPointer
    {
        let place = scratch.octets + saltLength
        if ivLength > 0 {
            place.copyMemory(from: packet + ESPLayout.iv, byteCount: 8)
        } else {
            place.storeBytes(of: extended ? sequenceHigh.bigEndian : 0, as: UInt32.self)
            (place + 4).copyMemory(from: packet + ESPLayout.sequence, byteCount: 4)
        }
        return UnsafeRawPointer(scratch.octets)
    }

    /// Works in place on a text whose beginning has been made.
    @inline(__always)
    private func run(
        _ context: borrowing AEADContext, _ packet: UnsafeMutableRawPointer, _ length: Int32, _ sequenceHigh: UInt32,
        _ extended: Bool
    ) -> Bool {
        let payload = packet + ESPLayout.iv + ivLength
        let ready: Bool
        if extended {
            let data = scratch.octets + Self.associatedData
            data.copyMemory(from: packet, byteCount: 4)
            data.storeBytes(of: sequenceHigh.bigEndian, toByteOffset: 4, as: UInt32.self)
            (data + 8).copyMemory(from: packet + ESPLayout.sequence, byteCount: 4)
            ready = context.authenticate(data, count: 12)
        } else {
            ready = context.authenticate(packet, count: 8)
        }
        guard ready else { return false }
        return encrypts
            ? context.process(payload, count: length)
            : context.authenticate(packet + ESPLayout.iv, count: Int32(truncatingIfNeeded: ivLength) &+ length)
    }

    func seal(_ packet: UnsafeMutableRawPointer, count: Int, sequence: UInt64, extended: Bool) -> Bool {
        let payload = ESPLayout.iv + ivLength
        guard let length = ESPLayout.length(count, without: payload + icvLength), length > 0 else { return false }
        if ivLength > 0 {
            packet.storeBytes(of: sequence.bigEndian, toByteOffset: ESPLayout.iv, as: UInt64.self)
        }
        let high = UInt32(truncatingIfNeeded: sequence >> 32)
        return switch sealing {
        case let context?:
            context.begin(nonce: nonce(packet, high, extended), count: encrypts ? length : 0)
                && run(context, packet, length, high, extended)
                && context.finish(writing: packet + count - icvLength)
        case nil: false
        }
    }

    func open(_ packet: UnsafeMutableRawPointer, count: Int, sequenceHigh: UInt32, extended: Bool) -> Bool {
        let payload = ESPLayout.iv + ivLength
        guard let length = ESPLayout.length(count, without: payload + icvLength), length > 0 else { return false }
        let isAuthentic =
            switch opening {
            case let context?:
                context.begin(
                    nonce: nonce(packet, sequenceHigh, extended), count: encrypts ? length : 0,
                    expecting: packet + count - icvLength)
                    && run(context, packet, length, sequenceHigh, extended)
                    && context.finish()
            case nil: false
            }
        guard !isAuthentic else { return true }
        // libcrypto has decrypted before it knew; nobody shall see what was not authentic.
        (packet + payload).initializeMemory(as: UInt8.self, repeating: 0, count: Int(length))
        return false
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
