import Decode
import Octets
import Testing

struct CaptureFormatTests {
    private static let frames = [
        CaptureBuilder.Frame(octets: SampleFrames.ethernet(SampleFrames.ipv4(SampleFrames.udp(SampleFrames.request)))),
        CaptureBuilder.Frame(
            octets: SampleFrames.ethernet(SampleFrames.ipv6(SampleFrames.udp(SampleFrames.request))), fraction: 7),
    ]

    static let files: [(String, [UInt8])] = [
        ("pcap, little-endian", CaptureBuilder.pcap(frames, order: .little)),
        ("pcap, big-endian", CaptureBuilder.pcap(frames, order: .big)),
        ("pcapng, little-endian", CaptureBuilder.pcapng(frames, order: .little)),
        ("pcapng, big-endian", CaptureBuilder.pcapng(frames, order: .big)),
    ]

    @Test("Each format, in each order of octets, gives the same packets and times", arguments: 0..<4)
    func formats(_ index: Int) throws {
        let entries = try SampleFrames.entries(Self.files[index].1)
        #expect(entries.map(\.frame) == [1, 2])
        #expect(
            entries.map { "\($0.time?.description ?? "")" } == [
                "2025-11-03T10:15:30.123456Z", "2025-11-03T10:15:30.000007Z",
            ])
        #expect(entries.map { "\($0.source)" } == ["192.0.2.2:500", "[2001:db8:1::2]:500"])
        #expect(entries.allSatisfy { $0.ike?.payloads.map(\.type) == [.securityAssociation, .keyExchange, .nonce] })
    }

    @Test("A file that comes octet by octet gives the same as one that comes at once", arguments: 0..<4)
    func pieces(_ index: Int) throws {
        let file = Self.files[index].1
        #expect(try SampleFrames.entries(file, chunk: 1) == SampleFrames.entries(file))
    }

    @Test("Time stamps in nanoseconds are read as such")
    func nanoseconds() throws {
        var frame = Self.frames[0]
        frame.fraction = 123_456_789
        let entries = try SampleFrames.entries(CaptureBuilder.pcap([frame], nanoseconds: true))
        #expect(entries.first?.time?.description == "2025-11-03T10:15:30.123456789Z")
    }

    @Test(
        "Time stamps of pcapng have the resolution and offset of their interface",
        arguments: [
            (UInt8(3), UInt64(1_500), "1970-01-01T00:00:01.500000Z"),
            (9, 1_000_000_001, "1970-01-01T00:00:01.000000001Z"),
            (0x80 | 10, 1024 + 512, "1970-01-01T00:00:01.500000Z"),
            (0, 86_400, "1970-01-02T00:00:00.000000Z"),
            (0x7F, .max, "1970-01-01T00:00:00.000000Z"),
            (0xFF, .max, "1970-01-01T00:00:00.000000Z"),
        ])
    func resolutions(_ resolution: UInt8, _ units: UInt64, _ expected: String) throws {
        var file = CaptureBuilder(.big)
        file.section()
        file.interface(link: 1, options: [(9, [resolution]), (14, Int64(0).bigEndianOctets)])
        file.enhancedPacket(Self.frames[0], units: units)
        #expect(try SampleFrames.entries(file.octets).first?.time?.description == expected)
    }

    @Test("The offset of an interface is added to its times, and one that leads nowhere does no harm")
    func offsets() throws {
        for (offset, expected) in [(Int64(60), "1970-01-01T00:01:00.000000Z"), (-60, "1969-12-31T23:59:00.000000Z")] {
            var file = CaptureBuilder(.big)
            file.section()
            file.interface(link: 1, options: [(14, offset.bigEndianOctets)])
            file.enhancedPacket(Self.frames[0], units: 0)
            #expect(try SampleFrames.entries(file.octets).first?.time?.description == expected)
        }
        var file = CaptureBuilder(.big)
        file.section()
        file.interface(link: 1, options: [(9, [0]), (14, Int64.max.bigEndianOctets)])
        file.enhancedPacket(Self.frames[0], units: .max)
        #expect(try SampleFrames.entries(file.octets).count == 1)
    }

    @Test("Sections of different orders, simple, obsolete and unknown blocks are read or passed over")
    func blocks() throws {
        let octets = Self.frames[0].octets
        var file = CaptureBuilder(.big)
        file.section()
        file.block(0x0BAD) { $0.write([1, 2, 3, 4]) }
        file.interface(link: 1, snapshotLength: 40)
        file.block(3) { body in
            body.write(UInt32(octets.count))
            body.write(Array(octets.prefix(40)))
        }
        file.block(2) { body in
            body.write(0 as UInt16)
            body.write(0 as UInt16)
            body.write(0 as UInt64)
            body.write(UInt32(octets.count))
            body.write(UInt32(octets.count))
            body.write(octets)
        }
        let entries = try SampleFrames.entries(file.octets + CaptureBuilder.pcapng(Self.frames, order: .little))
        #expect(entries.map(\.frame) == [2, 3, 4], "the first is cut within its UDP header")
    }

    @Test(
        "A file that is no capture is refused with what was expected",
        arguments: [
            ([], "octet 0: the file is empty"),
            ([1, 2], "octet 0: 2 octets are no capture"),
            ([0x1F, 0x8B, 8, 0], "octet 0: the file is compressed: decompress it first, with `gzip -d`"),
            ([0x28, 0xB5, 0x2F, 0xFD], "octet 0: the file is compressed: decompress it first, with `zstd -d`"),
            (
                Array("PKxx".utf8),
                "octet 0: the file begins with 0x504b7878, where a capture has 0xa1b2c3d4, 0xa1b23c4d (pcap) or 0x0a0d0d0a (pcapng)"
            ),
        ] as [([UInt8], String)])
    func refusals(_ octets: [UInt8], _ reason: String) {
        #expect(CaptureDecoder.lines(of: octets) == [reason])
    }

    @Test("A fault in a file is named with its offset, after what came before it")
    func faults() {
        var pcap = CaptureBuilder.pcap(Self.frames)
        let second = 24 + 16 + Self.frames[0].octets.count
        pcap[second + 11] = 0x7F
        let lines = CaptureDecoder.lines(of: pcap)
        #expect(lines.first?.hasPrefix("#1 ") == true)
        #expect(lines.last?.hasPrefix("octet \(second + 8): captured length: 21307") == true, "\(lines.last ?? "")")

        var blocks = CaptureBuilder.pcapng(Self.frames, order: .big)
        blocks[blocks.count - 1] ^= 4
        #expect(CaptureDecoder.lines(of: blocks).last?.hasPrefix("octet \(blocks.count - 4): block length") == true)
    }

    @Test("A block of an interface that was not described is refused")
    func unknownInterface() throws {
        var file = CaptureBuilder(.little)
        file.section()
        file.interface(link: 1)
        file.enhancedPacket(Self.frames[0], interface: 1)
        #expect(throws: CaptureError.self) { try SampleFrames.entries(file.octets) }
    }
}
