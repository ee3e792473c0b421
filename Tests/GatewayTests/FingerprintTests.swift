import Foundation
import Gateway
import Testing

@Suite("What a reload finds changed")
struct FingerprintTests {
    private static let plain = """
        connections:
          office:
            local: { id: left.example, subnets: 10.1.0.0/16 }
            remote: { address: 192.0.2.2, id: right.example, subnets: 10.2.0.0/16 }
            secret: { file: psk }
            start: none
        """

    private func fingerprint(_ text: String, secret: String = "a secret long enough to be one") throws -> String {
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let file = directory.appending(path: "cygnet.yaml").path, key = directory.appending(path: "psk").path
        try text.write(toFile: file, atomically: false, encoding: .utf8)
        try secret.write(toFile: key, atomically: false, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: key)
        let reading = GatewayConfiguration.read(path: file)
        #expect(reading.diagnostics.isEmpty)
        return try #require(reading.configuration?.connections.first).configuration.fingerprint
    }

    @Test("Where a connection is written, and in what words, changes nothing")
    func moved() throws {
        let moved = "# a remark\n\n" + Self.plain.replacing("10.1.0.0/16", with: "[\"10.1.0.0/16\"]")
        #expect(try fingerprint(Self.plain) == fingerprint(moved))
    }

    @Test(
        "A change of any kind of setting is one",
        arguments: [
            ("10.1.0.0/16", "10.1.0.0/17"), ("right.example", "gw.example"), ("192.0.2.2", "192.0.2.3"),
            ("192.0.2.2", "gw.example"),
            ("start: none", "start: boot"), ("start: none", "mobike: no"),
            ("start: none", "ike: aes256gcm16-prfsha256-x25519"),
            ("start: none", "esp: aes256gcm16"), ("start: none", "lifetimes: { ike: 7h }"),
            ("start: none", "lifetimes: { child: 7m }"),
            ("start: none", "encapsulation: udp"), ("start: none", "resumption: yes"),
        ])
    func changed(old: String, new: String) throws {
        #expect(try fingerprint(Self.plain) != fingerprint(Self.plain.replacing(old, with: new)))
    }

    @Test("Another secret in the same file is a change")
    func secret() throws {
        #expect(try fingerprint(Self.plain) != fingerprint(Self.plain, secret: "another secret, also long enough"))
    }
}
