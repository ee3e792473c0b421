import IPPacket
import Testing

struct IPHeaderTests {
    private func header(_ octets: [UInt8]) -> IPHeader? { octets.withUnsafeBytes { IPHeader($0) } }
    private func upper(_ octets: [UInt8]) -> UpperLayer? {
        octets.withUnsafeBytes { packet in IPHeader(packet)?.upperLayer(in: packet) }
    }

    @Test("An IPv4 header is read field by field")
    func v4() throws {
        let octets = SamplePackets.v4(trafficClass: 0xb9, options: [1, 1, 1, 0], payload: [1, 2, 3])
        let read = try #require(header(octets + [0, 0]))
        #expect(read.family == .v4)
        #expect(read.trafficClass == 0xb9)
        #expect(read.headerLength == 24)
        #expect(read.totalLength == 27)
        #expect(read.nextProtocol == 17)
        #expect(read.hopLimit == 64)
        #expect(read.source == IPAddress("10.1.0.2"))
        #expect(read.destination == IPAddress("10.2.0.2"))
        #expect(read.dontFragment)
    }

    @Test("An IPv6 header is read field by field")
    func v6() throws {
        let read = try #require(header(SamplePackets.v6(trafficClass: 0xb9, payload: [1, 2, 3])))
        #expect(read.family == .v6)
        #expect(read.trafficClass == 0xb9)
        #expect(read.headerLength == 40)
        #expect(read.totalLength == 43)
        #expect(read.nextProtocol == 17)
        #expect(read.hopLimit == 63)
        #expect(read.source == IPAddress("2001:db8:1::2"))
        #expect(read.destination == IPAddress("2001:db8:2::2"))
    }

    @Test("A packet shorter than its header says is refused, at every length")
    func truncated() {
        for octets in [
            SamplePackets.v4(options: [1, 1, 1, 0], payload: [1, 2, 3]), SamplePackets.v6(payload: [1, 2, 3]),
        ] {
            for count in 0..<octets.count { #expect(header(Array(octets.prefix(count))) == nil) }
            #expect(header(octets) != nil)
        }
    }

    @Test("Headers that contradict themselves are refused")
    func contradictions() {
        let good = SamplePackets.v4(payload: [1, 2, 3])
        for first: UInt8 in [0x44, 0x40, 0x4f, 0x55, 0x05] {
            #expect(header([first] + good.dropFirst()) == nil)
        }
        var short = good
        short.replaceSubrange(2..<4, with: [0, 19])
        #expect(header(short) == nil)
    }

    @Test("IPv6 extension headers are skipped up to the next layer")
    func extensionHeaders() throws {
        let hopByHop: [UInt8] = [43] + [1] + [UInt8](repeating: 0, count: 14)
        let routing: [UInt8] = [60] + [0] + [UInt8](repeating: 0, count: 6)
        let destination: [UInt8] = [6] + [0] + [UInt8](repeating: 0, count: 6)
        let found = try #require(
            upper(
                SamplePackets.v6(next: 0, payload: hopByHop + routing + destination + [UInt8](repeating: 9, count: 20)))
        )
        #expect(found.ipProtocol == 6)
        #expect(found.offset == 40 + 32)
        #expect(!found.isFragment)
    }

    @Test("Eight extension headers are too many, and the walk ends")
    func tooManyExtensionHeaders() {
        func chain(_ count: Int) -> [UInt8] {
            var payload: [UInt8] = []
            for index in 0..<count { payload += [index == count - 1 ? 17 : 60, 0, 0, 0, 0, 0, 0, 0] }
            return SamplePackets.v6(next: 60, payload: payload + [UInt8](repeating: 0, count: 8))
        }
        #expect(upper(chain(7))?.ipProtocol == 17)
        #expect(upper(chain(8)) == nil)
        #expect(upper(chain(180)) == nil)
    }

    @Test("An extension header that is cut off makes the packet malformed")
    func extensionHeaderCutOff() {
        #expect(upper(SamplePackets.v6(next: 60, payload: [17, 1, 0, 0, 0, 0, 0, 0])) == nil)
        #expect(upper(SamplePackets.v6(next: 60, payload: [17, 0, 0, 0])) == nil)
    }

    @Test("First fragments of both families show the next layer, later ones do not")
    func fragments() throws {
        let first = try #require(upper(SamplePackets.v4(fragment: 0x2000, payload: [UInt8](repeating: 0, count: 8))))
        #expect(first.isFragment && !first.isLaterFragment)
        let later = try #require(upper(SamplePackets.v4(fragment: 0x0001, payload: [UInt8](repeating: 0, count: 8))))
        #expect(later.isFragment && later.isLaterFragment)

        let v6First = try #require(
            upper(SamplePackets.v6(next: 44, payload: [17, 0, 0, 1, 0, 0, 0, 9] + [1, 2, 3, 4])))
        #expect(v6First.isFragment && !v6First.isLaterFragment && v6First.offset == 48 && v6First.ipProtocol == 17)
        let v6Later = try #require(
            upper(SamplePackets.v6(next: 44, payload: [17, 0, 0, 8, 0, 0, 0, 9] + [1, 2, 3, 4])))
        #expect(v6Later.isLaterFragment && v6Later.ipProtocol == 17)
    }

    @Test("An atomic fragment is a whole packet (RFC 6946)")
    func atomicFragment() throws {
        let found = try #require(upper(SamplePackets.v6(next: 44, payload: [17, 0, 0, 0, 0, 0, 0, 9] + [1, 2, 3, 4])))
        #expect(!found.isFragment)
    }

    @Test("A later fragment that continues an extension header does not show its protocol")
    func hiddenProtocol() throws {
        let found = try #require(upper(SamplePackets.v6(next: 44, payload: [60, 0, 0, 8, 0, 0, 0, 9] + [1, 2, 3, 4])))
        #expect(found.ipProtocol == 0)
    }

    @Test("No octets, however random, make the reader trap")
    func random() {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<20_000 {
            var octets = (0..<Int.random(in: 0...120, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            if let first = octets.first { octets[0] = first & 0x0f | (Bool.random(using: &generator) ? 0x40 : 0x60) }
            if octets.count > 6, octets[0] >> 4 == 6 {
                octets[4] = 0
                octets[5] = UInt8(clamping: octets.count - 40)
                octets[6] = [0, 43, 44, 60, 6][Int.random(in: 0..<5, using: &generator)]
            }
            if let found = upper(octets) { #expect(found.offset <= octets.count) }
        }
    }
}
