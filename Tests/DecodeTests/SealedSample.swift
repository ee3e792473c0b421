import Decode
import ESP
import IKEMessage
import IPPacket
import IPsecCrypto
import IPsecPolicy
import Octets

/// A conversation whose keys are known: sealed IKE messages, whole and in fragments, and ESP.
enum SealedSample {
    static let initiatorKey = SecretOctets([UInt8](repeating: 0xA1, count: 36))
    static let responderKey = SecretOctets([UInt8](repeating: 0xB2, count: 36))
    static let espKey = SecretOctets([UInt8](repeating: 0xC3, count: 36))
    static let espSPI: UInt32 = 0xC100_0005

    static let ikeRow =
        "0102030405060708,1112131415161718,\(initiatorKey.unprotected.hexadecimal),\(responderKey.unprotected.hexadecimal),"
        + "\"AES-GCM-256 with 16 octet ICV [RFC5282]\",,,\"NONE [RFC4306]\""
    static let espRow =
        "\"IPv4\",\"192.0.2.2\",\"192.0.2.130\",\"0xc1000005\",\"AES-GCM with 16 octet ICV [RFC4106]\","
        + "\"0x\(espKey.unprotected.hexadecimal)\",\"NULL\",\"\""

    static func table(ike: String = ikeRow, esp: String = espRow) throws -> KeyTable {
        var table = KeyTable()
        try table.addIKE(Array(ike.utf8), file: "ike")
        try table.addESP(Array(esp.utf8), file: "esp")
        return table
    }

    static let keys = (try? table()) ?? KeyTable()

    static let payloads: [Payload] = [
        .identificationInitiator(IdentificationPayload(type: .fqdn, data: Array("left.example".utf8))),
        .authentication(AuthenticationPayload(method: .sharedKey, data: [UInt8](repeating: 5, count: 32))),
        .notify(NotifyPayload(protocolID: .none, spi: [], type: .initialContact, data: [])),
    ]

    /// A message of the initiator, sealed by the daemon's cipher.
    static func sealed(
        _ payloads: [Payload] = payloads, _ messageID: UInt32 = 1, key: SecretOctets = initiatorKey,
        flags: IKEHeader.Flags = .initiator, format: PayloadFormat = .classic
    ) throws -> [UInt8] {
        let chain = try Payload.serializeChain(payloads, format: format)
        return try seal(chain.first, chain.octets, messageID, key, flags, fragment: nil)
    }

    private static func seal(
        _ first: PayloadType, _ octets: [UInt8], _ messageID: UInt32, _ key: SecretOctets, _ flags: IKEHeader.Flags,
        fragment: (number: UInt16, total: UInt16)?
    ) throws -> [UInt8] {
        let cipher = try MessageCipher(
            encryption: .aesGCM16(256), encryptionKey: key, integrity: nil, integrityKey: nil)
        let prefix = Message.encryptedPrefix(
            header: SampleFrames.header(.ikeAuth, flags, messageID), leading: [],
            type: fragment == nil ? .encrypted : .encryptedFragment, innerFirst: first, fragment: fragment,
            bodyLength: cipher.sealedLength(of: octets.count))
        let iv =
            [UInt8](repeating: 0, count: 6)
            + (fragment?.number ?? UInt16(truncatingIfNeeded: messageID)).bigEndianOctets
        return prefix + (try cipher.seal(octets, after: prefix, iv: iv))
    }

    /// The same in fragments of so many octets (RFC 7383).
    static func fragments(_ size: Int) throws -> [[UInt8]] {
        let chain = Payload.serializeChain(payloads)
        let parts = stride(from: 0, to: chain.octets.count, by: size).map {
            Array(chain.octets[$0..<min($0 + size, chain.octets.count)])
        }
        return try parts.enumerated().map { index, part in
            try seal(
                index == 0 ? chain.first : .none, part, 2, initiatorKey, .initiator,
                fragment: (UInt16(index + 1), UInt16(parts.count)))
        }
    }

    static func frame(_ message: [UInt8]) -> [UInt8] {
        SampleFrames.ethernet(SampleFrames.ipv4(SampleFrames.udp([0, 0, 0, 0] + message, from: 4500, to: 4500)))
    }

    /// An ESP packet with an inner UDP packet, sealed by the data path's cipher.
    ///
    /// - Parameter isWhole: all 64 bits of the number stand in it.
    static func espPacket(
        sequence: UInt64, extended: Bool = false, isWhole: Bool = false, next: UInt8 = 4
    ) throws -> [UInt8] {
        var cipher = try PacketCipher(
            encryption: .aesGCM16(256), encryptionKey: espKey, integrity: nil, integrityKey: nil,
            sendsWholeNumbers: isWhole)
        let inner = innerPacket
        let padding = -(inner.count + 2) & 3
        var packet = espSPI.bigEndianOctets
        packet += isWhole ? sequence.bigEndianOctets : UInt32(truncatingIfNeeded: sequence).bigEndianOctets
        packet += [UInt8](repeating: 0, count: cipher.ivLength) + inner
        packet += (0..<padding).map { UInt8($0 + 1) } + [UInt8(padding), next]
        packet += [UInt8](repeating: 0, count: cipher.icvLength)
        let isSealed = packet.withUnsafeMutableBytes { octets in
            octets.baseAddress.map { cipher.seal($0, count: octets.count, sequence: sequence, extended: extended) }
                ?? false
        }
        return isSealed ? packet : []
    }

    static let innerPacket: [UInt8] = {
        let payload = SampleFrames.udp([1, 2, 3], from: 40_000, to: 53)
        return [0x45, 0] + UInt16(20 + payload.count).bigEndianOctets + [
            0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 2, 10, 2, 0, 2,
        ]
            + payload
    }()

    static func espFrame(_ packet: [UInt8]) -> [UInt8] {
        SampleFrames.ethernet(SampleFrames.ipv4(packet, protocol: IPProtocol.esp))
    }

    /// All of it in one file of each format.
    static let captures: [[UInt8]] = {
        let messages = [SampleFrames.request] + ((try? [sealed()] + fragments(40)) ?? [])
        var frames = messages.map { CaptureBuilder.Frame(octets: frame($0)) }
        if let esp = try? espPacket(sequence: 1) { frames.append(.init(octets: espFrame(esp))) }
        let stream = Array("IKETCP".utf8) + UInt16(6 + SampleFrames.request.count).bigEndianOctets + [0, 0, 0, 0]
        frames.append(
            .init(
                octets: SampleFrames.ethernet(
                    SampleFrames.ipv4(
                        SampleFrames.tcp(stream + SampleFrames.request, sequence: 5), protocol: IPProtocol.tcp))))
        return [
            CaptureBuilder.pcap(frames, order: .big), CaptureBuilder.pcapng(frames, order: .little),
        ]
    }()
}
