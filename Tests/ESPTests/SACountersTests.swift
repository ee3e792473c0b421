import ESP
import Testing

struct SACountersTests {
    @Test("Drop reasons have different names fit for a metric's label")
    func names() {
        let names = DropReason.allCases.map(\.description)
        #expect(Set(names).count == names.count)
        #expect(names.allSatisfy { $0.allSatisfy { $0.isLowercase || $0 == "-" } })
    }

    @Test("Drops are counted by reason and in all")
    func drops() throws {
        var out = try OutboundSA(Transform.all[1].parameters())
        var into = try InboundSA(Transform.all[1].parameters(left: false))
        let packet = out.seal(try InnerPacket.v4(60)).octets
        _ = into.open(packet)
        _ = into.open(packet)
        _ = into.open([1, 2, 3])
        #expect(into.counters.totalDrops == 2)
        #expect(into.counters.allDrops.map(\.reason) == [.malformedESP, .replayed])
        #expect(into.counters.packets == 1 && into.counters.octets == 60)
        #expect(into.counters != SACounters())
        #expect(SACounters() == SACounters())
    }
}
