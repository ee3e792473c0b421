import ESP
import IPPacket
import Testing

struct TrafficClassTests {
    private let transform = Transform.all[1]

    @Test(
        "DSCP and ECN of the inner packet become the outer ones (RFC 6040, section 4.1)", arguments: UInt8.min...(.max))
    func copied(trafficClass: UInt8) throws {
        var out = try OutboundSA(transform.parameters())
        #expect(out.seal(try InnerPacket.v4(60, trafficClass: trafficClass)).result.outerTrafficClass == trafficClass)
        #expect(out.seal(try InnerPacket.v6(60, trafficClass: trafficClass)).result.outerTrafficClass == trafficClass)
    }

    @Test("A fixed DSCP hides the inner one, and ECN can be left out (compatibility mode)")
    func fixed() throws {
        var out = try OutboundSA(transform.parameters())
        out.options.copyDSCP = false
        out.options.dscp = 46
        #expect(out.seal(try InnerPacket.v4(60, trafficClass: 0x29)).result.outerTrafficClass == 0xb9)
        out.options.copyECN = false
        #expect(out.seal(try InnerPacket.v4(60, trafficClass: 0x29)).result.outerTrafficClass == 0xb8)
    }

    @Test("On leaving, the inner ECN field follows RFC 6040, figure 4, in all cases; DSCP stays", arguments: 0..<16)
    func decapsulated(cell: Int) throws {
        let inner = UInt8(cell / 4)
        let outer = UInt8(cell % 4)
        for isV4 in [true, false] {
            var out = try OutboundSA(transform.parameters())
            var into = try InboundSA(transform.parameters(left: false))
            let packet =
                isV4
                ? try InnerPacket.v4(60, trafficClass: 0xb8 | inner)
                : try InnerPacket.v6(60, trafficClass: 0xb8 | inner)
            let opened = into.open(out.seal(packet).octets, outer: 0x28 | outer)
            let innerECN = ECN(trafficClass: inner)
            let outerECN = ECN(trafficClass: outer)
            guard let expected = ECN.decapsulated(inner: innerECN, outer: outerECN) else {
                #expect(opened.result.drop == .illegalCongestionMark)
                continue
            }
            #expect(
                opened.octets
                    == (isV4
                        ? try InnerPacket.v4(60, trafficClass: 0xb8 | expected.rawValue)
                        : try InnerPacket.v6(60, trafficClass: 0xb8 | expected.rawValue)))
            #expect(
                into.counters.suspiciousCongestionMarks == (ECN.isSuspicious(inner: innerECN, outer: outerECN) ? 1 : 0))
        }
    }
}
