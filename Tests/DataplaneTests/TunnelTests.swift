import Dataplane
import ESP
import Foundation
import IPPacket
import IPsecCrypto
import IPsecPolicy
import Octets
import Testing

/// Two data planes with associations keyed by hand between them.
struct Tunnel {
    let left: UserspaceDataplane
    let right: UserspaceDataplane

    /// - Parameter sides: namespaces of ``TestNamespace/pair()``.
    init(
        _ sides: (left: TestNamespace, right: TestNamespace), eventCapacity: Int = 1024, workers: Int = 1,
        rightWorkers: Int? = nil
    ) throws {
        var configuration = sides.left.configuration
        configuration.eventCapacity = eventCapacity
        configuration.workers = workers
        left = UserspaceDataplane(configuration)
        var other = sides.right.configuration
        other.workers = rightWorkers ?? workers
        right = UserspaceDataplane(other)
        try left.start()
        try right.start()
    }

    func stop() {
        left.stop()
        right.stop()
    }

    /// Policies between the inner networks of both families.
    func protect() throws {
        try left.apply([policy(1, "10.1.0.0/16", "10.2.0.0/16"), policy(2, "fd01::/16", "fd02::/16")])
        try right.apply([policy(1, "10.2.0.0/16", "10.1.0.0/16"), policy(2, "fd02::/16", "fd01::/16")])
    }

    func key(
        inner: IPFamily, outer: IPFamily, encapsulation: Encapsulation, extended: Bool = true,
        encryption: EncryptionAlgorithm = .aesGCM16(256), networks: [String]? = nil, generation: UInt32 = 0,
        leftLifetime: SALifetime = SALifetime(), group: SAGroup? = nil
    ) throws {
        let id: UInt32 = inner == .v4 ? 1 : 2
        let (forth, back) = (0x1001_0000 + generation * 256 + id, 0x2002_0000 + generation * 256 + id)
        func parameters(_ spi: UInt32, isLeft: Bool) throws -> SAParameters {
            try Self.parameters(spi, isLeft, inner, outer, encapsulation, extended, encryption, networks)
        }
        try right.installInbound(parameters(forth, isLeft: false), policy: id)
        try left.installInbound(parameters(back, isLeft: true), policy: id)
        var forward = try parameters(forth, isLeft: true)
        forward.lifetime = leftLifetime
        forward.group = group
        try left.activateOutbound(forward, pairedWith: back, policy: id)
        var backward = try parameters(back, isLeft: false)
        backward.group = group
        try right.activateOutbound(backward, pairedWith: forth, policy: id)
    }

    static func parameters(
        _ spi: UInt32, _ isLeft: Bool, _ inner: IPFamily, _ outer: IPFamily, _ encapsulation: Encapsulation,
        _ extended: Bool = true, _ encryption: EncryptionAlgorithm = .aesGCM16(256),
        _ networks: [String]? = nil
    ) throws -> SAParameters {
        let networks = networks ?? (inner == .v4 ? ["10.1.0.0/16", "10.2.0.0/16"] : ["fd01::/16", "fd02::/16"])
        let addresses = outer == .v4 ? ["192.0.2.1", "192.0.2.2"] : ["2001:db8:ffff::1", "2001:db8:ffff::2"]
        let selectors = try networks.map { [TrafficSelector(try #require(IPPrefix($0)))] }
        let ends = try addresses.map { SocketAddress(try #require(IPAddress($0)), port: 4500) }
        let mine = isLeft ? 0 : 1
        let key = (0..<encryption.keyMaterialLength).map { UInt8(truncatingIfNeeded: $0 + Int(spi)) }
        let integrity: IntegrityAlgorithm? = encryption.isAEAD ? nil : .hmacSHA2_256_128
        return SAParameters(
            spi: spi, encryption: encryption, encryptionKey: SecretOctets(key), integrity: integrity,
            integrityKey: integrity.map { SecretOctets([UInt8](repeating: 7, count: $0.keyLength)) },
            extendedSequenceNumbers: extended, encapsulation: encapsulation, local: ends[mine], remote: ends[1 - mine],
            localSelectors: selectors[mine], remoteSelectors: selectors[1 - mine])
    }
}

func ping(_ namespace: TestNamespace, inner: IPFamily, count: Int = 3, extra: String = "") throws -> Bool {
    let (source, target) = inner == .v4 ? ("10.1.0.1", "10.2.0.1") : ("fd01::1", "fd02::1")
    let result = try namespace.execute("ping -q -n -c \(count) -i 0.05 -W 1 \(extra) -I \(source) \(target)")
    return result.output.contains(" 0% packet loss")
}

@Suite("Packets through two data planes")
struct TunnelTests {
    @Test(
        "A ping goes through, whatever the families inside and outside, in UDP and in protocol 50",
        arguments: [IPFamily.v4, .v6].flatMap { inner in
            [IPFamily.v4, .v6].flatMap { outer in
                [Encapsulation.udp, .ip].map { (inner: inner, outer: outer, encapsulation: $0) }
            }
        })
    func ping(_ row: (inner: IPFamily, outer: IPFamily, encapsulation: Encapsulation)) async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        try pingThrough(tunnel, sides, row)
        let counters = await tunnel.left.counters()
        #expect(counters.map(\.counters.packets) == [3, 3])
        #expect(counters.allSatisfy { $0.counters.totalDrops == 0 })
        tunnel.stop()
    }

    @inline(never)
    private func pingThrough(
        _ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace),
        _ row: (inner: IPFamily, outer: IPFamily, encapsulation: Encapsulation)
    ) throws {
        try tunnel.protect()
        try tunnel.key(inner: row.inner, outer: row.outer, encapsulation: row.encapsulation)
        #expect(try DataplaneTests.ping(sides.left, inner: row.inner))
    }

    @Test("A later association takes over from an earlier one, which goes on when the later is removed")
    func succession() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        try Self.succeed(tunnel, sides)
        let counters = await tunnel.left.counters().filter { $0.direction == .outbound }
        #expect(counters.map { "\(String($0.spi, radix: 16)) \($0.counters.packets)" } == ["10010001 6"])
        tunnel.stop()
    }

    @inline(never)
    private static func succeed(_ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace)) throws {
        try tunnel.protect()
        try tunnel.key(inner: .v4, outer: .v4, encapsulation: .udp)
        #expect(try DataplaneTests.ping(sides.left, inner: .v4))
        try tunnel.key(inner: .v4, outer: .v4, encapsulation: .udp, generation: 1)
        #expect(try DataplaneTests.ping(sides.left, inner: .v4))
        tunnel.left.removeOutbound(pairedWith: 0x2002_0101)
        #expect(try DataplaneTests.ping(sides.left, inner: .v4))
    }

    @Test("An SPI that two peers have chosen serves both, and goes for one without the other")
    func coincidingSPIs() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        try Self.coincide(tunnel, sides)
        let counters = await tunnel.left.counters().filter { $0.direction == .outbound }
        #expect(counters.map(\.inboundSPI) == [0x2002_0001])
        tunnel.stop()
    }

    @inline(never)
    private static func coincide(_ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace)) throws {
        try tunnel.protect()
        try tunnel.key(inner: .v4, outer: .v4, encapsulation: .udp)
        // Somebody else at the same address has chosen the same SPI, for another policy.
        let other = try Tunnel.parameters(0x1001_0001, true, .v6, .v4, .udp)
        try tunnel.left.installInbound(Tunnel.parameters(0x3003_0007, true, .v6, .v4, .udp), policy: 2)
        try tunnel.left.activateOutbound(other, pairedWith: 0x3003_0007, policy: 2)
        #expect(try DataplaneTests.ping(sides.left, inner: .v4))
        tunnel.left.removeOutbound(pairedWith: 0x3003_0007)
        #expect(try DataplaneTests.ping(sides.left, inner: .v4))
    }

    @Test("A slot of the table is given to one association only")
    func slotTaken() throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        defer { tunnel.stop() }
        try tunnel.left.installInbound(Tunnel.parameters(0x1111_0005, true, .v4, .v4, .udp), policy: 1)
        let error = #expect(throws: DataplaneError.self) {
            try tunnel.left.installInbound(Tunnel.parameters(0x2222_0005, true, .v4, .v4, .udp), policy: 1)
        }
        #expect(error?.code == .inUse)
        tunnel.left.removeInbound(spi: 0x1111_0005)
        try tunnel.left.installInbound(Tunnel.parameters(0x2222_0005, true, .v4, .v4, .udp), policy: 1)
    }

    @Test(
        "On a link that carries less, senders with DF are told the size that fits, others' packets still get there",
        arguments: [IPFamily.v4, .v6])
    func smallLink(outer: IPFamily) async throws {
        let sides = try TestNamespace.pair()
        for side in [sides.left, sides.right] { try side.mustIP("link set eth0 mtu 1340") }
        let tunnel = try Tunnel(sides)
        try Self.pingLarge(tunnel, sides, outer)
        let statistics = await tunnel.left.statistics()
        #expect(statistics.tooBigSent >= 1)
        #expect(statistics.drops["outer-too-big"] == nil)
        tunnel.stop()
    }

    @inline(never)
    private static func pingLarge(
        _ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace), _ outer: IPFamily
    ) throws {
        try tunnel.protect()
        try tunnel.key(inner: .v4, outer: outer, encapsulation: .udp)
        let told = try sides.left.execute("ping -n -c 3 -i 0.2 -W 1 -M do -s 1300 -I 10.1.0.1 10.2.0.1")
        let overhead = outer == .v4 ? 28 : 48
        let largest = (1340 - overhead - 32) / 4 * 4 - 2
        #expect(told.output.contains("mtu = \(largest)") || told.output.contains("mtu=\(largest)"), "\(told.output)")
        let other = try sides.left.execute("ping -q -n -c 3 -i 0.05 -W 1 -M dont -s 1300 -I 10.1.0.1 10.2.0.1")
        #expect(other.output.contains(" 0% packet loss"), "\(other.output)")
    }

    @Test("Too large packets in one tunnel, however many, do not take the answer of a sender in another")
    func answersApart() throws {
        let sides = try TestNamespace.pair()
        for side in [sides.left, sides.right] { try side.mustIP("link set eth0 mtu 1340") }
        let tunnel = try Tunnel(sides)
        defer { tunnel.stop() }
        try Self.floodOne(tunnel, sides)
    }

    @inline(never)
    private static func floodOne(
        _ tunnel: Tunnel, _ sides: (left: TestNamespace, right: TestNamespace)
    ) throws {
        try tunnel.protect()
        try tunnel.key(inner: .v4, outer: .v4, encapsulation: .udp)
        try tunnel.key(inner: .v6, outer: .v4, encapsulation: .udp)
        // With DF, and without regard to what was answered before: a thousand a second.
        let script = """
            import os, socket, time
            if os.fork() == 0:
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                s.setsockopt(socket.IPPROTO_IP, 10, 3)
                s.bind(("10.1.0.1", 0))
                end = time.time() + 2
                while time.time() < end:
                    try: s.sendto(bytes(1300), ("10.2.0.1", 9))
                    except OSError: pass
                    time.sleep(0.0005)
                os._exit(0)
            time.sleep(1)
            os.system("ping -n -c 1 -W 1 -M do -s 1300 -I fd01::1 fd02::1")
            os.wait()
            """
        let told = try run("ip", "netns", "exec", sides.left.name, "python3", "-c", script).output
        #expect(told.contains("mtu"), "\(told)")
    }

    @Test("A data plane with nothing to do uses no processor time")
    func idle() async throws {
        let namespace = try TestNamespace()
        await #expect(processExitsWith: .success) { [path = namespace.path as String] in
            let used = try Victim.idle(in: path)
            #expect(used < 10_000, "\(used) microseconds in a second")
        }
    }

    @Test("A ping goes through without extended sequence numbers, and with AES-CBC and ChaCha20")
    func otherTransforms() throws {
        for (extended, encryption) in [
            (false, EncryptionAlgorithm.aesGCM16(128)), (true, .aesCBC(256)), (true, .chaCha20Poly1305),
        ] {
            let sides = try TestNamespace.pair()
            let tunnel = try Tunnel(sides)
            defer { tunnel.stop() }
            try tunnel.protect()
            try tunnel.key(inner: .v4, outer: .v4, encapsulation: .ip, extended: extended, encryption: encryption)
            #expect(try DataplaneTests.ping(sides.left, inner: .v4), "\(encryption)")
        }
    }
}
