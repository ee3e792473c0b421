import Dataplane
import IPPacket
import Testing

@Suite("Rules and routes in the kernel")
struct RoutingTests {
    @Test("Rules stand in the order of the policies, behind the mark of our own packets")
    func order() throws {
        let namespace = try TestNamespace()
        let dataplane = UserspaceDataplane(namespace.configuration)
        try dataplane.start()
        defer { dataplane.stop() }
        try dataplane.apply([
            policy(1, "10.1.0.0/16", "10.2.9.0/24", .bypass), policy(2, "10.1.0.0/16", "10.2.0.0/16"),
            policy(3, "10.1.0.0/16", "10.3.0.0/16", .discard), policy(4, "10.1.0.0/16", "10.4.0.0/16", ipProtocol: 6),
        ])
        let rules = try namespace.rules(.v4)
        #expect(
            rules == [
                "from all fwmark 0xc39e goto 31999", "from all to 224.0.0.0/4 goto 31999",
                "from all to 169.254.0.0/16 goto 31999", "from all to 255.255.255.255 goto 31999",
                "from 10.1.0.0/16 to 10.2.9.0/24 goto 31999", "from 10.1.0.0/16 to 10.2.0.0/16 lookup 50500",
                "from 10.1.0.0/16 to 10.3.0.0/16 7",  // unreachable
                "from 10.1.0.0/16 to 10.4.0.0/16 ipproto 6 lookup 50500", "from all nop",
            ])
        #expect(try namespace.rules(.v6) == ["from all fwmark 0xc39e goto 31999", "from all nop"])
    }

    @Test("Applying policies anew adds what is missing and removes what is stale")
    func reconcile() throws {
        let namespace = try TestNamespace()
        let dataplane = UserspaceDataplane(namespace.configuration)
        try dataplane.start()
        defer { dataplane.stop() }
        let first = try policy(1, "10.1.0.0/16", "10.2.0.0/16")
        let second = try policy(2, "10.1.0.0/16", "10.3.0.0/16")
        let third = try policy(3, "10.1.0.0/16", "10.0.0.0/8", .bypass)
        func general() throws -> [String] {
            try namespace.rules(.v4).filter { $0.hasPrefix("from 10.") }
        }
        let texts = [
            "from 10.1.0.0/16 to 10.2.0.0/16 lookup 50500", "from 10.1.0.0/16 to 10.3.0.0/16 lookup 50500",
            "from 10.1.0.0/16 to 10.0.0.0/8 goto 31999",
        ]
        try dataplane.apply([first, third])
        #expect(try general() == [texts[0], texts[2]])
        try dataplane.apply([first, second, third])
        #expect(try general() == texts)
        try dataplane.apply([second, third, first])
        #expect(try general() == [texts[1], texts[2], texts[0]])
        try dataplane.apply([])
        #expect(try general() == [])
    }

    @Test("Rules that already stand as wanted are left untouched")
    func untouched() throws {
        let namespace = try TestNamespace()
        let dataplane = UserspaceDataplane(namespace.configuration)
        try dataplane.start()
        defer { dataplane.stop() }
        let first = try policy(1, "10.1.0.0/16", "10.2.0.0/16")
        try dataplane.apply([first])
        let before = try namespace.ip("rule show")
        try dataplane.apply([first])
        #expect(try namespace.ip("rule show") == before)
        try dataplane.apply([first, policy(2, "10.1.0.0/16", "10.3.0.0/16")])
        let after = try namespace.ip("rule show")
        let kept = before.split(separator: "\n").dropLast()
        #expect(kept.allSatisfy { after.contains($0) })
    }

    @Test("Stopping removes rules, routes and the device")
    func stopping() throws {
        let namespace = try TestNamespace()
        let before = try Self.state(namespace)
        let dataplane = UserspaceDataplane(namespace.configuration)
        try dataplane.start()
        try dataplane.setAddresses([#require(IPPrefix("10.9.0.1/32")), #require(IPPrefix("fd09::1/128"))])
        try dataplane.apply([policy(1, "10.1.0.0/16", "0.0.0.0/0"), policy(2, "fd01::/16", "::/0")])
        #expect(try Self.state(namespace) != before)
        dataplane.stop()
        #expect(try Self.state(namespace) == before)
    }

    private static func state(_ namespace: TestNamespace) throws -> [String] {
        try ["rule show", "-6 rule show", "route show table all", "-6 route show table all", "-br link", "-br addr"]
            .map { try namespace.ip($0) }
    }

    @Test("A wide selector keeps traffic within the local side and the host's own multicast out of the tunnel")
    func wideSelector() throws {
        let namespace = try TestNamespace()
        try namespace.mustIP("link add lan type veth peer name far")
        try namespace.mustIP("link set far up")
        try namespace.mustIP("addr add 10.1.0.1/16 dev lan")
        try namespace.mustIP("addr add fd01::1/64 dev lan nodad")
        try namespace.mustIP("link set lan up")
        let dataplane = UserspaceDataplane(namespace.configuration)
        try dataplane.start()
        defer { dataplane.stop() }
        try dataplane.apply([policy(1, "10.1.0.0/16", "0.0.0.0/0"), policy(2, "fd01::/64", "::/0")])
        func device(_ query: String) throws -> String {
            let words = try namespace.ip("route get \(query)").split(whereSeparator: \.isWhitespace)
            return words.firstIndex(of: "dev").map { String(words[$0 + 1]) } ?? "none"
        }
        #expect(try device("198.51.100.1 from 10.1.0.1") == "cygnet0")
        #expect(try device("198.51.100.1 from 10.1.0.7 iif lan") == "cygnet0")
        #expect(try device("10.1.0.5 from 10.1.0.1") == "lan")
        #expect(try device("198.51.100.1 from 10.1.0.1 mark 0xc39e") == "none")
        #expect(try device("2001:db8::1 from fd01::1") == "cygnet0")
        #expect(try device("fd01::5 from fd01::1") == "lan")
        #expect(try device("ff02::1 from fd01::1 oif lan") == "lan")
        // Without a source chosen, the own address within the local side becomes it.
        #expect(try namespace.ip("route get 198.51.100.1").contains("dev cygnet0 table 50501 src 10.1.0.1"))
        #expect(try namespace.ip("route get 2001:db8::1").contains("dev cygnet0"))
        #expect(try namespace.ip("route get 2001:db8::1").contains("src fd01::1"))
        #expect(try device("10.1.0.5") == "lan")
        #expect(try device("fd01::5") == "lan")
    }

    @Test("A hub with everything on its side leads what comes from one branch to another")
    func hub() throws {
        let namespace = try TestNamespace()
        try namespace.mustIP("link add wan type veth peer name far")
        try namespace.mustIP("link set far up")
        try namespace.mustIP("addr add 192.0.2.1/24 dev wan")
        try namespace.mustIP("link set wan up")
        try namespace.mustIP("route add default via 192.0.2.254")
        let dataplane = UserspaceDataplane(namespace.configuration)
        try dataplane.start()
        defer { dataplane.stop() }
        try dataplane.apply([policy(1, "0.0.0.0/0", "10.1.0.0/16"), policy(2, "0.0.0.0/0", "10.2.0.0/16")])
        let toBranch = try namespace.ip("route get 10.2.0.5 from 10.1.0.5 iif cygnet0")
        #expect(toBranch.contains("dev cygnet0"))
        let toWorld = try namespace.ip("route get 198.51.100.1 from 10.1.0.5 iif cygnet0")
        #expect(toWorld.contains("dev wan"))
        let back = try namespace.ip("route get 10.1.0.5 from 198.51.100.1 iif wan")
        #expect(back.contains("dev cygnet0"))
    }

    @Test("Fragments that hide their ports go inside where a policy protects some ports only")
    func fragments() throws {
        let namespace = try TestNamespace()
        let dataplane = UserspaceDataplane(namespace.configuration)
        try dataplane.start()
        defer { dataplane.stop() }
        try dataplane.apply([policy(1, "10.1.0.0/16", "10.2.0.0/16", ipProtocol: 17, remotePorts: 53...53)])
        let rules = try namespace.rules(.v4).suffix(5).dropLast()
        #expect(
            rules.map { $0.replacing(#/goto \d+/#, with: "goto N") } == [
                "from 10.1.0.0/16 to 10.2.0.0/16 ipproto 17 dport 53 lookup 50500",
                "from 10.1.0.0/16 to 10.2.0.0/16 ipproto 17 dport 1-65534 goto N",
                "from 10.1.0.0/16 to 10.2.0.0/16 ipproto 17 lookup 50500", "from all nop",
            ])
    }

    @Test("Two data planes cannot have the same device")
    func deviceInUse() throws {
        let namespace = try TestNamespace()
        let dataplane = UserspaceDataplane(namespace.configuration)
        try dataplane.start()
        defer { dataplane.stop() }
        let error = #expect(throws: DataplaneError.self) { try UserspaceDataplane(namespace.configuration).start() }
        #expect(error?.code == .inUse)
    }

    @Test(
        "Two hundred tunnels lead inside each by few rules, also from this host; what no policy has goes its usual way")
    func many() throws {
        let namespace = try TestNamespace()
        try namespace.mustIP("link add outside type veth peer name far")
        try namespace.mustIP("link set far up")
        try namespace.mustIP("link set outside up")
        try namespace.mustIP("addr add 192.0.2.1/24 dev outside")
        try namespace.mustIP("addr add 2001:db8:ffff::1/64 dev outside nodad")
        try namespace.mustIP("route add default dev outside")
        try namespace.mustIP("-6 route add default dev outside")
        try namespace.mustIP("addr add 10.1.0.1/32 dev lo")
        try namespace.mustIP("addr add fd01::1/128 dev lo nodad")
        let dataplane = UserspaceDataplane(namespace.configuration)
        try dataplane.start()
        defer { dataplane.stop() }
        try dataplane.apply(
            (0..<200).flatMap { number in
                try [
                    policy(UInt32(number), "10.1.0.0/16", "172.16.\(number).0/24"),
                    policy(UInt32(1000 + number), "fd01::/16", "fd02:\(number)::/32"),
                ]
            })
        for number in [0, 1, 77, 128, 199] {
            let v4 = try namespace.ip("route get 172.16.\(number).9")
            #expect(v4.contains("dev cygnet0") && v4.contains("src 10.1.0.1"), "\(v4)")
            let v6 = try namespace.ip("route get fd02:\(number)::9")
            #expect(v6.contains("dev cygnet0") && v6.contains("src fd01::1"), "\(v6)")
            #expect(try namespace.ip("route get 172.16.\(number).9 from 10.1.0.1").contains("dev cygnet0"))
            #expect(try namespace.ip("route get fd02:\(number)::9 from fd01::1").contains("dev cygnet0"))
            #expect(try namespace.ip("route get 172.16.\(number).9 from 192.0.2.1").contains("dev outside"))
        }
        #expect(try namespace.ip("route get 172.16.200.9").contains("dev outside"))
        #expect(try namespace.ip("route get 172.15.3.9 from 10.1.0.1").contains("dev outside"))
        #expect(try namespace.ip("route get fd02:200::9").contains("dev outside"))
        // Nodes jump; without them a packet would meet all two hundred.
        #expect(try namespace.rules(.v4).contains { $0.hasPrefix("from all to 172.16.128.0/17 goto") })
    }

    @Test("Forwarding that is off while selectors need it is told as a warning")
    func forwardingOff() async throws {
        let namespace = try TestNamespace(forwarding: false)
        let dataplane = UserspaceDataplane(namespace.configuration)
        try dataplane.start()
        try dataplane.apply([policy(1, "10.1.0.0/16", "10.2.0.0/16")])
        dataplane.stop()
        var warnings: [String] = []
        for await event in dataplane.events {
            if case .warning(let text) = event { warnings.append(text) }
        }
        #expect(
            warnings == ["10.1.0.0/16 is behind this host, but it does not forward IPv4: set net.ipv4.ip_forward to 1"])
    }
}
