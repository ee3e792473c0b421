import IKE
import IKEMessage
import IPPacket
import IPsecPolicy
import Simulation
import Testing

@Suite("Which of a peer's resolvers are used for what")
struct ResolverPlanTests {
    private static func policy(_ change: (inout ResolverPolicy) -> Void = { _ in }) -> ResolverPolicy {
        var policy = ResolverPolicy()
        policy.use = .resolved
        policy.domains = ["corp.example"]
        change(&policy)
        return policy
    }

    private static func given(_ change: (inout AssignedConfiguration) -> Void = { _ in }) -> AssignedConfiguration {
        var given = AssignedConfiguration()
        given.dnsServers = IPAddress("10.2.0.53").map { [$0] } ?? []
        given.domains = [SplitDNSDomain("corp.example")]
        change(&given)
        return given
    }

    private static let reach = Pair.selector("10.2.0.0/16")
    private static let everything = [TrafficSelector(.all(.v4))]

    @Test("Plain resolvers inside the tunnel are used for a domain that is allowed")
    func plain() {
        let plan = Self.given().plan(by: Self.policy(), reach: Self.reach)
        #expect(plan.summary == "10.2.0.53 for corp.example")
        #expect(!plan.usesTLS && plan.remarks.isEmpty)
    }

    @Test("A child for other ports than DNS's does not reach a resolver")
    func ports() {
        func reach(_ ipProtocol: UInt8, _ ports: ClosedRange<UInt16>) -> [TrafficSelector] {
            Self.reach.compactMap(\.prefix).map { TrafficSelector($0, ipProtocol: ipProtocol, ports: ports) }
        }
        let encrypted = Self.given {
            $0.encryptedResolvers = [EncryptedDNSCodingTests.resolver("a.example.org", at: ["10.2.0.1"])]
        }
        #expect(Self.given().plan(by: Self.policy(), reach: reach(6, 443...443)).servers.isEmpty)
        #expect(Self.given().plan(by: Self.policy(), reach: reach(17, 53...53)).servers.count == 1)
        #expect(encrypted.plan(by: Self.policy(), reach: reach(17, 53...53)).usesTLS == false)
        #expect(encrypted.plan(by: Self.policy(), reach: reach(6, 853...853)).usesTLS)
    }

    @Test("Resolvers by TLS come before those that are asked in clear, in their order, with port and name")
    func encrypted() {
        let given = Self.given {
            $0.encryptedResolvers = [
                EncryptedDNSCodingTests.resolver("a.example.org", at: ["10.2.0.1"]),
                EncryptedDNSCodingTests.resolver(
                    "b.example.org", priority: 2, at: ["10.2.0.2"], ServiceParameters(alpn: ["h2", "dot"], port: 8853)),
            ]
        }
        let plan = given.plan(by: Self.policy(), reach: Self.reach)
        #expect(plan.summary == "10.2.0.1#a.example.org 10.2.0.2:8853#b.example.org by TLS for corp.example")
    }

    @Test(
        "A resolver that systemd-resolved cannot ask is not used, with the reason, but the plain one is",
        arguments: [
            (["h2", "h3"], "DNS over HTTPS (h2), DNS over HTTPS (h3)"), (["doq"], "DNS over QUIC"),
            ([], "no protocol that is named"),
        ] as [([String], String)])
    func otherProtocols(_ alpn: [String], _ words: String) {
        let given = Self.given {
            $0.encryptedResolvers = [EncryptedDNSCodingTests.resolver("dns.example.org", ServiceParameters(alpn: alpn))]
        }
        let plan = given.plan(by: Self.policy(), reach: Self.reach)
        #expect(plan.servers.map(\.description) == ["10.2.0.53"])
        #expect(
            plan.remarks == ["dns.example.org is not used: it speaks \(words), and systemd-resolved only DNS over TLS"])
    }

    @Test("A resolver with a certificate digest is not used: systemd-resolved cannot compare it")
    func digest() {
        var resolver = EncryptedDNSCodingTests.resolver()
        resolver.digests = [CertificateDigest(hash: .sha2_256, digest: [UInt8](repeating: 1, count: 32))]
        let given = Self.given { $0.encryptedResolvers = [resolver] }
        let plan = given.plan(by: Self.policy(), reach: Self.reach)
        #expect(!plan.usesTLS)
        #expect(plan.remarks.first?.contains("digest") == true)
    }

    @Test("A resolver that no child SA reaches is not used: it would be asked in clear, or not at all")
    func outside() {
        let given = Self.given {
            $0.dnsServers = IPAddress("8.8.8.8").map { [$0] } ?? []
            $0.encryptedResolvers = [EncryptedDNSCodingTests.resolver(at: ["192.0.2.7"])]
        }
        let plan = given.plan(by: Self.policy(), reach: Self.reach)
        #expect(!plan.isUseful && plan.servers.isEmpty)
        #expect(plan.remarks.count == 2)
    }

    @Test(
        "A domain that is not allowed is not taken, be it the root, a whole top-level domain, or somebody else's",
        arguments: [".", "example", "com", "bank.example.com", "notcorp.example", "corp.example.com"])
    func foreign(_ name: String) {
        let given = Self.given { $0.domains = [SplitDNSDomain(name)] }
        let plan = given.plan(by: Self.policy(), reach: Self.reach)
        #expect(!plan.isUseful && plan.domains.isEmpty)
        #expect(plan.remarks.first == "\(name) is not taken: it is not among dns.domains")
    }

    @Test(
        "Of a domain that is allowed all below it is, in any case of letters; with the root everything is but local names"
    )
    func below() {
        let given = Self.given {
            $0.domains = ["lab.Corp.Example", "x.org", "printer.local"].map { SplitDNSDomain($0) }
        }
        #expect(given.plan(by: Self.policy(), reach: Self.reach).domains == ["lab.Corp.Example"])
        let all = given.plan(by: Self.policy { $0.domains = ["."] }, reach: Self.reach)
        #expect(all.domains == ["lab.Corp.Example", "x.org"])
        #expect(all.remarks.first?.contains("printer.local") == true)
    }

    @Test("Where everything goes through the tunnel the peer's domains do not count, only our own (RFC 8598)")
    func fullTunnel() {
        let plan = Self.given().plan(by: Self.policy { $0.domains = ["."] }, reach: Self.everything)
        #expect(plan.domains == ["."])
        #expect(plan.remarks.first?.contains("do not count") == true)
        #expect(plan.summary == "10.2.0.53 for every name")
    }

    @Test("A peer that names no domain is asked for those of the configuration, and for nothing if there are none")
    func noDomain() {
        let given = Self.given { $0.domains = [] }
        #expect(given.plan(by: Self.policy(), reach: Self.reach).domains == ["corp.example"])
        let none = given.plan(by: Self.policy { $0.domains = [] }, reach: Self.reach)
        #expect(!none.isUseful && none.summary == "nothing")
    }

    @Test("Trust anchors are taken of domains on a list of their own only (RFC 8598 section 6)")
    func trustAnchors() {
        let anchor = DNSSECTrustAnchor(keyTag: 1, algorithm: 8, digestType: 2, digest: [1])
        let given = Self.given { $0.domains = [SplitDNSDomain("corp.example", trustAnchors: [anchor])] }
        let refused = given.plan(by: Self.policy(), reach: Self.reach)
        #expect(refused.domains == ["corp.example"] && refused.trustAnchors.isEmpty)
        #expect(refused.remarks.first?.contains("dns.trust-anchors") == true)
        let allowed = given.plan(by: Self.policy { $0.trustAnchors = ["corp.example"] }, reach: Self.reach)
        #expect(allowed.trustAnchors == given.domains)
        // Not of a domain that is not taken.
        let other = given.plan(
            by: Self.policy { policy in
                policy.domains = ["x.org"]
                policy.trustAnchors = ["corp.example"]
            }, reach: Self.reach)
        #expect(other.trustAnchors.isEmpty)
    }
}
