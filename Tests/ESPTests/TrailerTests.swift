import ESP
import IPPacket
import IPsecCrypto
import Octets
import Testing

/// What stands behind the inner packet, and what a receiver makes of it. The packets here are sealed with the cipher alone,
/// so that they can be authentic and wrong.
struct TrailerTests {
    private let transform = Transform.all[1]

    private func sealed(_ payload: [UInt8], sequence: UInt64 = 1, spi: UInt32 = 0xc0de_0001) throws -> [UInt8] {
        let parameters = try transform.parameters()
        var cipher = try PacketCipher(
            encryption: parameters.encryption, encryptionKey: parameters.encryptionKey, integrity: nil,
            integrityKey: nil)
        var packet = spi.bigEndianOctets + UInt32(sequence).bigEndianOctets + [UInt8](repeating: 0, count: 8)
        packet += payload + [UInt8](repeating: 0, count: 16)
        let count = packet.count
        let isSealed = packet.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.map { cipher.seal($0, count: count, sequence: sequence, extended: true) }
        }
        #expect(isSealed == true)
        return packet
    }

    private func open(_ payload: [UInt8]) throws -> Opened {
        var into = try InboundSA(transform.parameters(left: false))
        return into.open(try sealed(payload))
    }

    @Test("Padding counts up from 1 and is checked (RFC 4303, section 2.4)")
    func padding() throws {
        let inner = try InnerPacket.v4(57)
        #expect(try open(inner + [1, 2, 3, 4, 5, 5, 4]).octets == inner)
        #expect(try open(inner + [0, 0, 0, 0, 0, 5, 4]).result.drop == .badPadding)
        #expect(try open(inner + [1, 2, 3, 4, 6, 5, 4]).result.drop == .badPadding)
    }

    @Test("The longest padding is 255 octets, and more than there is is refused")
    func longPadding() throws {
        let inner = try InnerPacket.v4(57)
        #expect(try open(inner + Array(1...255) + [255, 4]).octets == inner)
        #expect(try open([1, 1, 4]).result.drop == .malformedInner)
        #expect(try open([2, 4]).result.drop == .badPadding)
        #expect(try open([1, 2, 3, 4]).result.drop == .badPadding)
    }

    @Test("A receiver takes flow confidentiality padding off by the inner length (RFC 4303, section 2.7)")
    func confidentialityPadding() throws {
        let inner = try InnerPacket.v6(57)
        #expect(try open(inner + [9, 8, 7, 6] + [1, 1, 41]).octets == inner)
    }

    @Test("Next header and inner version must agree")
    func nextHeader() throws {
        let inner = try InnerPacket.v4(60)
        #expect(try open(inner + [0, 41]).result.drop == .malformedInner)
        #expect(try open(try InnerPacket.v6(60) + [0, 4]).result.drop == .malformedInner)
        for other: UInt8 in [0, 6, 17, 50, 97, 144, 255] {
            #expect(try open(inner + [0, other]).result.drop == .unexpectedNextHeader)
        }
    }

    @Test("An inner packet longer than the payload is dropped")
    func innerTooLong() throws {
        let result = try open(Array(try InnerPacket.v4(60).prefix(59)) + [0, 4]).result
        #expect(result.drop == .malformedInner)
        #expect(result.isAuthentic)
    }

    @Test("A dummy packet may hold anything and goes nowhere (RFC 4303, section 2.6)")
    func dummy() throws {
        let result = try open([0xff, 0xff, 0xff, 0, 59]).result
        #expect(result.drop == .dummy && result.isAuthentic)
    }

    @Test("An authentic packet of any kind uses its number up")
    func numberUsed() throws {
        var into = try InboundSA(transform.parameters(left: false))
        let packet = try sealed([0, 59])
        #expect(into.open(packet).result.drop == .dummy)
        #expect(into.open(packet).result.drop == .replayed)
    }

    @Test("Sealed dummies look like packets of their size and are dropped by the peer", arguments: Transform.all)
    func sealDummy(transform: Transform) throws {
        var out = try OutboundSA(transform.parameters())
        var into = try InboundSA(transform.parameters(left: false))
        out.options.dscp = 8
        var buffer = [UInt8](repeating: 0xee, count: 32 + 600 + 64)
        let result = buffer.withUnsafeMutableBytes { out.sealDummy($0, offset: 32, count: 600) }
        #expect(result.drop == nil)
        #expect(result.outerTrafficClass == 8 << 2)
        #expect(result.count + 20 == out.overhead.outerSize(inner: 600))
        #expect(into.open(Array(buffer[result.offset..<result.offset + result.count])).result.drop == .dummy)
        #expect(out.counters.dummiesSent == 1 && out.counters.packets == 0)
        #expect(into.counters[.dummy] == 1)
    }

    @Test("Packets of all sizes below the target leave with one size", arguments: Transform.all)
    func onePaddedSize(transform: Transform) throws {
        var parameters = try transform.parameters()
        parameters.options.tfcPaddingTo = 1000
        var out = try OutboundSA(parameters)
        var into = try InboundSA(transform.parameters(left: false))
        var sizes: Set<Int> = []
        for count in [40, 61, 500, 999, 1000] {
            let inner = try InnerPacket.v4(count)
            let sealed = out.seal(inner, tailroom: 1064 - count)
            sizes.insert(sealed.octets.count)
            #expect(into.open(sealed.octets).octets == inner)
        }
        #expect(sizes == [out.overhead.outerSize(inner: 1000) - 20])
        #expect(out.seal(try InnerPacket.v4(1100)).octets.count + 20 == out.overhead.outerSize(inner: 1100))
    }

    @Test("Such padding is cut to what the buffer holds", arguments: Transform.all)
    func paddedToRoom(transform: Transform) throws {
        var parameters = try transform.parameters()
        parameters.options.tfcPaddingTo = 1000
        var out = try OutboundSA(parameters)
        var into = try InboundSA(transform.parameters(left: false))
        for tailroom in 64...100 {
            let inner = try InnerPacket.v4(100)
            #expect(into.open(out.seal(inner, tailroom: tailroom).octets).octets == inner)
        }
    }
}
