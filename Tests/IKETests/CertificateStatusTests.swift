import CertificateFixtures
import Credentials
import IKE
import IKEMessage
import Simulation
import Testing

@Suite("Revocation in IKE_AUTH")
struct CertificateStatusTests {
    private let root: TestAuthority
    private let left: TestAuthority
    private let right: TestAuthority

    private static let responder = "http://ocsp.example/"

    init() throws {
        root = try TestAuthority.root()
        left = try root.leaf([.dnsName("left.example")]) { try? $0.point(toResponder: Self.responder, list: nil) }
        right = try root.leaf([.dnsName("right.example")]) { try? $0.point(toResponder: Self.responder, list: nil) }
    }

    /// Two gateways with certificates, right asking for the status of left's by `policy`.
    private func pair(
        _ policy: RevocationPolicy, left leftCertificate: TestAuthority? = nil, key: TestAuthority? = nil
    ) async throws -> Pair {
        let anchors = try TrustAnchors(pem: [try root.pem])
        func identity(_ certificate: TestAuthority) throws -> CertificateIdentity {
            try CertificateIdentity(certificatePEM: certificate.pem, intermediatesPEM: [], keyPEM: certificate.keyPEM)
        }
        let leftIdentity = try identity(leftCertificate ?? left), rightIdentity = try identity(right)
        return await Pair(
            seed: 1, start: .none,
            left: {
                $0.localAuthentication = .certificate(leftIdentity)
                $0.remoteAuthentication = .certificate(anchors)
                $0.revocation = .off
            },
            right: {
                $0.localAuthentication = .certificate(rightIdentity)
                $0.remoteAuthentication = .certificate(anchors)
                $0.revocation = policy
            },
            endpoint: { $0.unixTimeAtOrigin = .seconds(testTime) })
    }

    private func attempt(_ pair: Pair) async throws {
        await pair.initiate()
        await pair.world.run(for: .seconds(3))
    }

    private func give(_ documents: [[UInt8]], to host: Host) throws {
        host.endpoint.updateStatusDocuments(try documents.map { try StatusDocument($0) }, fetches: true)
    }

    @Test("A revoked peer is refused by the responder, which says who revoked it, when and why")
    func revoked() async throws {
        let pair = try await pair(.ifAvailable)
        try give([try TestStatus.list(root, .init { $0.revoked = [(left, 1)] })], to: pair.right)
        try await attempt(pair)
        let refusal = pair.right.refusals.first
        #expect(refusal?.cause == .certificate && refusal?.origins.isEmpty == false)
        #expect(refusal?.reason.contains("key compromise") == true, "\(refusal?.reason ?? "")")
        #expect(pair.left.refusals.first?.cause == .authenticationFailed)
        #expect(pair.world.inquiries.isEmpty)
        #expect(pair.left.inbound.isEmpty && pair.right.inbound.isEmpty)
    }

    @Test("What is not known is fetched once, and remembered for the next attempt")
    func fetched() async throws {
        let pair = try await pair(.require)
        let response = try TestStatus.response(on: left, by: root)
        pair.world.documents = { $0.url == Self.responder ? response : nil }
        try await attempt(pair)
        #expect(pair.isUp, "\(pair.right.refusals)")
        try await pair.world.act("left") { endpoint, now in try endpoint.terminate("site", at: now) }
        await pair.world.run(for: .seconds(1))
        try await attempt(pair)
        #expect(pair.isUp)
        #expect(pair.world.inquiries.map { $0.map(\.url) } == [[Self.responder]])
    }

    @Test("With nobody to tell, `require` refuses and `if-available` accepts with a note")
    func silence() async throws {
        let strict = try await pair(.require)
        try await attempt(strict)
        #expect(strict.right.refusals.first?.cause == .certificate)
        #expect(!strict.isUp && strict.world.inquiries.count == 1)
        let lenient = try await pair(.ifAvailable)
        try await attempt(lenient)
        #expect(lenient.isUp)
        let notes = lenient.right.narratives.flatMap(\.lines).map(\.text)
        #expect(notes.contains { $0.contains("cannot be learned") })
    }

    @Test("A peer that waits for a fetch which is lost is let go in time")
    func lost() async throws {
        let pair = try await pair(.require)
        pair.world.losesInquiries = true
        try await attempt(pair)
        #expect(pair.world.inquiries.count == 1 && pair.right.endpoint.halfOpenCount == 1)
        await pair.world.run(for: .seconds(120))
        #expect(pair.right.endpoint.halfOpenCount == 0 && pair.right.inbound.isEmpty && !pair.isUp)
    }

    @Test("Nothing is fetched for a certificate that is not trusted")
    func untrusted() async throws {
        let other = try TestAuthority.root("Other")
        let stranger = try other.leaf([.dnsName("left.example")]) {
            try? $0.point(toResponder: Self.responder, list: nil)
        }
        let pair = try await pair(.require, left: stranger)
        try await attempt(pair)
        #expect(pair.right.refusals.first?.cause == .certificate)
        #expect(pair.world.inquiries.isEmpty)
    }

    @Test("A response that the peer staples, because it was asked to, spares the fetching (RFC 4806)")
    func stapled() async throws {
        let pair = try await pair(.require)
        try give([try TestStatus.response(on: left, by: root)], to: pair.left)
        try await attempt(pair)
        #expect(pair.isUp, "\(pair.right.refusals)")
        #expect(pair.world.inquiries.isEmpty)
        let asked = pair.world.sent.compactMap { try? Message(parsing: $0.octets) }.filter {
            $0.header.exchangeType == .ikeSAInit
        }
        .flatMap(\.payloads).filter {
            if case .certificateRequest(let request) = $0 { request.encoding == .ocspContent } else { false }
        }
        #expect(asked.count == 1)
    }

    @Test("A response is not sent to a peer that does not ask, nor is one asked for where revocation is off")
    func unasked() async throws {
        let pair = try await pair(.off)
        try give([try TestStatus.response(on: left, by: root)], to: pair.left)
        try await attempt(pair)
        #expect(pair.isUp && pair.world.inquiries.isEmpty)
        let received = pair.right.narratives.flatMap(\.lines).filter { $0.kind == .received }.map(\.text).joined()
        #expect(received.components(separatedBy: "CERT").count == 3, "\(received)")
    }
}
