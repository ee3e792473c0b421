import Decode
import Octets
import Testing

/// One file for each kind of link, each with the same IKE message.
struct LinkTests {
    private static let v4 = SampleFrames.ipv4(SampleFrames.udp(SampleFrames.request))
    private static let v6 = SampleFrames.ipv6(SampleFrames.udp(SampleFrames.request))

    static let frames: [(name: String, link: UInt32, octets: [UInt8])] = [
        ("Ethernet", 1, SampleFrames.ethernet(v4)),
        ("Ethernet, IPv6", 1, SampleFrames.ethernet(v6)),
        ("Ethernet with a frame check sequence announced", 0x5000_0001, SampleFrames.ethernet(v4) + [1, 2, 3, 4]),
        ("802.1Q", 1, SampleFrames.ethernet(v4, tags: [0x8100])),
        ("802.1ad with 802.1Q", 1, SampleFrames.ethernet(v6, tags: [0x88A8, 0x8100])),
        ("raw", 101, v4),
        ("raw, as OpenBSD numbers it", 14, v6),
        ("raw, as others number it", 12, v4),
        ("IPv4", 228, v4),
        ("IPv6", 229, v6),
        ("Linux cooked", 113, [0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 8, 0] + v4),
        ("Linux cooked with a tag", 113, [0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 0x81, 0, 0, 42, 8, 0] + v4),
        ("Linux cooked, version 2", 276, [0x86, 0xDD] + [UInt8](repeating: 0, count: 18) + v6),
        ("null, little-endian", 0, [2, 0, 0, 0] + v4),
        ("null, big-endian", 0, [0, 0, 0, 2] + v4),
        ("null, IPv6 of macOS", 0, [30, 0, 0, 0] + v6),
        ("loopback of OpenBSD", 108, [0, 0, 0, 24] + v6),
    ]

    @Test("The message is found on each kind of link", arguments: frames.indices)
    func links(_ index: Int) throws {
        let frame = Self.frames[index]
        let entries = try SampleFrames.entries(CaptureBuilder.pcap([.init(octets: frame.octets)], link: frame.link))
        #expect(entries.count == 1, "\(frame.name)")
        #expect(entries.first?.ike?.payloads.count == 3, "\(frame.name)")
    }

    @Test("A link that is not known is counted, and not guessed at")
    func unknown() throws {
        var decoder = CaptureDecoder()
        decoder.append(CaptureBuilder.pcap([.init(octets: Self.v4)], link: 127))
        decoder.complete()
        #expect(try decoder.nextEntry() == nil)
        #expect(decoder.unknownLinks == [LinkType(rawValue: 127): 1])
    }

    @Test("What is not IP on a link is passed over")
    func others() throws {
        let arp = [UInt8](repeating: 2, count: 12) + [8, 6] + [UInt8](repeating: 0, count: 28)
        #expect(try SampleFrames.entries(frames: [arp, [1, 2, 3]]).isEmpty)
    }
}
