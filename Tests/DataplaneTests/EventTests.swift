import Dataplane
import ESP
import Foundation
import IPPacket
import IPsecPolicy
import Testing

@Suite("What a data plane reports")
struct EventTests {
    /// Everything reported up to the stop.
    private static func events(of dataplane: UserspaceDataplane) async -> [DataplaneEvent] {
        dataplane.stop()
        var events: [DataplaneEvent] = []
        for await event in dataplane.events { events.append(event) }
        return events
    }

    /// Every datagram of IKE that has come up to the stop.
    private static func datagrams(of dataplane: UserspaceDataplane) -> [ReceivedDatagram] {
        dataplane.stop()
        var datagrams: [ReceivedDatagram] = []
        while let datagram = dataplane.datagrams.take() { datagrams.append(datagram) }
        return datagrams
    }

    @Test("A flood of IKE datagrams is cut off at its queue's end and counted, and displaces no event")
    func flood() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides, eventCapacity: 4)
        try Self.flood(tunnel, sides)
        let events = await Self.events(of: tunnel.left)
        let datagrams = Self.datagrams(of: tunnel.left)
        #expect(datagrams.count == 4)
        #expect(await tunnel.left.statistics().eventsDropped == 16)
        #expect(events.contains { if case .acquire = $0 { true } else { false } })
        tunnel.stop()
    }

    @inline(never)
    private static func flood(_ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace)) throws {
        try tunnel.protect()
        let (left, right) = (try #require(IPAddress("192.0.2.1")), try #require(IPAddress("192.0.2.2")))
        for number in 0..<20 as Range<UInt8> {
            tunnel.right.send(
                [number], from: SocketAddress(right, port: 500), to: SocketAddress(left, port: 500), nonESPMarker: false
            )
        }
        // Later than the datagrams, and long enough for all of them to have arrived.
        _ = try sides.left.execute("ping -q -n -c 4 -i 0.05 -W 0.1 -I 10.1.0.1 10.2.0.1")
    }

    @Test("A packet that wants an association asks for it once in a second, and tells what it is")
    func acquire() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        try Self.pingUnprotected(tunnel, sides)
        let asked = await Self.events(of: tunnel.left).compactMap { event -> String? in
            if case .acquire(let policy, let packet) = event { "\(policy) \(packet)" } else { nil }
        }
        #expect(asked == ["1 10.1.0.1 -> 10.2.0.1 icmp 8/0"])
        tunnel.stop()
    }

    @inline(never)
    private static func pingUnprotected(_ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace)) throws {
        try tunnel.protect()
        _ = try sides.left.execute("ping -q -n -c 4 -i 0.05 -W 0.1 -I 10.1.0.1 10.2.0.1")
    }

    @Test(
        "The first authentic packet of an association is reported once, each limit too, however full the queue is",
        arguments: [1, 1024])
    func noticesOnce(capacity: Int) async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides, eventCapacity: capacity)
        // Packets of no association fill the queue.
        try Self.sendUnknown(tunnel.right, to: "192.0.2.1", from: "192.0.2.2", count: 10)
        try Self.pingLimited(tunnel, sides)
        let events = await Self.events(of: tunnel.left)
        let texts = events.compactMap { event -> String? in
            switch event {
            case .inboundSeen(let spi): "seen \(String(spi, radix: 16))"
            case .softLimit(let spi, let direction): "soft \(String(spi, radix: 16)) \(direction)"
            case .hardLimit(let spi, let direction): "hard \(String(spi, radix: 16)) \(direction)"
            default: nil
            }
        }
        #expect(texts.sorted() == ["hard 20020001 outbound", "seen 20020001", "soft 20020001 outbound"])
        tunnel.stop()
    }

    @inline(never)
    private static func pingLimited(_ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace)) throws {
        try tunnel.protect()
        try tunnel.key(
            inner: .v4, outer: .v4, encapsulation: .udp, leftLifetime: SALifetime(softPackets: 2, hardPackets: 4))
        _ = try sides.left.execute("ping -q -n -c 6 -i 0.05 -W 0.2 -I 10.1.0.1 10.2.0.1")
    }

    @Test("IKE datagrams go up with their addresses, the non-ESP marker taken off; keepalives do not")
    func ike() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        try Self.sendDatagrams(tunnel)
        let received = Self.datagrams(of: tunnel.right).map {
            "\($0.octets) \($0.local) \($0.remote) \($0.nonESPMarker)"
        }
        #expect(
            received.sorted() == [
                "[1, 2] 192.0.2.2:500 192.0.2.1:500 false",
                "[3, 4] [2001:db8:ffff::2]:500 [2001:db8:ffff::1]:500 false",
                "[5, 6] 192.0.2.2:4500 192.0.2.1:4500 true",
            ])
        tunnel.stop()
    }

    @inline(never)
    private static func sendDatagrams(_ tunnel: Tunnel) throws {
        func at(_ text: String, _ port: UInt16) throws -> SocketAddress {
            SocketAddress(try #require(IPAddress(text)), port: port)
        }
        tunnel.left.send([1, 2], from: try at("192.0.2.1", 500), to: try at("192.0.2.2", 500), nonESPMarker: false)
        tunnel.left.send([3, 4], from: try at("::", 500), to: try at("2001:db8:ffff::2", 500), nonESPMarker: false)
        tunnel.left.sendKeepalive(from: try at("192.0.2.1", 4500), to: try at("192.0.2.2", 4500))
        tunnel.left.send([5, 6], from: try at("192.0.2.1", 4500), to: try at("192.0.2.2", 4500), nonESPMarker: true)
        usleep(300_000)
    }

    /// Answers what begins with 1 by its first two octets backwards, drops what begins with 2, and knows what begins with 3.
    private struct Screen: DatagramScreen {
        func screen(_ message: inout [UInt8], from remote: SocketAddress) -> DatagramVerdict {
            switch message.first {
            case 1?:
                message = [message[1], message[0]]
                return .answer
            case 2?: return .drop
            case 3?: return .pass(.known)
            default: return .pass(.unchecked)
            }
        }
    }

    @Test("A screen answers to where a datagram came from, with the marker it had; what it knows comes up first")
    func screen() async throws {
        let sides = try TestNamespace.pair()
        let left = UserspaceDataplane(sides.left.configuration)
        let right = UserspaceDataplane(sides.right.configuration)
        try left.start()
        try right.start(screen: Screen())
        try Self.exchange(left)
        #expect(Self.datagrams(of: right).map(\.octets) == [[3, 5], [4, 5]])
        let answers = Self.datagrams(of: left).map { "\($0.octets) \($0.local) \($0.remote) \($0.nonESPMarker)" }
        #expect(
            answers.sorted() == [
                "[6, 1] [2001:db8:ffff::1]:4500 [2001:db8:ffff::2]:4500 true",
                "[7, 1] 192.0.2.1:500 192.0.2.2:500 false",
            ])
    }

    @inline(never)
    private static func exchange(_ left: UserspaceDataplane) throws {
        let v4 = (try #require(IPAddress("192.0.2.1")), try #require(IPAddress("192.0.2.2")))
        let v6 = (try #require(IPAddress("2001:db8:ffff::1")), try #require(IPAddress("2001:db8:ffff::2")))
        for octets in [[4, 5], [1, 7, 9], [2, 5], [3, 5]] as [[UInt8]] {
            left.send(
                octets, from: SocketAddress(v4.0, port: 500), to: SocketAddress(v4.1, port: 500), nonESPMarker: false)
        }
        left.send(
            [1, 6, 9], from: SocketAddress(v6.0, port: 4500), to: SocketAddress(v6.1, port: 4500), nonESPMarker: true)
        usleep(300_000)
    }

    @Test("An SPI of no association is reported with its sender, limited in rate")
    func unknownSPI() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        try Self.sendUnknown(tunnel.left, to: "192.0.2.2", from: "192.0.2.1", count: 100)
        let statistics = await tunnel.right.statistics()
        #expect(statistics.drops["unknown-spi"] == 100)
        let reported = await Self.events(of: tunnel.right).compactMap { event -> String? in
            guard case .unknownSPI(let spi, _, let from) = event else { return nil }
            return "\(String(spi, radix: 16)) \(from)"
        }
        #expect((1...20).contains(reported.count))
        #expect(reported.allSatisfy { $0 == "abcd0123 192.0.2.1:4500" })
        tunnel.stop()
    }

    @inline(never)
    private static func sendUnknown(
        _ sender: UserspaceDataplane, to target: String, from source: String, count: Int
    ) throws {
        let from = SocketAddress(try #require(IPAddress(source)), port: 4500)
        let to = SocketAddress(try #require(IPAddress(target)), port: 4500)
        for _ in 0..<count {
            sender.send(
                [0xab, 0xcd, 0x01, 0x23] + [UInt8](repeating: 9, count: 60), from: from, to: to, nonESPMarker: false)
        }
        usleep(300_000)
    }

    @Test("A peer whose packets come from a new port is reported after an authentic one, and followed when told")
    func peerMoved() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        try Self.moveLeft(tunnel, sides)
        let moves = await Self.events(of: tunnel.right).compactMap { event -> String? in
            guard case .peerMoved(let spi, let remote, _) = event else { return nil }
            return "\(String(spi, radix: 16)) \(remote)"
        }
        #expect(moves == ["10010001 192.0.2.1:40000"])
        tunnel.stop()
    }

    @Test(
        "Packets that come in fragments are reported with the size of the largest fragment, if they are authentic",
        arguments: [IPFamily.v4, .v6].flatMap { outer in
            [Encapsulation.ip, .udp].map { (outer: outer, encapsulation: $0) }
        })
    func fragments(_ row: (outer: IPFamily, encapsulation: Encapsulation)) async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        try Self.sendFragments(tunnel, sides, row.outer, row.encapsulation)
        let seen = await Self.events(of: tunnel.right).compactMap { event -> ArrivalSummary? in
            if case .arrivals(0x1001_0001, let arrivals) = event { arrivals } else { nil }
        }
        // Behind the headers a fragment has a multiple of eight octets.
        let largest = row.outer == .v4 ? 1300 : 1296
        #expect(seen.first?.largestFragment == largest, "\(seen)")
        #expect(seen.allSatisfy { $0.fragmented > 0 && $0.oversizedInFragments == 0 && $0.oversizedWhole == 0 })
        #expect(!seen.isEmpty)
        tunnel.stop()
    }

    @inline(never)
    private static func sendFragments(
        _ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace), _ outer: IPFamily,
        _ encapsulation: Encapsulation
    ) throws {
        for side in [sides.left, sides.right] { try side.mustIP("link set eth0 mtu 1300") }
        try tunnel.protect()
        try tunnel.key(inner: .v4, outer: outer, encapsulation: encapsulation)
        #expect(try ping(sides.left, inner: .v4))
        #expect(try ping(sides.left, inner: .v4, count: 3, extra: "-M dont -s 1300"))
    }

    @Test("Packets that are larger than the peer should send are reported, those that just fit are not")
    func oversized() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        try Self.sendLarge(tunnel, sides)
        let seen = await Self.events(of: tunnel.right).compactMap { event -> ArrivalSummary? in
            if case .arrivals(_, let arrivals) = event { arrivals } else { nil }
        }
        var expected = ArrivalSummary()
        expected.oversizedWhole = 1
        #expect(seen == [expected])
        tunnel.stop()
    }

    @inline(never)
    private static func sendLarge(_ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace)) throws {
        try tunnel.protect()
        let limit = 20 + 8 + 8 + 104 + 16
        func parameters(_ spi: UInt32, _ isLeft: Bool) throws -> SAParameters {
            var parameters = try Tunnel.parameters(spi, isLeft, .v4, .v4, .ip)
            if !isLeft { parameters.largestReceived = limit }
            return parameters
        }
        try tunnel.right.installInbound(parameters(0x1001_0001, false), policy: 1)
        try tunnel.left.installInbound(parameters(0x2002_0001, true), policy: 1)
        try tunnel.left.activateOutbound(parameters(0x1001_0001, true), pairedWith: 0x2002_0001, policy: 1)
        try tunnel.right.activateOutbound(parameters(0x2002_0001, false), pairedWith: 0x1001_0001, policy: 1)
        // 102 octets with the two headers and two of ESP: 104 to seal. One more octet takes four.
        #expect(try ping(sides.left, inner: .v4, count: 2, extra: "-s 74"))
        #expect(try ping(sides.left, inner: .v4, count: 1, extra: "-s 75"))
    }

    @Test("What the peer cannot put together is not sent in fragments either")
    func largestReassembled() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        try Self.sendInFragments(tunnel, sides)
        #expect(await tunnel.left.statistics().drops["too-big"] == 1)
        tunnel.stop()
    }

    @inline(never)
    private static func sendInFragments(
        _ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace)
    ) throws {
        try tunnel.protect()
        try tunnel.key(inner: .v4, outer: .v4, encapsulation: .ip)
        func path(_ largest: Int?) -> OuterPath {
            OuterPath(largestWhole: 1000, largestReassembled: largest, mayBeFragmented: true)
        }
        // 1300 octets inside, 1356 outside.
        let large = "-M dont -s 1272"
        tunnel.left.updatePath(inboundSPI: 0x2002_0001, path(1356))
        #expect(try ping(sides.left, inner: .v4, count: 1, extra: large))
        tunnel.left.updatePath(inboundSPI: 0x2002_0001, path(1355))
        #expect(try !ping(sides.left, inner: .v4, count: 1, extra: large))
    }

    @Test("With what the peer says of the path, senders are told of it, and the outer header lets routers fragment")
    func outerPath() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        try Self.sendAlong(tunnel, sides)
        tunnel.stop()
    }

    @inline(never)
    private static func sendAlong(_ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace)) throws {
        try tunnel.protect()
        try tunnel.key(inner: .v4, outer: .v4, encapsulation: .ip)
        try mustRun(
            "ip netns exec \(sides.right.name) nft 'add table ip n; add chain ip n p { type filter hook prerouting priority -500; };",
            "add rule ip n p meta l4proto esp ip frag-off & 0x4000 == 0 counter'")
        func unmarked() throws -> String {
            let rules = try sides.right.execute("nft list chain ip n p").output
            return rules.split(separator: " ").drop { $0 != "packets" }.dropFirst().first.map(String.init) ?? rules
        }
        func told() throws -> String {
            try sides.left.execute("ping -n -c 1 -W 1 -M do -s 1272 -I 10.1.0.1 10.2.0.1").output
                .replacingOccurrences(of: "mtu=", with: "mtu = ")
        }
        #expect(try told().contains(" 0% packet loss"))
        #expect(try unmarked() == "0")
        tunnel.left.updatePath(inboundSPI: 0x2002_0001, OuterPath(mayBeFragmented: true))
        #expect(try told().contains(" 0% packet loss"))
        #expect(try unmarked() == "1")
        tunnel.left.updatePath(inboundSPI: 0x2002_0001, OuterPath(largestWhole: 1300, mayBeFragmented: true))
        #expect(try told().contains("mtu = 1246"))
        #expect(try unmarked() == "1")
        #expect(try ping(sides.left, inner: .v4, count: 1, extra: "-M do -s 1218"))
        #expect(try unmarked() == "2")
    }

    @Test("Forged errors of ICMP are read so many a second, and what a true one says is still learnt")
    func forgedErrors() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        try Self.forgeErrors(tunnel, sides)
        #expect(await tunnel.left.statistics().drops["path-error-limit"] ?? 0 > 100)
        tunnel.stop()
    }

    @inline(never)
    private static func forgeErrors(_ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace)) throws {
        try tunnel.protect()
        try tunnel.key(inner: .v4, outer: .v4, encapsulation: .udp)
        // "Fragmentation needed" about ESP in UDP with an SPI, as many times as given.
        let script = """
            import socket, struct, sys
            def total(data):
                s = sum(struct.unpack("!%dH" % (len(data) // 2), data))
                s = (s >> 16) + (s & 0xffff)
                return ~(s + (s >> 16)) & 0xffff
            left, right = socket.inet_aton("192.0.2.1"), socket.inet_aton("192.0.2.2")
            quoted = struct.pack("!BBHHHBBH", 0x45, 0, 1400, 1, 0x4000, 64, 17, 0) + left + right
            quoted += struct.pack("!HHHH", 4500, 4500, 1380, 0) + struct.pack("!II", int(sys.argv[1], 16), 1)
            body = struct.pack("!BBHHH", 3, 4, 0, 0, 1200) + quoted
            body = body[:2] + struct.pack("!H", total(body)) + body[4:]
            s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
            for _ in range(int(sys.argv[2])): s.sendto(body, ("192.0.2.1", 0))
            """
        for (spi, count) in [("7fffffff", "5000"), ("10010001", "1")] {
            let sent = try run(
                "ip", "netns", "exec", sides.right.name, "python3", "-c", script, spi, count)
            #expect(sent.isSuccess, "\(sent.output)")
            usleep(200_000)
        }
        let told = try sides.left.execute("ping -n -c 1 -W 1 -M do -s 1250 -I 10.1.0.1 10.2.0.1").output
        #expect(told.contains("mtu"), "\(told)")
    }

    @Test("A peer whose packets come from three ports in turn is reported once a second, not with each packet")
    func peerFlickers() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        try Self.flicker(tunnel, sides)
        let moves = await Self.events(of: tunnel.right).filter { if case .peerMoved = $0 { true } else { false } }
        #expect((1...20).contains(moves.count))
        tunnel.stop()
    }

    @inline(never)
    private static func flicker(_ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace)) throws {
        try tunnel.protect()
        try tunnel.key(inner: .v4, outer: .v4, encapsulation: .udp)
        try mustRun(
            "ip netns exec \(sides.left.name) nft 'add table ip n; add chain ip n p { type filter hook postrouting priority 100; };",
            "add rule ip n p udp sport 4500 udp sport set numgen inc mod 3 map { 0 : 40000, 1 : 40001, 2 : 40002 }'")
        _ = try sides.left.execute("ping -q -n -c 60 -i 0.005 -W 0.1 -I 10.1.0.1 10.2.0.1")
    }

    @inline(never)
    private static func moveLeft(_ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace)) throws {
        try tunnel.protect()
        try tunnel.key(inner: .v4, outer: .v4, encapsulation: .udp)
        #expect(try ping(sides.left, inner: .v4))
        // From here on a NAT gives the left side another port.
        try mustRun(
            "ip netns exec \(sides.left.name) nft 'add table ip n; add chain ip n p { type nat hook postrouting priority 100; };",
            "add rule ip n p udp sport 4500 snat to 192.0.2.1:40000'")
        try mustRun("ip netns exec \(sides.left.name) conntrack -F >/dev/null 2>&1 || true")
        _ = try ping(sides.left, inner: .v4)
        let local = SocketAddress(try #require(IPAddress("192.0.2.2")), port: 4500)
        let remote = SocketAddress(try #require(IPAddress("192.0.2.1")), port: 40000)
        tunnel.right.updateAddresses(inboundSPI: 0x1001_0001, local: local, remote: remote, encapsulation: .udp)
        #expect(try ping(sides.left, inner: .v4))
    }
}
