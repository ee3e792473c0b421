// RFC 3948, RFC 7296 section 2.23, RFC 9329: where IKE and ESP are found in packets.
import IPPacket
import Octets

/// One end of a packet's way; ESP as an IP protocol has no ports.
package struct Place: Hashable, Sendable, CustomStringConvertible {
    package var address: IPAddress
    package var port: UInt16?

    package init(_ address: IPAddress, port: UInt16? = nil) {
        self.address = address
        self.port = port
    }

    package var description: String { port.map { "\(SocketAddress(address, port: $0))" } ?? "\(address)" }
}

/// What carried a message.
package enum Carrier: String, Sendable {
    case udp = "UDP"
    case tcp = "TCP"
    case ip = "IP"
}

/// An IKE message or ESP packet, taken out of what carried it.
struct IPsecPacket {
    enum Content {
        case ike
        case esp
    }

    var frame: Int
    var time: CaptureTime?
    var carrier: Carrier
    var source: Place
    var destination: Place
    var content: Content
    /// From the initiator's SPI, or from the SPI of ESP, on.
    var octets: [UInt8]
    /// Octets that were not recorded.
    var missing = 0
}

/// Finds IKE and ESP in captured packets; puts fragments of IP and streams of TCP together on the way.
struct IPsecExtraction {
    static let ikePort: UInt16 = 500
    static let natPort: UInt16 = 4500
    private static let keepalive: [UInt8] = [0xFF]

    /// Ports besides the usual two.
    private let ports: Set<UInt16>
    private var fragments = IPReassembly()
    private var streams = StreamReassembly()
    /// Packets of links that are not known here, by kind of link.
    private(set) var unknownLinks: [LinkType: Int] = [:]

    init(ports: Set<UInt16>) { self.ports = ports }

    mutating func packets(in captured: CapturedPacket) -> [IPsecPacket] {
        let octets: ArraySlice<UInt8>
        switch LinkLayer.content(of: captured) {
        case .ip(let packet): octets = packet
        case .other: return []
        case .unknownLink:
            unknownLinks[captured.linkType, default: 0] += 1
            return []
        }
        guard var datagram = IPDatagram(octets) else { return [] }
        if let fragment = datagram.fragment {
            guard let whole = fragments.add(datagram, fragment, at: captured.time), whole.fragment == nil else {
                return []
            }
            datagram = whole
        }
        switch datagram.ipProtocol {
        case IPProtocol.udp: return udp(datagram, captured).map { [$0] } ?? []
        case IPProtocol.tcp: return tcp(datagram, captured)
        case IPProtocol.esp:
            return [
                IPsecPacket(
                    frame: captured.number, time: captured.time, carrier: .ip, source: Place(datagram.source),
                    destination: Place(datagram.destination), content: .esp, octets: Array(datagram.payload),
                    missing: datagram.missing)
            ]
        default: return []
        }
    }

    private func udp(_ datagram: IPDatagram, _ captured: CapturedPacket) -> IPsecPacket? {
        var reader = OctetReader(datagram.payload, offset: 0)
        guard let sourcePort = try? reader.readUInt16("source port"),
            let destinationPort = try? reader.readUInt16("destination port"),
            let length = try? reader.readUInt16("length"), length >= 8,
            (try? reader.skip(2, "checksum")) != nil
        else { return nil }
        let wanted = Int(length) - 8
        let payload = reader.readRest().prefix(wanted)
        guard let (content, octets) = content(ofUDP: Array(payload), sourcePort, destinationPort) else { return nil }
        return IPsecPacket(
            frame: captured.number, time: captured.time, carrier: .udp,
            source: Place(datagram.source, port: sourcePort),
            destination: Place(datagram.destination, port: destinationPort), content: content, octets: octets,
            missing: min(wanted - payload.count, datagram.missing))
    }

    /// Tells IKE from ESP by port and marker (RFC 3948 section 2.2). On ports that only the user knows of, IKE may be with the
    /// marker or without, and shows itself by its header.
    private func content(
        ofUDP payload: [UInt8], _ source: UInt16, _ destination: UInt16
    ) -> (IPsecPacket.Content, [UInt8])? {
        let hasMarker = StreamReassembly.hasMarker(payload)
        if source == Self.natPort || destination == Self.natPort {
            guard payload != Self.keepalive, !payload.isEmpty else { return nil }
            return hasMarker ? (.ike, Array(payload.dropFirst(4))) : (.esp, payload)
        }
        if source == Self.ikePort || destination == Self.ikePort { return payload.isEmpty ? nil : (.ike, payload) }
        guard ports.contains(source) || ports.contains(destination), payload != Self.keepalive, !payload.isEmpty else {
            return nil
        }
        if hasMarker { return (.ike, Array(payload.dropFirst(4))) }
        return payload.count > 17 && payload[17] >> 4 == 2 && Self.hasLength(payload)
            ? (.ike, payload) : (.esp, payload)
    }

    /// Whether the length in an IKE header is that of the datagram.
    private static func hasLength(_ payload: [UInt8]) -> Bool {
        payload.count >= 28 && payload[24..<28].reduce(0) { $0 << 8 | Int($1) } == payload.count
    }

    private mutating func tcp(_ datagram: IPDatagram, _ captured: CapturedPacket) -> [IPsecPacket] {
        var reader = OctetReader(datagram.payload, offset: 0)
        guard let sourcePort = try? reader.readUInt16("source port"),
            let destinationPort = try? reader.readUInt16("destination port"),
            !ports.union([Self.natPort]).isDisjoint(with: [sourcePort, destinationPort]),
            let sequence = try? reader.readUInt32("sequence number"),
            (try? reader.skip(4, "acknowledgment number")) != nil,
            let dataOffset = try? reader.readUInt8("data offset"), dataOffset >> 4 >= 5,
            let flags = try? reader.readUInt8("flags"),
            // What follows the flags: window, checksum, urgent pointer and options.
            (try? reader.skip(Int(dataOffset >> 4) * 4 - 14, "options")) != nil
        else { return [] }
        let source = SocketAddress(datagram.source, port: sourcePort)
        let destination = SocketAddress(datagram.destination, port: destinationPort)
        let messages = streams.add(
            StreamReassembly.Segment(sequence: sequence, begins: flags & 0x02 != 0, payload: reader.readRest()[...]),
            of: StreamReassembly.Key(source: source, destination: destination))
        return messages.map { message in
            let isIKE = StreamReassembly.hasMarker(message)
            return IPsecPacket(
                frame: captured.number, time: captured.time, carrier: .tcp,
                source: Place(datagram.source, port: sourcePort),
                destination: Place(datagram.destination, port: destinationPort), content: isIKE ? .ike : .esp,
                octets: isIKE ? Array(message.dropFirst(4)) : message)
        }
    }
}
