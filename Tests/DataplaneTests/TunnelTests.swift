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
    init(_ sides: (left: TestNamespace, right: TestNamespace)) throws {
        left = UserspaceDataplane(sides.left.configuration)
        right = UserspaceDataplane(sides.right.configuration)
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
        encryption: EncryptionAlgorithm = .aesGCM16(256)
    ) throws {
        let id: UInt32 = inner == .v4 ? 1 : 2
        let (forth, back) = (0x1001_0000 + id, 0x2002_0000 + id)
        try right.installInbound(try Self.parameters(forth, false, inner, outer, encapsulation, extended, encryption), policy: id)
        try left.installInbound(try Self.parameters(back, true, inner, outer, encapsulation, extended, encryption), policy: id)
        try left.activateOutbound(try Self.parameters(forth, true, inner, outer, encapsulation, extended, encryption), policy: id)
        try right.activateOutbound(try Self.parameters(back, false, inner, outer, encapsulation, extended, encryption), policy: id)
    }

    static func parameters(
        _ spi: UInt32, _ isLeft: Bool, _ inner: IPFamily, _ outer: IPFamily, _ encapsulation: Encapsulation,
        _ extended: Bool = true, _ encryption: EncryptionAlgorithm = .aesGCM16(256)
    ) throws -> SAParameters {
        let networks = inner == .v4 ? ["10.1.0.0/16", "10.2.0.0/16"] : ["fd01::/16", "fd02::/16"]
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

    @Test("A ping goes through without extended sequence numbers, and with AES-CBC and ChaCha20")
    func otherTransforms() throws {
        for (extended, encryption) in [(false, EncryptionAlgorithm.aesGCM16(128)), (true, .aesCBC(256)), (true, .chaCha20Poly1305)] {
            let sides = try TestNamespace.pair()
            let tunnel = try Tunnel(sides)
            defer { tunnel.stop() }
            try tunnel.protect()
            try tunnel.key(inner: .v4, outer: .v4, encapsulation: .ip, extended: extended, encryption: encryption)
            #expect(try DataplaneTests.ping(sides.left, inner: .v4), "\(encryption)")
        }
    }
}
