import CIPsecMB
import COpenSSL
import Octets

/// ESP with ChaCha20-Poly1305 (RFC 7634) or AES-CCM (RFC 4309), also with an IV that is not sent (RFC 8750), as jobs of ipsec-mb.
struct MultiBufferCombinedCipher: ~Copyable, Sendable {
    /// One for each direction that the cipher is used for.
    private let sealing: MultiBufferKeys?
    private let opening: MultiBufferKeys?
    /// Does a packet that is alone, with AES-CCM, of which a job alone is slow.
    private let alone: CombinedPacketCipher?
    private let salt: Scratch
    private let saltLength: Int
    private let ivLength: Int
    private let icvLength: Int

    init(
        _ algorithm: EncryptionAlgorithm, key: SecretOctets, salt: SecretOctets, use: CipherUse
    ) throws(CryptoError) {
        guard salt.count == algorithm.saltLength else {
            throw CryptoError(.invalidLength, "the salt takes \(algorithm.saltLength) octets")
        }
        func keys(encrypting: Bool) throws(CryptoError) -> MultiBufferKeys {
            try MultiBufferKeys(
                cygnet_mb_kind(
                    cipher: algorithm.mode == .ccm ? CYGNET_MB_CCM : CYGNET_MB_CHACHA20_POLY1305,
                    code: CYGNET_MB_COMBINED, encrypts: encrypting,
                    iv_length: UInt32(algorithm.saltLength + 8), tag_length: UInt32(algorithm.icvLength),
                    text_offset: UInt32(ESPLayout.iv + algorithm.ivLength)),
                key: key, codeKey: nil)
        }
        let sealing = use.seals ? try keys(encrypting: true) : nil
        let opening = use.opens ? try keys(encrypting: false) : nil
        alone =
            algorithm.mode == .ccm ? try CombinedPacketCipher(algorithm, key: key, salt: salt, use: use) : nil
        self.sealing = sealing
        self.opening = opening
        saltLength = algorithm.saltLength
        ivLength = algorithm.ivLength
        icvLength = algorithm.icvLength
        self.salt = Scratch(count: 4)
        salt.withUnsafeBytes { salt in
            UnsafeMutableRawBufferPointer(start: self.salt.octets, count: salt.count).copyMemory(from: salt)
        }
    }

    /// Enters a job for a packet whose IV is this one.
    @inline(__always)
    private func enter(
        _ packet: borrowing CipherPacket, iv: UInt64, length: Int, extended: Bool, as job: Int,
        _ thread: borrowing MultiBufferThread
    ) {
        let octets = packet.octets.assumingMemoryBound(to: UInt8.self)
        let scratch = UnsafeMutableRawPointer(thread.scratch(job))
        let nonce = scratch + MultiBufferThread.nonce
        nonce.storeBytes(of: salt.octets.load(as: UInt32.self), as: UInt32.self)
        nonce.storeBytes(of: iv, toByteOffset: saltLength, as: UInt64.self)
        let associated = scratch + MultiBufferThread.associatedData
        if extended { Twelve(associatedDataOf: packet).write(to: associated) }
        thread.jobs[job] = cygnet_mb_job(
            packet: octets, text_length: UInt64(length), code_length: 0,
            iv: UnsafePointer(nonce.assumingMemoryBound(to: UInt8.self)),
            associated: UnsafePointer(extended ? associated.assumingMemoryBound(to: UInt8.self) : octets),
            associated_length: extended ? Twelve.count : UInt64(ESPLayout.iv),
            tag: (scratch + MultiBufferThread.computedTag).assumingMemoryBound(to: UInt8.self), is_done: false)
    }

    func seal(_ packets: UnsafeMutableBufferPointer<CipherPacket>, extended: Bool) {
        if packets.count == 1 {
            switch alone {
            case let alone?: return alone.seal(packets, extended: extended)
            case nil: break
            }
        }
        packets.inParts { thread, packets in
            var count = 0
            for index in packets.indices {
                let packet = packets[index]
                let length = ESPLayout.jobLength(packet.count, without: ESPLayout.iv + ivLength + icvLength)
                packets[index].isGood = length != nil
                guard let length else { continue }
                var iv = packet.sequence.bigEndian
                if ivLength > 0 {
                    packet.octets.storeBytes(of: iv, toByteOffset: ESPLayout.iv, as: UInt64.self)
                } else {
                    iv = packet.implicitIV(extended)
                }
                enter(packet, iv: iv, length: length, extended: extended, as: count, thread)
                thread.jobs[count].tag = (packet.octets + (packet.count - icvLength)).assumingMemoryBound(
                    to: UInt8.self)
                count += 1
            }
            switch sealing {
            case let keys?: keys.run(thread, count: count)
            case nil: break
            }
            var job = 0
            for index in packets.indices where packets[index].isGood {
                packets[index].isGood = thread.jobs[job].is_done
                job += 1
            }
        }
    }

    func open(_ packets: UnsafeMutableBufferPointer<CipherPacket>, extended: Bool) {
        if packets.count == 1 {
            switch alone {
            case let alone?: return alone.open(packets, extended: extended)
            case nil: break
            }
        }
        packets.inParts { thread, packets in
            var count = 0
            for index in packets.indices {
                let packet = packets[index]
                let length = ESPLayout.jobLength(packet.count, without: ESPLayout.iv + ivLength + icvLength)
                packets[index].isGood = length != nil
                guard let length else { continue }
                let iv =
                    ivLength > 0
                    ? packet.octets.loadUnaligned(fromByteOffset: ESPLayout.iv, as: UInt64.self)
                    : packet.implicitIV(extended)
                enter(packet, iv: iv, length: length, extended: extended, as: count, thread)
                count += 1
            }
            switch opening {
            case let keys?: keys.run(thread, count: count)
            case nil: break
            }
            var job = 0
            for index in packets.indices where packets[index].isGood {
                let packet = packets[index]
                packets[index].isGood =
                    thread.jobs[job].is_done
                    && CRYPTO_memcmp(
                        thread.jobs[job].tag, packet.octets + (packet.count - icvLength), icvLength) == 0
                if !packets[index].isGood {
                    // It has been decrypted before its tag was known; nobody shall see what was not authentic.
                    (packet.octets + (ESPLayout.iv + ivLength)).initializeMemory(
                        as: UInt8.self, repeating: 0, count: Int(thread.jobs[job].text_length))
                }
                job += 1
            }
        }
    }
}
