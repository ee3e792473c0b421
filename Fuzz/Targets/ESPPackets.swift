import ESP
import IPPacket
import IPsecCrypto
import IPsecPolicy
import Octets
import Simulation

extension FuzzTarget {
    /// ESP packets. Input: what it is and the algorithm, then a packet as it arrives, what a peer with the keys has sealed, or
    /// a packet to be sent.
    static let esp = FuzzTarget(
        name: "esp", longest: 512,
        seeds: {
            let inner: [UInt8] = [
                0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 2, 0, 2, 10, 1, 0, 2, 0x9c, 0x40, 0, 53, 0, 12, 0, 0, 1,
                2, 3, 4,
            ]
            let tcp: [UInt8] = [
                0x45, 0, 0, 44, 0, 0, 0, 0, 64, 6, 0, 0, 10, 1, 0, 2, 10, 2, 0, 2, 0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0,
                0, 0,
                0x60, 2, 0xff, 0xff, 0, 0, 0, 0, 2, 4, 5, 0xb4,
            ]
            let raw = SampleAssociation.spi.bigEndianOctets + [0, 0, 0, 1] + inner + inner
            var seeds: [[UInt8]] = []
            for suite in 0..<UInt8(ESPSample.suites.count) {
                seeds.append([suite << 2] + raw)
                seeds.append([suite << 2 | 1] + inner + [1, 2, 2, 4])
                seeds.append([suite << 2 | 2] + tcp)
            }
            return seeds
        }
    ) { octets in
        var input = FuzzInput(octets)
        let choice = input.octet()
        let (encryption, integrity) = ESPSample.suites[Int(choice >> 2) % ESPSample.suites.count]
        let octets = Array(input.rest)
        switch choice & 3 {
        case 0: try ESPSample.open(octets, encryption, integrity)
        case 1: try ESPSample.open(try ESPSample.sealed(octets, encryption, integrity), encryption, integrity)
        default: try ESPSample.send(octets, encryption, integrity)
        }
    }
}

private enum ESPSample {
    static let suites: [(EncryptionAlgorithm, IntegrityAlgorithm?)] = [
        (.aesGCM16(128), nil), (.chaCha20Poly1305, nil), (.aesCBC(128), .hmacSHA2_256_128), (.aesCTR(128), .aesCMAC_96),
        (.null, .hmacSHA2_256_128), (.aesGCM16ImplicitIV(256), nil),
    ]

    /// Opens it twice, as a gateway on the left: what passes the first time is a replay the second time.
    static func open(_ packet: [UInt8], _ encryption: EncryptionAlgorithm, _ integrity: IntegrityAlgorithm?) throws {
        var sa = try InboundSA(SampleAssociation.parameters(isLeft: true, encryption, integrity))
        let first = try open(packet, &sa)
        let second = try open(packet, &sa)
        try expect(first.isAuthentic == (second.drop == .replayed), "a repetition is \(second)")
    }

    private static func open(_ packet: [UInt8], _ sa: inout InboundSA) throws -> OpenResult {
        let margin = [UInt8](repeating: 0xee, count: 64)
        var buffer = margin + packet + margin
        let result = buffer.withUnsafeMutableBytes {
            sa.open($0, offset: 64, count: packet.count, outer: ReceivedHeader(trafficClass: 1))
        }
        try expect(
            Array(buffer.prefix(64)) == margin && Array(buffer.suffix(64)) == margin,
            "octets outside the packet are changed")
        if result.drop == nil {
            try expect(
                result.offset >= 64 && result.count >= 20 && result.offset + result.count <= 64 + packet.count,
                "the inner packet is not within the outer one")
        }
        return result
    }

    /// Octets, the trailer among them, as a peer who has the keys seals them.
    static func sealed(
        _ plaintext: [UInt8], _ encryption: EncryptionAlgorithm, _ integrity: IntegrityAlgorithm?
    ) throws -> [UInt8] {
        let parameters = SampleAssociation.parameters(isLeft: false, encryption, integrity)
        var cipher = try PacketCipher(
            encryption: encryption, encryptionKey: parameters.encryptionKey, integrity: integrity,
            integrityKey: parameters.integrityKey)
        let usable = plaintext.suffix(plaintext.count / cipher.blockSize * cipher.blockSize)
        var packet =
            SampleAssociation.spi.bigEndianOctets + [0, 0, 0, 1] + [UInt8](repeating: 0, count: cipher.ivLength)
            + usable
        packet += [UInt8](repeating: 0, count: cipher.icvLength)
        let isSealed = packet.withUnsafeMutableBytes { octets in
            octets.baseAddress.map { cipher.seal($0, count: octets.count, sequence: 1, extended: true) } ?? false
        }
        try expect(isSealed || usable.isEmpty, "\(usable.count) octets cannot be sealed")
        return packet
    }

    /// Seals an inner packet, and opens it at the other end.
    static func send(_ inner: [UInt8], _ encryption: EncryptionAlgorithm, _ integrity: IntegrityAlgorithm?) throws {
        let parameters = SampleAssociation.parameters(isLeft: true, encryption, integrity)
        var sa = try OutboundSA(parameters)
        // As the data plane does: what the SA does not carry never gets there.
        let selector = inner.withUnsafeBytes { packet in IPHeader(packet).flatMap { PacketSelector($0, in: packet) } }
        let selectors = SelectorSet(local: parameters.localSelectors, remote: parameters.remoteSelectors)
        guard let selector, selectors.match(selector, .outbound) == .yes else { return }
        var peer = try InboundSA(SampleAssociation.parameters(isLeft: false, encryption, integrity))
        var buffer =
            [UInt8](repeating: 0, count: OutboundSA.headroom) + inner
            + [UInt8](repeating: 0, count: OutboundSA.tailroom)
        let sealed = buffer.withUnsafeMutableBytes { sa.seal($0, offset: OutboundSA.headroom, count: inner.count) }
        guard sealed.drop == nil else { return }
        let opened = buffer.withUnsafeMutableBytes {
            peer.open(
                $0, offset: sealed.offset, count: sealed.count,
                outer: ReceivedHeader(trafficClass: sealed.outerTrafficClass))
        }
        try expect(opened.drop == nil, "what we send is dropped by its peer: \(opened)")
        let arrived = Array(buffer[opened.offset..<opened.offset + opened.count])
        try expect(arrived == Array(inner.prefix(arrived.count)), "another packet comes out than went in")
    }
}
