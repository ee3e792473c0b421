import IPPacket

/// What a frame seen between the gateways is.
package enum FrameClass: String, Sendable, CaseIterable, CustomStringConvertible {
    case ike = "IKE"
    case espInUDP = "ESP in UDP"
    case esp = "ESP"
    /// A segment of a connection to or from the port of RFC 9329, whatever it carries.
    case inTCP = "IKE and ESP in TCP"
    /// The same with TLS around it, at the usual port.
    case tls = "IKE and ESP in TLS"
    case keepalive = "NAT keepalive"
    /// ARP, neighbour discovery and multicast listener reports: what a link needs for itself.
    case link = "ARP and neighbour discovery"
    /// ICMP errors about the outer packets.
    case outerError = "ICMP errors of the path"
    /// An address of a protected network stands in the outermost IP header.
    case clearText = "CLEAR TEXT"
    case other = "other"

    package var description: String { rawValue }
    /// Whether protected traffic may leave a gateway like this.
    package var isProtected: Bool { self != .clearText && self != .other }
}

/// Sorts Ethernet frames by what they are. Fragments follow their first fragment.
package struct FrameClassifier {
    private let protected: [IPPrefix]
    private let ikePorts: Set<UInt16>
    private let encapsulationPorts: Set<UInt16>

    private struct Datagram: Hashable {
        var source: IPAddress
        var destination: IPAddress
        var identification: UInt32
    }
    private var fragmented: [Datagram: FrameClass] = [:]

    /// The SPIs of the ESP packets seen.
    package private(set) var espSPIs: Set<UInt32> = []
    /// The initiators' SPIs of the IKE messages seen: one for each IKE SA.
    package private(set) var ikeSPIs: Set<UInt64> = []
    /// ESP packets by the address they came from.
    package private(set) var espSources: [IPAddress: Int] = [:]
    /// Encrypted fragments of IKE messages (RFC 7383) by the address they came from.
    package private(set) var ikeFragmentSources: [IPAddress: Int] = [:]
    private var isIKEFragment = false

    /// - Parameters:
    ///   - protected: The networks whose addresses must not be seen.
    ///   - ikePorts: Where only IKE is spoken.
    ///   - encapsulationPorts: Where IKE, after four zero octets, shares the port with ESP (RFC 3948).
    package init(protected: [IPPrefix], ikePorts: Set<UInt16> = [500], encapsulationPorts: Set<UInt16> = [4500]) {
        self.protected = protected
        self.ikePorts = ikePorts
        self.encapsulationPorts = encapsulationPorts
    }

    package mutating func classify(_ frame: [UInt8]) -> FrameClass {
        guard frame.count >= 14 else { return .other }
        let packet = frame[14...]
        switch UInt16(frame[12]) << 8 | UInt16(frame[13]) {
        case 0x0806: return .link
        case 0x0800: return classifyV4(packet)
        case 0x86dd: return classifyV6(packet)
        default: return .other
        }
    }

    private mutating func classifyV4(_ packet: ArraySlice<UInt8>) -> FrameClass {
        let start = packet.startIndex
        guard packet.count >= 20 else { return .other }
        let headerLength = Int(packet[start] & 0x0f) * 4
        guard headerLength >= 20, packet.count >= headerLength,
            let source = IPAddress(octets: packet[(start + 12)..<(start + 16)]),
            let destination = IPAddress(octets: packet[(start + 16)..<(start + 20)])
        else { return .other }
        if isProtected(source, destination) { return .clearText }
        let fragment = word(packet, 6)
        return follow(
            Datagram(source: source, destination: destination, identification: UInt32(word(packet, 4))),
            offset: fragment & 0x1fff, hasMore: fragment & 0x2000 != 0, protocol: packet[start + 9],
            packet.dropFirst(headerLength))
    }

    private mutating func classifyV6(_ packet: ArraySlice<UInt8>) -> FrameClass {
        let start = packet.startIndex
        guard packet.count >= 40, let source = IPAddress(octets: packet[(start + 8)..<(start + 24)]),
            let destination = IPAddress(octets: packet[(start + 24)..<(start + 40)])
        else { return .other }
        if isProtected(source, destination) { return .clearText }
        var next = packet[start + 6]
        var rest = packet.dropFirst(40)
        // Hop-by-hop, routing, destination options.
        while [0, 43, 60].contains(next), rest.count >= 8 {
            next = rest[rest.startIndex]
            rest = rest.dropFirst((Int(rest[rest.startIndex + 1]) + 1) * 8)
        }
        guard next == 44, rest.count >= 8 else {
            return follow(
                Datagram(source: source, destination: destination, identification: 0), offset: 0, hasMore: false,
                protocol: next, rest)
        }
        let fragment = word(rest, 2)
        return follow(
            Datagram(
                source: source, destination: destination,
                identification: UInt32(word(rest, 4)) << 16 | UInt32(word(rest, 6))),
            offset: fragment >> 3, hasMore: fragment & 1 != 0, protocol: rest[rest.startIndex], rest.dropFirst(8))
    }

    private func isProtected(_ source: IPAddress, _ destination: IPAddress) -> Bool {
        protected.contains { $0.contains(source) || $0.contains(destination) }
    }

    private mutating func follow(
        _ datagram: Datagram, offset: UInt16, hasMore: Bool, protocol number: UInt8, _ payload: ArraySlice<UInt8>
    ) -> FrameClass {
        if offset != 0 { return fragmented[datagram] ?? .other }
        let found = classifyPayload(number, payload)
        if found == .esp || found == .espInUDP { espSources[datagram.source, default: 0] += 1 }
        if found == .ike && isIKEFragment { ikeFragmentSources[datagram.source, default: 0] += 1 }
        if hasMore { fragmented[datagram] = found }
        return found
    }

    private mutating func classifyPayload(_ number: UInt8, _ payload: ArraySlice<UInt8>) -> FrameClass {
        switch number {
        case 50:
            noteESP(payload)
            return .esp
        case 6:
            guard payload.count >= 20 else { return .other }
            let ports = [word(payload, 0), word(payload, 2)]
            return ports.contains(where: encapsulationPorts.contains) ? .inTCP : ports.contains(443) ? .tls : .other
        case 17: return classifyUDP(payload)
        case 1:
            // Destination unreachable, time exceeded, parameter problem.
            guard let type = payload.first else { return .other }
            return [3, 11, 12].contains(type) ? .outerError : .other
        case 58:
            guard let type = payload.first else { return .other }
            if (1...4).contains(type) { return .outerError }
            return (130...137).contains(type) || type == 143 ? .link : .other
        default: return .other
        }
    }

    private mutating func classifyUDP(_ datagram: ArraySlice<UInt8>) -> FrameClass {
        guard datagram.count >= 8 else { return .other }
        let ports = [word(datagram, 0), word(datagram, 2)]
        let payload = datagram.dropFirst(8)
        if ports.contains(where: encapsulationPorts.contains) {
            if payload.elementsEqual([0xff]) { return .keepalive }
            guard payload.count >= 8 else { return .other }
            guard payload.prefix(4).allSatisfy({ $0 == 0 }) else {
                noteESP(payload)
                return .espInUDP
            }
            noteIKE(payload.dropFirst(4))
            return .ike
        }
        guard ports.contains(where: ikePorts.contains) else { return .other }
        noteIKE(payload)
        return .ike
    }

    private mutating func noteESP(_ packet: ArraySlice<UInt8>) {
        guard packet.count >= 4 else { return }
        espSPIs.insert(packet.prefix(4).reduce(0) { $0 << 8 | UInt32($1) })
    }

    private mutating func noteIKE(_ message: ArraySlice<UInt8>) {
        guard message.count >= 28 else { return }
        isIKEFragment = message[message.startIndex + 16] == 53
        ikeSPIs.insert(message.prefix(8).reduce(0) { $0 << 8 | UInt64($1) })
    }

    private func word(_ octets: ArraySlice<UInt8>, _ offset: Int) -> UInt16 {
        UInt16(octets[octets.startIndex + offset]) << 8 | UInt16(octets[octets.startIndex + offset + 1])
    }
}
