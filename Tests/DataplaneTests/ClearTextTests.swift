import Dataplane
import ESP
import Foundation
import IPPacket
import Testing

/// A gateway between an outer network and a host behind it, and who forges on the outer network.
private struct Field {
    let gateway: TestNamespace
    let outside: TestNamespace
    let behind: TestNamespace
    var sides: (left: TestNamespace, right: TestNamespace) { (gateway, outside) }

    init() throws {
        (gateway, outside) = try TestNamespace.pair()
        behind = try TestNamespace(forwarding: false)
        try gateway.mustIP("link add lan type veth peer name lan netns \(behind.name)")
        for (namespace, number) in [(gateway, 1), (behind, 2)] {
            try namespace.mustIP("addr add 10.1.7.\(number)/24 dev lan")
            try namespace.mustIP("addr add fd01:7::\(number)/64 dev lan nodad")
            try namespace.mustIP("link set lan up")
        }
        try behind.mustIP("route add default via 10.1.7.1")
        try behind.mustIP("-6 route add default via fd01:7::1")
        try outside.mustIP("route add 10.1.0.0/16 via 192.0.2.1")
        try outside.mustIP("-6 route add fd01::/16 via 2001:db8:ffff::1")
        try mustRun("ip netns exec \(behind.name) ping -q -n -i 0.1 -c 1 -w 5 fd01:7::1")
    }

    /// Sends a datagram to port 7000 of `target` from each of `sources`, an address and perhaps a port, and says which
    /// arrived. The last one has to: it is waited for.
    func arrivals(
        from sender: TestNamespace, _ sources: [String], at receiver: TestNamespace, _ target: String
    ) throws -> [String] {
        let family = target.contains(":") ? "socket.AF_INET6" : "socket.AF_INET"
        let listener = try receiver.start([
            "/usr/bin/python3", "-c",
            """
            import socket; s = socket.socket(\(family), socket.SOCK_DGRAM); s.bind(("\(target)", 7000))
            s.settimeout(10)
            print("ready", flush=True); text = ""
            while text != "\(sources.last ?? "")": text = s.recv(100).decode(); print(text, flush=True)
            """,
        ])
        _ = listener.said()
        try mustRun(
            "exec ip netns exec \(sender.name) /usr/bin/python3 -c",
            """
            '
            import socket
            for text in "\(sources.joined(separator: ","))".split(","):
                address, _, port = text.partition(" ")
                s = socket.socket(\(family), socket.SOCK_DGRAM); s.bind((address, int(port or 0)))
                s.sendto(text.encode(), ("\(target)", 7000))
            '
            """)
        return listener.rest().split(separator: "\n").map(String.init)
    }

    /// Where a forged datagram goes: to the gateway itself or to the host behind it.
    struct Aim: CustomTestStringConvertible, Sendable {
        let family: IPFamily
        let isBehind: Bool

        static let all = IPFamily.allCases.flatMap { family in
            [false, true].map { Aim(family: family, isBehind: $0) }
        }

        var forged: String { family == .v4 ? "10.2.0.1" : "fd02::1" }
        /// An address that no policy is about.
        var plain: String { family == .v4 ? "192.0.2.2" : "2001:db8:ffff::2" }
        var target: String {
            switch (family, isBehind) {
            case (.v4, false): "10.1.0.1"
            case (.v4, true): "10.1.7.2"
            case (.v6, false): "fd01::1"
            case (.v6, true): "fd01:7::2"
            }
        }
        var testDescription: String { "\(forged) to \(target)" }
    }

    /// Of a datagram with a protected source and one with another, those that arrive.
    func arrivals(_ aim: Aim) throws -> [String] {
        try arrivals(from: outside, [aim.forged, aim.plain], at: aim.isBehind ? behind : gateway, aim.target)
    }

    static func protection() throws -> [InstalledPolicy] {
        [try policy(1, "10.1.0.0/16", "10.2.0.0/16"), try policy(2, "fd01::/16", "fd02::/16")]
    }
}

/// One at a time: each starts many programs.
@Suite("What comes in clear (RFC 4301, section 5.2)", .serialized)
struct ClearTextTests {
    @Test(
        "What a policy protects does not arrive in clear, unless a bypass before it says so",
        arguments: Field.Aim.all)
    private func refused(aim: Field.Aim) throws {
        let field = try Field()
        #expect(try field.arrivals(aim) == [aim.forged, aim.plain])
        let dataplane = UserspaceDataplane(field.gateway.configuration)
        try dataplane.start()
        try dataplane.apply(Field.protection())
        #expect(try field.arrivals(aim) == [aim.plain])
        try dataplane.apply(
            [policy(3, "10.1.0.0/16", "10.2.0.0/24", .bypass), policy(4, "fd01::/16", "fd02::/32", .bypass)]
                + Field.protection())
        #expect(try field.arrivals(aim) == [aim.forged, aim.plain])
        try dataplane.apply(Field.protection())
        #expect(try field.arrivals(aim) == [aim.plain])
        dataplane.stop()
        #expect(try field.arrivals(aim) == [aim.forged, aim.plain])
    }

    @Test(
        "What a policy protects arrives by the tunnel",
        arguments: zip(Field.Aim.all, [Encapsulation.ip, .udp, .udp, .ip]))
    private func tunnelled(aim: Field.Aim, encapsulation: Encapsulation) throws {
        let field = try Field()
        let tunnel = try Tunnel(field.sides)
        defer { tunnel.stop() }
        try tunnel.protect()
        try tunnel.key(inner: aim.family, outer: .v4, encapsulation: encapsulation)
        let arrived = try field.arrivals(
            from: field.outside, [aim.plain, aim.forged], at: aim.isBehind ? field.behind : field.gateway, aim.target)
        // The tunnel takes its time, but loses nothing.
        #expect(Set(arrived) == [aim.plain, aim.forged])
    }

    @Test("A killed data plane goes on refusing, until the next one ends in order or all is cleaned up")
    func killed() async throws {
        let field = try Field()
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = field.gateway.path as String] in
            try Victim.run(in: path)
        }
        try Self.checkLeftovers(field)
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = field.gateway.path as String] in
            try Victim.run(in: path)
        }
        try Self.cleanUp(field)
    }

    @inline(never)
    private static func checkLeftovers(_ field: Field) throws {
        let (first, last) = (Field.Aim.all[0], Field.Aim.all[3])
        for aim in Field.Aim.all { #expect(try field.arrivals(aim) == [aim.plain]) }
        let dataplane = UserspaceDataplane(field.gateway.configuration)
        try dataplane.start()
        #expect(try field.arrivals(first) == [first.plain])
        try dataplane.apply(Field.protection())
        #expect(try field.arrivals(last) == [last.plain])
        dataplane.stop()
        #expect(try field.arrivals(first) == [first.forged, first.plain])
    }

    @inline(never)
    private static func cleanUp(_ field: Field) throws {
        #expect(try field.arrivals(Field.Aim.all[0]) == [Field.Aim.all[0].plain])
        #expect(try UserspaceDataplane.cleanup(field.gateway.configuration).contains("table inet cygnet"))
        #expect(try field.gateway.execute("nft list tables").output.isEmpty)
        for aim in [Field.Aim.all[0], Field.Aim.all[3]] {
            #expect(try field.arrivals(aim) == [aim.forged, aim.plain])
        }
    }

    @Test("Between two hosts, only the protocol and the ports of the policy are refused")
    func ports() throws {
        let field = try Field()
        let dataplane = UserspaceDataplane(field.gateway.configuration)
        try dataplane.start()
        defer { dataplane.stop() }
        try dataplane.apply([policy(1, "192.0.2.1", "192.0.2.2", ipProtocol: 17, remotePorts: 7001...7003)])
        let sources = ["192.0.2.2 7001", "192.0.2.2 7000", "192.0.2.2 7003", "192.0.2.2 7004"]
        #expect(
            try field.arrivals(from: field.outside, sources, at: field.gateway, "192.0.2.1")
                == [sources[1], sources[3]])
        try dataplane.apply([policy(1, "192.0.2.1", "192.0.2.2", ipProtocol: 6)])
        #expect(try field.arrivals(from: field.outside, sources, at: field.gateway, "192.0.2.1") == sources)
    }

    @Test("With everything remote, hosts behind reach their gateway in clear, and nobody outside reaches them")
    func wide() throws {
        let field = try Field()
        try field.outside.mustIP("addr add 192.0.2.77/24 dev eth0")
        let dataplane = UserspaceDataplane(field.gateway.configuration)
        try dataplane.start()
        defer { dataplane.stop() }
        // A subnet elsewhere of what is local here stays protected.
        try dataplane.apply([
            policy(1, "10.1.0.0/16", "192.0.2.2/32", .bypass), policy(2, "10.1.0.0/16", "10.1.9.0/24"),
            policy(3, "10.1.0.0/16", "0.0.0.0/0"),
        ])
        try field.behind.mustIP("addr add 10.1.9.1/32 dev lo")
        #expect(
            try field.arrivals(from: field.behind, ["10.1.9.1", "10.1.7.2"], at: field.gateway, "10.1.7.1")
                == ["10.1.7.2"])
        #expect(
            try field.arrivals(from: field.outside, ["192.0.2.77", "192.0.2.2"], at: field.behind, "10.1.7.2")
                == ["192.0.2.2"])
        try dataplane.apply([policy(1, "0.0.0.0/0", "192.0.2.2/32", .bypass), policy(2, "0.0.0.0/0", "0.0.0.0/0")])
        #expect(
            try field.arrivals(from: field.outside, ["192.0.2.77", "192.0.2.2"], at: field.gateway, "192.0.2.1")
                == ["192.0.2.2"])
    }

    @Test("What comes in clear in the name of one tunnel's far side does not go on into another tunnel")
    func hub() async throws {
        let field = try Field()
        let dataplane = UserspaceDataplane(field.gateway.configuration)
        try dataplane.start()
        try Self.forgeThroughHub(dataplane, field)
        dataplane.stop()
        var asked: [UInt32] = []
        for await event in dataplane.events {
            if case .acquire(let policy, _) = event { asked.append(policy) }
        }
        #expect(asked == [3, 4])
    }

    @inline(never)
    private static func forgeThroughHub(_ dataplane: UserspaceDataplane, _ field: Field) throws {
        func send(from namespace: TestNamespace, _ source: String) throws {
            _ = try namespace.execute("ping -q -n -c 1 -W 0.2 -I \(source) 10.3.0.1")
        }
        try field.outside.mustIP("route add 10.3.0.0/16 via 192.0.2.1")
        try dataplane.apply([
            policy(1, "10.3.0.0/16", "10.2.0.0/16"), policy(2, "10.2.0.0/16", "10.3.0.0/16"),
            policy(3, "10.1.0.0/16", "10.3.0.0/16"),
        ])
        try send(from: field.outside, "10.2.0.1")
        try send(from: field.behind, "10.1.7.2")
        // Where both sides of a policy look alike, what our own side sends has a source of the far side's.
        try dataplane.apply([policy(4, "10.0.0.0/8", "10.0.0.0/8")])
        try send(from: field.behind, "10.1.7.2")
    }

    @Test(
        "A table that somebody has removed is made again, at the next look or change of policies",
        arguments: [true, false])
    func removed(looks: Bool) throws {
        let field = try Field()
        let dataplane = UserspaceDataplane(field.gateway.configuration)
        try dataplane.start()
        defer { dataplane.stop() }
        try dataplane.apply(Field.protection())
        #expect(try field.gateway.execute("nft flush ruleset").isSuccess)
        if looks {
            dataplane.restoreFilter()
        } else {
            try dataplane.apply(Field.protection() + [policy(3, "10.1.0.0/16", "10.3.0.0/16")])
        }
        let aim = Field.Aim.all[0]
        #expect(try field.arrivals(aim) == [aim.plain])
    }

    @Test("A thousand tunnels to networks of one size are one rule, and another one leaves that as it is")
    func scale() throws {
        let namespace = try TestNamespace()
        let dataplane = UserspaceDataplane(namespace.configuration)
        try dataplane.start()
        defer { dataplane.stop() }
        let policies = try (0..<1000).map { number in
            try policy(UInt32(number + 1), "10.0.0.0/16", "172.\(16 + number / 256).\(number % 256).0/24")
        }
        try dataplane.apply(policies)
        func rules() throws -> String { try namespace.execute("nft -a list chain inet cygnet policies").output }
        let before = try rules()
        #expect(before.split(separator: "\n").count { $0.contains(" drop ") } == 1, "\(before)")
        try dataplane.apply(Array(policies.dropFirst()) + [policy(1001, "10.0.0.0/16", "172.31.0.0/24")])
        #expect(try rules() == before)
        let name = try #require(before.firstMatch(of: /@(pairs\d+) counter packets 0 bytes 0 drop/)).1
        let elements = try namespace.execute("nft list set inet cygnet \(name)").output
        #expect(elements.matches(of: /172\.[0-9.]+ \. 10\.0\.0\.0/).count == 1000)
        #expect(elements.contains("172.31.0.0 . 10.0.0.0") && !elements.contains("172.16.0.0 . 10.0.0.0"))
    }
}
