import Dataplane
import IPPacket
import Octets
import Testing

private let flows = [
    OffloadPacket.Flow(), OffloadPacket.Flow(family: .v6), OffloadPacket.Flow(optionCount: 0),
    OffloadPacket.Flow(dontFragment: false), OffloadPacket.Flow(isTCP: false),
    OffloadPacket.Flow(family: .v6, isTCP: false),
]

private func octets(_ count: Int, _ seed: Int = 3) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 / 256 &+ seed) }
}

@Suite("Packets that stand for many")
struct OffloadTests {
    /// Packets as a sender makes them that cuts `payload` into pieces of 100 octets.
    private func segments(_ flow: OffloadPacket.Flow, _ payload: [UInt8], lastFlags: UInt8 = 0x18) -> [[UInt8]] {
        stride(from: 0, to: payload.count, by: 100).enumerated().map { index, start in
            let end = min(start + 100, payload.count)
            return OffloadPacket.make(
                flow, payload: Array(payload[start..<end]), sequence: 1000 &+ UInt32(start),
                flags: end == payload.count ? lastFlags : 0x10, identification: 7 &+ UInt16(index))
        }
    }

    /// The packet that stands for `segments`, as the kernel gives it.
    private func whole(_ flow: OffloadPacket.Flow, _ payload: [UInt8], flags: UInt8 = 0x18) -> (
        [UInt8], VirtioNetHeader
    ) {
        var offload = VirtioNetHeader()
        offload.segmentation = flow.isTCP ? flow.family == .v4 ? .tcpV4 : .tcpV6 : .udp
        offload.needsChecksum = true
        offload.headerLength = flow.headerLength
        offload.segmentSize = 100
        offload.checksumStart = flow.ipHeaderLength
        offload.checksumOffset = flow.isTCP ? 16 : 6
        return (OffloadPacket.make(flow, payload: payload, flags: flags), offload)
    }

    @Test(
        "Cut into segments it is what a sender without offload would have sent", arguments: flows,
        [101, 150, 1000, 5555])
    func cuts(flow: OffloadPacket.Flow, count: Int) throws {
        let payload = octets(count)
        let (packet, offload) = whole(flow, payload)
        let cut = try #require(OffloadPacket.cut(packet, offload))
        #expect(cut == segments(flow, payload))
    }

    @Test("FIN and PSH stay with the last segment, CWR with the first (RFC 3168, section 6.1.2)")
    func flags() throws {
        let (packet, offload) = whole(flows[0], octets(250), flags: 0x99)
        let cut = try #require(OffloadPacket.cut(packet, offload))
        #expect(cut.map { $0[33] } == [0x90, 0x10, 0x19])
    }

    @Test("Headers that contradict each other are refused")
    func refused() {
        let (packet, offload) = whole(flows[0], octets(250))
        var wrong = offload
        wrong.segmentation = .tcpV6
        #expect(OffloadPacket.cut(packet, wrong) == nil)
        wrong = offload
        wrong.segmentSize = 0
        #expect(OffloadPacket.cut(packet, wrong) == nil)
        for count in 0..<52 {
            #expect(OffloadPacket.cut(Array(packet[..<count]), offload) == nil)
        }
        var long = packet
        long[32] = 0xf0
        #expect(OffloadPacket.cut(Array(long[..<60]), offload) == nil)
        var fragment = packet
        fragment[6] |= 0x20
        #expect(OffloadPacket.cut(fragment, offload) == nil)
    }

    @Test("A checksum of the pseudo-header alone is completed", arguments: flows)
    func completes(flow: OffloadPacket.Flow) throws {
        let whole = OffloadPacket.make(flow, payload: octets(77))
        let offset = flow.isTCP ? 16 : 6
        var packet = whole
        let length = packet.count - flow.ipHeaderLength
        let header = try #require(packet.withUnsafeBytes { IPHeader($0) })
        let sum = InternetChecksum.pseudoHeaderSum(
            source: header.source, destination: header.destination, ipProtocol: flow.isTCP ? 6 : 17, length: length)
        packet.replaceSubrange(
            flow.ipHeaderLength + offset..<flow.ipHeaderLength + offset + 2,
            with: (~InternetChecksum.finish(sum)).bigEndianOctets)
        var offload = VirtioNetHeader()
        offload.needsChecksum = true
        offload.checksumStart = flow.ipHeaderLength
        offload.checksumOffset = offset
        let isDone = packet.withUnsafeMutableBytes {
            SuperPacket.completeChecksum(of: $0, offload, isUDP: !flow.isTCP)
        }
        #expect(isDone)
        #expect(packet == whole)
        offload.checksumStart = packet.count - 1
        let isOutside = packet.withUnsafeMutableBytes {
            SuperPacket.completeChecksum(of: $0, offload, isUDP: !flow.isTCP)
        }
        #expect(!isOutside)
    }

    @Test("Segments of a flow are joined, and cutting gives them back octet for octet", arguments: flows)
    func joins(flow: OffloadPacket.Flow) {
        let parts = segments(flow, octets(2550))
        var coalescer = Coalescer(capacity: 64, hasHeader: true, joinsTCP: true, joinsUDP: true)
        let written = coalescer.pass(parts)
        #expect(written.count == 1)
        #expect(written.first?.packets == 26)
        #expect(written.first?.offload.segmentSize == 100)
        #expect(written.flatMap(\.parts) == parts)
    }

    @Test("Without a header before packets none are joined, nor where the device takes none")
    func joinsNothing() {
        let parts = segments(flows[0], octets(500))
        var plain = Coalescer(capacity: 64, hasHeader: false, joinsTCP: true, joinsUDP: true)
        #expect(plain.pass(parts, hasHeader: false).map(\.packet) == parts)
        var single = Coalescer(capacity: 64, hasHeader: true, joinsTCP: false, joinsUDP: true)
        #expect(single.pass(parts).map(\.packet) == parts)
    }

    @Test("A damaged segment is passed on as it is, by itself: to join it would hide the damage", arguments: [0, 2, 4])
    func damage(index: Int) {
        var parts = segments(flows[0], octets(500))
        parts[index][70] ^= 1
        var coalescer = Coalescer(capacity: 64, hasHeader: true, joinsTCP: true, joinsUDP: true)
        let written = coalescer.pass(parts)
        #expect(written.contains { $0.packet == parts[index] && $0.offload.segmentation == .none })
        #expect(written.flatMap(\.parts) == parts)
    }

    @Test("A full packet of 64 KiB is the largest made")
    func largest() {
        let flow = OffloadPacket.Flow(optionCount: 0)
        let parts = (0..<70).map {
            OffloadPacket.make(
                flow, payload: octets(1400, $0), sequence: UInt32($0) * 1400, identification: 7 &+ UInt16($0))
        }
        var coalescer = Coalescer(capacity: 128, hasHeader: true, joinsTCP: true, joinsUDP: true)
        let written = coalescer.pass(parts)
        #expect(written.count == 2)
        #expect(written.allSatisfy { $0.packet.count <= 0xffff })
        #expect(written.flatMap(\.parts) == parts)
    }

    /// Changes after which a segment does not go on where the one before it ended.
    private static let breaks: [(String, @Sendable (inout [UInt8]) -> Void)] = [
        ("traffic class", { $0[1] = 4 }), ("time to live", { $0[8] = 63 }), ("acknowledgement", { $0[31] ^= 1 }),
        ("window", { $0[34] ^= 1 }), ("urgent pointer", { $0[39] ^= 1 }), ("option", { $0[45] = 0 }),
        ("sequence", { $0[27] ^= 1 }), ("SYN", { $0[33] |= 2 }), ("source port", { $0[20] ^= 1 }),
        ("destination", { $0[19] ^= 1 }),
    ]

    @Test("A segment that differs in more than a sender's cutting explains is not joined", arguments: breaks.indices)
    func differs(index: Int) {
        var parts = segments(flows[0], octets(200))
        Self.breaks[index].1(&parts[1])
        // So that the checksums are not what keeps them apart.
        parts[1].replaceSubrange(10..<12, with: [0, 0])
        parts[1].replaceSubrange(
            10..<12, with: parts[1][..<20].withUnsafeBytes(InternetChecksum.checksum).bigEndianOctets)
        let addresses = (
            IPAddress(octets: Array(parts[1][12..<16])) ?? .unspecified(.v4),
            IPAddress(octets: Array(parts[1][16..<20])) ?? .unspecified(.v4)
        )
        parts[1].replaceSubrange(36..<38, with: [0, 0])
        let sum =
            parts[1][20...].withUnsafeBytes(InternetChecksum.sum)
            + InternetChecksum.pseudoHeaderSum(
                source: addresses.0, destination: addresses.1, ipProtocol: 6, length: parts[1].count - 20)
        parts[1].replaceSubrange(36..<38, with: InternetChecksum.finish(sum).bigEndianOctets)
        var coalescer = Coalescer(capacity: 64, hasHeader: true, joinsTCP: true, joinsUDP: true)
        #expect(coalescer.pass(parts).map(\.packet) == parts, "\(Self.breaks[index].0)")
    }

    @Test("Whatever comes, nothing is lost or changed, and each flow keeps its order", arguments: 0..<60)
    func keepsOrder(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var sequences: [OffloadPacket.Flow: UInt32] = [:]
        var identifications: [OffloadPacket.Flow: UInt16] = [:]
        var packets: [(flow: OffloadPacket.Flow, octets: [UInt8])] = []
        for number in 0..<300 {
            var flow = flows[Int.random(in: 0..<flows.count, using: &generator)]
            flow.port = .random(in: 1...3, using: &generator)
            let sequence = sequences[flow, default: 5000]
            let size = [0, 40, 100, 100, 100, 100].randomElement(using: &generator) ?? 0
            let flags: UInt8 = [0x10, 0x10, 0x10, 0x18, 0x11, 0x50].randomElement(using: &generator) ?? 0
            var octets = OffloadPacket.make(
                flow, payload: octets(size, number), sequence: sequence, flags: flags,
                identification: identifications[flow, default: 0])
            identifications[flow, default: 0] += 1
            if flow.family == .v4, Int.random(in: 0..<20, using: &generator) == 0 { octets[6] |= 0x20 }
            sequences[flow] = sequence &+ UInt32(size)
            packets.append((flow, octets))
        }
        var coalescer = Coalescer(capacity: 300, hasHeader: true, joinsTCP: true, joinsUDP: true)
        let written = coalescer.pass(packets.map(\.octets)).flatMap(\.parts)
        #expect(written.count == packets.count)
        for flow in Set(packets.map(\.flow)) {
            let sent = packets.filter { $0.flow.port == flow.port && Self.isAlike($0.flow, flow) }.map(\.octets)
            let came = written.filter { packet in sent.contains(packet) }
            #expect(came == sent)
        }
    }

    /// Whether two flows are one to whoever looks at addresses, protocol and ports.
    private static func isAlike(_ left: OffloadPacket.Flow, _ right: OffloadPacket.Flow) -> Bool {
        left.family == right.family && left.isTCP == right.isTCP
    }
}
