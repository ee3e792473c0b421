import CertificateFixtures
import Credentials
import Crypto
import IPsecCrypto
import Testing
import X509

@Suite("Certificates of our own")
struct CertificateIdentityTests {
    private let root: TestAuthority
    private let upper: TestAuthority
    private let lower: TestAuthority
    private let leaf: TestAuthority

    init() throws {
        root = try TestAuthority.root()
        upper = try root.authority("Upper")
        lower = try upper.authority("Lower")
        leaf = try lower.leaf([.dnsName("gw.example.org"), .rfc822Name("gw@example.org"), .dnsName("*.example.org")])
    }

    @Test("Certificate, key and names are read")
    func contents() throws {
        let identity = try CertificateIdentity(
            certificatePEM: try leaf.pem, intermediatesPEM: [], keyPEM: try leaf.keyPEM)
        #expect(identity.leafDER == (try leaf.der))
        #expect(identity.intermediatesDER.isEmpty)
        #expect(identity.notAfter == testTime + year)
        #expect(identity.subject.description == "C=CH, O=Cygnet Test, CN=gw")
        #expect(identity.subjectAltNames == [.fqdn("gw.example.org"), .email("gw@example.org")])
        #expect(identity.signingKey.publicKey.kind == .ecdsa(bits: 256))
    }

    @Test("Intermediates are brought into path order, once each, without the self-signed root")
    func order() throws {
        let identity = try CertificateIdentity(
            certificatePEM: try leaf.pem,
            intermediatesPEM: [try root.pem + "\n" + upper.pem, try lower.pem, try upper.pem],
            keyPEM: try leaf.keyPEM)
        #expect(identity.intermediatesDER == [try lower.der, try upper.der])
    }

    @Test("A file with the whole path needs no separate intermediates")
    func bundle() throws {
        let identity = try CertificateIdentity(
            certificatePEM: [leaf, lower, upper].map { try $0.pem }.joined(separator: "\n"), intermediatesPEM: [],
            keyPEM: try leaf.keyPEM)
        #expect(identity.intermediatesDER == [try lower.der, try upper.der])
    }

    @Test("A peer that knows only the root accepts what is sent")
    func acceptedByPeer() async throws {
        let identity = try CertificateIdentity(
            certificatePEM: try leaf.pem, intermediatesPEM: [try upper.pem, try lower.pem], keyPEM: try leaf.keyPEM)
        let validator = CertificatePathValidator(anchors: try TrustAnchors(pem: [try root.pem]))
        let result = await validator.validate(
            chainDER: [identity.leafDER] + identity.intermediatesDER, claiming: identity.subject, at: testTime)
        #expect(try result.get() == identity.signingKey.publicKey)
    }

    @Test("The key of another certificate is refused")
    func otherKey() throws {
        let error = #expect(throws: CredentialError.self) {
            try CertificateIdentity(certificatePEM: try leaf.pem, intermediatesPEM: [], keyPEM: try lower.keyPEM)
        }
        #expect(error?.code == .keyMismatch)
    }

    @Test("A certificate that may not sign is refused when it is loaded")
    func unsuitable() throws {
        let leaf = try root.leaf { $0.usage = KeyUsage(keyAgreement: true) }
        #expect(throws: CredentialError(.unsuitable, "")) {
            try CertificateIdentity(certificatePEM: try leaf.pem, intermediatesPEM: [], keyPEM: try leaf.keyPEM)
        }
    }

    @Test("Text that is no certificate or no key is refused as unreadable")
    func unreadable() throws {
        let files = [
            ("", try leaf.keyPEM), (try leaf.keyPEM, try leaf.keyPEM), (try leaf.pem, try leaf.pem), (try leaf.pem, ""),
        ]
        for (certificate, key) in files {
            #expect(throws: CredentialError(.unreadable, "")) {
                try CertificateIdentity(certificatePEM: certificate, intermediatesPEM: [], keyPEM: key)
            }
        }
    }

    @Test("An issuer is recognised among the requested authorities if its certificate is known")
    func issuedBy() throws {
        let anchors = try TrustAnchors(pem: [try root.pem])
        let bare = try CertificateIdentity(certificatePEM: try leaf.pem, intermediatesPEM: [], keyPEM: try leaf.keyPEM)
        let sent = try CertificateIdentity(
            certificatePEM: try leaf.pem, intermediatesPEM: [try lower.pem, try upper.pem], keyPEM: try leaf.keyPEM)
        let complete = try CertificateIdentity(
            certificatePEM: try leaf.pem, intermediatesPEM: [try lower.pem, try upper.pem], keyPEM: try leaf.keyPEM,
            authorities: anchors)
        let rootHash = Set(anchors.authorityKeyHashes)
        #expect(!bare.issuedBy(authorities: rootHash))
        #expect(!sent.issuedBy(authorities: rootHash))
        #expect(complete.issuedBy(authorities: rootHash))
        #expect(sent.issuedBy(authorities: [try upper.keyHash]))
        #expect(!complete.issuedBy(authorities: [try leaf.keyHash]))
        #expect(!complete.issuedBy(authorities: []))
    }
}

@Suite("Configured authorities")
struct TrustAnchorTests {
    @Test("Several authorities are read from several texts, each once")
    func several() throws {
        let first = try TestAuthority.root("A")
        let second = try TestAuthority.root("B")
        let anchors = try TrustAnchors(pem: [try first.pem + "\n" + second.pem, try first.pem])
        #expect(anchors.authorityKeyHashes == [try first.keyHash, try second.keyHash])
        #expect(!anchors.isEmpty)
    }

    @Test("No text gives no authority")
    func empty() throws {
        #expect(try TrustAnchors(pem: []).isEmpty)
    }

    @Test("The certificate of a gateway is no authority")
    func leaf() throws {
        let leaf = try TestAuthority.root().leaf()
        let error = #expect(throws: CredentialError.self) { try TrustAnchors(pem: [try leaf.pem]) }
        #expect(error?.code == .notAuthority)
        #expect(error?.reason.contains("CA:TRUE") == true)
    }

    @Test(
        "Text without a certificate is refused",
        arguments: ["", "junk", "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----"])
    func unreadable(_ text: String) {
        #expect(throws: CredentialError(.unreadable, "")) { try TrustAnchors(pem: [text]) }
    }
}
