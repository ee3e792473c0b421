import CertificateFixtures
import Credentials
import Crypto
import CryptoExtras
import IPsecCrypto
import SwiftASN1
import Testing
import X509

/// Validates `chain` against the authorities `roots` for the identity written as `identity`.
private func validate(
    _ chain: [TestAuthority], roots: [TestAuthority], as identity: String = "gw.example.org", at time: Int64 = testTime
) async throws -> Result<VerificationKey, CredentialError> {
    let validator = CertificatePathValidator(anchors: try TrustAnchors(pem: try roots.map { try $0.pem }))
    return await validator.validate(
        chainDER: try chain.map { try $0.der }, claiming: try Identity(configured: identity), at: time)
}

extension Result where Failure == CredentialError {
    fileprivate var error: CredentialError? {
        if case .failure(let error) = self { error } else { nil }
    }
}

@Suite("Certificate paths that are accepted")
struct AcceptedPathTests {
    @Test("A leaf issued by a configured authority is accepted, and its key returned")
    func direct() async throws {
        let root = try TestAuthority.root()
        let leaf = try root.leaf()
        let key = try await validate([leaf], roots: [root]).get()
        let own = try SigningKey(pem: try leaf.keyPEM)
        #expect(key.isValid(try own.sign([1, 2, 3], with: .ecdsa(.sha2_256)), of: [1, 2, 3], with: .ecdsa(.sha2_256)))
    }

    @Test("A path through intermediates sent by the peer is found in whatever order they come")
    func threeLevels() async throws {
        let root = try TestAuthority.root()
        let upper = try root.authority("Upper")
        let lower = try upper.authority("Lower")
        let leaf = try lower.leaf()
        for chain in [[leaf, lower, upper], [leaf, upper, lower], [leaf, root, upper, lower]] {
            #expect(try await validate(chain, roots: [root]).error == nil)
        }
    }

    @Test("The authority is found among several, two of them with the same name")
    func severalAuthorities() async throws {
        let roots = [try TestAuthority.root("A"), try TestAuthority.root("B"), try TestAuthority.root("B")]
        for root in roots {
            #expect(try await validate([try root.leaf()], roots: roots).error == nil)
        }
    }

    @Test("RSA, ECDSA and Ed25519 may be mixed in one path")
    func mixedKeys() async throws {
        let rsa = try _RSA.Signing.PrivateKey(keySize: .bits2048)
        let root = try TestAuthority.root { $0.key = .init(rsa) }
        let middle = try root.authority("Ed25519") { $0.key = .init(Curve25519.Signing.PrivateKey()) }
        let leaf = try middle.leaf { $0.key = .init(P521.Signing.PrivateKey()) }
        let key = try await validate([leaf, middle], roots: [root]).get()
        #expect(key.kind == .ecdsa(bits: 521))
    }

    @Test("An intermediate that cannot be read is passed over")
    func junkIntermediate() async throws {
        let root = try TestAuthority.root()
        let validator = CertificatePathValidator(anchors: try TrustAnchors(pem: [try root.pem]))
        let result = await validator.validate(
            chainDER: [try root.leaf().der, [], [0x30, 0x80], Array("junk".utf8)],
            claiming: .fqdn("gw.example.org"), at: testTime)
        #expect(result.error == nil)
    }

    @Test("Every accepted purpose is enough, critical or not", arguments: [false, true])
    func purposes(critical: Bool) async throws {
        let root = try TestAuthority.root()
        let ipsecIKE = ExtendedKeyUsage.Usage(oid: [1, 3, 6, 1, 5, 5, 7, 3, 17])
        for purpose in [ExtendedKeyUsage.Usage.serverAuth, .clientAuth, .any, ipsecIKE] {
            let leaf = try root.leaf {
                $0.purposes = [.emailProtection, purpose]
                $0.criticalPurposes = critical
            }
            #expect(try await validate([leaf], roots: [root]).error == nil)
        }
    }

    @Test("A key usage of nonRepudiation alone is enough, and so is none at all")
    func usages() async throws {
        let root = try TestAuthority.root()
        for usage in [KeyUsage(nonRepudiation: true), nil] {
            #expect(try await validate([try root.leaf { $0.usage = usage }], roots: [root]).error == nil)
        }
    }

    @Test("Names within the constraints of the issuer are accepted")
    func permittedNames() async throws {
        let root = try TestAuthority.root()
        let middle = try root.authority("Middle") {
            $0.nameConstraints = NameConstraints(permittedDNSDomains: ["example.org"])
        }
        #expect(try await validate([try middle.leaf(), middle], roots: [root]).error == nil)
    }

    @Test("Validity includes its first and its last second")
    func bounds() async throws {
        let root = try TestAuthority.root {
            $0.notBefore = testTime - 10 * year
            $0.notAfter = testTime + 10 * year
        }
        let leaf = try root.leaf {
            $0.notBefore = testTime - 100
            $0.notAfter = testTime + 100
        }
        for offset in [-100, 100] as [Int64] {
            #expect(try await validate([leaf], roots: [root], at: testTime + offset).error == nil)
        }
        #expect(try await validate([leaf], roots: [root], at: testTime - 101).error?.code == .notYetValid)
        #expect(try await validate([leaf], roots: [root], at: testTime + 101).error?.code == .expired)
    }
}

@Suite("Certificate paths that are refused")
struct RefusedPathTests {
    @Test("An expired certificate is refused with the day it expired")
    func expired() async throws {
        let root = try TestAuthority.root()
        let leaf = try root.leaf { $0.notAfter = testTime - 86400 }
        let error = try await validate([leaf], roots: [root]).error
        #expect(error?.code == .expired)
        #expect(error?.reason.contains("CN=gw") == true)
        #expect(error?.reason.contains("2025-12-31") == true)
    }

    @Test("A certificate that is not yet valid is refused with the day it will be")
    func notYetValid() async throws {
        let root = try TestAuthority.root()
        let leaf = try root.leaf { $0.notBefore = testTime + 86400 }
        let error = try await validate([leaf], roots: [root]).error
        #expect(error?.code == .notYetValid)
        #expect(error?.reason.contains("2026-01-02") == true)
    }

    @Test("An expired authority is refused by its name")
    func expiredAuthority() async throws {
        let root = try TestAuthority.root("Old Root") { $0.notAfter = testTime - 1 }
        let error = try await validate([try root.leaf()], roots: [root]).error
        #expect(error?.code == .expired)
        #expect(error?.reason.contains("Old Root") == true)
    }

    @Test("A certificate of an unknown authority is refused, naming it and the configured ones")
    func wrongAuthority() async throws {
        let configured = try TestAuthority.root("Ours")
        let error = try await validate([try TestAuthority.root("Theirs").leaf()], roots: [configured]).error
        #expect(error?.code == .untrusted)
        #expect(error?.reason.contains("CN=Theirs") == true)
        #expect(error?.reason.contains("CN=Ours") == true)
    }

    @Test("An authority with the right name and another key is refused")
    func namesake() async throws {
        let error = try await validate(
            [try TestAuthority.root("Root").leaf()], roots: [try TestAuthority.root("Root")]
        ).error
        #expect(error?.code == .untrusted)
        #expect(error?.reason.contains("did not sign") == true)
    }

    @Test("Without its intermediate a path is refused, naming what is missing")
    func missingIntermediate() async throws {
        let root = try TestAuthority.root()
        let leaf = try root.authority("Middle").leaf()
        let error = try await validate([leaf], roots: [root]).error
        #expect(error?.code == .untrusted)
        #expect(error?.reason.contains("CN=Middle") == true)
    }

    @Test("Nothing is trusted when no authority is configured")
    func noAuthority() async throws {
        #expect(try await validate([try TestAuthority.root().leaf()], roots: []).error?.code == .untrusted)
    }

    @Test("A self-signed certificate is refused unless it is configured, even if it calls itself an authority")
    func selfSigned() async throws {
        let root = try TestAuthority.root()
        for constraints in [BasicConstraints.notCertificateAuthority, .isCertificateAuthority(maxPathLength: nil)] {
            let leaf = try TestAuthority.root("gw") {
                $0.names = [.dnsName("gw.example.org")]
                $0.constraints = constraints
                $0.usage = nil
            }
            let error = try await validate([leaf], roots: [root]).error
            #expect(error?.code == .untrusted)
            #expect(error?.reason.contains("self-signed") == true)
        }
    }

    @Test("A gateway's certificate cannot issue others: CA:FALSE, or no basic constraints")
    func leafAsIssuer() async throws {
        let root = try TestAuthority.root()
        for constraints in [BasicConstraints.notCertificateAuthority, nil] {
            let middle = try root.authority("Other gateway") { $0.constraints = constraints }
            let error = try await validate([try middle.leaf(), middle], roots: [root]).error
            #expect(error?.code == .notAuthority)
            #expect(error?.reason.contains("Other gateway") == true)
        }
    }

    @Test("An intermediate without keyCertSign cannot issue")
    func issuerUsage() async throws {
        let root = try TestAuthority.root()
        let middle = try root.authority("Middle") { $0.usage = KeyUsage(digitalSignature: true) }
        let error = try await validate([try middle.leaf(), middle], roots: [root]).error
        #expect(error?.code == .notAuthority)
        #expect(error?.reason.contains("keyCertSign") == true)
    }

    @Test("A path longer than a path length constraint allows is refused")
    func pathLength() async throws {
        let root = try TestAuthority.root()
        let upper = try root.authority("Upper", maxPathLength: 0)
        let lower = try upper.authority("Lower")
        #expect(try await validate([try upper.leaf(), upper], roots: [root]).error == nil)
        let error = try await validate([try lower.leaf(), lower, upper], roots: [root]).error
        #expect(error?.code == .constraintViolated)
        #expect(error?.reason.contains("path length") == true)
    }

    @Test("A key usage without signatures is refused")
    func usage() async throws {
        let root = try TestAuthority.root()
        let leaf = try root.leaf { $0.usage = KeyUsage(keyEncipherment: true) }
        let error = try await validate([leaf], roots: [root]).error
        #expect(error?.code == .unsuitable)
        #expect(error?.reason.contains("digitalSignature") == true)
    }

    @Test("A certificate for other purposes is refused, and so is one below an intermediate for other purposes")
    func purposes() async throws {
        let root = try TestAuthority.root()
        let leaf = try root.leaf { $0.purposes = [.emailProtection, .codeSigning] }
        #expect(try await validate([leaf], roots: [root]).error?.code == .unsuitable)
        let middle = try root.authority("Mail") { $0.purposes = [.emailProtection] }
        let error = try await validate([try middle.leaf(), middle], roots: [root]).error
        #expect(error?.code == .unsuitable)
        #expect(error?.reason.contains("CN=Mail") == true)
    }

    @Test("A critical extension that is not understood is refused by its number, in the leaf and above it")
    func criticalExtension() async throws {
        let unknown = Certificate.Extension(oid: [1, 3, 6, 1, 4, 1, 99999, 1], critical: true, value: [0x05, 0x00])
        let root = try TestAuthority.root()
        let leaf = try root.leaf { $0.more = [unknown] }
        let error = try await validate([leaf], roots: [root]).error
        #expect(error?.code == .unsupportedExtension)
        #expect(error?.reason.contains("1.3.6.1.4.1.99999.1") == true)
        let middle = try root.authority("Middle") { $0.more = [unknown] }
        #expect(try await validate([try middle.leaf(), middle], roots: [root]).error?.code == .unsupportedExtension)
    }

    @Test("An extension that is not critical is ignored when it is not understood")
    func otherExtension() async throws {
        let unknown = Certificate.Extension(oid: [1, 3, 6, 1, 4, 1, 99999, 1], critical: false, value: [0x05, 0x00])
        let root = try TestAuthority.root()
        #expect(try await validate([try root.leaf { $0.more = [unknown] }], roots: [root]).error == nil)
    }

    @Test("A signature with SHA-1 is refused")
    func sha1() async throws {
        let rsa = try _RSA.Signing.PrivateKey(keySize: .bits2048)
        let root = try TestAuthority.root { $0.key = .init(rsa) }
        let leaf = try root.leaf { $0.signatureAlgorithm = .sha1WithRSAEncryption }
        let error = try await validate([leaf], roots: [root]).error
        #expect(error?.code == .weak)
        #expect(error?.reason.contains("SHA-1") == true)
    }

    @Test("A short RSA key is refused by its length")
    func shortKey() async throws {
        let short = try _RSA.Signing.PrivateKey(unsafeKeySize: .init(bitCount: 1024))
        let root = try TestAuthority.root()
        let error = try await validate([try root.leaf { $0.key = .init(short) }], roots: [root]).error
        #expect(error?.code == .weak)
        #expect(error?.reason.contains("1024 bits") == true)
    }
}

@Suite("Name constraints")
struct NameConstraintTests {
    private func refusal(_ constraints: NameConstraints, _ names: [GeneralName], as identity: String) async throws
        -> CredentialError?
    {
        let root = try TestAuthority.root()
        let middle = try root.authority("Middle") { $0.nameConstraints = constraints }
        return try await validate([try middle.leaf(names), middle], roots: [root], as: identity).error
    }

    @Test("A name outside the permitted domains is refused, whatever its case")
    func outside() async throws {
        let constraints = NameConstraints(permittedDNSDomains: ["example.org"])
        for name in ["gw.example.com", "GW.EXAMPLE.COM", "gwexample.org"] {
            let error = try await refusal(constraints, [.dnsName(name)], as: name)
            #expect(error?.code == .constraintViolated)
        }
    }

    @Test("A name in an excluded domain is refused, whatever its case (CVE-2026-35331)")
    func excluded() async throws {
        let constraints = NameConstraints(excludedDNSDomains: ["internal.example.org"])
        for name in ["gw.internal.example.org", "gw.INTERNAL.example.org"] {
            #expect(try await refusal(constraints, [.dnsName(name)], as: name)?.code == .constraintViolated)
        }
    }

    @Test("A dot at the end does not carry a name past an excluded domain")
    func trailingDot() async throws {
        let constraints = NameConstraints(excludedDNSDomains: ["internal.example.org"])
        let error = try await refusal(
            constraints, [.dnsName("gw.internal.example.org.")], as: "gw.internal.example.org")
        #expect(error != nil)
    }

    @Test("An address outside the permitted range is refused")
    func address() async throws {
        let constraints = NameConstraints(
            permittedIPRanges: [ASN1OctetString(contentBytes: [192, 0, 2, 0, 255, 255, 255, 0])])
        let inside = GeneralName.ipAddress(ASN1OctetString(contentBytes: [192, 0, 2, 7]))
        let outside = GeneralName.ipAddress(ASN1OctetString(contentBytes: [198, 51, 100, 7]))
        #expect(try await refusal(constraints, [inside], as: "192.0.2.7") == nil)
        #expect(try await refusal(constraints, [outside], as: "198.51.100.7")?.code == .constraintViolated)
    }

    @Test("Constraints of a kind that cannot be checked refuse the path")
    func unsupported() async throws {
        let constraints = NameConstraints(permittedEmailAddresses: ["example.org"])
        let error = try await refusal(constraints, [.rfc822Name("a@example.org")], as: "a@example.org")
        #expect(error?.code == .constraintViolated)
    }
}

@Suite("Limits on what a peer may send")
struct CertificateLimitTests {
    @Test("Eight certificates are accepted and nine are refused")
    func number() async throws {
        let root = try TestAuthority.root()
        let leaf = try root.leaf()
        let fillers = try (0..<8).map { try root.authority("Filler \($0)") }
        #expect(try await validate([leaf] + fillers.dropLast(), roots: [root]).error == nil)
        let error = try await validate([leaf] + fillers, roots: [root]).error
        #expect(error?.code == .limitExceeded)
        #expect(error?.reason.contains("9 certificates") == true)
    }

    @Test("A certificate beyond the length limit is refused before it is read")
    func length() async throws {
        let root = try TestAuthority.root()
        let validator = CertificatePathValidator(anchors: try TrustAnchors(pem: [try root.pem]))
        let long = [UInt8](repeating: 0x30, count: CertificatePathValidator.maximumCertificateLength + 1)
        let result = await validator.validate(
            chainDER: [try root.leaf().der, long], claiming: .fqdn("gw.example.org"), at: testTime)
        #expect(result.error?.code == .limitExceeded)
    }

    @Test("No certificate, an empty one and junk are refused as unreadable")
    func unreadable() async throws {
        let validator = CertificatePathValidator(anchors: try TrustAnchors(pem: [try TestAuthority.root().pem]))
        for chain in [[], [[]], [[0x30]], [Array("-----BEGIN CERTIFICATE-----".utf8)]] as [[[UInt8]]] {
            let result = await validator.validate(chainDER: chain, claiming: .fqdn("gw"), at: testTime)
            #expect(result.error?.code == .unreadable)
        }
    }

    @Test("A certificate cut anywhere or with any octet changed is refused, and never traps")
    func damaged() async throws {
        let root = try TestAuthority.root()
        let validator = CertificatePathValidator(anchors: try TrustAnchors(pem: [try root.pem]))
        let der = try root.leaf().der
        for index in der.indices {
            var variants = [Array(der.prefix(index))]
            for mask in [0x01, 0x55] as [UInt8] {
                variants.append(der)
                variants[variants.count - 1][index] ^= mask
            }
            for octets in variants {
                let result = await validator.validate(
                    chainDER: [octets], claiming: .fqdn("gw.example.org"), at: testTime)
                #expect(result.error != nil, "octet \(index)")
            }
        }
    }

    @Test("Many variants of one authority do not make the search long")
    func variants() async throws {
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let loop = try TestAuthority.root("Loop") { $0.key = key }
        let variants = try (0..<7).map { number in
            try loop.authority("Loop") {
                $0.key = key
                $0.names = [.dnsName("v\(number).example.org")]
            }
        }
        let configured = try TestAuthority.root()
        let start = ContinuousClock.now
        #expect(try await validate([try loop.leaf()] + variants, roots: [configured]).error?.code == .untrusted)
        #expect(ContinuousClock.now - start < .seconds(1))
    }

    @Test("Of two certificates of one intermediate the one that leads to an authority is used")
    func crossCertificate() async throws {
        let configured = try TestAuthority.root("Configured")
        let other = try TestAuthority.root("Other")
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let elsewhere = try other.authority("Middle") { $0.key = key }
        let here = try configured.authority("Middle") { $0.key = key }
        let leaf = try here.leaf()
        for chain in [[leaf, elsewhere, here], [leaf, here, elsewhere]] {
            #expect(try await validate(chain, roots: [configured]).error == nil)
        }
    }
}
