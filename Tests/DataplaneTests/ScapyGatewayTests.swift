import Dataplane
import ESP
import Foundation
import IPPacket
import IPsecCrypto
import Octets
import TestPrograms
import Testing

/// What the two ends of one run have agreed on: a transform that scapy knows, and whether numbers are extended.
struct ScapyAgreement: Sendable, CustomStringConvertible {
    var encryption: EncryptionAlgorithm
    var scapyEncryption: String
    /// Scapy takes the high half of an extended number into AEADs only, so the separate transform goes without.
    var extended: Bool

    var description: String { "\(scapyEncryption)\(extended ? ", ESN" : "")" }

    static let all = [
        ScapyAgreement(encryption: .aesGCM16(256), scapyEncryption: "AES-GCM", extended: true),
        ScapyAgreement(encryption: .aesGCM16(256), scapyEncryption: "AES-GCM", extended: false),
        ScapyAgreement(encryption: .chaCha20Poly1305, scapyEncryption: "CHACHA20-POLY1305", extended: true),
        ScapyAgreement(encryption: .aesCBC(256), scapyEncryption: "AES-CBC", extended: false),
    ]

    /// What the peer numbers its packets with; the extended ones go through the end of a subspace of 32 bits.
    var peerSequences: [UInt64] {
        extended ? [1, 0xf000_0000, 0xffff_fffe, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001] : [1, 2, 3, 4, 5, 6]
    }
}

/// The peer's side of an agreement as its script takes it.
private struct ScapySetup: Encodable {
    struct Association: Encodable {
        var spi: UInt32
        var encryptionKey: String
        var integrityKey: String

        init(_ parameters: SAParameters) {
            spi = parameters.spi
            encryptionKey = parameters.encryptionKey.unprotected.hexadecimal
            integrityKey = parameters.integrityKey?.unprotected.hexadecimal ?? ""
        }
    }

    var local = "192.0.2.2"
    var remote = "192.0.2.1"
    var encryption: String
    var integrity: String?
    var extended: Bool
    var inbound: Association
    var outbound: Association
    var sequences: [UInt64]
}

@Suite("Protocol 50 against a gateway of scapy's")
struct ScapyGatewayTests {
    @Test(
        "Pings over protocol 50 are answered, and its answers taken, across the end of a 32-bit subspace",
        arguments: ScapyAgreement.all)
    func ping(_ agreement: ScapyAgreement) async throws {
        let sides = try TestNamespace.pair()
        let left = UserspaceDataplane(sides.left.configuration)
        try left.start()
        defer { left.stop() }
        let peer = try Self.connect(left, sides.right, agreement)
        let pings = try sides.left.execute("ping -q -n -c 6 -i 0.2 -W 2 -I 10.1.0.1 10.2.0.1")
        peer.succeeds()
        #expect(pings.output.contains(" 0% packet loss"), "\(pings.output)")
        let counters = await left.counters()
        #expect(counters.map(\.counters.packets) == [6, 6])
        #expect(counters.allSatisfy { $0.counters.totalDrops == 0 })
    }

    private static func connect(
        _ left: UserspaceDataplane, _ right: TestNamespace, _ agreement: ScapyAgreement
    ) throws -> TestProgram {
        try left.apply([policy(1, "10.1.0.0/16", "10.2.0.0/16")])
        func parameters(_ spi: UInt32) throws -> SAParameters {
            try Tunnel.parameters(spi, true, .v4, .v4, .ip, agreement.extended, agreement.encryption)
        }
        let (forth, back) = (try parameters(0x1001_0001), try parameters(0x2002_0001))
        try left.installInbound(back, policy: 1)
        try left.activateOutbound(forth, pairedWith: 0x2002_0001, policy: 1)
        let setup = ScapySetup(
            encryption: agreement.scapyEncryption, integrity: agreement.encryption.isAEAD ? nil : "SHA2-256-128",
            extended: agreement.extended, inbound: .init(forth), outbound: .init(back),
            sequences: agreement.peerSequences)
        let encoder = JSONEncoder()
        // The script tells "no integrity algorithm" by null.
        var object = try #require(
            JSONSerialization.jsonObject(with: encoder.encode(setup)) as? [String: Any])
        if setup.integrity == nil { object["integrity"] = NSNull() }
        let argument = String(decoding: try JSONSerialization.data(withJSONObject: object), as: UTF8.self)

        let script = try #require(Bundle.module.url(forResource: "scapy_gateway", withExtension: "py"))
        let peer = try right.start(["/usr/bin/python3", script.path, argument])
        guard peer.said().hasPrefix("listening") else {
            throw TestFailure(description: "the scapy gateway does not start; apt install python3-scapy")
        }
        return peer
    }
}
