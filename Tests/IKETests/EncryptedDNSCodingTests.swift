import IKE
import IKEMessage
import IPPacket
import Octets
import Testing

@Suite("Encrypted DNS in configuration payloads, octet by octet (RFC 9464)")
struct EncryptedDNSCodingTests {
    static func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    static func resolver(
        _ name: String = "dns.example.org", priority: UInt16 = 1, at addresses: [String] = ["10.2.0.53"],
        _ parameters: ServiceParameters = ServiceParameters(alpn: ["dot"])
    ) -> EncryptedResolver {
        EncryptedResolver(
            priority: priority, name: name, addresses: addresses.compactMap { IPAddress($0) }, parameters: parameters)
    }

    private static func attribute(_ type: ConfigurationAttributeType, _ value: [UInt8] = []) -> ConfigurationAttribute {
        ConfigurationAttribute(type: type, value: value)
    }

    private static func request(_ attributes: [ConfigurationAttribute]) -> ConfigurationPayload {
        ConfigurationPayload(type: .request, attributes: attributes)
    }

    private static func read(_ attributes: [ConfigurationAttribute]) -> ReplyReader {
        ReplyReader(ConfigurationPayload(type: .reply, attributes: attributes))
    }

    private static func answer(_ resolvers: [EncryptedResolver], to attributes: [ConfigurationAttribute])
        -> [ConfigurationAttribute]
    {
        var known = AssignedConfiguration()
        known.encryptedResolvers = resolvers
        return known.reply(to: request(attributes)).attributes
    }

    // Section 3.1: priority, number of addresses, length of the name, addresses, name, SvcParams.
    @Test("ENCDNS_IP4 is priority, counts, addresses, name and service parameters")
    func version4() throws {
        let resolver = Self.resolver(
            "d.org", priority: 0x102, at: ["10.2.0.53", "10.2.0.54"],
            ServiceParameters(alpn: ["dot", "h2"], port: 8853))
        let attribute = try #require(Self.answer([resolver], to: [Self.attribute(.encdnsIP4)]).first)
        #expect(attribute.type.rawValue == 27)
        #expect(
            attribute.value.hexadecimal == "01020205" + "0a020035" + "0a020036" + "642e6f7267" + "00010007"
                + "03646f74" + "026832" + "00030002" + "2295")
        #expect(Self.read([attribute]).assigned.encryptedResolvers == [resolver])
    }

    @Test("ENCDNS_IP6 has addresses of sixteen octets, and its service parameters may be empty")
    func version6() throws {
        let resolver = Self.resolver("d.org", at: ["2001:db8::53"], ServiceParameters())
        let attribute = try #require(Self.answer([resolver], to: [Self.attribute(.encdnsIP6)]).first)
        #expect(attribute.type.rawValue == 28)
        #expect(attribute.value.hexadecimal == "00010105" + "20010db8000000000000000000000053" + "642e6f7267")
        #expect(Self.read([attribute]).assigned.encryptedResolvers == [resolver])
    }

    @Test("ENCDNS_DIGEST_INFO of a reply is 1, the length of the name, name, algorithm and digest")
    func digest() throws {
        let digest = (0..<32).map { UInt8($0) }
        let wanted = Self.attribute(.encdnsDigestInfo, [2, 0, 0, 4, 0, 2])
        var one = Self.resolver("d.org")
        one.digests = [CertificateDigest(hash: .sha2_256, digest: digest)]
        let attributes = Self.answer([one], to: [Self.attribute(.encdnsIP4), wanted])
        #expect(attributes.last?.type.rawValue == 29)
        #expect(attributes.last?.value.hexadecimal == "0100" + "0002" + digest.hexadecimal)
        #expect(Self.read(attributes).assigned.encryptedResolvers == [one])
        // With two names each digest says whose it is.
        let two = Self.answer([one, Self.resolver("e.org")], to: [Self.attribute(.encdnsIP4), wanted])
        #expect(two.last?.value.hexadecimal == "0105" + "642e6f7267" + "0002" + digest.hexadecimal)
        #expect(Self.read(two).assigned.encryptedResolvers.map(\.digests) == [one.digests, []])
    }

    @Test("Only families and digests that are asked for are answered, whatever is suggested, and repeats once")
    func onlyAsked() {
        var resolver = Self.resolver(at: ["10.2.0.53", "2001:db8::53"])
        resolver.digests = [CertificateDigest(hash: .sha2_256, digest: [UInt8](repeating: 1, count: 32))]
        func types(_ attributes: [ConfigurationAttribute]) -> [ConfigurationAttributeType] {
            Self.answer([resolver], to: attributes).map(\.type)
        }
        #expect(types([]) == [])
        #expect(types([Self.attribute(.encdnsIP6)]) == [.encdnsIP6])
        #expect(types([Self.attribute(.encdnsIP4), Self.attribute(.encdnsIP6)]) == [.encdnsIP4, .encdnsIP6])
        #expect(types([Self.attribute(.encdnsDigestInfo, [1, 0, 0, 2])]) == [])
        let ask = Self.attribute(.encdnsIP4)
        #expect(types([ask, Self.attribute(.encdnsDigestInfo, [1, 0, 0, 3])]) == [.encdnsIP4])
        #expect(types([ask, Self.attribute(.encdnsDigestInfo, [1, 0, 0, 2])]) == [.encdnsIP4, .encdnsDigestInfo])
        // Numbers that do not fit, and a name in a request.
        for wrong in [[], [0], [2, 0, 0, 2], [1, 1, 0, 2], [1, 0, 0], [1, 0, 0, 2, 0]] as [[UInt8]] {
            #expect(types([ask, Self.attribute(.encdnsDigestInfo, wrong)]) == [.encdnsIP4], "\(wrong)")
        }
        #expect(types(Array(repeating: ask, count: 1000)) == [.encdnsIP4])
        #expect(types([Self.attribute(.encdnsIP4, [0, 0, 9])]) == [.encdnsIP4])
    }

    @Test(
        "A domain goes with an encrypted resolver alone, and with none at all if no family of a resolver is asked for")
    func domains() {
        var known = AssignedConfiguration()
        known.encryptedResolvers = [Self.resolver()]
        known.domains = [SplitDNSDomain("corp.example")]
        let domain = Self.attribute(.internalDNSDomain)
        #expect(known.reply(to: Self.request([domain])).attributes == [])
        #expect(known.reply(to: Self.request([domain, Self.attribute(.internalIP4DNS)])).attributes == [])
        let reply = known.reply(to: Self.request([domain, Self.attribute(.encdnsIP4)]))
        #expect(reply.attributes.map(\.type) == [.encdnsIP4, .internalDNSDomain])
        #expect(ReplyReader(reply).assigned == known)
    }

    // MARK: Hostile replies

    private static let good: [UInt8] = [0, 1, 1, 5, 10, 2, 0, 53] + Array("d.org".utf8)

    @Test(
        "A resolver that breaks a rule is left out with the reason, and the rest of the reply taken",
        arguments: [
            ("priority 0", [0, 0, 1, 5, 10, 2, 0, 53] + Array("d.org".utf8), "AliasMode"),
            ("no address", [0, 1, 0, 5] + Array("d.org".utf8), "number of addresses"),
            ("an empty attribute", [], "service priority"),
            ("too short by one", Array(good.dropLast()), "name"),
            ("a name too long by one", [0, 1, 1, 6, 10, 2, 0, 53] + Array("d.org".utf8), "name"),
            ("SvcParams cut off", good + [0, 3, 0], "SvcParam"),
            ("255 addresses in 8 octets", [0, 1, 255, 5, 10, 2, 0, 53] + Array("d.org".utf8), "address"),
            ("an address of nobody", [0, 1, 1, 5, 0, 0, 0, 0] + Array("d.org".utf8), "address"),
            ("a multicast address", [0, 1, 1, 5, 224, 0, 0, 1] + Array("d.org".utf8), "address"),
            ("a loopback address", [0, 1, 1, 5, 127, 0, 0, 1] + Array("d.org".utf8), "address"),
            ("no name", [0, 1, 1, 0, 10, 2, 0, 53], "not the name of a host"),
            ("a zero octet in the name", [0, 1, 1, 5, 10, 2, 0, 53] + Array("d.or\0".utf8), "not the name of a host"),
            ("a semicolon in the name", [0, 1, 1, 5, 10, 2, 0, 53] + Array("d;org".utf8), "not the name of a host"),
            ("a number sign in the name", [0, 1, 1, 5, 10, 2, 0, 53] + Array("d#org".utf8), "not the name of a host"),
            ("an option as the name", [0, 1, 1, 5, 10, 2, 0, 53] + Array("--org".utf8), "not the name of a host"),
            ("a name of 0xff", [0, 1, 1, 1, 10, 2, 0, 53, 0xFF], "not the name of a host"),
            ("an address as the name", [0, 1, 1, 7, 10, 2, 0, 53] + Array("1.2.3.4".utf8), "not the name of a host"),
            ("ipv4hint", good + [0, 4, 0, 4, 1, 1, 1, 1], "hints"),
            ("ipv6hint", good + [0, 6, 0, 0], "hints"),
            ("keys out of order", good + [0, 3, 0, 2, 0, 53, 0, 1, 0, 4, 3, 100, 111, 116], "key 1 follows key 3"),
            ("a key twice", good + [0, 3, 0, 2, 0, 53, 0, 3, 0, 2, 0, 53], "key 3 follows key 3"),
            ("port 0", good + [0, 3, 0, 2, 0, 0], "not a port"),
            ("a port of three octets", good + [0, 3, 0, 3, 0, 53, 0], "not a port"),
            ("no protocol in alpn", good + [0, 1, 0, 0], "not a list of protocols"),
            ("an empty protocol", good + [0, 1, 0, 1, 0], "not a list of protocols"),
            ("a protocol cut off", good + [0, 1, 0, 2, 3, 100], "not a list of protocols"),
            ("mandatory and not there", good + [0, 0, 0, 2, 0, 3], "port is mandatory and not there"),
            ("mandatory and not known", good + [0, 0, 0, 2, 0, 9, 0, 9, 0, 0], "key9 is mandatory and not known"),
            ("mandatory twice", good + [0, 0, 0, 4, 0, 3, 0, 3, 0, 3, 0, 2, 0, 53], "ascending"),
            ("mandatory of an odd length", good + [0, 0, 0, 3, 0, 3, 0, 0, 3, 0, 2, 0, 53], "ascending"),
            ("no-default-alpn alone", good + [0, 2, 0, 0], "no-default-alpn"),
            ("a path without dns", good + [0, 7, 0, 2, 47, 113], "not a path"),
        ] as [(String, [UInt8], String)])
    func broken(_ what: String, _ value: [UInt8], _ reason: String) {
        let read = Self.read([
            Self.attribute(.encdnsIP4, value), Self.attribute(.internalIP4DNS, [10, 2, 0, 99]),
            Self.attribute(.encdnsIP4, [0, 7, 1, 5, 10, 2, 0, 54] + Array("e.org".utf8)),
        ])
        #expect(read.assigned.encryptedResolvers.map(\.name) == ["e.org"])
        #expect(read.assigned.dnsServers.map(\.description) == ["10.2.0.99"])
        #expect(read.complaints.count == 1)
        #expect(read.complaints.first?.contains(reason) == true, "\(read.complaints)")
    }

    @Test(
        "Of a resolver with 255 addresses sixteen are taken, with a name of 252 octets, and keys that are not known are kept"
    )
    func limits() throws {
        let name = Array(repeating: String(repeating: "a", count: 62), count: 4).joined(separator: ".") + "a"
        let label63 = String(repeating: "b", count: 63) + ".org"
        #expect(name.utf8.count == 252)
        let addresses: [UInt8] = (1...255).flatMap { [10, 0, 0, UInt8($0)] as [UInt8] }
        let long: [UInt8] = [0, 1, 255, UInt8(name.utf8.count)] + addresses + Array(name.utf8) + [0xFF, 0, 0, 1, 7]
        let read = Self.read([
            Self.attribute(.encdnsIP4, long),
            Self.attribute(.encdnsIP4, [0, 2, 1, UInt8(label63.utf8.count), 10, 0, 0, 1] + Array(label63.utf8)),
        ])
        #expect(read.assigned.encryptedResolvers.map(\.addresses.count) == [16, 1])
        #expect(read.assigned.encryptedResolvers.first?.parameters.description == "key65280=07")
        let tooLong = String(repeating: "b", count: 64) + ".org"
        let refused = Self.read([
            Self.attribute(.encdnsIP4, [0, 2, 1, UInt8(tooLong.utf8.count), 10, 0, 0, 1] + Array(tooLong.utf8))
        ])
        #expect(refused.assigned.encryptedResolvers.isEmpty)
    }

    @Test("No more than sixteen resolvers are taken, the one of the lowest number first")
    func order() {
        let read = Self.read(
            (1...40).map { number in
                Self.attribute(
                    .encdnsIP4, [0, UInt8(41 - number), 1, 5, 10, 2, 0, UInt8(number)] + Array("d.org".utf8))
            })
        #expect(read.assigned.encryptedResolvers.map(\.priority) == (25...40).map { UInt16($0) })
    }

    @Test("Addresses of both families of one resolver come together")
    func families() {
        let resolver = Self.resolver(at: ["10.2.0.53", "2001:db8::53"])
        let attributes = Self.answer([resolver], to: [Self.attribute(.encdnsIP4), Self.attribute(.encdnsIP6)])
        #expect(attributes.count == 2)
        #expect(Self.read(attributes).assigned.encryptedResolvers == [resolver])
    }

    @Test(
        "A digest that cannot be compared makes its resolver useless: there is no other way to check it",
        arguments: [
            [1, 0, 0, 1] + [UInt8](repeating: 1, count: 20), [1, 0, 0, 2] + [UInt8](repeating: 1, count: 31),
            [1, 0, 0, 2], [1, 5] + Array("D.org".utf8) + [0, 99, 1, 2, 3],
        ] as [[UInt8]])
    func digestOfUnknownKind(_ value: [UInt8]) {
        let read = Self.read([Self.attribute(.encdnsIP4, Self.good), Self.attribute(.encdnsDigestInfo, value)])
        #expect(read.assigned.encryptedResolvers.isEmpty)
        #expect(read.complaints.count == 2)
    }

    @Test("A digest of no one is left out")
    func digestOfNoOne() {
        let value = [1, 5] + Array("f.org".utf8) + [0, 2] + [UInt8](repeating: 1, count: 32)
        let read = Self.read([Self.attribute(.encdnsIP4, Self.good), Self.attribute(.encdnsDigestInfo, value)])
        #expect(read.assigned.encryptedResolvers.map(\.digests) == [[]])
        #expect(read.complaints.count == 1)
    }

    @Test(
        "One of a wrong form may have been any resolver's: those without another are not used",
        arguments: [[], [1], [1, 0, 0], [0, 0, 0, 2], [2, 0, 0, 2, 0, 3], [1, 9, 0, 2]] as [[UInt8]])
    func malformedDigest(_ value: [UInt8]) {
        let read = Self.read([Self.attribute(.encdnsIP4, Self.good), Self.attribute(.encdnsDigestInfo, value)])
        #expect(read.assigned.encryptedResolvers.isEmpty)
        #expect(read.complaints.count == 2)
    }

    @Test("So may one beyond the number that is kept")
    func manyDigests() {
        let named = [1, 5] + Array("f.org".utf8) + [0, 2] + [UInt8](repeating: 1, count: 32)
        let own = [1, 0, 0, 2] + [UInt8](repeating: 1, count: 32)
        let digests = [ConfigurationAttribute](repeating: Self.attribute(.encdnsDigestInfo, named), count: 16)
        let read = Self.read(
            [Self.attribute(.encdnsIP4, Self.good)] + digests + [Self.attribute(.encdnsDigestInfo, own)])
        #expect(read.assigned.encryptedResolvers.isEmpty)
    }

    @Test("A digest without a name, of one of two resolvers, is left out")
    func ambiguous() {
        let read = Self.read([
            Self.attribute(.encdnsIP4, Self.good),
            Self.attribute(.encdnsIP4, [0, 2, 1, 5, 10, 2, 0, 54] + Array("e.org".utf8)),
            Self.attribute(.encdnsDigestInfo, [1, 0, 0, 2] + [UInt8](repeating: 1, count: 32)),
        ])
        #expect(read.assigned.encryptedResolvers.map(\.digests) == [[], []])
        #expect(read.complaints.first?.contains("no one resolver") == true)
    }

    @Test(
        "What was not asked for is not taken, nor anything from a peer that is nobody in particular but its addresses")
    func notAsked() {
        let reply = ConfigurationPayload(
            type: .reply,
            attributes: [
                Self.attribute(.encdnsIP4, Self.good), Self.attribute(.internalIP4DNS, [10, 2, 0, 53]),
                Self.attribute(.internalDNSDomain, Array("corp.example".utf8)),
                Self.attribute(.internalIP4Address, [10, 9, 0, 1]),
            ])
        let silent = ReplyReader(reply, asked: [])
        #expect(silent.assigned.encryptedResolvers.isEmpty && silent.assigned.dnsServers.isEmpty)
        #expect(silent.assigned.addresses.count == 1)
        #expect(silent.complaints.count == 3)
        let stranger = ReplyReader(reply, isTrusted: false)
        #expect(stranger.assigned.encryptedResolvers.isEmpty && stranger.assigned.domains.isEmpty)
        #expect(stranger.assigned.dnsServers.count == 1)
        #expect(
            stranger.complaints.allSatisfy { $0.contains("nobody in particular") } && stranger.complaints.count == 2)
    }

    @Test(
        "A domain with characters that mean something to other programs is not taken (RFC 8598 section 9)",
        arguments: ["a b", "a;b", "$(x).org", "..", ".org", "a..b", "~corp", "a/b", "a\u{1b}b", "", "a\0"])
    func domain(_ name: String) {
        let read = Self.read([
            Self.attribute(.internalIP4DNS, [10, 2, 0, 53]), Self.attribute(.internalDNSDomain, Array(name.utf8)),
            Self.attribute(.internalDNSSECTA, [0, 1, 8, 2, 1, 2, 3, 4]),
        ])
        #expect(read.assigned.domains.isEmpty)
        #expect(read.complaints.count == 2)
    }

    @Test("A trust anchor that follows no domain is not taken (RFC 8598 section 4.2)")
    func anchors() {
        let anchor: [UInt8] = [0x4F, 0x66, 8, 2, 1, 2, 3, 4]
        let read = Self.read([
            Self.attribute(.internalDNSSECTA, anchor), Self.attribute(.internalIP4DNS, [10, 2, 0, 53]),
            Self.attribute(.internalDNSDomain, Array("a.example.".utf8)), Self.attribute(.internalDNSSECTA, anchor),
            Self.attribute(.internalDNSSECTA, anchor), Self.attribute(.internalIP4DNS, [10, 2, 0, 54]),
            Self.attribute(.internalDNSSECTA, anchor), Self.attribute(.internalDNSDomain, Array("b.example".utf8)),
        ])
        #expect(read.assigned.domains.map(\.name) == ["a.example", "b.example"])
        #expect(read.assigned.domains.map(\.trustAnchors.count) == [2, 0])
        #expect(read.assigned.domains.first?.trustAnchors.first?.description == "20326 8 2 01020304")
        #expect(read.complaints.count == 1)
    }
}
