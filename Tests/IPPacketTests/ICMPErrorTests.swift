import IPPacket
import Testing

struct ICMPErrorTests {
    private func message(_ error: ICMPError, about packet: [UInt8], from source: String) -> [UInt8]? {
        var output = [UInt8](repeating: 0xaa, count: ICMPError.maximumLength)
        guard let source = IPAddress(source) else { return nil }
        let count = packet.withUnsafeBytes { packet in
            output.withUnsafeMutableBytes { error.write(about: packet, from: source, into: $0) }
        }
        return count.map { Array(output.prefix($0)) }
    }

    @Test("Fragmentation needed carries the MTU of RFC 1191 and quotes the packet")
    func fragmentationNeeded() throws {
        let packet = SamplePackets.v4(payload: [UInt8](repeating: 5, count: 1000))
        let sent = try #require(message(.tooBig(mtu: 1398), about: packet, from: "10.1.0.1"))
        #expect(sent.count == 576)
        #expect(Array(sent[20..<22]) == [3, 4])
        #expect(Array(sent[24..<28]) == [0, 0, 0x05, 0x76])
        #expect(Array(sent[28...]) == Array(packet.prefix(548)))
        #expect(SamplePackets.naiveChecksum(Array(sent[..<20])) == 0)
        #expect(SamplePackets.naiveChecksum(Array(sent[20...])) == 0)
        let header = try #require(sent.withUnsafeBytes { IPHeader($0) })
        #expect(header.source == IPAddress("10.1.0.1"))
        #expect(header.destination == IPAddress("10.1.0.2"))
        #expect(header.totalLength == 576)
    }

    @Test("Packet too big carries the MTU and fits 1280 octets (RFC 4443, section 3.2)")
    func packetTooBig() throws {
        let packet = SamplePackets.v6(payload: [UInt8](repeating: 5, count: 1400))
        let sent = try #require(message(.tooBig(mtu: 1398), about: packet, from: "2001:db8:1::1"))
        #expect(sent.count == 1280)
        #expect(Array(sent[40..<42]) == [2, 0])
        #expect(Array(sent[44..<48]) == [0, 0, 0x05, 0x76])
        #expect(Array(sent[48...]) == Array(packet.prefix(1232)))
        let checksum = SamplePackets.transportChecksum(
            Array(sent[40...]), from: "2001:db8:1::1", to: "2001:db8:1::2", ipProtocol: 58)
        #expect(checksum == 0)
    }

    @Test("An IPv6 host is never told less than 1280 octets")
    func atLeast1280() throws {
        let packet = SamplePackets.v6(payload: [UInt8](repeating: 5, count: 1300))
        let sent = try #require(message(.tooBig(mtu: 1200), about: packet, from: "2001:db8:1::1"))
        #expect(Array(sent[44..<48]) == [0, 0, 0x05, 0x00])
    }

    @Test("A short packet is quoted whole")
    func shortPacket() throws {
        let packet = SamplePackets.v4(payload: [1, 2, 3])
        let sent = try #require(message(.prohibited, about: packet, from: "10.1.0.1"))
        #expect(Array(sent[20..<22]) == [3, 13])
        #expect(Array(sent[28...]) == packet)
    }

    @Test("IPv4 without the DF bit gets no message about its size")
    func mayFragment() {
        #expect(message(.tooBig(mtu: 1398), about: SamplePackets.v4(fragment: 0), from: "10.1.0.1") == nil)
        #expect(message(.prohibited, about: SamplePackets.v4(fragment: 0), from: "10.1.0.1") != nil)
    }

    @Test("No message answers an ICMP error, a later fragment, or one who is not one host (RFC 1122, section 3.2.2)")
    func silence() {
        let quiet = [
            SamplePackets.v4(ipProtocol: 1, payload: [3, 4, 0, 0]), SamplePackets.v4(ipProtocol: 1),
            SamplePackets.v4(fragment: 0x4001, payload: [1, 2, 3, 4]), SamplePackets.v4(from: "0.0.0.0"),
            SamplePackets.v4(from: "224.0.0.1"), SamplePackets.v4(from: "127.0.0.1"),
            SamplePackets.v4(to: "255.255.255.255"), SamplePackets.v4(to: "239.1.1.1"),
        ]
        for packet in quiet { #expect(message(.tooBig(mtu: 1398), about: packet, from: "10.1.0.1") == nil) }
        let quiet6 = [
            SamplePackets.v6(next: 58, payload: [1, 0, 0, 0]), SamplePackets.v6(next: 58, payload: [137, 0, 0, 0]),
            SamplePackets.v6(from: "::"), SamplePackets.v6(from: "ff02::1"),
        ]
        for packet in quiet6 { #expect(message(.tooBig(mtu: 1398), about: packet, from: "2001:db8::1") == nil) }
    }

    @Test("Echo requests are answered, and too-big even to a multicast address of IPv6 (RFC 4443, section 2.4 e)")
    func answered() {
        let echo = SamplePackets.v4(ipProtocol: 1, payload: [8, 0, 0, 0])
        #expect(message(.tooBig(mtu: 1398), about: echo, from: "10.1.0.1") != nil)
        let multicast = SamplePackets.v6(to: "ff0e::1")
        #expect(message(.tooBig(mtu: 1398), about: multicast, from: "2001:db8::1") != nil)
        #expect(message(.prohibited, about: multicast, from: "2001:db8::1") == nil)
    }

    @Test("An address of the other family, or one that is not one host's, sends no message")
    func source() {
        let multicast = SamplePackets.v6(to: "ff0e::1")
        #expect(message(.tooBig(mtu: 1398), about: multicast, from: "ff0e::1") == nil)
        #expect(message(.prohibited, about: SamplePackets.v4(), from: "2001:db8::1") == nil)
    }
}
