import IPPacket
import Testing

struct SegmentSizeTests {
    private static let mss1460: [UInt8] = [2, 4, 0x05, 0xb4]

    private func v4(_ options: [UInt8], flags: UInt8 = 0x02) -> [UInt8] {
        SamplePackets.v4(
            ipProtocol: 6,
            payload: SamplePackets.tcp(
                from: "10.1.0.2", to: "10.2.0.2", flags: flags, options: options, data: [7, 7, 7]))
    }

    private func clamp(_ packet: inout [UInt8], _ mtu: Int, partial: Bool = false) -> Bool {
        packet.withUnsafeMutableBytes { SegmentSize.clamp($0, toMTU: mtu, checksumIsPartial: partial) }
    }

    private func isChecksumRight(_ packet: [UInt8]) -> Bool {
        SamplePackets.transportChecksum(Array(packet[20...]), from: "10.1.0.2", to: "10.2.0.2", ipProtocol: 6) == 0
    }

    @Test(
        "A SYN's larger size is lowered to MTU less 40 octets, and its checksum stays right",
        arguments: [UInt8(0x02), 0x12])
    func lowered(flags: UInt8) {
        var packet = v4(Self.mss1460, flags: flags)
        #expect(clamp(&packet, 1400))
        #expect(Array(packet[42..<44]) == [0x05, 0x50])
        #expect(isChecksumRight(packet))
    }

    @Test("At an odd offset the checksum is right too")
    func oddOffset() {
        var packet = v4([1] + Self.mss1460 + [1, 1, 1])
        #expect(clamp(&packet, 1400))
        #expect(Array(packet[43..<45]) == [0x05, 0x50])
        #expect(isChecksumRight(packet))
    }

    @Test("Over IPv6, extension headers skipped, it is MTU less 60 octets")
    func v6() {
        let segment = SamplePackets.tcp(from: "2001:db8:1::2", to: "2001:db8:2::2", flags: 2, options: Self.mss1460)
        var packet = SamplePackets.v6(next: 60, payload: [6, 0, 1, 4, 0, 0, 0, 0] + segment)
        #expect(clamp(&packet, 1400))
        #expect(Array(packet[70..<72]) == [0x05, 0x3c])
        let checksum = SamplePackets.transportChecksum(
            Array(packet[48...]), from: "2001:db8:1::2", to: "2001:db8:2::2", ipProtocol: 6)
        #expect(checksum == 0)
    }

    @Test("A checksum that a device completes later stays as it is")
    func partialChecksum() {
        var packet = v4(Self.mss1460)
        let before = Array(packet[36..<38])
        #expect(clamp(&packet, 1400, partial: true))
        #expect(Array(packet[36..<38]) == before)
    }

    @Test("A wrong checksum stays wrong")
    func damageShows() {
        var packet = v4(Self.mss1460)
        packet[packet.count - 1] ^= 0x55
        #expect(clamp(&packet, 1400))
        #expect(!isChecksumRight(packet))
    }

    @Test("A size that fits, a segment without SYN, and later fragments are left alone")
    func leftAlone() {
        var later = v4(Self.mss1460)
        later[6] = 0
        later[7] = 1
        for var packet in [v4([2, 4, 0x02, 0x18]), v4(Self.mss1460, flags: 0x10), later] {
            let before = packet
            #expect(!clamp(&packet, 1400))
            #expect(packet == before)
        }
    }

    @Test(
        "Option lists that are broken or end early are left alone",
        arguments: [
            [2, 3, 5, 0xb4], [2, 4, 5], [3, 0, 2, 4], [3, 1, 2, 4], [8, 40, 0, 0], [0, 2, 4, 5], [1, 1, 1, 2], [],
        ] as [[UInt8]])
    func brokenOptions(options: [UInt8]) {
        let padded = options + [UInt8](repeating: 0, count: (4 - options.count % 4) % 4)
        var packet = v4(options.count == 3 ? [1] + options : padded)
        let before = packet
        #expect(!clamp(&packet, 1400))
        #expect(packet == before)
    }

    @Test("A data offset beyond the packet reads nothing behind it")
    func dataOffset() {
        var packet = v4([])
        packet[32] = 0xf0
        #expect(!clamp(&packet, 1400))
        packet[32] = 0x00
        #expect(!clamp(&packet, 1400))
    }
}
