import Decode
import IPPacket
import Octets
import Testing

struct ExtractionTests {
    private static let marker: [UInt8] = [0, 0, 0, 0]
    private static let esp: [UInt8] = [0xC1, 0, 0, 5, 0, 0, 0, 9] + [UInt8](repeating: 0xEE, count: 40)

    private static func entries(_ packets: [[UInt8]], ports: Set<UInt16> = []) throws -> [DecodedEntry] {
        try SampleFrames.entries(frames: packets.map { SampleFrames.ethernet($0) }, ports: ports)
    }

    @Test("On port 4500 the marker tells IKE from ESP, and keepalives are passed over")
    func natTraversal() throws {
        let entries = try Self.entries([
            SampleFrames.ipv4(SampleFrames.udp(Self.marker + SampleFrames.request, from: 4500, to: 4500)),
            SampleFrames.ipv4(SampleFrames.udp([0xFF], from: 4500, to: 4500)),
            SampleFrames.ipv4(SampleFrames.udp(Self.esp, from: 61_000, to: 4500)),
        ])
        #expect(entries.map(\.frame) == [1, 3])
        #expect(entries.first?.ike?.header.initiatorSPI == SampleFrames.initiatorSPI)
        #expect(entries.last?.esp?.spi == 0xC100_0005)
        #expect(entries.last?.esp?.sequence == 9)
        #expect(entries.last?.length == 48)
    }

    @Test("ESP as an IP protocol is found, also behind options and extension headers")
    func protocol50() throws {
        let entries = try Self.entries([
            SampleFrames.ipv4(Self.esp, protocol: IPProtocol.esp),
            SampleFrames.ipv4(Self.esp, protocol: IPProtocol.esp, options: [7, 4, 4, 0]),
            SampleFrames.ipv6(
                [IPProtocol.esp, 0, 0, 0, 0, 0, 0, 0] + Self.esp, next: IPProtocol.destinationOptions),
        ])
        #expect(entries.map { $0.esp?.spi } == [0xC100_0005, 0xC100_0005, 0xC100_0005])
        #expect(entries.allSatisfy { $0.carrier == .ip && $0.source.port == nil })
    }

    @Test("On a port that was asked for, IKE is found with the marker and without, and ESP beside it")
    func otherPort() throws {
        let packets = [SampleFrames.request, Self.marker + SampleFrames.request, Self.esp].map {
            SampleFrames.ipv4(SampleFrames.udp($0, from: 40_000, to: 5555))
        }
        #expect(try Self.entries(packets).isEmpty)
        let entries = try Self.entries(packets, ports: [5555])
        #expect(entries.map { $0.ike != nil } == [true, true, false])
        #expect(entries.last?.esp?.spi == 0xC100_0005)
    }

    @Test("IPv4 fragments are put together in any order, and another sender's left alone")
    func fragmentsV4() throws {
        let datagram = SampleFrames.udp(SampleFrames.request)
        let cut = 64
        let first = SampleFrames.ipv4(Array(datagram[..<cut]), fragment: 0x2000)
        let last = SampleFrames.ipv4(Array(datagram[cut...]), fragment: UInt16(cut / 8))
        let other = SampleFrames.ipv4(Array(datagram[cut...]), identification: 2, fragment: UInt16(cut / 8))
        for order in [[first, other, last], [last, first], [last, last, first, first]] {
            let entries = try Self.entries(order)
            #expect(entries.count == 1)
            #expect(entries.first?.ike?.payloads.count == 3)
        }
        #expect(try Self.entries([first, other]).isEmpty)
    }

    @Test("IPv6 fragments are put together")
    func fragmentsV6() throws {
        let datagram = SampleFrames.udp(SampleFrames.request)
        func fragment(_ octets: ArraySlice<UInt8>, at offset: Int, more: Bool) -> [UInt8] {
            SampleFrames.ipv6(
                [IPProtocol.udp, 0] + UInt16(offset | (more ? 1 : 0)).bigEndianOctets + [0, 0, 0, 7] + octets,
                next: IPProtocol.fragment)
        }
        let entries = try Self.entries([
            fragment(datagram[48...], at: 48, more: false), fragment(datagram[..<48], at: 0, more: true),
        ])
        #expect(entries.first?.ike?.payloads.count == 3)
    }

    @Test("Fragments that overlap are thrown away")
    func overlap() throws {
        let datagram = SampleFrames.udp(SampleFrames.request)
        let entries = try Self.entries([
            SampleFrames.ipv4(Array(datagram[..<64]), fragment: 0x2000),
            SampleFrames.ipv4(Array(datagram[56..<72]), fragment: 0x2000 | 7),
            SampleFrames.ipv4(Array(datagram[64...]), fragment: 8),
        ])
        #expect(entries.isEmpty)
    }

    @Test("A packet that was cut by the capture is shown as far as it goes, and said to be cut")
    func cut() throws {
        let frame = SampleFrames.ethernet(SampleFrames.ipv4(SampleFrames.udp(SampleFrames.request)))
        let lines = CaptureDecoder.lines(
            of: CaptureBuilder.pcap([.init(octets: Array(frame.prefix(frame.count - 20)), originalLength: frame.count)])
        )
        let length = SampleFrames.request.count
        #expect(lines.contains { $0.contains("KE: CURVE25519, 32 octets") })
        #expect(lines.last == "    cut by the capture: \(length - 20) of \(length) octets were recorded")
    }

    @Test("Octets behind the packet, which short frames are filled up with, do not count")
    func trailer() throws {
        let frame =
            SampleFrames.ethernet(SampleFrames.ipv4(SampleFrames.udp(SampleFrames.request))) + [0, 0, 0, 0, 0, 0]
        let entry = try #require(try SampleFrames.entries(frames: [frame]).first)
        #expect(entry.length == SampleFrames.request.count)
        #expect(entry.ike?.faults == [])
    }
}
