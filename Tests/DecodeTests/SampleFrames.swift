import Decode
import IKEMessage
import IPPacket
import Octets

/// Packets around IKE messages, from the outside of the link to the datagram.
enum SampleFrames {
    static let left = IPAddress(v4: 0xC000_0202)
    static let right = IPAddress(v4: 0xC000_0282)
    static let left6 = IPAddress(v6: 0x2001_0DB8_0001_0000_0000_0000_0000_0002)
    static let right6 = IPAddress(v6: 0x2001_0DB8_0002_0000_0000_0000_0000_0002)

    static let initiatorSPI: UInt64 = 0x0102_0304_0506_0708
    static let responderSPI: UInt64 = 0x1112_1314_1516_1718

    static func header(
        _ exchange: ExchangeType, _ flags: IKEHeader.Flags, _ messageID: UInt32, responderSPI: UInt64 = responderSPI
    ) -> IKEHeader {
        IKEHeader(
            initiatorSPI: initiatorSPI, responderSPI: responderSPI, exchangeType: exchange, flags: flags,
            messageID: messageID)
    }

    /// The request of an IKE_SA_INIT exchange, without NAT detection.
    static var request: [UInt8] {
        let proposal = Proposal(
            number: 1, protocolID: .ike, spi: [],
            transforms: [
                Transform(type: .encryption, id: 20, keyLength: 256), Transform(type: .pseudorandomFunction, id: 5),
                Transform(type: .keyExchange, id: 31),
            ])
        return Message(
            header: header(.ikeSAInit, .initiator, 0, responderSPI: 0),
            payloads: [
                .securityAssociation(SecurityAssociationPayload(proposals: [proposal])),
                .keyExchange(KeyExchangePayload(method: 31, data: [UInt8](repeating: 7, count: 32))),
                .nonce([UInt8](repeating: 9, count: 32)),
            ]
        ).serialized()
    }

    // MARK: Packets

    static func udp(_ payload: [UInt8], from source: UInt16 = 500, to destination: UInt16 = 500) -> [UInt8] {
        source.bigEndianOctets + destination.bigEndianOctets + UInt16(8 + payload.count).bigEndianOctets + [0, 0]
            + payload
    }

    static func tcp(
        _ payload: [UInt8], sequence: UInt32, flags: UInt8 = 0x10, from source: UInt16 = 50_000,
        to destination: UInt16 = 4500
    ) -> [UInt8] {
        source.bigEndianOctets + destination.bigEndianOctets + sequence.bigEndianOctets + [0, 0, 0, 0, 0x50, flags]
            + [UInt8](repeating: 0, count: 6) + payload
    }

    static func ipv4(
        _ payload: [UInt8], protocol number: UInt8 = IPProtocol.udp, identification: UInt16 = 1, fragment: UInt16 = 0,
        options: [UInt8] = []
    ) -> [UInt8] {
        let length = UInt16(20 + options.count + payload.count)
        return [0x40 | UInt8(5 + options.count / 4), 0] + length.bigEndianOctets + identification.bigEndianOctets
            + fragment.bigEndianOctets + [64, number, 0, 0] + left.octets + right.octets + options + payload
    }

    static func ipv6(_ payload: [UInt8], next: UInt8 = IPProtocol.udp) -> [UInt8] {
        [0x60, 0, 0, 0] + UInt16(payload.count).bigEndianOctets + [next, 64] + left6.octets + right6.octets + payload
    }

    static func ethernet(_ packet: [UInt8], tags: [UInt16] = []) -> [UInt8] {
        let type: [UInt8] = packet[0] >> 4 == 4 ? [0x08, 0x00] : [0x86, 0xDD]
        var frame = [UInt8](repeating: 2, count: 12)
        for tag in tags { frame += tag.bigEndianOctets + [0, 42] }
        return frame + type + packet
    }

    // MARK: What comes out

    static func entries(
        _ capture: [UInt8], keys: KeyTable = KeyTable(), ports: Set<UInt16> = [], chunk: Int = .max
    ) throws -> [DecodedEntry] {
        var decoder = CaptureDecoder(keys: keys, ports: ports)
        var entries: [DecodedEntry] = []
        var rest = capture[...]
        while !rest.isEmpty {
            decoder.append(Array(rest.prefix(chunk)))
            rest = rest.dropFirst(chunk)
            if rest.isEmpty { decoder.complete() }
            while let entry = try decoder.nextEntry() { entries.append(entry) }
        }
        return entries
    }

    /// Those of frames with Ethernet headers.
    static func entries(frames: [[UInt8]], keys: KeyTable = KeyTable(), ports: Set<UInt16> = []) throws
        -> [DecodedEntry]
    {
        try entries(CaptureBuilder.pcap(frames.map { .init(octets: $0) }), keys: keys, ports: ports)
    }

    static func text(frames: [[UInt8]], keys: KeyTable = KeyTable()) -> [String] {
        CaptureDecoder.lines(of: CaptureBuilder.pcap(frames.map { .init(octets: $0) }), keys: keys)
    }
}

extension DecodedEntry {
    var ike: DecodedIKE? { if case .ike(let ike) = body { ike } else { nil } }
    var esp: DecodedESP? { if case .esp(let esp) = body { esp } else { nil } }
}
