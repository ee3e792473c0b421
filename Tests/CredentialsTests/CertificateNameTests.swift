import CertificateFixtures
import Credentials
import SwiftASN1
import Testing
import X509

@Suite("Binding of identities to certificates (RFC 4945 section 3.1)")
struct CertificateNameTests {
    private func refusal(_ names: [GeneralName], claiming identity: Identity) async throws -> CredentialError? {
        let root = try TestAuthority.root()
        let validator = CertificatePathValidator(anchors: try TrustAnchors(pem: [try root.pem]))
        let result = await validator.validate(
            chainDER: [try root.leaf(names).der], claiming: identity, at: testTime)
        if case .failure(let error) = result { return error }
        return nil
    }

    private func refusal(_ names: [GeneralName], claiming text: String) async throws -> CredentialError? {
        try await refusal(names, claiming: try Identity(configured: text))
    }

    @Test("A domain name matches a dNSName without regard to case")
    func domainName() async throws {
        #expect(try await refusal([.dnsName("GW.Example.ORG")], claiming: "gw.example.org") == nil)
        #expect(
            try await refusal([.dnsName("other.example.org"), .dnsName("gw.example.org")], claiming: "gw.example.org")
                == nil)
    }

    @Test("Another domain name is refused, with the names that are there")
    func otherDomainName() async throws {
        let error = try await refusal([.dnsName("gw.example.org")], claiming: "evil.example.org")
        #expect(error?.code == .identityMismatch)
        #expect(error?.reason.contains("\"evil.example.org\"") == true)
        #expect(error?.reason.contains("\"gw.example.org\"") == true)
        #expect(error?.reason.contains("CN=gw") == true)
    }

    @Test("A parent, a child and a name cut by a zero octet are other names")
    func similarNames() async throws {
        for name in ["example.org", "a.gw.example.org", "gw.example.org\0.evil.example", "gw.example.org."] {
            #expect(try await refusal([.dnsName(name)], claiming: "gw.example.org")?.code == .identityMismatch)
        }
    }

    @Test("Wildcards in a certificate match nothing")
    func wildcard() async throws {
        for claimed in ["gw.example.org", "example.org"] {
            #expect(try await refusal([.dnsName("*.example.org")], claiming: claimed)?.code == .identityMismatch)
        }
    }

    @Test("The common name is no domain name")
    func commonName() async throws {
        #expect(try await refusal([], claiming: "gw")?.code == .identityMismatch)
    }

    @Test("A name of another form does not count: a dNSName is no address and no e-mail address")
    func otherForm() async throws {
        #expect(try await refusal([.dnsName("192.0.2.1")], claiming: "192.0.2.1")?.code == .identityMismatch)
        #expect(
            try await refusal([.rfc822Name("gw@example.org")], claiming: "fqdn:gw@example.org")?.code
                == .identityMismatch)
    }

    @Test("An e-mail address matches with its domain in any case, its local part exactly")
    func email() async throws {
        #expect(try await refusal([.rfc822Name("ann@Example.org")], claiming: "ann@example.ORG") == nil)
        #expect(
            try await refusal([.rfc822Name("Ann@example.org")], claiming: "ann@example.org")?.code == .identityMismatch)
    }

    @Test("IPv4 and IPv6 addresses match iPAddress names of their own length only")
    func addresses() async throws {
        let v4 = GeneralName.ipAddress(ASN1OctetString(contentBytes: [192, 0, 2, 1]))
        let v6 = GeneralName.ipAddress(
            ASN1OctetString(contentBytes: [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]))
        let strange = GeneralName.ipAddress(ASN1OctetString(contentBytes: [192, 0, 2, 1, 255, 255, 255, 255]))
        #expect(try await refusal([v4], claiming: "192.0.2.1") == nil)
        #expect(try await refusal([v6], claiming: "2001:db8::1") == nil)
        #expect(try await refusal([v4], claiming: "192.0.2.2")?.code == .identityMismatch)
        #expect(try await refusal([strange], claiming: "192.0.2.1")?.code == .identityMismatch)
        #expect(try await refusal([v4], claiming: "::ffff:192.0.2.1")?.code == .identityMismatch)
    }

    @Test("A distinguished name matches the subject in the order of the certificate")
    func distinguishedName() async throws {
        #expect(try await refusal([], claiming: "C=CH, O=Cygnet Test, CN=gw") == nil)
        #expect(try await refusal([], claiming: "C=ch, O=cygnet   test, CN=GW") == nil)
        for other in [
            "CN=gw, O=Cygnet Test, C=CH", "CN=gw", "C=CH, O=Cygnet Test, CN=gw, OU=x", "C=CH, O=Cygnet Test, OU=gw",
        ] {
            #expect(try await refusal([], claiming: other)?.code == .identityMismatch)
        }
    }

    @Test("A directoryName among the alternative names is not the subject")
    func directoryName() async throws {
        let error = try await refusal(
            [.directoryName(try TestAuthority.name("other"))], claiming: "C=CH, O=Cygnet Test, CN=other")
        #expect(error?.code == .identityMismatch)
    }

    @Test("A key ID cannot be proved by a certificate")
    func keyID() async throws {
        #expect(
            try await refusal([.dnsName("gw.example.org")], claiming: "keyid:gw.example.org")?.code == .identityMismatch
        )
        #expect(try await refusal([], claiming: .other(type: 10, data: [1]))?.code == .identityMismatch)
    }
}
