import Dataplane
import ESP
import IPPacket
import IPsecPolicy
import Testing

@Suite("Associations by class of packets (DSCP)")
struct TrafficClassTests {
    private static let lists: [[UInt8]?] = [[46], [10, 12], nil]

    private static func policies(_ inner: IPFamily, isLeft: Bool, _ lists: [[UInt8]?] = lists) throws
        -> [InstalledPolicy]
    {
        let networks = inner == .v4 ? ["10.1.0.0/16", "10.2.0.0/16"] : ["fd01::/16", "fd02::/16"]
        return try lists.enumerated().map { index, list in
            var installed = try policy(UInt32(index + 1), networks[isLeft ? 0 : 1], networks[isLeft ? 1 : 0])
            installed.policy.dscp = list.flatMap { DSCPSet($0) }
            return installed
        }
    }

    /// A pair of associations for each of the lists, with inbound SPIs that end with the number of its policy.
    private static func key(
        _ tunnel: Tunnel, _ inner: IPFamily, _ lists: [[UInt8]?] = lists, sends: (Int) -> Bool = { _ in true }
    ) throws {
        for (index, list) in lists.enumerated() {
            let id = UInt32(index + 1)
            func parameters(_ spi: UInt32, _ isLeft: Bool) throws -> SAParameters {
                var parameters = try Tunnel.parameters(spi, isLeft, inner, .v4, .udp)
                parameters.dscp = list.flatMap { DSCPSet($0) }
                return parameters
            }
            let (forth, back) = (0x1001_0000 + id, 0x2002_0000 + id)
            try tunnel.right.installInbound(parameters(forth, false), policy: id)
            try tunnel.left.installInbound(parameters(back, true), policy: id)
            guard sends(index) else { continue }
            try tunnel.left.activateOutbound(parameters(forth, true), pairedWith: back, policy: id)
            try tunnel.right.activateOutbound(parameters(back, false), pairedWith: forth, policy: id)
        }
    }

    /// Packets by SPI, sent and received.
    private static func packets(_ side: UserspaceDataplane, _ direction: TrafficDirection) async -> [UInt64] {
        await side.counters().filter { ($0.direction == .outbound) == (direction == .outbound) }
            .sorted { $0.spi < $1.spi }.map(\.counters.packets)
    }

    @inline(never)
    private static func ping(
        _ sides: (left: TestNamespace, right: TestNamespace), _ inner: IPFamily, trafficClass: String
    ) throws -> Bool {
        try DataplaneTests.ping(sides.left, inner: inner, extra: "-Q \(trafficClass)")
    }

    @Test(
        "Each class goes by the association for it, the others by that for all; ECN is no part of it",
        arguments: [IPFamily.v4, .v6])
    func sorted(_ inner: IPFamily) async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        try Self.run(tunnel, sides, inner)
        #expect(await Self.packets(tunnel.left, .outbound) == [6, 3, 3])
        #expect(await Self.packets(tunnel.left, .inbound) == [6, 3, 3])
        #expect(await Self.packets(tunnel.right, .inbound) == [6, 3, 3])
        tunnel.stop()
    }

    @inline(never)
    private static func run(
        _ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace), _ inner: IPFamily
    ) throws {
        try tunnel.left.apply(policies(inner, isLeft: true))
        try tunnel.right.apply(policies(inner, isLeft: false))
        try key(tunnel, inner)
        for trafficClass in ["0xb8", "0x30", "0x20", "0xba"] {
            let isAnswered = try ping(sides, inner, trafficClass: trafficClass)
            #expect(isAnswered, "\(trafficClass)")
        }
    }

    @Test("Where a class has no association its packets go by that for all, and one is asked for")
    func missing() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        try Self.runMissing(tunnel, sides)
        #expect(await Self.packets(tunnel.left, .outbound) == [3])
        tunnel.stop()
        var acquired: Set<UInt32> = []
        for await event in tunnel.left.events {
            if case .acquire(let policy, let packet) = event, packet.dscp == 46 { acquired.insert(policy) }
        }
        #expect(acquired == [1])
    }

    @inline(never)
    private static func runMissing(_ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace)) throws {
        try tunnel.left.apply(policies(.v4, isLeft: true))
        try tunnel.right.apply(policies(.v4, isLeft: false))
        try key(tunnel, .v4) { $0 == 2 }
        let isAnswered = try ping(sides, .v4, trafficClass: "0xb8")
        #expect(isAnswered)
    }

    @Test("Without a policy for all, packets of other classes go nowhere")
    func remainder() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        try Self.runRemainder(tunnel, sides)
        #expect(await Self.packets(tunnel.left, .outbound) == [3])
        #expect(await tunnel.left.statistics().drops["no-policy"] == 3)
        tunnel.stop()
    }

    @inline(never)
    private static func runRemainder(_ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace)) throws {
        try tunnel.left.apply(policies(.v4, isLeft: true, [[46]]))
        try tunnel.right.apply(policies(.v4, isLeft: false, [[46]]))
        try key(tunnel, .v4, [[46]])
        let isSorted = try ping(sides, .v4, trafficClass: "0xb8")
        #expect(isSorted)
        let isOther = try ping(sides, .v4, trafficClass: "0x20")
        #expect(!isOther)
    }

    @Test("What arrives in another class than the association's is dropped, and counted as that")
    func inbound() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        try Self.runInbound(tunnel, sides)
        let counters = await tunnel.right.counters().first { $0.direction == .inbound }
        #expect(counters?.counters.packets == 3)
        #expect(counters?.counters[.outsideClasses] == 3)
        tunnel.stop()
    }

    @inline(never)
    private static func runInbound(_ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace)) throws {
        try tunnel.left.apply(policies(.v4, isLeft: true, [nil]))
        try tunnel.right.apply(policies(.v4, isLeft: false, [nil]))
        let (forth, back): (UInt32, UInt32) = (0x1001_0001, 0x2002_0001)
        var limited = try Tunnel.parameters(forth, false, .v4, .v4, .udp)
        limited.dscp = DSCPSet([46])
        try tunnel.right.installInbound(limited, policy: 1)
        try tunnel.left.installInbound(Tunnel.parameters(back, true, .v4, .v4, .udp), policy: 1)
        try tunnel.left.activateOutbound(Tunnel.parameters(forth, true, .v4, .v4, .udp), pairedWith: back, policy: 1)
        try tunnel.right.activateOutbound(Tunnel.parameters(back, false, .v4, .v4, .udp), pairedWith: forth, policy: 1)
        let isOther = try ping(sides, .v4, trafficClass: "0x20")
        #expect(!isOther)
        let isOwn = try ping(sides, .v4, trafficClass: "0xb8")
        #expect(isOwn)
    }
}
