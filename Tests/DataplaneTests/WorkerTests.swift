import Dataplane
import ESP
import Foundation
import IPPacket
import IPsecCrypto
import Testing

@Suite("Several workers")
struct WorkerTests {
    /// Tunnels between single addresses, of which each of three workers has one.
    private static func key(
        _ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace), _ encapsulation: Encapsulation
    ) throws {
        let numbers = 1...3
        for number in numbers.dropFirst() {
            try sides.left.mustIP("addr add 10.1.0.\(number)/32 dev lo")
            try sides.right.mustIP("addr add 10.2.0.\(number)/32 dev lo")
        }
        try tunnel.protect()
        for number in numbers {
            try tunnel.key(
                inner: .v4, outer: .v4, encapsulation: encapsulation,
                networks: ["10.1.0.\(number)/32", "10.2.0.\(number)/32"], generation: UInt32(number))
        }
    }

    @Test("Each has the packets of a third of the SPIs, from the first on", arguments: [Encapsulation.udp, .ip])
    func division(_ encapsulation: Encapsulation) async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides, workers: 3)
        try Self.pingAll(tunnel, sides, encapsulation)
        for side in [tunnel.left, tunnel.right] {
            let statistics = await side.statistics()
            #expect(statistics.workers.map(\.inbound.packetsOut) == [2, 2, 2])
            #expect(statistics.workers.map(\.outbound.packetsOut) == [2, 2, 2])
            #expect(statistics.workers.allSatisfy { $0.inbound.handedOver == 0 })
            #expect(statistics.drops.isEmpty, "\(statistics.drops)")
        }
        tunnel.stop()
    }

    @inline(never)
    private static func pingAll(
        _ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace), _ encapsulation: Encapsulation
    ) throws {
        try key(tunnel, sides, encapsulation)
        for number in 1...3 {
            let result = try sides.left.execute("ping -q -n -c 2 -i 0.05 -W 1 -I 10.1.0.\(number) 10.2.0.\(number)")
            #expect(result.output.contains(" 0% packet loss"))
        }
    }

    @Test("Flows that the device gives to another worker than their association's arrive whole and in order")
    func handover() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides, workers: 3)
        let output = try Self.send(tunnel, sides)
        #expect(output == "10.1.0.1 4000, 10.1.0.2 4000, 10.1.0.3 4000\n")
        let statistics = await tunnel.left.statistics()
        #expect(statistics.workers.reduce(0) { $0 + $1.outbound.handedOver } > 0)
        #expect(statistics.workers.map(\.outbound.packetsOut) == [4000, 4000, 4000])
        #expect(statistics.drops.isEmpty, "\(statistics.drops)")
        tunnel.stop()
    }

    /// Sends twenty one-way flows through each tunnel and counts what arrives in order.
    @inline(never)
    private static func send(
        _ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace)
    ) throws -> String {
        try key(tunnel, sides, .udp)
        let receiver = try sides.right.start([
            "python3", "-c",
            """
            import socket, collections
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
            s.bind(("0.0.0.0", 9000)); s.settimeout(3); print("ready", flush=True)
            next, good = collections.Counter(), collections.Counter()
            try:
                while sum(good.values()) < 12000:
                    octets, source = s.recvfrom(2000)
                    number = int.from_bytes(octets[:4], "big")
                    good[source[0]] += number == next[source]
                    next[source] = number + 1
            except TimeoutError: pass
            print(", ".join(f"{k} {v}" for k, v in sorted(good.items())))
            """,
        ])
        _ = receiver.said()
        try mustRun(
            """
            ip netns exec \(sides.left.name) python3 -c '
            import socket, time
            flows = []
            for number in range(1, 4):
                for flow in range(20):
                    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    s.bind((f"10.1.0.{number}", 5000 + flow)); s.connect((f"10.2.0.{number}", 9000))
                    flows.append(s)
            for packet in range(200):
                for s in flows: s.send(packet.to_bytes(4, "big") + bytes(600))
                time.sleep(0.002)
            '
            """)
        // The end of the line "ready" may come with it.
        return String(receiver.rest().drop { $0 == "\n" })
    }

    @Test(
        "What is handed over comes out as it was put in, whatever its length, and no more is taken than there is room for"
    )
    func ring() {
        let ring = Handover()
        var random = SeededGenerator(seed: 7)
        var expected: [[UInt8]] = []
        var refused = 0
        for round in 0..<5_000 {
            let record = [UInt8](
                repeating: UInt8(truncatingIfNeeded: round), count: Int.random(in: 0...70_000, using: &random))
            let isTaken = ring.push(record.count) { place in
                record.withUnsafeBytes {
                    if let base = $0.baseAddress { place.copyMemory(from: base, byteCount: $0.count) }
                }
            }
            if isTaken { expected.append(record) } else { refused += 1 }
            #expect(expected.reduce(0) { $0 + $1.count } <= Handover.capacity)
            guard !isTaken || Int.random(in: 0..<2, using: &random) == 0 else { continue }
            let limit = Int.random(in: 0...4, using: &random)
            var taken: [[UInt8]] = []
            #expect(ring.drain(atMost: limit) { taken.append(Array($0)) } == min(limit, expected.count))
            #expect(taken == Array(expected.prefix(limit)))
            expected.removeFirst(taken.count)
        }
        #expect(refused > 0)
    }
}
