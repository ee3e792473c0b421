import CertificateFixtures
import Credentials
import IKE
import IKEMessage
import IPsecCrypto
import Octets
import Simulation
import Testing

@Suite("Both IKE_SA_INIT messages authenticated by both sides (draft-ietf-ipsecme-ikev2-downgrade-prevention)")
struct DowngradePreventionTests {
    private static let type = NotifyType.ikeSAInitFullTranscriptAuth
    private static let hybrid = [
        IKEProposal(
            encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519],
            additional: [AdditionalKeyExchange(number: 1, methods: [.mlKEM768])])
    ]

    private static func notification(_ data: [UInt8] = []) -> NotifyPayload {
        NotifyPayload(protocolID: .none, spi: [], type: type, data: data)
    }

    private static func notifications(_ datagram: IKEDatagram?) -> [NotifyPayload] {
        let payloads = datagram.flatMap { try? Message(parsing: $0.octets) }?.payloads ?? []
        return payloads.compactMap { payload in
            if case .notify(let notify) = payload, notify.type == type { notify } else { nil }
        }
    }

    private static func initial(_ pair: Pair) -> (request: IKEDatagram?, response: IKEDatagram?) {
        (
            pair.world.sent.last { $0.isRequest(.ikeSAInit) },
            pair.world.sent.last { $0.isResponse(.ikeSAInit) }
        )
    }

    private static func prevents(_ host: Host) -> Bool? { host.status("site")?.ikeSAs.first?.preventsDowngrade }

    /// Puts these notifications in place of the sender's in IKE_SA_INIT.
    private static func replacing(
        inResponse: Bool, by notifications: [NotifyPayload]
    ) -> (IKEDatagram) -> [IKEDatagram] {
        { datagram in
            datagram.rewritingInit(isResponse: inResponse) { payloads in
                payloads.filter { if case .notify(let notify) = $0 { notify.type != type } else { true } }
                    + notifications.map { .notify($0) }
            }
        }
    }

    private static func pair(
        seed: UInt64, left: DowngradePreventionPolicy = .yes, right: DowngradePreventionPolicy = .yes,
        proposals: [IKEProposal]? = nil, tap: ((IKEDatagram) -> [IKEDatagram])? = nil
    ) async -> Pair {
        func set(_ policy: DowngradePreventionPolicy) -> (inout ConnectionConfiguration) -> Void {
            {
                $0.downgradePrevention = policy
                if let proposals { $0.ikeProposals = proposals }
            }
        }
        let pair = await Pair(
            seed: seed, prepare: { $0.tap = tap }, left: set(left), right: set(right),
            endpoint: { $0.exportsKeys = true })
        await pair.world.run(for: .seconds(3))
        return pair
    }

    // MARK: What is announced

    @Test("Both sides announce it unasked, by a notification without data, SPI or protocol")
    func announced() async {
        let pair = await Self.pair(seed: 1)
        let expected = [Self.notification()]
        let (request, response) = Self.initial(pair)
        #expect(Self.notifications(request) == expected)
        #expect(Self.notifications(response) == expected)
        #expect(pair.isUp)
        #expect(Self.prevents(pair.left) == true)
        #expect(Self.prevents(pair.right) == true)
        #expect(pair.faults.isEmpty)
    }

    @Test("A responder announces it to an initiator that does not, and both go on as in RFC 7296")
    func initiatorWithout() async {
        let pair = await Self.pair(seed: 2, left: .no)
        let (request, response) = Self.initial(pair)
        #expect(Self.notifications(request).isEmpty)
        #expect(Self.notifications(response).count == 1)
        #expect(pair.isUp)
        #expect(Self.prevents(pair.left) == false)
        #expect(Self.prevents(pair.right) == false)
    }

    @Test("With a responder that does not, both go on as in RFC 7296")
    func responderWithout() async {
        let pair = await Self.pair(seed: 3, right: .no)
        #expect(Self.notifications(Self.initial(pair).response).isEmpty)
        #expect(pair.isUp)
        #expect(Self.prevents(pair.left) == false)
        #expect(Self.prevents(pair.right) == false)
    }

    @Test("An initiator that requires it refuses a responder without it, and names the line")
    func requiredOfResponder() async throws {
        let pair = await Self.pair(seed: 4, left: .require, right: .no)
        #expect(!pair.left.isUp("site"))
        #expect(!pair.world.sent.contains { $0.isRequest(.ikeAuth) })
        let refusal = try #require(pair.left.refusals.first)
        #expect(refusal.reason.contains("IKE_SA_INIT_FULL_TRANSCRIPT_AUTH"))
        #expect(refusal.origins.contains { $0.key == "connections.site" })
    }

    @Test("A responder that requires it answers AUTHENTICATION_FAILED to an initiator without it")
    func requiredOfInitiator() async {
        let pair = await Self.pair(seed: 5, left: .no, right: .require)
        #expect(!pair.left.isUp("site"))
        #expect(pair.right.refusals.contains { $0.reason.contains("IKE_SA_INIT_FULL_TRANSCRIPT_AUTH") })
        #expect(pair.left.refusals.contains { $0.reason.contains("AUTHENTICATION_FAILED") })
    }

    @Test("An initiator that requires it waits, after an answer without it, for a better one")
    func betterAnswer() async {
        let pair = await Self.pair(seed: 6, left: .require) { datagram in
            let strip = Self.replacing(inResponse: true, by: [])
            return datagram.isResponse(.ikeSAInit) ? strip(datagram) + [datagram] : [datagram]
        }
        #expect(pair.isUp)
        #expect(Self.prevents(pair.left) == true)
    }

    // MARK: What is signed

    private static func certified(seed: UInt64, policy: DowngradePreventionPolicy) async throws -> Pair {
        let now: Int64 = 1_800_000_000
        let authority = try TestAuthority.root("Root") {
            $0.notBefore = now - 1000
            $0.notAfter = now + 1_000_000
        }
        let anchors = try TrustAnchors(pem: [authority.pem])
        func set(_ name: String) throws -> (inout ConnectionConfiguration) -> Void {
            let leaf = try authority.leaf([.dnsName(name)]) {
                $0.notBefore = now - 1000
                $0.notAfter = now + 1_000_000
            }
            let identity = try CertificateIdentity(
                certificatePEM: leaf.pem, intermediatesPEM: [authority.pem], keyPEM: leaf.keyPEM)
            return {
                $0.localAuthentication = .certificate(identity)
                $0.remoteAuthentication = .certificate(anchors)
                $0.downgradePrevention = policy
            }
        }
        let pair = await Pair(seed: seed, left: try set("left.example"), right: try set("right.example"))
        await pair.world.run(for: .seconds(3))
        return pair
    }

    private static func nonce(_ datagram: IKEDatagram) throws -> [UInt8] {
        for case .nonce(let nonce) in try Message(parsing: datagram.octets).payloads { return nonce }
        return []
    }

    @Test(
        "A side signs eight octets of zero, the message it has received, the one it has sent, and then as in RFC 7296")
    func signedOctets() async throws {
        let pair = try await Self.certified(seed: 10, policy: .yes)
        #expect(pair.isUp)
        let request = try #require(Self.initial(pair).request), response = try #require(Self.initial(pair).response)
        let zero = [UInt8](repeating: 0, count: 8)
        let byInitiator = zero + response.octets + request.octets + (try Self.nonce(response))
        let byResponder = zero + request.octets + response.octets + (try Self.nonce(request))
        // The end is prf(SK_p, ID), 32 octets or more.
        let signed = pair.world.signed
        try #require(signed.count == 2)
        #expect(signed[0].starts(with: byInitiator))
        #expect(signed[1].starts(with: byResponder))
        #expect(signed[0].count - byInitiator.count == signed[1].count - byResponder.count)
        #expect([32, 48, 64].contains(signed[0].count - byInitiator.count))
    }

    @Test("Without it a side signs what it has sent, and nothing before that")
    func signedOctetsWithout() async throws {
        let pair = try await Self.certified(seed: 11, policy: .no)
        #expect(pair.isUp)
        let request = try #require(Self.initial(pair).request), response = try #require(Self.initial(pair).response)
        let signed = pair.world.signed
        try #require(signed.count == 2)
        #expect(signed[0].starts(with: request.octets + (try Self.nonce(response))))
        #expect(signed[1].starts(with: response.octets + (try Self.nonce(request))))
    }

    // MARK: On the way

    @Test("Whoever takes a notification away is found out by IKE_AUTH", arguments: [false, true])
    func stripped(inResponse: Bool) async {
        let pair = await Self.pair(seed: 20, tap: Self.replacing(inResponse: inResponse, by: []))
        #expect(!pair.left.isUp("site"))
        #expect(!pair.right.isUp("site"))
        #expect(pair.left.refusals.contains { $0.reason.contains("AUTHENTICATION_FAILED") })
    }

    @Test("So is who adds one", arguments: [false, true])
    func added(inResponse: Bool) async {
        let pair = await Self.pair(
            seed: 21, left: inResponse ? .yes : .no, right: inResponse ? .no : .yes,
            tap: Self.replacing(inResponse: inResponse, by: [Self.notification()]))
        #expect(!pair.left.isUp("site"))
        #expect(!pair.right.isUp("site"))
    }

    @Test(
        "Data, an SPI, or the notification twice announce it as well, and who puts them there on the way is found out")
    func odd() async {
        for odd in [
            [Self.notification([1, 2, 3])],
            [NotifyPayload(protocolID: .ike, spi: [UInt8](repeating: 7, count: 8), type: Self.type, data: [])],
            [Self.notification(), Self.notification()],
        ] {
            var seen: [Bool] = []
            let pair = await Self.pair(seed: 22) { datagram in
                let changed = Self.replacing(inResponse: true, by: odd)(datagram)
                seen.append(changed.first?.octets != datagram.octets)
                return changed
            }
            // It is agreed on; that the octets differ from what the responder sent is found out.
            #expect(seen.contains(true))
            #expect(
                pair.left.narratives.contains { narrative in
                    narrative.lines.contains { $0.text.contains("both IKE_SA_INIT messages are authenticated") }
                })
            #expect(!pair.isUp)
        }
    }

    // MARK: With others

    @Test("Cookies, and the wrong key exchange at first, change nothing")
    func retries() async {
        let cookies = await Pair(seed: 30, endpoint: { $0.cookieThreshold = 0 })
        #expect(await cookies.world.run(atMost: .seconds(3)) { cookies.isUp })
        #expect(Self.prevents(cookies.left) == true)
        let methods = await Pair(
            seed: 31,
            left: {
                $0.ikeProposals = [
                    IKEProposal(
                        encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519, .ecp256])
                ]
            },
            right: {
                $0.ikeProposals = [
                    IKEProposal(encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.ecp256])
                ]
            })
        #expect(await methods.world.run(atMost: .seconds(3)) { methods.isUp })
        #expect(methods.world.sent.count { $0.isRequest(.ikeSAInit) } == 2)
        #expect(Self.prevents(methods.right) == true)
    }

    @Test("IKE_INTERMEDIATE is proved after it")
    func intermediate() async {
        let pair = await Self.pair(seed: 32, proposals: Self.hybrid)
        #expect(pair.world.sent.contains { $0.isRequest(.ikeIntermediate) })
        #expect(pair.isUp)
        #expect(Self.prevents(pair.left) == true)
    }

    @Test("An IKE SA that replaces another has it, and nothing is said of it in CREATE_CHILD_SA")
    func rekey() async throws {
        let pair = await Self.pair(seed: 33)
        await pair.world.run(for: .seconds(1))
        let before = pair.left.status("site")?.ikeSAs.first?.localSPI
        await pair.rekeyIKE("left")
        await pair.world.run(for: .seconds(3))
        #expect(pair.left.status("site")?.ikeSAs.first?.localSPI != before)
        #expect(Self.prevents(pair.left) == true)
        #expect(Self.prevents(pair.right) == true)
        let exchange = pair.world.sent.filter { $0.header?.exchangeType == .createChildSA }
        #expect(!exchange.isEmpty)
        #expect(!exchange.contains { pair.wiretap.payloads(of: $0.octets)?.contains(Self.type) ?? true })
    }
}
