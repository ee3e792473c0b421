import Dataplane
import ESP
import Foundation
import IPPacket
import IPsecCrypto
import IPsecPolicy
import Testing

// draft-ponchon-ipsecme-anti-replay-subspaces
@Suite("Sequence number subspaces and workers")
struct SubspaceTests {
    /// - Parameter counts: how many subspaces left and right take.
    private static func key(
        _ tunnel: Tunnel, _ counts: (left: Int, right: Int), _ encapsulation: Encapsulation = .udp,
        _ encryption: EncryptionAlgorithm = .aesGCM16(256), leftLifetime: SALifetime = SALifetime()
    ) throws {
        let (forth, back): (UInt32, UInt32) = (0x1001_0001, 0x2002_0001)
        func parameters(_ spi: UInt32, isLeft: Bool) throws -> SAParameters {
            var parameters = try Tunnel.parameters(spi, isLeft, .v4, .v4, encapsulation, true, encryption)
            parameters.subspaces = spi == forth ? counts.right : counts.left
            return parameters
        }
        try tunnel.protect()
        try tunnel.right.installInbound(parameters(forth, isLeft: false), policy: 1)
        try tunnel.left.installInbound(parameters(back, isLeft: true), policy: 1)
        var forward = try parameters(forth, isLeft: true)
        forward.lifetime = leftLifetime
        try tunnel.left.activateOutbound(forward, pairedWith: back, policy: 1)
        try tunnel.right.activateOutbound(parameters(back, isLeft: false), pairedWith: forth, policy: 1)
    }

    /// Sends so many flows of UDP from left to right, and counts what arrives in its flow's order.
    @inline(never)
    private static func send(
        _ sides: (left: TestNamespace, right: TestNamespace), flows: Int, packets: Int
    ) throws -> String {
        let receiver = try sides.right.start([
            "python3", "-c",
            """
            import socket, collections
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
            s.bind(("0.0.0.0", 9000)); s.settimeout(3); print("ready", flush=True)
            last, good = collections.defaultdict(lambda: -1), 0
            try:
                while good < \(flows * packets):
                    octets, source = s.recvfrom(2000)
                    number = int.from_bytes(octets[:4], "big")
                    good += number == last[source] + 1
                    last[source] = number
            except TimeoutError: pass
            print(good)
            """,
        ])
        _ = receiver.said()
        try mustRun(
            """
            ip netns exec \(sides.left.name) python3 -c '
            import socket, time
            flows = []
            for flow in range(\(flows)):
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                s.bind(("10.1.0.1", 5000 + flow)); s.connect(("10.2.0.1", 9000))
                flows.append(s)
            for packet in range(\(packets)):
                for s in flows: s.send(packet.to_bytes(4, "big") + bytes(600))
                time.sleep(0.002)
            '
            """)
        return String(receiver.rest().drop { $0 == "\n" })
    }

    private static func report(_ side: UserspaceDataplane, _ direction: TrafficDirection) async throws
        -> SACountersReport
    {
        let reports = await side.counters().filter { $0.direction == direction }
        #expect(reports.count == 1)
        return try #require(reports.first)
    }

    @Test(
        "Every worker sends by a subspace of its own, and receives by those that are its part, each flow in order",
        arguments: [Encapsulation.udp, .ip])
    func division(_ encapsulation: Encapsulation) async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides, workers: 3)
        try Self.key(tunnel, (16, 16), encapsulation)
        #expect(try Self.send(sides, flows: 40, packets: 100) == "4000\n")
        let sent = try await Self.report(tunnel.left, .outbound)
        let received = try await Self.report(tunnel.right, .inbound)
        #expect(sent.counters.packets == 4000 && received.counters.packets == 4000)
        #expect(sent.subspaces.map(\.id) == [0, 1, 2] && sent.subspaces.allSatisfy { $0.packets > 0 })
        #expect(sent.subspaces == received.subspaces)
        let (left, right) = (await tunnel.left.statistics(), await tunnel.right.statistics())
        #expect(left.workers.allSatisfy { $0.outbound.packetsOut > 0 && $0.outbound.handedOver == 0 })
        // One has the socket of the SPI, and hands two thirds on.
        #expect(right.workers.allSatisfy { $0.inbound.packetsOut > 0 })
        #expect(right.workers.reduce(0) { $0 + $1.inbound.handedOver } > 0)
        #expect(left.drops.isEmpty && right.drops.isEmpty, "\(left.drops) \(right.drops)")
        tunnel.stop()
    }

    @Test(
        "Where there are fewer subspaces than workers, the others hand their packets on",
        arguments: [(left: 1, right: 1), (left: 2, right: 2), (left: 256, right: 1)])
    func few(_ counts: (left: Int, right: Int)) async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides, workers: 3)
        try Self.key(tunnel, counts)
        #expect(try Self.send(sides, flows: 40, packets: 20) == "800\n")
        #expect(try ping(sides.left, inner: .v4))
        let sent = try await Self.report(tunnel.left, .outbound)
        #expect(sent.subspaces.map(\.id) == (0..<UInt16(counts.right)).map { $0 })
        #expect(sent.subspaces.allSatisfy { $0.packets > 0 })
        let left = await tunnel.left.statistics()
        #expect(left.workers.reduce(0) { $0 + $1.outbound.handedOver } > 0)
        #expect(left.drops.isEmpty, "\(left.drops)")
        tunnel.stop()
    }

    @Test(
        "One worker has one of many, and both ways pass",
        arguments: [EncryptionAlgorithm.aesCBC(256), .aesGCM16ImplicitIV(128)])
    func oneWorker(_ encryption: EncryptionAlgorithm) async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        try Self.key(tunnel, (256, 16), .udp, encryption)
        #expect(try ping(sides.left, inner: .v4))
        for side in [tunnel.left, tunnel.right] {
            #expect(try await Self.report(side, .outbound).subspaces == [SubspaceReport(id: 0, highest: 3, packets: 3)])
            #expect(try await Self.report(side, .inbound).subspaces == [SubspaceReport(id: 0, highest: 3, packets: 3)])
        }
        tunnel.stop()
    }

    @Test("Ends of which one has more workers than the other, or another part of them, understand each other")
    func unequal() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides, workers: 3, rightWorkers: 2)
        try Self.key(tunnel, (5, 7))
        #expect(try Self.send(sides, flows: 40, packets: 20) == "800\n")
        let received = try await Self.report(tunnel.right, .inbound)
        #expect(received.subspaces.map(\.id) == [0, 1, 2])
        #expect(received.counters.totalDrops == 0)
        tunnel.stop()
    }

    @Test("A lifetime is that of all workers together, and its limits are told once each")
    func lifetime() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides, workers: 3)
        try Self.key(
            tunnel, (16, 16), leftLifetime: SALifetime(softPackets: 200, hardPackets: 400))
        _ = try Self.send(sides, flows: 40, packets: 20)
        let sent = try await Self.report(tunnel.left, .outbound)
        #expect((390...400).contains(sent.counters.packets))
        #expect(sent.counters[.lifetimeEnded] == 800 - sent.counters.packets)
        tunnel.stop()
        var limits: [DataplaneEvent] = []
        for await event in tunnel.left.events {
            switch event {
            case .softLimit, .hardLimit: limits.append(event)
            default: break
            }
        }
        #expect(limits.count == 2)
    }

    @Test("An association with subspaces goes and another takes over, on all workers")
    func succession() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides, workers: 3)
        try Self.key(tunnel, (16, 16))
        #expect(try Self.send(sides, flows: 40, packets: 10) == "400\n")
        tunnel.left.removeOutbound(pairedWith: 0x2002_0001)
        tunnel.right.removeInbound(spi: 0x1001_0001)
        try tunnel.key(inner: .v4, outer: .v4, encapsulation: .udp, generation: 1)
        #expect(try Self.send(sides, flows: 40, packets: 10) == "400\n")
        let sent = await tunnel.left.counters().filter { $0.direction == .outbound }
        #expect(sent.map(\.counters.packets) == [400] && sent.allSatisfy { $0.subspaces.isEmpty })
        tunnel.stop()
    }
}
