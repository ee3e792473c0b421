import ESP
import IPPacket
import IPsecCrypto
import IPsecPolicy
import Octets
import Testing

/// Packets between the two ends of an association, of several shapes.
private enum Shape: String, CaseIterable, Sendable {
    case v4, v4Options, v6, v6HopByHop, v6Destination

    var family: IPFamily { self == .v4 || self == .v4Options ? .v4 : .v6 }
    /// Octets that stay before the ESP header.
    var front: Int {
        switch self {
        case .v4: 20
        case .v4Options: 24
        case .v6, .v6Destination: 40
        case .v6HopByHop: 48
        }
    }

    /// A UDP datagram with a right checksum, from left to right.
    func packet(_ count: Int = 60, trafficClass: UInt8 = 0x2a, hopLimit: UInt8 = 61) throws -> [UInt8] {
        let (source, destination) = (try Ends.left(family), try Ends.right(family))
        let extensions: [UInt8] =
            switch self {
            case .v4, .v6: []
            case .v4Options: [0x94, 4, 0, 0]  // Router Alert (RFC 2113).
            case .v6HopByHop: [17, 0, 5, 2, 0, 0, 1, 0]  // Router Alert (RFC 2711), and padding.
            case .v6Destination: [17, 0, 1, 4, 0, 0, 0, 0]  // Padding.
            }
        let body = Self.datagram(count, source, destination)
        guard family == .v6 else {
            let length = 20 + extensions.count
            var header: [UInt8] =
                [0x40 | UInt8(length / 4), trafficClass] + UInt16(length + body.count).bigEndianOctets
                + [0x12, 0x34, 0x40, 0, hopLimit, 17, 0, 0]
            header += source.octets + destination.octets + extensions
            let checksum = header.withUnsafeBytes(InternetChecksum.checksum)
            header.replaceSubrange(10..<12, with: checksum.bigEndianOctets)
            return header + body
        }
        let next: UInt8 = self == .v6HopByHop ? 0 : self == .v6Destination ? 60 : 17
        return [0x60 | trafficClass >> 4, trafficClass << 4, 0, 0]
            + UInt16(extensions.count + body.count).bigEndianOctets
            + [next, hopLimit] + source.octets + destination.octets + extensions + body
    }

    static func datagram(_ count: Int, _ source: IPAddress, _ destination: IPAddress) -> [UInt8] {
        var octets: [UInt8] = [0x30, 0x39, 0, 53] + UInt16(8 + count).bigEndianOctets + [0, 0]
        octets += (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let checksum = UDPChecksum.of(octets, source, destination)
        octets.replaceSubrange(6..<8, with: checksum.bigEndianOctets)
        return octets
    }

    /// The packet as its sender gives it to the network: ESP in the place of what it protects.
    func outer(_ packet: [UInt8], _ esp: [UInt8]) -> [UInt8] {
        var front = Array(packet[..<self.front])
        switch self {
        case .v4, .v4Options:
            front[9] = 50
            front.replaceSubrange(2..<4, with: UInt16(front.count + esp.count).bigEndianOctets)
            front.replaceSubrange(10..<12, with: [0, 0])
            let checksum = front.withUnsafeBytes(InternetChecksum.checksum)
            front.replaceSubrange(10..<12, with: checksum.bigEndianOctets)
        case .v6, .v6HopByHop, .v6Destination:
            front[self == .v6HopByHop ? 40 : 6] = 50
            front.replaceSubrange(4..<6, with: UInt16(front.count - 40 + esp.count).bigEndianOctets)
        }
        return front + esp
    }
}

/// The sum over a datagram and its pseudo-header; 0 comes out where it has its checksum.
private enum UDPChecksum {
    static func of(_ octets: [UInt8], _ source: IPAddress, _ destination: IPAddress) -> UInt16 {
        let pseudo = InternetChecksum.pseudoHeaderSum(
            source: source, destination: destination, ipProtocol: 17, length: octets.count)
        return octets.withUnsafeBytes { InternetChecksum.finish(pseudo + InternetChecksum.sum($0)) }
    }
}

private enum Ends {
    static func left(_ family: IPFamily) throws -> IPAddress {
        try address(family == .v4 ? "192.0.2.1" : "2001:db8::1")
    }
    static func right(_ family: IPFamily) throws -> IPAddress {
        try address(family == .v4 ? "192.0.2.2" : "2001:db8::2")
    }

    static func parameters(
        _ family: IPFamily, isLeft: Bool, _ transform: Transform = Transform.all[1], extended: Bool = true
    ) throws -> SAParameters {
        var parameters = try transform.parameters(extended: extended)
        let (own, other) = isLeft ? (try left(family), try right(family)) : (try right(family), try left(family))
        parameters.mode = .transport(TransportHosts(local: own, remote: other))
        parameters.local.address = own
        parameters.remote.address = other
        parameters.localSelectors = [TrafficSelector(IPPrefix(own))]
        parameters.remoteSelectors = [TrafficSelector(IPPrefix(other))]
        return parameters
    }
}

extension InboundSA {
    /// Opens what came behind a header, which stands before it or is known by its parts alone.
    fileprivate mutating func openTransport(
        _ esp: [UInt8], header: [UInt8] = [], trafficClass: UInt8 = 0, hopLimit: UInt8 = 64
    ) -> (drop: DropReason?, octets: [UInt8]) {
        let room = InboundSA.headroom
        var buffer = [UInt8](repeating: 0xdd, count: room) + header + esp
        let result = buffer.withUnsafeMutableBytes {
            open(
                $0, offset: room + header.count, count: esp.count,
                outer: ReceivedHeader(trafficClass: trafficClass, hopLimit: hopLimit, count: header.count))
        }
        return (
            result.drop,
            result.drop == nil ? Array(buffer[result.offset..<result.offset + result.count]) : []
        )
    }
}

@Suite("Transport mode (RFC 4303, section 3.1.1)")
struct TransportModeTests {
    @Test("Scapy opens what we seal", arguments: Shape.allCases)
    private func weSeal(shape: Shape) throws {
        for transform in [Transform.all[1], Transform.all[4]] {
            let parameters = try Ends.parameters(shape.family, isLeft: true, transform, extended: false)
            var out = try OutboundSA(parameters)
            var requests: [ScapyPeer.Request] = []
            let packets = try [0, 1, 2, 60, 1300].map { try shape.packet($0) }
            for (index, packet) in packets.enumerated() {
                let sealed = out.seal(packet)
                #expect(sealed.result.drop == nil)
                requests.append(
                    ScapyPeer.Request(
                        parameters, seal: false, sequence: UInt64(index) + 1, outer: 4,
                        octets: shape.outer(packet, sealed.octets)))
            }
            #expect(try ScapyPeer.answers(to: requests) == packets)
        }
    }

    @Test("We open what scapy seals, and the packet is what it was", arguments: [Shape.v4, .v4Options, .v6])
    private func scapySeals(shape: Shape) throws {
        let parameters = try Ends.parameters(shape.family, isLeft: false, extended: false)
        var into = try InboundSA(parameters)
        let packets = try [0, 1, 2, 60, 1300].map { try shape.packet($0) }
        let requests = packets.enumerated().map { index, packet in
            ScapyPeer.Request(parameters, seal: true, sequence: UInt64(index) + 1, outer: 4, octets: packet)
        }
        for (packet, outer) in zip(packets, try ScapyPeer.answers(to: requests)) {
            let opened = into.openTransport(
                Array(outer[shape.front...]), header: shape.family == .v4 ? Array(outer[..<shape.front]) : [],
                trafficClass: 0x2a, hopLimit: 61)
            #expect(opened.drop == nil)
            #expect(opened.octets == packet)
        }
    }

    @Test("Destination options of IPv6 are protected and come out again")
    func destinationOptions() throws {
        var out = try OutboundSA(Ends.parameters(.v6, isLeft: true))
        var into = try InboundSA(Ends.parameters(.v6, isLeft: false))
        let packet = try Shape.v6Destination.packet()
        let opened = into.openTransport(out.seal(packet).octets, trafficClass: 0x2a, hopLimit: 61)
        #expect(opened.octets == packet)
    }

    @Test(
        "A packet that came in UDP, without its header, has the addresses agreed upon, and the hop limit and class received"
    )
    func headerMadeAgain() throws {
        var out = try OutboundSA(Ends.parameters(.v4, isLeft: true))
        var into = try InboundSA(Ends.parameters(.v4, isLeft: false))
        let opened = into.openTransport(out.seal(try Shape.v4.packet()).octets, trafficClass: 0x12, hopLimit: 7)
        let header = try #require(opened.octets.withUnsafeBytes { IPHeader($0) })
        #expect(header.source == (try Ends.left(.v4)))
        #expect(header.destination == (try Ends.right(.v4)))
        #expect(header.trafficClass == 0x12)
        #expect(header.hopLimit == 7)
        #expect(opened.octets[..<20].withUnsafeBytes(InternetChecksum.checksum) == 0)
    }

    @Test(
        "Behind a NAT, checksums of UDP and TCP follow from the addresses the sender saw to those here, or are made anew",
        arguments: [6, 17] as [UInt8], [true, false])
    func checksum(ipProtocol: UInt8, areKnown: Bool) throws {
        // Left is 10.9.9.9 behind the NAT and knows right as 203.0.113.7; right sees them as 192.0.2.1 and 192.0.2.2.
        let (own, other) = (try address("10.9.9.9"), try address("203.0.113.7"))
        var sending = try Ends.parameters(.v4, isLeft: true)
        sending.mode = .transport(TransportHosts(local: own, remote: other))
        var receiving = try Ends.parameters(.v4, isLeft: false)
        receiving.mode = .transport(
            TransportHosts(
                local: try Ends.right(.v4), remote: try Ends.left(.v4), localAtPeer: areKnown ? other : nil,
                remoteAtPeer: areKnown ? own : nil, isTranslationUnknown: !areKnown))
        var out = try OutboundSA(sending)
        var into = try InboundSA(receiving)
        let place = ipProtocol == 17 ? 6 : 16
        var body = [0x30, 0x39, 0, 53, 0, 28] + [UInt8](repeating: 0x5c, count: 22)
        body[place] = 0
        body[place + 1] = 0
        func checksum(_ source: IPAddress, _ destination: IPAddress) -> UInt16 {
            let pseudo = InternetChecksum.pseudoHeaderSum(
                source: source, destination: destination, ipProtocol: ipProtocol, length: body.count)
            return body.withUnsafeBytes { InternetChecksum.finish(pseudo + InternetChecksum.sum($0)) }
        }
        body.replaceSubrange(place..<place + 2, with: checksum(own, other).bigEndianOctets)
        var header: [UInt8] = [0x45, 0, 0, UInt8(20 + body.count), 0, 0, 0x40, 0, 64, ipProtocol, 0, 0]
        header += own.octets + other.octets
        let opened = into.openTransport(out.seal(header + body).octets)
        #expect(opened.drop == nil)
        body = Array(opened.octets.dropFirst(20))
        #expect(checksum(try Ends.left(.v4), try Ends.right(.v4)) == 0)
    }

    @Test("UDP without a checksum stays without one")
    func noChecksum() throws {
        var receiving = try Ends.parameters(.v4, isLeft: false)
        receiving.mode = .transport(
            TransportHosts(
                local: try Ends.right(.v4), remote: try Ends.left(.v4), remoteAtPeer: try address("10.9.9.9")))
        var out = try OutboundSA(Ends.parameters(.v4, isLeft: true))
        var into = try InboundSA(receiving)
        var packet = try Shape.v4.packet()
        packet.replaceSubrange(26..<28, with: [0, 0])
        #expect(Array(into.openTransport(out.seal(packet).octets).octets[26..<28]) == [0, 0])
    }

    @Test("A fragment is not sealed, nor taken out of ESP")
    func fragment() throws {
        var out = try OutboundSA(Ends.parameters(.v4, isLeft: true))
        var packet = try Shape.v4.packet()
        packet[6] = 0x20
        #expect(out.seal(packet).result.drop == .fragment)
        var later = try Shape.v6Destination.packet()
        later[6] = 44
        later.replaceSubrange(40..<48, with: [17, 0, 0, 9, 0, 0, 0, 1])
        var six = try OutboundSA(Ends.parameters(.v6, isLeft: true))
        #expect(six.seal(later).result.drop == .fragment)
    }

    @Test("A packet with a routing header is not sealed")
    func routingHeader() throws {
        var out = try OutboundSA(Ends.parameters(.v6, isLeft: true))
        var packet = try Shape.v6Destination.packet()
        packet[6] = 43
        #expect(out.seal(packet).result.drop == .unsupportedHeader)
    }

    @Test("What a peer puts into ESP lies within the selectors, or is dropped")
    func selectors() throws {
        var out = try OutboundSA(Ends.parameters(.v4, isLeft: true))
        var receiving = try Ends.parameters(.v4, isLeft: false)
        receiving.localSelectors = [TrafficSelector(IPPrefix(try Ends.right(.v4)), ipProtocol: 6)]
        var into = try InboundSA(receiving)
        #expect(into.openTransport(out.seal(try Shape.v4.packet()).octets).drop == .outsideSelectors)
    }

    @Test("A dummy packet is dropped, and nothing is padded beyond what the cipher needs")
    func dummiesAndPadding() throws {
        var sending = try Ends.parameters(.v4, isLeft: true)
        sending.options.tfcPaddingTo = 500
        var out = try OutboundSA(sending)
        var into = try InboundSA(Ends.parameters(.v4, isLeft: false))
        #expect(out.seal(try Shape.v4.packet(60), tailroom: 600).octets.count < 140)
        var buffer = [UInt8](repeating: 0, count: 200)
        let dummy = buffer.withUnsafeMutableBytes { out.sealDummy($0, offset: OutboundSA.headroom, count: 40) }
        #expect(into.openTransport(Array(buffer[dummy.offset..<dummy.offset + dummy.count])).drop == .dummy)
    }

    @Test(
        "The largest packet that is let through fits its path, and one octet more does not", arguments: Shape.allCases)
    private func size(shape: Shape) throws {
        for encapsulation in [Encapsulation.ip, .udp] {
            var parameters = try Ends.parameters(shape.family, isLeft: true)
            parameters.encapsulation = encapsulation
            var out = try OutboundSA(parameters)
            let largest = out.maximumSize(outerMTU: 1400, front: shape.front)
            let overhead = try shape.packet(0).count
            func outer(_ count: Int) throws -> Int {
                shape.front + (encapsulation == .udp ? 8 : 0)
                    + out.seal(try shape.packet(count - overhead)).result.count
            }
            #expect(try outer(largest) <= 1400)
            #expect(try outer(largest + 1) > 1400)
        }
    }

    @Test("Octets of any kind in authentic packets never come out as more than was in them")
    func hostilePayloads() throws {
        var generator = SeededGenerator(seed: 77)
        for family in IPFamily.allCases {
            var out = try OutboundSA(Ends.parameters(family, isLeft: true))
            var into = try InboundSA(Ends.parameters(family, isLeft: false))
            let front = family == .v4 ? 20 : 40
            for _ in 0..<3000 {
                let count = Int.random(in: 0...90, using: &generator)
                var packet = try (family == .v4 ? Shape.v4 : .v6).packet(max(count, 8) - 8)
                for index in front..<packet.count { packet[index] = UInt8.random(in: 0...255, using: &generator) }
                packet[family == .v4 ? 9 : 6] =
                    [0, 4, 6, 17, 41, 43, 44, 58, 59, 60, 132].randomElement(using: &generator) ?? 6
                let sealed = out.seal(packet)
                guard sealed.result.drop == nil else { continue }
                let opened = into.openTransport(sealed.octets)
                #expect(opened.drop != nil || opened.octets.count <= packet.count)
            }
        }
    }
}
