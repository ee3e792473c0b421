import Dataplane
import ESP
import Foundation
import IPPacket
import Testing

/// What passes a device of a namespace while something is done.
///
/// - Parameter filter: in the notation of pcap-filter(7).
func captured(_ namespace: TestNamespace, _ device: String, _ filter: String, during body: () throws -> Void) throws
    -> [String]
{
    let capture = try namespace.start(
        ["tcpdump", "-nlp", "--immediate-mode", "-i", device, filter], keeping: .both)
    // It says that it listens before it captures, by the line that names the link's type.
    var said = ""
    while said.range(of: "listening on.*\n", options: .regularExpression) == nil {
        let more = capture.said()
        guard !more.isEmpty else { throw TestFailure(description: "tcpdump: \(said)") }
        said += more
    }
    try body()
    usleep(100_000)
    capture.signal(SIGKILL)
    let lines = (said + capture.rest()).split(separator: "\n").map(String.init)
    return lines.drop { !$0.hasPrefix("listening on") }.dropFirst().map { $0 }
}

@Suite("Nothing leaves in clear")
struct ProtectionTests {
    @Test("Without an association nothing of a protected policy leaves", arguments: [IPFamily.v4, .v6])
    func noAssociation(family: IPFamily) throws {
        let sides = try TestNamespace.pair()
        try Self.routeInClear(sides)
        #expect(try ping(sides.left, inner: family), "the way in clear is there")
        let tunnel = try Tunnel(sides)
        defer { tunnel.stop() }
        try tunnel.protect()
        let clear = try captured(sides.right, "eth0", "icmp or icmp6 and not (ip6[40] >= 133 and ip6[40] <= 136)") {
            let answered = try ping(sides.left, inner: family)
            #expect(!answered)
        }
        #expect(clear.isEmpty)
    }

    /// Routes in the main table by which everything would go in clear.
    private static func routeInClear(_ sides: (left: TestNamespace, right: TestNamespace)) throws {
        try sides.left.mustIP("route add default via 192.0.2.2")
        try sides.left.mustIP("-6 route add default via 2001:db8:ffff::2")
        try sides.right.mustIP("route add default via 192.0.2.1")
        try sides.right.mustIP("-6 route add default via 2001:db8:ffff::1")
        // So that the first echo need not wait for neighbours.
        _ = try sides.left.execute("ping -q -c 1 -W 2 192.0.2.2")
        _ = try sides.left.execute("ping -q -c 1 -W 2 2001:db8:ffff::2")
    }

    @Test("A killed data plane leaves only rules and unreachable routes, which block and are taken over or cleaned up")
    func killed() async throws {
        let sides = try TestNamespace.pair()
        try Self.routeInClear(sides)
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = sides.left.path as String] in
            try Victim.run(in: path)
        }
        try Self.checkLeftovers(sides)
    }

    @inline(never)
    private static func checkLeftovers(_ sides: (left: TestNamespace, right: TestNamespace)) throws {
        let left = sides.left
        #expect(try !left.ip("-br link").contains("cygnet0"))
        for family in IPFamily.allCases {
            let routes = try left.ip("-\(family.rawValue) route show table all proto 201").split(separator: "\n")
            #expect(routes.count == 2)
            #expect(routes.allSatisfy { $0.hasPrefix("unreachable default") })
            #expect(try left.rules(family).contains { $0.hasSuffix("lookup 50500") })
            #expect(try !ping(left, inner: family))
        }
        // The next one goes on where the last was ended.
        let tunnel = try Tunnel(sides)
        #expect(try !ping(left, inner: .v4))
        try tunnel.protect()
        try tunnel.key(inner: .v4, outer: .v4, encapsulation: .udp)
        #expect(try ping(left, inner: .v4))
        tunnel.stop()
        #expect(try left.rules(.v4).isEmpty)
    }

    @Test("Cleaning up removes what a killed data plane left, and says what it was")
    func cleanup() async throws {
        let namespace = try TestNamespace()
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = namespace.path as String] in
            try Victim.run(in: path)
        }
        let removed = try UserspaceDataplane.cleanup(namespace.configuration)
        #expect(removed.contains { $0.hasSuffix("from 10.1.0.0/16 to 10.2.0.0/16 lookup 50500") })
        #expect(removed.contains("IPv6 route unreachable ::/0 table 50500 metric 4294967280"))
        #expect(try namespace.rules(.v4).isEmpty)
        #expect(try !namespace.ip("route show table all").contains("201"))
        #expect(try UserspaceDataplane.cleanup(namespace.configuration).isEmpty)
    }

    @Test("While a data plane works, cleaning up is refused, and after an end that nobody asked for its blocking stays")
    func blockingStays() throws {
        let namespace = try TestNamespace()
        let dataplane = UserspaceDataplane(namespace.configuration)
        try dataplane.start()
        try dataplane.apply([policy(1, "10.1.0.0/16", "10.2.0.0/16")])
        let error = #expect(throws: DataplaneError.self) { try UserspaceDataplane.cleanup(namespace.configuration) }
        #expect(error?.code == .inUse)
        let rules = try namespace.rules(.v4)
        dataplane.stop(keepsBlocking: true)
        #expect(try namespace.rules(.v4) == rules)
        #expect(
            try namespace.ip("route show table \(namespace.configuration.routeTable)").hasPrefix("unreachable default"))
        _ = try UserspaceDataplane.cleanup(namespace.configuration)
        #expect(try namespace.rules(.v4).isEmpty)
    }

    @Test("Wide selectors make no loop: each packet is sealed once", arguments: [IPFamily.v4, .v6])
    func noLoop(family: IPFamily) async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        try Self.pingWide(tunnel, sides, family)
        let counters = await tunnel.left.counters()
        #expect(counters.map(\.counters.packets) == [3, 3])
        tunnel.stop()
    }

    @inline(never)
    private static func pingWide(
        _ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace), _ family: IPFamily
    ) throws {
        try tunnel.left.apply([policy(1, "10.1.0.0/16", "0.0.0.0/0"), policy(2, "fd01::/16", "::/0")])
        try tunnel.right.apply([policy(1, "0.0.0.0/0", "10.1.0.0/16"), policy(2, "::/0", "fd01::/16")])
        try tunnel.key(inner: family, outer: family, encapsulation: .udp)
        #expect(try ping(sides.left, inner: family))
    }

    @Test("Between two hosts the selectors may be the outer addresses themselves")
    func hostToHost() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        try Self.pingHosts(tunnel, sides)
        let counters = await tunnel.right.counters()
        #expect(counters.map(\.counters.packets) == [3, 3])
        tunnel.stop()
    }

    @inline(never)
    private static func pingHosts(_ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace)) throws {
        try tunnel.left.apply([policy(1, "192.0.2.1", "192.0.2.2")])
        try tunnel.right.apply([policy(1, "192.0.2.2", "192.0.2.1")])
        try tunnel.key(inner: .v4, outer: .v4, encapsulation: .udp, networks: ["192.0.2.1/32", "192.0.2.2/32"])
        let result = try sides.left.execute("ping -q -n -c 3 -i 0.05 -W 1 192.0.2.2")
        #expect(result.output.contains(" 0% packet loss"))
    }
}

/// A data plane in a process of its own, for ends that a test does not survive.
enum Victim {
    @inline(never)
    static func run(in path: String) throws {
        var configuration = UserspaceDataplane.Configuration()
        configuration.networkNamespace = path
        let dataplane = UserspaceDataplane(configuration)
        try dataplane.start()
        try dataplane.apply([policy(1, "10.1.0.0/16", "10.2.0.0/16"), policy(2, "fd01::/16", "fd02::/16")])
        kill(getpid(), SIGKILL)
    }

    /// Processor time of a data plane that has nothing to do for a second, in microseconds.
    @inline(never)
    static func idle(in path: String) throws -> Int {
        var configuration = UserspaceDataplane.Configuration()
        configuration.networkNamespace = path
        let dataplane = UserspaceDataplane(configuration)
        try dataplane.start()
        try dataplane.apply([policy(1, "10.1.0.0/16", "10.2.0.0/16")])
        let before = used()
        sleep(1)
        let after = used()
        dataplane.stop()
        return after - before
    }

    private static func used() -> Int {
        var usage = rusage()
        getrusage(Int32(RUSAGE_SELF.rawValue), &usage)
        let (user, system) = (usage.ru_utime, usage.ru_stime)
        return (user.tv_sec + system.tv_sec) * 1_000_000 + Int(user.tv_usec) + Int(system.tv_usec)
    }
}
