import Dataplane
import ESP
import Foundation
import IPPacket
import IPsecPolicy
import Testing

@Suite("Transport mode between two hosts")
struct TransportTests {
    /// Data planes of which each protects what its host sends to the other.
    private static func connect(
        _ sides: (left: TestNamespace, right: TestNamespace), _ family: IPFamily, _ encapsulation: Encapsulation
    ) throws -> Tunnel {
        let tunnel = try Tunnel(sides)
        let hosts =
            family == .v4 ? ["192.0.2.1/32", "192.0.2.2/32"] : ["2001:db8:ffff::1/128", "2001:db8:ffff::2/128"]
        try tunnel.left.apply([policy(1, hosts[0], hosts[1])])
        try tunnel.right.apply([policy(1, hosts[1], hosts[0])])
        func parameters(_ spi: UInt32, isLeft: Bool) throws -> SAParameters {
            var parameters = try Tunnel.parameters(
                spi, isLeft, family, family, encapsulation, true, .aesGCM16(256), hosts)
            parameters.mode = .transport(
                TransportHosts(local: parameters.local.address, remote: parameters.remote.address))
            return parameters
        }
        try tunnel.right.installInbound(parameters(0x1001_0001, isLeft: false), policy: 1)
        try tunnel.left.installInbound(parameters(0x2002_0001, isLeft: true), policy: 1)
        try tunnel.left.activateOutbound(parameters(0x1001_0001, isLeft: true), pairedWith: 0x2002_0001, policy: 1)
        try tunnel.right.activateOutbound(parameters(0x2002_0001, isLeft: false), pairedWith: 0x1001_0001, policy: 1)
        return tunnel
    }

    private static let rows = IPFamily.allCases.flatMap { family in
        [Encapsulation.ip, .udp].map { (family: family, encapsulation: $0) }
    }

    @Test("Pings between the hosts' own addresses go through, with their hop limit", arguments: rows)
    func ping(_ row: (family: IPFamily, encapsulation: Encapsulation)) async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Self.connect(sides, row.family, row.encapsulation)
        try mustRun(
            "ip netns exec \(sides.right.name) sysctl -qw net.ipv4.ip_default_ttl=77 net.ipv6.conf.all.hop_limit=77")
        let target = row.family == .v4 ? "192.0.2.2" : "2001:db8:ffff::2"
        let pings = try sides.left.execute("ping -n -c 3 -i 0.05 -W 1 \(target)")
        #expect(pings.output.contains(" 0% packet loss"), "\(pings.output)")
        #expect(row.family == .v6 || pings.output.contains("ttl=77"), "\(pings.output)")
        let counters = await tunnel.left.counters()
        #expect(counters.map(\.counters.packets) == [3, 3])
        #expect(counters.allSatisfy { $0.counters.totalDrops == 0 })
        tunnel.stop()
    }

    @Test("TCP carries a megabyte between the hosts, and answers leave by the tunnel as well", arguments: rows)
    func transfer(_ row: (family: IPFamily, encapsulation: Encapsulation)) async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Self.connect(sides, row.family, row.encapsulation)
        let target = row.family == .v4 ? "192.0.2.2" : "2001:db8:ffff::2"
        let server = """
            import socket; s = socket.create_server(("\(target)", 7000), family=\
            socket.AF_INET\(row.family == .v4 ? "" : "6")); print("ready", flush=True); c, _ = s.accept(); n = 0
            while True:
                d = c.recv(65536)
                if not d: break
                n += len(d)
            c.sendall(str(n).encode()); c.close()
            """
        let client = """
            import socket; s = socket.create_connection(("\(target)", 7000), 5); s.sendall(bytes(1 << 20))
            s.shutdown(1); print(s.recv(100).decode())
            """
        let listener = try sides.right.start(["/usr/bin/python3", "-c", server])
        _ = listener.said()
        let result = try run("ip", "netns", "exec", sides.left.name, "/usr/bin/python3", "-c", client)
        #expect(result.output.contains("\(1 << 20)"), "\(result.output)")
        listener.signal(SIGTERM)
        #expect(await tunnel.left.counters().allSatisfy { $0.counters.packets > 5 && $0.counters.totalDrops == 0 })
        tunnel.stop()
    }

    @Test("Options of the IPv4 header travel in the outer one and arrive")
    func options() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Self.connect(sides, .v4, .ip)
        // With a timestamp option, each host writes into it what the other gets to see.
        let pings = try sides.left.execute("ping -n -c 2 -i 0.05 -W 1 -T tsonly 192.0.2.2")
        #expect(pings.output.contains(" 0% packet loss"), "\(pings.output)")
        #expect(pings.output.contains("TS:"), "\(pings.output)")
        let counters = await tunnel.left.counters()
        #expect(counters.map(\.counters.packets) == [2, 2])
        tunnel.stop()
    }

    @Test("Without an association nothing leaves in clear between the hosts")
    func blocking() async throws {
        let sides = try TestNamespace.pair()
        let left = UserspaceDataplane(sides.left.configuration)
        try left.start()
        try left.apply([policy(1, "192.0.2.1/32", "192.0.2.2/32")])
        let pings = try sides.left.execute("ping -q -n -c 2 -i 0.05 -W 1 192.0.2.2")
        #expect(pings.output.contains(" 100% packet loss"), "\(pings.output)")
        #expect(await left.statistics().drops["no-association"] == 2)
        left.stop()
    }
}
