import ESP
import IPPacket
import IPsecPolicy
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

    @Test(
        "An association for some classes drops the others after decryption, whatever the outer header and ECN say",
        arguments: [true, false])
    func classes(isV4: Bool) throws {
        func packet(_ trafficClass: UInt8) throws -> [UInt8] {
            isV4
                ? try InnerPacket.v4(60, trafficClass: trafficClass)
                : try InnerPacket.v6(60, trafficClass: trafficClass)
        }
        var out = try OutboundSA(transform.parameters())
        var parameters = try transform.parameters(left: false)
        parameters.dscp = DSCPSet([46, 10])
        var into = try InboundSA(parameters)
        // One flow, so that the short way for known flows is gone too.
        let rows: [(UInt8, DropReason?)] = [
            (0xb8, nil), (0xba, nil), (0x28, nil), (0, .outsideClasses), (0x2c, .outsideClasses), (0xb8, nil),
        ]
        for (trafficClass, drop) in rows {
            let opened = into.open(out.seal(try packet(trafficClass)).octets, outer: trafficClass & 3)
            #expect(opened.result.drop == drop)
        }
        #expect(into.counters[.outsideClasses] == 2)
        var all = try InboundSA(transform.parameters(left: false))
        let opened = all.open(out.seal(try packet(0)).octets, outer: 0xb8)
        #expect(opened.result.drop == nil)
    }

    @Test("Where the network puts one class before another, one association loses packets, and one for each class none")
    func reordering() throws {
        // In each round a bulk packet waits behind 100 urgent ones that were sent after it.
        func lost(isShared: Bool) throws -> Int {
            var bulk = try OutboundSA(transform.parameters())
            var urgent = try OutboundSA(transform.parameters())
            var parameters = try transform.parameters(left: false)
            parameters.replayWindow = 64
            var intoBulk = try InboundSA(parameters)
            var intoUrgent = try InboundSA(parameters)
            var count = 0
            for _ in 0..<10 {
                let held = bulk.seal(try InnerPacket.v4(60, trafficClass: 0)).octets
                for _ in 0..<100 {
                    let packet = try InnerPacket.v4(60, trafficClass: 0xb8)
                    if isShared {
                        _ = intoBulk.open(bulk.seal(packet).octets, outer: 0)
                    } else {
                        _ = intoUrgent.open(urgent.seal(packet).octets, outer: 0)
                    }
                }
                // With extended sequence numbers what is so late is taken for a later one, and is not authentic.
                if intoBulk.open(held, outer: 0).result.drop != nil { count += 1 }
            }
            return count
        }
        let (shared, apart) = (try lost(isShared: true), try lost(isShared: false))
        #expect(shared == 10)
        #expect(apart == 0)
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
