import ESP
import Testing

struct SequenceAndLifetimeTests {
    private let transform = Transform.all[1]

    @Test("Without extension the last number is 2^32 - 1, then nothing is sent (RFC 4303, section 3.3.3)")
    func hardStop() throws {
        var out = try OutboundSA(transform.parameters(extended: false), sequence: UInt64(UInt32.max) - 2)
        let inner = try InnerPacket.v4(60)
        #expect(out.seal(inner).result.notices == .softLimit)
        let last = out.seal(inner)
        #expect(Array(last.octets[4..<8]) == [0xff, 0xff, 0xff, 0xff])
        #expect(last.result.notices == .hardLimit)
        for _ in 0..<3 {
            let refused = out.seal(inner).result
            #expect(refused.drop == .sequenceExhausted)
            #expect(refused.notices.isEmpty)
        }
        #expect(out.counters[.sequenceExhausted] == 3)
    }

    @Test("With extension numbering goes on past 2^32, and the receiver follows", arguments: Transform.all)
    func extended(transform: Transform) throws {
        let start = UInt64(UInt32.max) - 2
        var out = try OutboundSA(transform.parameters(), sequence: start)
        var into = try InboundSA(transform.parameters(left: false), highestSequence: start)
        for _ in 0..<6 {
            let sealed = out.seal(try InnerPacket.v4(60))
            #expect(sealed.result.notices.isEmpty)
            #expect(into.open(sealed.octets).result.drop == nil)
        }
        #expect(into.highestSequence == start + 6)
    }

    @Test("Packets of both subspaces pass in any order within the window", arguments: Transform.all)
    func extendedReordered(transform: Transform) throws {
        let start = UInt64(UInt32.max) - 20
        var out = try OutboundSA(transform.parameters(), sequence: start)
        var into = try InboundSA(transform.parameters(left: false), highestSequence: start)
        let packets = try (0..<40).map { _ in out.seal(try InnerPacket.v6(60)).octets }
        for packet in packets.reversed() { #expect(into.open(packet).result.drop == nil) }
        for packet in packets { #expect(into.open(packet).result.drop == .replayed) }
    }

    @Test("With extension the very last number is the end too")
    func extendedHardStop() throws {
        var out = try OutboundSA(transform.parameters(), sequence: .max - 1)
        #expect(out.seal(try InnerPacket.v4(60)).result.notices == [.softLimit, .hardLimit])
        #expect(out.seal(try InnerPacket.v4(60)).result.drop == .sequenceExhausted)
    }

    @Test("The soft limit comes at three quarters of 2^32, once")
    func softLimit() throws {
        var out = try OutboundSA(transform.parameters(extended: false), sequence: 3 << 30 - 2)
        #expect(out.seal(try InnerPacket.v4(60)).result.notices.isEmpty)
        #expect(out.seal(try InnerPacket.v4(60)).result.notices == .softLimit)
        #expect(out.seal(try InnerPacket.v4(60)).result.notices.isEmpty)
    }

    @Test("Ends that disagree on extended numbers do not understand each other", arguments: Transform.all)
    func disagreement(transform: Transform) throws {
        var out = try OutboundSA(transform.parameters(extended: true))
        var into = try InboundSA(transform.parameters(left: false, extended: false))
        #expect(into.open(out.seal(try InnerPacket.v4(60)).octets).result.drop == .notAuthentic)
    }

    @Test("Limits of packets are told once each; after the hard one nothing passes, either way")
    func packets() throws {
        var parameters = try transform.parameters()
        parameters.lifetime = SALifetime(softPackets: 2, hardPackets: 4)
        var receiver = try transform.parameters(left: false)
        receiver.lifetime = parameters.lifetime
        var out = try OutboundSA(parameters)
        var into = try InboundSA(receiver)
        var sent: [SANotices] = []
        var received: [SANotices] = []
        for _ in 0..<4 {
            let sealed = out.seal(try InnerPacket.v4(60))
            sent.append(sealed.result.notices)
            received.append(into.open(sealed.octets).result.notices)
        }
        #expect(sent == [[], .softLimit, [], .hardLimit])
        #expect(received == [.firstPacket, .softLimit, [], .hardLimit])
        let refused = out.seal(try InnerPacket.v4(60)).result
        #expect(refused.drop == .lifetimeEnded && refused.notices.isEmpty)
        var other = try OutboundSA(transform.parameters(), sequence: 10)
        #expect(into.open(other.seal(try InnerPacket.v4(60)).octets).result.drop == .lifetimeEnded)
    }

    @Test("Limits of octets count what the cipher is given")
    func octets() throws {
        var parameters = try transform.parameters()
        // 62 octets of packet and trailer, padded to 64.
        parameters.lifetime = SALifetime(softOctets: 64, hardOctets: 65)
        var out = try OutboundSA(parameters)
        #expect(out.seal(try InnerPacket.v4(60)).result.notices == .softLimit)
        #expect(out.seal(try InnerPacket.v4(60)).result.notices == .hardLimit)
        #expect(out.seal(try InnerPacket.v4(60)).result.drop == .lifetimeEnded)
    }

    @Test("Forged packets use up nothing")
    func forgedUseNothing() throws {
        var receiver = try transform.parameters(left: false)
        receiver.lifetime = SALifetime(hardPackets: 1)
        var out = try OutboundSA(transform.parameters())
        var into = try InboundSA(receiver)
        var packet = out.seal(try InnerPacket.v4(60)).octets
        packet[20] ^= 1
        #expect(into.open(packet).result.drop == .notAuthentic)
        packet[20] ^= 1
        #expect(into.open(packet).result.drop == nil)
    }
}
