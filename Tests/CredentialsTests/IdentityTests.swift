import Credentials
import IPPacket
import Octets
import Testing

@Suite("Identities on the wire (RFC 7296 section 3.5)")
struct IdentityWireTests {
    static let wellFormed: [(UInt8, String)] = [
        (1, "c0000201"), (2, "67772e6578616d706c652e6f7267"), (3, "614062"),
        (5, "20010db8000000000000000000000001"), (9, "300d310b3009060355040313026777"), (10, "a403300131"),
        (11, "00ff"),
        (200, ""), (200, "01"),
    ]

    @Test("Type and data come out as they went in", arguments: wellFormed)
    func roundTrip(_ type: UInt8, _ hexadecimal: String) throws {
        let data = try #require([UInt8](hexadecimal: hexadecimal))
        let identity = try #require(Identity(type: type, data: data))
        #expect(identity.type == type)
        #expect(identity.data == data)
        #expect(identity.matches(identity))
    }

    @Test("Addresses of every wrong length are refused")
    func addressLength() {
        for count in 0..<40 {
            let data = [UInt8](repeating: 1, count: count)
            #expect((Identity(type: 1, data: data) != nil) == (count == 4))
            #expect((Identity(type: 5, data: data) != nil) == (count == 16))
        }
    }

    @Test(
        "Names with anything that could mislead are refused",
        arguments: [
            "", "gw.example.org\0", "gw\r\nAccepted", "gw example", "gw.", ".gw", "a..b", "*.example.org",
            "gw\u{1b}[31m", "g\u{fc}",
            String(repeating: "a", count: 256),
        ])
    func badNames(_ name: String) {
        #expect(Identity(type: 2, data: Array(name.utf8)) == nil)
    }

    @Test(
        "E-mail addresses without both parts, or with control characters, are refused",
        arguments: ["", "a", "@b", "a@", "a@b\n", "a b@c", "a@*", "a@b\u{202e}"])
    func badEmails(_ text: String) {
        #expect(Identity(type: 3, data: Array(text.utf8)) == nil)
    }

    @Test("Octets that are not UTF-8 are no names")
    func notUTF8() {
        #expect(Identity(type: 2, data: [0xff, 0xfe]) == nil)
        #expect(Identity(type: 3, data: [0x61, 0x40, 0xff]) == nil)
    }

    @Test(
        "Distinguished names that are not DER, or empty, are refused",
        arguments: ["", "30", "3000", "3080", "300d310b3009060355040313026777ff"])
    func badDistinguishedNames(_ hexadecimal: String) throws {
        #expect(Identity(type: 9, data: try #require([UInt8](hexadecimal: hexadecimal))) == nil)
    }

    @Test("Empty key IDs, type 0 and oversized data are refused")
    func otherRefusals() {
        #expect(Identity(type: 11, data: []) == nil)
        #expect(Identity(type: 0, data: [1]) == nil)
        #expect(Identity(type: 11, data: [UInt8](repeating: 1, count: 4096)) != nil)
        #expect(Identity(type: 11, data: [UInt8](repeating: 1, count: 4097)) == nil)
        #expect(Identity(type: 99, data: [UInt8](repeating: 1, count: 4097)) == nil)
    }
}

@Suite("Identities as they are written")
struct IdentityConfigurationTests {
    static let texts: [(String, Identity)] = [
        ("192.0.2.1", .address(IPAddress(v4: 0xc000_0201))),
        ("2001:db8::1", .address(IPAddress(v6: 0x2001_0db8_0000_0000_0000_0000_0000_0001))),
        ("address:192.0.2.1", .address(IPAddress(v4: 0xc000_0201))),
        ("gw.example.org", .fqdn("gw.example.org")), ("  gw.example.org. ", .fqdn("gw.example.org")),
        ("moon", .fqdn("moon")),
        ("a@b.example", .email("a@b.example")),
        ("fqdn:192.0.2.1", .fqdn("192.0.2.1")), ("FQDN: a@b", .fqdn("a@b")), ("email:a=b@c", .email("a=b@c")),
        ("keyid:office 7", .keyID(Array("office 7".utf8))), ("keyid:0x00FF", .keyID([0, 0xff])),
        ("CN=gw", .distinguishedName([0x30, 0x0d, 0x31, 0x0b, 0x30, 0x09, 6, 3, 0x55, 4, 3, 0x0c, 2, 0x67, 0x77])),
        ("dn:c=CH", .distinguishedName([0x30, 0x0d, 0x31, 0x0b, 0x30, 0x09, 6, 3, 0x55, 4, 6, 0x13, 2, 0x43, 0x48])),
    ]

    @Test("Each form is recognised or taken at its prefix", arguments: texts)
    func forms(_ text: String, _ expected: Identity) throws {
        #expect(try Identity(configured: text) == expected)
    }

    @Test(
        "What is no identity is refused with a reason",
        arguments: [
            "*.example.org", "a b", "fqdn:a..b", "keyid:0x0", "keyid:0x", "address:gw", "email:gw", "a@", "dn:CN",
            "CN=", "CN=a,",
            "=a", "QQ=a", "CN=a\\", "CN=\"a", "CN=a;b", "CN=#zz", "C=\u{e4}", "CN=a b=\"c\"x",
        ])
    func refused(_ text: String) throws {
        let error = #expect(throws: CredentialError.self) { try Identity(configured: text) }
        #expect(error?.code == .invalidIdentity)
    }

    @Test(
        "Object identifiers that do not exist, or whose numbers are too large, name no type",
        arguments: ["188818888888888888.3=x", "2.18446744073709551615=x", "1.40=x", "3.1=x", "2=x", "1..2=x", ".1.2=x"])
    func objectIdentifiers(_ text: String) {
        #expect(throws: (any Error).self) { try Identity(configured: "dn:\(text)") }
    }

    @Test("Nothing is no identity", arguments: ["", "   ", "fqdn:", "keyid:", "dn: "])
    func empty(_ text: String) {
        #expect(throws: CredentialError(.invalidIdentity, "")) { try Identity(configured: text) }
    }

    static let names = [
        "CN=gw", "C=CH, O=Org, OU=a+OU=b, CN=gw", "CN=a\\, b", "CN=\\ a\\ ", "CN=a\\+b\\\"c\\\\",
        "DC=example, DC=org, UID=7",
        "CN=Jürg", "1.2.3.4=x", "E=a@b.example, CN=x",
    ]

    @Test("The description of a distinguished name is its text again", arguments: names)
    func nameRoundTrip(_ text: String) throws {
        let identity = try Identity(configured: "dn:" + text)
        #expect(identity.description == text)
        #expect(try Identity(configured: "dn:" + identity.description) == identity)
    }

    @Test("Escapes and quotation marks mean the same name")
    func escapes() throws {
        let plain = try Identity(configured: "CN=a\\, b")
        #expect(try Identity(configured: "CN=\"a, b\"") == plain)
        #expect(try Identity(configured: "CN=a\\2c b") == plain)
        #expect(try Identity(configured: " CN = a\\, b  ") == plain)
    }
}

@Suite("Comparison of identities")
struct IdentityMatchingTests {
    static let pairs: [(String, String, Bool)] = [
        ("gw.example.org", "GW.EXAMPLE.ORG", true), ("gw.example.org", "gw.example.com", false),
        ("a@Example.org", "a@eXAMPLE.ORG", true), ("A@example.org", "a@example.org", false),
        ("fqdn:192.0.2.1", "192.0.2.1", false), ("keyid:gw", "fqdn:gw", false), ("keyid:gw", "keyid:GW", false),
        ("192.0.2.1", "192.0.2.1", true), ("192.0.2.1", "::ffff:192.0.2.1", false),
        ("CN=gw, O=Org", "cn=GW,o=  org", true), ("CN=gw, O=Org", "O=Org, CN=gw", false),
        ("CN=gw", "CN=gw, O=Org", false),
        ("CN=a b", "CN=a  b", true), ("CN=ab", "CN=a b", false), ("OU=a+CN=b", "CN=b+OU=a", true),
        ("CN=J\u{fc}rg", "CN=Ju\u{308}RG", true), ("CN=a", "OU=a", false),
    ]

    @Test("Identities match by the rules of their type, both ways", arguments: pairs)
    func matching(_ left: String, _ right: String, _ expected: Bool) throws {
        let left = try Identity(configured: left)
        let right = try Identity(configured: right)
        #expect(left.matches(right) == expected)
        #expect(right.matches(left) == expected)
    }

    @Test("Names that differ in the case of a domain have one canonical spelling, and others keep their own")
    func canonical() throws {
        #expect(Identity.fqdn("GW.Example.org").canonical == .fqdn("gw.example.org"))
        #expect(Identity.email("Ann@Example.ORG").canonical == .email("Ann@example.org"))
        for text in ["192.0.2.1", "keyid:GW", "CN=GW, O=Org"] {
            let identity = try Identity(configured: text)
            #expect(identity.canonical == identity)
        }
    }

    @Test("A distinguished name matches whatever string type it is encoded with")
    func stringTypes() throws {
        let printable = try #require([UInt8](hexadecimal: "300d310b3009060355040313026777"))
        let utf8 = try #require([UInt8](hexadecimal: "300d310b300906035504030c026777"))
        let teletex = try #require([UInt8](hexadecimal: "300d310b3009060355040314026777"))
        #expect(Identity.distinguishedName(printable).matches(.distinguishedName(utf8)))
        #expect(!Identity.distinguishedName(printable).matches(.distinguishedName(teletex)))
        #expect(Identity.distinguishedName(teletex).matches(.distinguishedName(teletex)))
    }

    @Test("A distinguished name that is not DER matches only itself, octet for octet, or nothing")
    func malformed() {
        #expect(!Identity.distinguishedName([1, 2]).matches(.distinguishedName([1, 2, 3])))
    }
}

@Suite("Identities in logs")
struct IdentityDescriptionTests {
    @Test("Control, formatting and direction characters are escaped")
    func escaping() {
        let hostile = Identity.fqdn("a\r\nb\u{1b}[2J\u{202e}\0")
        #expect(hostile.description == "a\\u{d}\\u{a}b\\u{1b}[2J\\u{202e}\\u{0}")
    }

    @Test("A distinguished name with control characters is escaped")
    func distinguishedName() throws {
        let identity = try Identity(configured: "CN=a\\0ab")
        #expect(identity.description == "CN=a\\u{a}b")
    }

    @Test("Long identities are cut")
    func length() {
        #expect(Identity.keyID([UInt8](repeating: 0, count: 4096)).description.count < 300)
        #expect(Identity.fqdn(String(repeating: "a", count: 5000)).description.count < 300)
        #expect(Identity.other(type: 7, data: [UInt8](repeating: 0, count: 4096)).description.count < 300)
    }

    @Test("A key ID is shown as text only if reading it back gives the same octets")
    func keyID() throws {
        for octets in [Array("office".utf8), Array("0x12".utf8), [0, 1], Array("a b".utf8), [0xff]] {
            let identity = Identity.keyID(octets)
            #expect(try Identity(configured: identity.description) == identity)
        }
    }

    @Test("A distinguished name that cannot be read is shown in hexadecimal")
    func unreadable() {
        #expect(Identity.distinguishedName([0x30, 0x80]).description == "dn:0x3080")
    }
}
