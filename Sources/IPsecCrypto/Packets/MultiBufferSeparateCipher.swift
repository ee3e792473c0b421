import CIPsecMB
import COpenSSL
import Octets

/// ESP with AES-CBC (RFC 3602), AES-CTR (RFC 3686) or no encryption (RFC 2410), and a separate integrity algorithm, as jobs of
/// ipsec-mb that do both. What is a serial computation for one packet, CBC and all codes, it does for several side by side.
struct MultiBufferSeparateCipher: ~Copyable, Sendable {
    /// One for each direction that the cipher is used for.
    private let sealing: MultiBufferKeys?
    private let opening: MultiBufferKeys?
    /// Does batches that are too small for jobs.
    private let few: SeparatePacketCipher
    private let fewestJobs: Int
    /// What encrypts sequence numbers to IVs of CBC.
    private let ivGeneration: CipherContext?
    /// The nonce of counter mode (RFC 3686, section 4).
    private let nonce: Scratch
    private let ivLength: Int
    private let blockSize: Int
    private let icvLength: Int
    /// Octets before the packet that are authenticated with it.
    private let lead: Int

    private static let nonceLength = 4
    private static let block = 16

    /// - Parameters:
    ///   - key: the key, then the nonce of counter mode.
    ///   - lead: octets before the packets that are authenticated with them.
    init(
        _ algorithm: EncryptionAlgorithm, key material: SecretOctets, integrity: IntegrityAlgorithm,
        integrityKey: SecretOctets, use: CipherUse, lead: Int = 0
    ) throws(CryptoError) {
        let cipher: cygnet_mb_cipher
        let ivLength: Int
        switch algorithm.mode {
        case .none: (cipher, ivLength) = (CYGNET_MB_NONE, 0)
        case .cbc: (cipher, ivLength) = (CYGNET_MB_CBC, algorithm.ivLength)
        case .counter: (cipher, ivLength) = (CYGNET_MB_COUNTER, Self.nonceLength + algorithm.ivLength)
        case .ccm, .gcm, .gmac, .chaCha20Poly1305:
            throw CryptoError(.unsupportedAlgorithm, "\(algorithm) takes no separate integrity algorithm")
        }
        let code =
            switch integrity {
            case .hmacSHA1_96: CYGNET_MB_HMAC_SHA1
            case .hmacSHA2_256_128: CYGNET_MB_HMAC_SHA256
            case .hmacSHA2_384_192: CYGNET_MB_HMAC_SHA384
            case .hmacSHA2_512_256: CYGNET_MB_HMAC_SHA512
            case .aesXCBC_96: CYGNET_MB_XCBC
            case .aesCMAC_96: CYGNET_MB_CMAC
            }
        let key = material[0..<algorithm.keyLength]
        func keys(encrypting: Bool) throws(CryptoError) -> MultiBufferKeys {
            try MultiBufferKeys(
                cygnet_mb_kind(
                    cipher: cipher, code: code, encrypts: encrypting, iv_length: UInt32(ivLength),
                    tag_length: UInt32(integrity.icvLength),
                    text_offset: UInt32(lead + ESPLayout.iv + algorithm.ivLength)),
                key: key, codeKey: integrityKey)
        }
        let sealing = use.seals ? try keys(encrypting: true) : nil
        let opening = use.opens ? try keys(encrypting: false) : nil
        let ivGeneration =
            use.seals && algorithm.mode == .cbc
            ? try CipherContext(EVP_aes_256_ecb(), key: SeparatePacketCipher.ivKey(of: key), encrypting: true) : nil
        few = try SeparatePacketCipher(
            algorithm, key: material, integrity: integrity, integrityKey: integrityKey, use: use, lead: lead)
        fewestJobs = integrity.fewestJobs
        self.sealing = sealing
        self.opening = opening
        self.ivGeneration = ivGeneration
        self.ivLength = algorithm.ivLength
        blockSize = algorithm.blockSize
        icvLength = integrity.icvLength
        self.lead = lead
        nonce = Scratch(count: Self.nonceLength)
        material[algorithm.keyLength..<algorithm.keyMaterialLength].withUnsafeBytes { nonce in
            UnsafeMutableRawBufferPointer(start: self.nonce.octets, count: Self.nonceLength).copyMemory(from: nonce)
        }
    }

    /// Octets of ciphertext in a packet of so many octets, if it can be one.
    @inline(__always)
    private func ciphertextLength(_ count: Int) -> Int? {
        guard let length = ESPLayout.jobLength(count, without: ESPLayout.iv + ivLength + icvLength),
            length & (blockSize - 1) == 0
        else { return nil }
        return length
    }

    /// Enters a job for a packet whose IV stands in it. The high bits of an extended sequence number, which are authenticated last
    /// and not sent, take the place of the integrity check value until the job is done.
    @inline(__always)
    private func enter(
        _ packet: borrowing CipherPacket, length: Int, extended: Bool, as job: Int,
        _ thread: borrowing MultiBufferThread
    ) {
        let octets = packet.octets.assumingMemoryBound(to: UInt8.self)
        let scratch = UnsafeMutableRawPointer(thread.scratch(job))
        var iv = octets + ESPLayout.iv
        if ivLength == 8 {
            Twelve(
                nonce.octets.load(as: UInt32.self),
                packet.octets.loadUnaligned(fromByteOffset: ESPLayout.iv, as: UInt64.self)
            ).write(to: scratch + MultiBufferThread.nonce)
            iv = (scratch + MultiBufferThread.nonce).assumingMemoryBound(to: UInt8.self)
        }
        let covered = packet.count - icvLength
        if extended {
            packet.octets.storeBytes(of: packet.sequenceHigh.bigEndian, toByteOffset: covered, as: UInt32.self)
        }
        thread.jobs[job] = cygnet_mb_job(
            packet: octets - lead, text_length: UInt64(length),
            code_length: UInt64(lead + (extended ? covered + 4 : covered)),
            iv: UnsafePointer(iv), associated: nil, associated_length: 0,
            tag: (scratch + MultiBufferThread.computedTag).assumingMemoryBound(to: UInt8.self), is_done: false)
    }

    /// Writes the IVs of all packets that are good so far. Those of CBC are the encrypted sequence numbers.
    /// - Returns: whether there are any IVs to go on with.
    @inline(__always)
    private func writeIVs(_ packets: UnsafeMutableBufferPointer<CipherPacket>) -> Bool {
        switch ivGeneration {
        case nil:
            guard ivLength > 0 else { return true }
            for index in packets.indices where packets[index].isGood {
                packets[index].octets.storeBytes(
                    of: packets[index].sequence.bigEndian, toByteOffset: ESPLayout.iv, as: UInt64.self)
            }
            return true
        case let generation?:
            return withUnsafeTemporaryAllocation(
                byteCount: MultiBufferThread.capacity * Self.block, alignment: Self.block
            ) { blocks in
                guard let blocks = blocks.baseAddress else { return false }
                var end = blocks
                for index in packets.indices where packets[index].isGood {
                    end.storeBytes(of: 0, as: UInt64.self)
                    end.storeBytes(of: packets[index].sequence.bigEndian, toByteOffset: 8, as: UInt64.self)
                    end += Self.block
                }
                guard generation.process(blocks, to: blocks, count: Int32(truncatingIfNeeded: end - blocks)) else {
                    return false
                }
                var block = blocks
                for index in packets.indices where packets[index].isGood {
                    (packets[index].octets + ESPLayout.iv).copyMemory(from: block, byteCount: Self.block)
                    block += Self.block
                }
                return true
            }
        }
    }

    func seal(_ packets: UnsafeMutableBufferPointer<CipherPacket>, extended: Bool) {
        guard packets.count >= fewestJobs else { return few.seal(packets, extended: extended) }
        packets.inParts { thread, packets in
            for index in packets.indices {
                packets[index].isGood = ciphertextLength(packets[index].count) != nil
            }
            guard writeIVs(packets) else {
                for index in packets.indices { packets[index].isGood = false }
                return
            }
            var count = 0
            for index in packets.indices {
                let packet = packets[index]
                guard let length = ciphertextLength(packet.count) else { continue }
                enter(packet, length: length, extended: extended, as: count, thread)
                count += 1
            }
            switch sealing {
            case let keys?: keys.run(thread, count: count)
            case nil: break
            }
            var job = 0
            for index in packets.indices where packets[index].isGood {
                let packet = packets[index]
                packets[index].isGood = thread.jobs[job].is_done
                (packet.octets + (packet.count - icvLength)).copyMemory(
                    from: thread.scratch(job) + MultiBufferThread.computedTag, byteCount: icvLength)
                job += 1
            }
        }
    }

    func open(_ packets: UnsafeMutableBufferPointer<CipherPacket>, extended: Bool) {
        guard packets.count >= fewestJobs else { return few.open(packets, extended: extended) }
        packets.inParts { thread, packets in
            var count = 0
            for index in packets.indices {
                let packet = packets[index]
                let length = ciphertextLength(packet.count)
                packets[index].isGood = length != nil
                guard let length else { continue }
                UnsafeMutableRawPointer(thread.scratch(count) + MultiBufferThread.receivedTag).copyMemory(
                    from: packet.octets + (packet.count - icvLength), byteCount: icvLength)
                enter(packet, length: length, extended: extended, as: count, thread)
                count += 1
            }
            switch opening {
            case let keys?: keys.run(thread, count: count)
            case nil: break
            }
            var job = 0
            for index in packets.indices where packets[index].isGood {
                let packet = packets[index]
                let received = thread.scratch(job) + MultiBufferThread.receivedTag
                packets[index].isGood =
                    thread.jobs[job].is_done && CRYPTO_memcmp(thread.jobs[job].tag, received, icvLength) == 0
                if extended {
                    (packet.octets + (packet.count - icvLength)).copyMemory(from: received, byteCount: icvLength)
                }
                if !packets[index].isGood {
                    // It may have been decrypted with the code not right; nobody shall see what was not authentic.
                    (packet.octets + (ESPLayout.iv + ivLength)).initializeMemory(
                        as: UInt8.self, repeating: 0, count: Int(thread.jobs[job].text_length))
                }
                job += 1
            }
        }
    }
}
