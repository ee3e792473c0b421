import Credentials
import Crypto
import CryptoExtras
import Foundation
import IKE
import IKEMessage
import IPsecCrypto
import Simulation
import SwiftASN1
import Testing
import X509

@Suite("Authentication by certificate")
struct CertificateTests {
    /// The simulator's clock at its origin.
    private static let now: TimeInterval = 1_800_000_000

    private struct Authority {
        let name: DistinguishedName
        let key: Certificate.PrivateKey
        let certificate: Certificate

        init(_ commonName: String) throws {
            name = try DistinguishedName { CommonName(commonName) }
            key = .init(P256.Signing.PrivateKey())
            certificate = try Certificate(
                version: .v3, serialNumber: .init(), publicKey: key.publicKey,
                notValidBefore: Date(timeIntervalSince1970: now - 1000),
                notValidAfter: Date(timeIntervalSince1970: now + 100_000), issuer: name, subject: name,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                    Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                }, issuerPrivateKey: key)
        }

        var anchors: TrustAnchors { get throws { try TrustAnchors(pem: [certificate.serializeAsPEM().pemString]) } }

        func identity(
            _ dnsName: String, key own: Certificate.PrivateKey = .init(P256.Signing.PrivateKey()),
            beginsAfter begin: TimeInterval = -1000, endsAfter seconds: TimeInterval = 10_000
        ) throws -> CertificateIdentity {
            let leaf = try Certificate(
                version: .v3, serialNumber: .init(), publicKey: own.publicKey,
                notValidBefore: Date(timeIntervalSince1970: now + begin),
                notValidAfter: Date(timeIntervalSince1970: now + seconds), issuer: name,
                subject: try DistinguishedName { CommonName(dnsName) },
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    SubjectAlternativeNames([.dnsName(dnsName)])
                }, issuerPrivateKey: key)
            return try CertificateIdentity(
                certificatePEM: leaf.serializeAsPEM().pemString, intermediatesPEM: [],
                keyPEM: own.serializeAsPEM().pemString)
        }
    }

    private func pair(
        left: CertificateIdentity, right: CertificateIdentity, trustedByLeft: TrustAnchors, trustedByRight: TrustAnchors
    ) async -> Pair {
        let pair = await Pair(
            seed: 1, start: .none,
            left: {
                $0.localAuthentication = .certificate(left)
                $0.remoteAuthentication = .certificate(trustedByLeft)
            },
            right: {
                $0.localAuthentication = .certificate(right)
                $0.remoteAuthentication = .certificate(trustedByRight)
            })
        await pair.initiate()
        await pair.world.run(for: .seconds(3))
        return pair
    }

    @Test("ECDSA, Ed25519 and RSA keys prove an identity")
    func kinds() async throws {
        let authority = try Authority("Root")
        let keys: [Certificate.PrivateKey] = [
            .init(P256.Signing.PrivateKey()), .init(P384.Signing.PrivateKey()), .init(P521.Signing.PrivateKey()),
            .init(Curve25519.Signing.PrivateKey()), .init(try _RSA.Signing.PrivateKey(keySize: .bits2048)),
        ]
        for key in keys {
            let pair = await pair(
                left: try authority.identity("left.example", key: key),
                right: try authority.identity("right.example", key: key), trustedByLeft: try authority.anchors,
                trustedByRight: try authority.anchors)
            #expect(pair.isUp, "\(key): \(pair.left.refusals) \(pair.right.refusals)")
        }
    }

    @Test(
        "Beside a post-quantum preshared key there are two signatures, of which the peer that knows it not takes the other (RFC 8784)"
    )
    func postquantumPresharedKey() async throws {
        let authority = try Authority("Root")
        let anchors = try authority.anchors
        let (ours, theirs) = (try authority.identity("left.example"), try authority.identity("right.example"))
        for name in ["ours", "theirs"] {
            let pair = await Pair(
                seed: 3,
                left: {
                    $0.localAuthentication = .certificate(ours)
                    $0.remoteAuthentication = .certificate(anchors)
                    $0.ppks = [PostquantumPresharedKey(identifier: Array("ours".utf8), secret: Pair.secret)]
                },
                right: {
                    $0.localAuthentication = .certificate(theirs)
                    $0.remoteAuthentication = .certificate(anchors)
                    $0.ppks = [PostquantumPresharedKey(identifier: Array(name.utf8), secret: Pair.secret)]
                })
            #expect(await pair.world.run(atMost: .seconds(2)) { pair.isUp }, "\(name): \(pair.right.refusals)")
        }
    }

    @Test("One side can prove itself by certificate and the other by a secret")
    func mixed() async throws {
        let authority = try Authority("Root")
        let anchors = try authority.anchors
        let certificate = try authority.identity("left.example")
        let pair = await Pair(
            seed: 2, left: { $0.localAuthentication = .certificate(certificate) },
            right: { $0.remoteAuthentication = .certificate(anchors) })
        #expect(await pair.world.run(atMost: .seconds(2)) { pair.isUp })
    }

    @Test("A certificate of another authority is refused, and the responder says which line decides")
    func wrongAuthority() async throws {
        let authority = try Authority("Root"), other = try Authority("Other")
        let pair = await pair(
            left: try other.identity("left.example"), right: try authority.identity("right.example"),
            trustedByLeft: try authority.anchors, trustedByRight: try authority.anchors)
        #expect(pair.right.refusals.first?.cause == .certificate)
        #expect(pair.right.refusals.first?.origins.isEmpty == false)
        #expect(pair.left.refusals.first?.cause == .authenticationFailed)
        #expect(pair.left.refusals.first?.decidedBy == .peer)
        #expect(pair.left.inbound.isEmpty && pair.right.inbound.isEmpty)
    }

    @Test("An expired certificate of the responder is refused by the initiator, and the responder lets the SA go")
    func expired() async throws {
        let authority = try Authority("Root")
        let pair = await pair(
            left: try authority.identity("left.example"),
            right: try authority.identity("right.example", endsAfter: -500), trustedByLeft: try authority.anchors,
            trustedByRight: try authority.anchors)
        #expect(pair.left.refusals.first?.cause == .certificate)
        #expect(pair.left.refusals.first?.reason.contains("expired") == true)
        #expect(pair.right.status("site")?.ikeSAs.isEmpty == true)
        #expect(pair.right.inbound.isEmpty)
        await pair.world.run(for: .seconds(40))
        #expect(pair.isEmpty)
    }

    @Test("More certificates, or a longer one, than are accepted are refused before anything is computed for them")
    func tooMuch() async throws {
        let authority = try Authority("Root")
        let anchors = try authority.anchors
        let identity = try authority.identity("left.example")
        let short = Payload.certificate(
            CertificatePayload(encoding: .x509Signature, data: [UInt8](repeating: 0x30, count: 100)))
        let long = Payload.certificate(
            CertificatePayload(encoding: .x509Signature, data: [UInt8](repeating: 0x30, count: 16385)))
        for added in [[Payload](repeating: short, count: 8), [long]] {
            let pair = await Pair(
                seed: 4, start: .none,
                left: {
                    $0.localAuthentication = .certificate(identity)
                    $0.fragmentation = false
                }, right: { $0.remoteAuthentication = .certificate(anchors) }, endpoint: { $0.exportsKeys = true })
            var jobsBefore = 0
            pair.world.tap = { datagram in
                guard datagram.isRequest(.ikeAuth), let header = datagram.header,
                    let payloads = pair.wiretap.payloads(of: datagram.octets),
                    let octets = pair.wiretap.seal(header, payloads + added, iv: 1 << 40)
                else { return [datagram] }
                jobsBefore = pair.world.jobCount
                var changed = datagram
                changed.octets = octets
                return [changed]
            }
            await pair.initiate()
            #expect(await pair.world.run(atMost: .seconds(1)) { !pair.right.refusals.isEmpty })
            #expect(pair.right.refusals.first?.cause == .certificate)
            #expect(pair.right.refusals.first?.reason.contains("are accepted") == true)
            #expect(jobsBefore > 0 && pair.world.jobCount == jobsBefore)
        }
    }

    @Test("A certificate is accepted in the very second it begins (RFC 5280, section 4.1.2.5)")
    func beginning() async throws {
        let authority = try Authority("Root")
        let anchors = try authority.anchors
        let identity = try authority.identity("left.example", beginsAfter: 0)
        let pair = await Pair(
            seed: 3, start: .none, left: { $0.localAuthentication = .certificate(identity) },
            right: { $0.remoteAuthentication = .certificate(anchors) },
            endpoint: { $0.unixTimeAtOrigin = .seconds(Self.now) - .milliseconds(900) })
        await pair.world.run(for: .milliseconds(950))
        await pair.initiate()
        #expect(await pair.world.run(atMost: .seconds(2)) { pair.isUp }, "\(pair.right.refusals)")
    }

    @Test("When the wall clock is set, certificates are judged by the new time and no timer goes astray")
    func wallClockSet() async throws {
        let authority = try Authority("Root")
        let anchors = try authority.anchors
        let identity = try authority.identity("left.example")
        // The host begins without a clock of its own, in 1970.
        let pair = await Pair(
            seed: 3, start: .none, left: { $0.localAuthentication = .certificate(identity) },
            right: { $0.remoteAuthentication = .certificate(anchors) }, endpoint: { $0.unixTimeAtOrigin = .seconds(1) })
        await pair.initiate()
        await pair.world.run(for: .seconds(2))
        #expect(!pair.isUp)
        #expect(pair.right.refusals.first?.cause == .certificate)
        await pair.world.act("right") { endpoint, _ in endpoint.setUnixTime(atOrigin: .seconds(Self.now)) }
        await pair.initiate()
        #expect(await pair.world.run(atMost: .seconds(30)) { pair.isUp }, "\(pair.right.refusals)")
        // Back again, far before the certificate began: what is up stays up.
        await pair.world.act("right") { endpoint, _ in endpoint.setUnixTime(atOrigin: .seconds(1)) }
        await pair.world.run(for: .seconds(300))
        #expect(pair.isUp && pair.faults.isEmpty)
    }

    @Test("A certificate for another name does not prove the identity it is sent with")
    func wrongName() async throws {
        let authority = try Authority("Root")
        let pair = await pair(
            left: try authority.identity("elsewhere.example"), right: try authority.identity("right.example"),
            trustedByLeft: try authority.anchors, trustedByRight: try authority.anchors)
        #expect(pair.right.refusals.first?.cause == .certificate)
        #expect(!pair.isUp)
    }

    @Test("A secret does not do where a certificate is wanted, nor the other way round")
    func wrongMethod() async throws {
        let authority = try Authority("Root")
        let anchors = try authority.anchors
        let certificate = try authority.identity("left.example")
        for changes in [(true, false), (false, true)] {
            let pair = await Pair(
                seed: 3, start: .none, left: { if changes.0 { $0.localAuthentication = .certificate(certificate) } },
                right: { if changes.1 { $0.remoteAuthentication = .certificate(anchors) } })
            await pair.initiate()
            await pair.world.run(for: .seconds(2))
            #expect(pair.right.refusals.first?.cause == .authenticationFailed)
        }
    }

    @Test("Certificates that need fragments pass a network that loses and reorders")
    func fragmented() async throws {
        let authority = try Authority("Root")
        let anchors = try authority.anchors
        let left = try authority.identity("left.example"), right = try authority.identity("right.example")
        let pair = await Pair(
            seed: 4,
            conditions: NetworkConditions(loss: 0.2, duplication: 0.2, delay: .milliseconds(1) ... .milliseconds(90)),
            left: {
                $0.localAuthentication = .certificate(left)
                $0.remoteAuthentication = .certificate(anchors)
                $0.fragmentSize = 200
            },
            right: {
                $0.localAuthentication = .certificate(right)
                $0.remoteAuthentication = .certificate(anchors)
                $0.fragmentSize = 200
            })
        #expect(await pair.world.run(atMost: .seconds(60)) { pair.isUp })
        #expect(pair.faults.isEmpty)
        #expect(pair.world.sent.allSatisfy { $0.octets.count <= 172 || $0.header?.exchangeType == .ikeSAInit })
    }
}
