import CIPsecMB
import Octets

/// ESP with AES-GCM (RFC 4106), also with an IV that is not sent (RFC 8750), and AES-GMAC (RFC 4543) by ipsec-mb.
///
/// A call does one packet; several at once, as jobs, are no faster. What it needs besides the packet is laid out for many packets
/// before the first call, as octets that have just been written are slow to read in larger units.
struct MultiBufferGCM: ~Copyable, Sendable {
    private typealias Octet = UInt8
    private typealias Cipher =
        @convention(c) (
            OpaquePointer?, OpaquePointer?, UnsafeMutablePointer<Octet>?, UnsafePointer<Octet>?, UInt64,
            UnsafePointer<Octet>?, UnsafePointer<Octet>?, UInt64, UnsafeMutablePointer<Octet>?, UInt64
        ) -> Void
    private typealias TakeOctets =
        @convention(c) (OpaquePointer?, OpaquePointer?, UnsafePointer<Octet>?, UInt64) -> Void
    private typealias WriteTag =
        @convention(c) (
            OpaquePointer?, OpaquePointer?, UnsafeMutablePointer<Octet>?, UInt64
        ) -> Void

    private nonisolated(unsafe) let key: OpaquePointer
    private let encrypt: Cipher
    private let decrypt: Cipher
    private let beginCode: TakeOctets
    private let authenticate: TakeOctets
    private let finishCode: WriteTag
    /// Working memory of the calls, then the salt, then the tag that a received packet ought to have.
    private let scratch: Scratch
    private let ivLength: Int
    private let icvLength: Int
    /// Octets before the payload, and all but the payload.
    private let textOffset: Int
    private let overhead: Int
    private let encrypts: Bool
    private let use: CipherUse

    private static let salt = Int(CYGNET_MB_GCM_CONTEXT)
    private static let tag = salt + 16

    /// Laid out for a packet: its nonce, its associated data with an extended sequence number, and octets of its payload, which
    /// are 0 if it can be none.
    private static let recordLength = 32
    private static let associatedData = 16
    private static let length = 28
    /// Packets whose records fit into memory that Swift is sure to take from the stack.
    private static let chunk = 1024 / recordLength

    init(
        _ algorithm: EncryptionAlgorithm, key: SecretOctets, salt: SecretOctets, use: CipherUse
    ) throws(CryptoError) {
        guard salt.count == algorithm.saltLength else {
            throw CryptoError(.invalidLength, "the salt takes \(algorithm.saltLength) octets")
        }
        var calls = cygnet_mb_gcm_calls()
        guard cygnet_mb_gcm(key.count, &calls), let encrypt = calls.seal, let decrypt = calls.open,
            let beginCode = calls.begin_code, let authenticate = calls.authenticate, let finishCode = calls.finish_code,
            let prepared = key.withUnsafeBytes({ key in
                cygnet_mb_gcm_key_make(key.bindMemory(to: UInt8.self).baseAddress, key.count)
            })
        else { throw CryptoError(.libraryFailure, "ipsec-mb gives no \(algorithm)") }
        self.key = prepared
        self.encrypt = encrypt
        self.decrypt = decrypt
        self.beginCode = beginCode
        self.authenticate = authenticate
        self.finishCode = finishCode
        ivLength = algorithm.ivLength
        icvLength = algorithm.icvLength
        textOffset = ESPLayout.iv + algorithm.ivLength
        overhead = ESPLayout.iv + algorithm.ivLength + algorithm.icvLength
        self.use = use
        encrypts = !algorithm.leavesPayloadReadable
        scratch = Scratch(count: Self.tag + 16)
        salt.withUnsafeBytes { salt in
            UnsafeMutableRawBufferPointer(start: scratch.octets + Self.salt, count: salt.count).copyMemory(from: salt)
        }
    }

    deinit { cygnet_mb_gcm_key_free(key) }

    /// Lays out nonce and associated data for a packet with this IV, and the length of its payload.
    @inline(__always)
    private func layOut(
        _ record: UnsafeMutableRawPointer, _ packet: borrowing CipherPacket, length: UInt32, salt: UInt32, iv: UInt64,
        extended: Bool
    ) {
        Twelve(salt, iv).write(to: record)
        if extended { Twelve(associatedDataOf: packet).write(to: record + Self.associatedData) }
        record.storeBytes(of: length, toByteOffset: Self.length, as: UInt32.self)
    }

    /// Octets of payload in a packet of so many; 0 if it can be none.
    @inline(__always)
    private func payloadLength(_ count: Int) -> UInt32 {
        count > overhead && count <= Int(Int32.max) ? UInt32(truncatingIfNeeded: count &- overhead) : 0
    }

    /// Encrypts or decrypts, and writes the tag; a GMAC only the tag.
    @inline(__always)
    private func run(
        _ cipher: Cipher, _ packet: UnsafeMutableRawPointer, _ length: UInt64, _ record: UnsafeMutableRawPointer,
        extended: Bool, tag: UnsafeMutableRawPointer
    ) {
        let octets = packet.assumingMemoryBound(to: UInt8.self)
        let nonce = UnsafePointer(record.assumingMemoryBound(to: UInt8.self))
        let associated = extended ? nonce + Self.associatedData : UnsafePointer(octets)
        let associatedLength = extended ? Twelve.count : UInt64(ESPLayout.iv)
        let tag = tag.assumingMemoryBound(to: UInt8.self)
        let context = OpaquePointer(scratch.octets)
        guard encrypts else {
            beginCode(key, context, nonce, Twelve.count)
            authenticate(key, context, associated, associatedLength)
            authenticate(key, context, octets + ESPLayout.iv, UInt64(ivLength) &+ length)
            finishCode(key, context, tag, UInt64(icvLength))
            return
        }
        let text = octets + textOffset
        cipher(key, context, text, text, length, nonce, associated, associatedLength, tag, UInt64(icvLength))
    }

    /// Calls `layOut` for each packet with its length and a record to fill, and `work` for those that it has given a length.
    @inline(__always)
    private func inChunks(
        _ packets: UnsafeMutableBufferPointer<CipherPacket>,
        layOut: (inout CipherPacket, UInt32, UnsafeMutableRawPointer) -> Void,
        work: (inout CipherPacket, UInt64, UnsafeMutableRawPointer) -> Void
    ) {
        withUnsafeTemporaryAllocation(byteCount: Self.chunk * Self.recordLength, alignment: 16) { records in
            guard let records = records.baseAddress else { return }
            var start = 0
            while start < packets.count {
                let end = min(start &+ Self.chunk, packets.count)
                for index in start..<end {
                    let length = payloadLength(packets[index].count)
                    layOut(&packets[index], length, records + (index &- start) &* Self.recordLength)
                }
                for index in start..<end {
                    let record = records + (index &- start) &* Self.recordLength
                    let length = record.load(fromByteOffset: Self.length, as: UInt32.self)
                    packets[index].isGood = false
                    guard length > 0 else { continue }
                    work(&packets[index], UInt64(length), record)
                }
                start = end
            }
        }
    }

    func seal(_ packets: UnsafeMutableBufferPointer<CipherPacket>, extended: Bool) {
        let salt = scratch.octets.load(fromByteOffset: Self.salt, as: UInt32.self)
        let seals = use.seals
        inChunks(packets) { packet, length, record in
            guard length > 0, seals else {
                return record.storeBytes(of: 0, toByteOffset: Self.length, as: UInt32.self)
            }
            if ivLength > 0 {
                let iv = packet.sequence.bigEndian
                packet.octets.storeBytes(of: iv, toByteOffset: ESPLayout.iv, as: UInt64.self)
                layOut(record, packet, length: length, salt: salt, iv: iv, extended: extended)
            } else {
                layOut(
                    record, packet, length: length, salt: salt, iv: packet.implicitIV(extended), extended: extended)
            }
        } work: { packet, length, record in
            run(
                encrypt, packet.octets, length, record, extended: extended,
                tag: packet.octets + (packet.count &- icvLength))
            packet.isGood = true
        }
    }

    func open(_ packets: UnsafeMutableBufferPointer<CipherPacket>, extended: Bool) {
        let salt = scratch.octets.load(fromByteOffset: Self.salt, as: UInt32.self)
        let tag = scratch.octets + Self.tag
        let opens = use.opens
        inChunks(packets) { packet, length, record in
            guard length > 0, opens else {
                return record.storeBytes(of: 0, toByteOffset: Self.length, as: UInt32.self)
            }
            let iv =
                ivLength > 0
                ? packet.octets.loadUnaligned(fromByteOffset: ESPLayout.iv, as: UInt64.self)
                : packet.implicitIV(extended)
            layOut(record, packet, length: length, salt: salt, iv: iv, extended: extended)
        } work: { packet, length, record in
            run(decrypt, packet.octets, length, record, extended: extended, tag: tag)
            packet.isGood = cygnet_mb_same_code(
                UnsafePointer(tag.assumingMemoryBound(to: UInt8.self)),
                UnsafePointer((packet.octets + (packet.count &- icvLength)).assumingMemoryBound(to: UInt8.self)),
                icvLength)
            guard !packet.isGood else { return }
            // It has been decrypted before its tag was known; nobody shall see what was not authentic.
            (packet.octets + textOffset).initializeMemory(as: UInt8.self, repeating: 0, count: Int(length))
        }
    }
}

/// Four octets and then eight, as nonces and associated data are made, joined in registers. ipsec-mb is only for processors that
/// are little-endian.
struct Twelve {
    static let count: UInt64 = 12

    private let first: UInt64
    private let last: UInt32

    /// - Parameters: octets as they stand in memory.
    @inline(__always)
    init(_ four: UInt32, _ eight: UInt64) {
        first = UInt64(four) | eight << 32
        last = UInt32(truncatingIfNeeded: eight >> 32)
    }

    /// SPI and extended sequence number, the latter's low half as it stands in the packet.
    @inline(__always)
    init(associatedDataOf packet: borrowing CipherPacket) {
        let low = packet.octets.loadUnaligned(fromByteOffset: ESPLayout.sequence, as: UInt32.self)
        self.init(
            packet.octets.loadUnaligned(as: UInt32.self),
            UInt64(packet.sequenceHigh.bigEndian) | UInt64(low) << 32)
    }

    @inline(__always)
    func write(to octets: UnsafeMutableRawPointer) {
        octets.storeBytes(of: first, as: UInt64.self)
        octets.storeBytes(of: last, toByteOffset: 8, as: UInt32.self)
    }
}

extension CipherPacket {
    /// The IV that is not sent, as it would stand in memory: the sequence number (RFC 8750, section 4).
    @inline(__always)
    func implicitIV(_ extended: Bool) -> UInt64 {
        let low = octets.loadUnaligned(fromByteOffset: ESPLayout.sequence, as: UInt32.self)
        return UInt64(extended ? sequenceHigh.bigEndian : 0) | UInt64(low) << 32
    }
}
