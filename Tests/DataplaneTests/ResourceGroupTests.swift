import Dataplane
import ESP
import Foundation
import IPPacket
import Testing

/// Associations for the same traffic, of which each of three workers has its own (RFC 9611).
@Suite("Groups of associations")
struct ResourceGroupTests {
    private static let workers = 3

    /// The worker of the pair that ``Tunnel/key(inner:outer:encapsulation:extended:encryption:networks:generation:leftLifetime:group:)``
    /// makes.
    private static func worker(_ generation: UInt32) -> Int { Int((generation * 256 + 1) % UInt32(workers)) }

    private static func key(_ tunnel: Tunnel, _ generation: UInt32, isFallback: Bool, number: UInt32 = 5) throws {
        try tunnel.key(
            inner: .v4, outer: .v4, encapsulation: .udp, generation: generation,
            group: SAGroup(number: number, isFallback: isFallback))
    }

    /// Sixty one-way flows from the left, one packet in a round.
    private static func send(
        _ sides: (left: TestNamespace, right: TestNamespace), rounds: Int = 20
    ) throws {
        try mustRun(
            """
            ip netns exec \(sides.left.name) python3 -c '
            import socket, time
            flows = []
            for flow in range(60):
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                s.bind(("10.1.0.1", 5000 + flow))
                flows.append(s)
            for packet in range(\(rounds)):
                for s in flows: s.sendto(bytes(600), ("10.2.0.1", 9000))
                time.sleep(0.002)
            '
            """)
    }

    /// Packets that have left, by generation of the association.
    private static func sent(_ tunnel: Tunnel) async -> [UInt32: UInt64] {
        var result: [UInt32: UInt64] = [:]
        for report in await tunnel.left.counters() where report.direction == .outbound {
            result[(report.inboundSPI & 0xffff) / 256] = report.counters.packets
        }
        return result
    }

    private static func lacking(_ tunnel: Tunnel) async -> [Int] {
        var workers: [Int] = []
        for await event in tunnel.left.events {
            if case .lacksOwn(let worker, let spi) = event, spi >> 16 == 0x2002 { workers.append(worker) }
        }
        return workers.sorted()
    }

    @inline(never)
    private static func prepare() throws -> (Tunnel, (left: TestNamespace, right: TestNamespace)) {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides, workers: workers)
        try tunnel.protect()
        return (tunnel, sides)
    }

    @Test("Workers without their own send by the fallback and say so, each once a second")
    func fallback() async throws {
        let (tunnel, sides) = try Self.prepare()
        try Self.key(tunnel, 1, isFallback: true)
        try Self.send(sides)
        let statistics = await tunnel.left.statistics()
        #expect(await Self.sent(tunnel) == [1: 1200])
        let handedOver = statistics.workers.map(\.outbound.handedOver)
        #expect(handedOver.contains { $0 > 0 })
        tunnel.stop()
        let owner = Self.worker(1)
        let lacking = await Self.lacking(tunnel)
        let others: [Int] = (0..<Self.workers).filter { $0 != owner }
        #expect(Set(lacking) == Set(others))
        // Less than a second: once for each.
        #expect(lacking.count <= 4)
    }

    @Test("Each worker sends by its own as soon as it has one, and hands nothing over any more")
    func own() async throws {
        let (tunnel, sides) = try Self.prepare()
        try Self.key(tunnel, 1, isFallback: true)
        try Self.send(sides, rounds: 2)
        try Self.key(tunnel, 2, isFallback: false)
        try Self.key(tunnel, 3, isFallback: false)
        #expect(Set([1, 2, 3].map(Self.worker)) == [0, 1, 2])
        let before = await tunnel.left.statistics().workers.map(\.outbound.handedOver)
        let sentBefore = await Self.sent(tunnel)
        try Self.send(sides)
        let after = await tunnel.left.statistics().workers
        let sent = await Self.sent(tunnel)
        #expect(after.map(\.outbound.handedOver) == before)
        let more: UInt64 = sent.values.reduce(0, +) - sentBefore.values.reduce(0, +)
        #expect(more == 1200)
        for generation in [1, 2, 3] as [UInt32] {
            let own: UInt64 = sent[generation, default: 0] - sentBefore[generation, default: 0]
            #expect(own > 0, "\(sent)")
            // Who has read what from the device has sealed it too.
            let worker = after[Self.worker(generation)].outbound
            #expect(worker.packetsOut >= own)
        }
        let right = await tunnel.right.statistics()
        #expect(right.workers.allSatisfy { $0.inbound.packetsOut > 0 }, "\(right.workers.map(\.inbound.packetsOut))")
        #expect(right.drops.isEmpty, "\(right.drops)")
        tunnel.stop()
    }

    @Test("When a worker's own is removed the fallback serves it again; without a fallback any other does")
    func removal() async throws {
        let (tunnel, sides) = try Self.prepare()
        try Self.key(tunnel, 1, isFallback: true)
        try Self.key(tunnel, 2, isFallback: false)
        try Self.key(tunnel, 3, isFallback: false)
        tunnel.left.removeOutbound(pairedWith: 0x2002_0000 + 2 * 256 + 1)
        try Self.send(sides)
        let sent = await Self.sent(tunnel)
        let (first, third): (UInt64, UInt64) = (sent[1] ?? 0, sent[3] ?? 0)
        #expect(first + third == 1200)
        #expect(first > third, "\(sent)")
        tunnel.left.removeOutbound(pairedWith: 0x2002_0000 + 1 * 256 + 1)
        try Self.send(sides)
        let rest = await Self.sent(tunnel)
        #expect(rest[3] == third + 1200)
        tunnel.stop()
    }

    @Test("An association that is newer and of no group, or of another, has all packets as before")
    func others() async throws {
        let (tunnel, sides) = try Self.prepare()
        try Self.key(tunnel, 1, isFallback: true)
        try Self.key(tunnel, 2, isFallback: false)
        try tunnel.key(inner: .v4, outer: .v4, encapsulation: .udp, generation: 3)
        try Self.send(sides, rounds: 5)
        #expect(await Self.sent(tunnel)[3] == 300)
        try Self.key(tunnel, 4, isFallback: true, number: 6)
        try Self.send(sides, rounds: 5)
        #expect(await Self.sent(tunnel)[4] == 300)
        tunnel.stop()
    }
}
