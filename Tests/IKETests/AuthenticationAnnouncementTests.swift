import CertificateFixtures
import Credentials
import Crypto
import CryptoExtras
import IKE
import IKEMessage
import IPsecCrypto
import Simulation
import Testing
import X509

@Suite("Announced authentication methods (RFC 9593)")
struct AuthenticationAnnouncementTests {
    /// The simulator's clock at its origin.
    private static let now: Int64 = 1_800_000_000

    private enum Kind: CaseIterable { case ecdsa, rsa, ed25519 }

    /// An authority with certificates of several kinds for one name.
    private struct Fixture {
        let authority: TestAuthority

        init(_ name: String = "Root") throws {
            authority = try TestAuthority.root(name) {
                $0.notBefore = now - 1000
                $0.notAfter = now + 1_000_000
            }
        }

        var anchors: TrustAnchors { get throws { try TrustAnchors(pem: [authority.pem]) } }

        func identity(_ name: String, _ kind: Kind) throws -> CertificateIdentity {
            let leaf = try authority.leaf([.dnsName(name)]) {
                $0.notBefore = now - 1000
                $0.notAfter = now + 1_000_000
                switch kind {
                case .ecdsa: $0.key = .init(P256.Signing.PrivateKey())
                case .rsa: if let key = try? _RSA.Signing.PrivateKey(keySize: .bits2048) { $0.key = .init(key) }
                case .ed25519: $0.key = .init(Curve25519.Signing.PrivateKey())
                }
            }
            return try CertificateIdentity(
                certificatePEM: leaf.pem, intermediatesPEM: [authority.pem], keyPEM: leaf.keyPEM)
        }
    }

    private static let hybrid = [
        IKEProposal(
            encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519],
            additional: [AdditionalKeyExchange(number: 1, methods: [.mlKEM768])])
    ]

    /// - Parameter alter: what becomes of the announcement of the responder, or the initiator, on its way; `nil` to leave all as it is.
    private static func pair(
        seed: UInt64, _ fixture: Fixture, left: [Kind], right: [Kind],
        policies: (AnnouncementPolicy, AnnouncementPolicy) = (.auto, .auto),
        proposals: [IKEProposal]? = nil, tap: ((Pair, IKEDatagram) -> [IKEDatagram])? = nil
    ) async throws -> Pair {
        let anchors = try fixture.anchors
        let ours = try left.map { try fixture.identity("left.example", $0) }
        let theirs = try right.map { try fixture.identity("right.example", $0) }
        func set(_ certificates: [CertificateIdentity], _ policy: AnnouncementPolicy) -> (inout ConnectionConfiguration)
            -> Void
        {
            {
                $0.localAuthentication = .certificate(certificates[0])
                $0.alternativeCertificates = Array(certificates.dropFirst())
                $0.remoteAuthentication = .certificate(anchors)
                $0.announcements = policy
                // A message in fragments cannot be looked into.
                $0.fragmentation = false
                if let proposals { $0.ikeProposals = proposals }
            }
        }
        let pair = await Pair(
            seed: seed, start: .none, left: set(ours, policies.0), right: set(theirs, policies.1),
            endpoint: { $0.exportsKeys = true })
        if let tap { pair.world.tap = { tap(pair, $0) } }
        await pair.initiate()
        await pair.world.run(for: .seconds(5))
        return pair
    }

    /// The AlgorithmIdentifier by which a side signed in IKE_AUTH.
    private static func signature(_ pair: Pair, ofResponder: Bool) -> SignatureAlgorithm? {
        for datagram in pair.world.sent where ofResponder ? datagram.isResponse(.ikeAuth) : datagram.isRequest(.ikeAuth)
        {
            for case .authentication(let payload) in pair.wiretap.payloads(of: datagram.octets) ?? [] {
                guard payload.method == .digitalSignature,
                    let data = try? SignatureAuthenticationData(parsing: payload.data)
                else { return nil }
                return SignatureAlgorithm(algorithmIdentifier: data.algorithmIdentifier)
            }
        }
        return nil
    }

    private static func lists(_ pair: Pair, in exchange: ExchangeType, response: Bool) -> [[UInt8]] {
        pair.world.sent.filter { $0.header?.exchangeType == exchange && $0.isResponse == response }.flatMap {
            datagram in
            (pair.wiretap.payloads(of: datagram.octets) ?? []).compactMap { payload in
                if case .notify(let notify) = payload, notify.type == .supportedAuthMethods { notify.data } else { nil }
            }
        }
    }

    private static func replaced(_ payloads: [Payload], by data: [[UInt8]]) -> [Payload] {
        payloads.filter { if case .notify(let notify) = $0 { notify.type != .supportedAuthMethods } else { true } }
            + data.map {
                .notify(NotifyPayload(protocolID: .none, spi: [], type: .supportedAuthMethods, data: $0))
            }
    }

    /// Puts lists in place of the initiator's in IKE_AUTH, as a peer of another make would send them.
    private static func announcing(
        _ data: [[UInt8]], _ fixture: Fixture, right: [Kind], seed: UInt64 = 20
    ) async throws -> Pair {
        try await pair(seed: seed, fixture, left: [.ecdsa], right: right) { pair, datagram in
            guard datagram.isRequest(.ikeAuth), let header = datagram.header,
                let payloads = pair.wiretap.payloads(of: datagram.octets),
                let octets = pair.wiretap.seal(header, replaced(payloads, by: data), iv: 1 << 40)
            else { return [datagram] }
            return [
                datagram.carrying(octets)
            ]
        }
    }

    private static func digital(_ algorithm: SignatureAlgorithm, link: UInt8 = 0) -> [UInt8] {
        Announcement(.digitalSignature, link: link, algorithmIdentifier: algorithm.algorithmIdentifier).octets
    }

    // MARK: Octets

    @Test("Announcements have two, three, or more octets, each with its own length")
    func octets() {
        #expect(Announcement(.sharedKey).octets == [2, 2])
        #expect(Announcement(.null).octets == [2, 13])
        #expect(Announcement(.ecdsaP384, link: 1).octets == [3, 10, 1])
        #expect(
            Self.digital(.ed25519, link: 2) == [0x0a, 14, 2, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70])
        #expect(
            Self.digital(.ecdsa(.sha2_256))
                == [0x0f, 14, 0, 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02])
        #expect(
            Self.digital(.mlDSA65)
                == [0x10, 14, 0, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12])
    }

    @Test("What is read is what was written, and what makes no sense is passed over by its length")
    func reading() {
        let known = [
            Announcement(.sharedKey), Announcement(.rsaDigitalSignature, link: 0), Announcement(.null),
            Announcement(
                .digitalSignature, link: 0, algorithmIdentifier: SignatureAlgorithm.ed25519.algorithmIdentifier),
        ]
        let odd: [[UInt8]] = [[4, 77, 1, 2], [2, 14], [3, 14, 0], [3, 2, 0], [2, 9], [5, 9, 0, 0, 0], [2, 12]]
        #expect(Announcement.list(known.flatMap(\.octets)) == known)
        #expect(Announcement.list(odd.flatMap(\.self) + known.flatMap(\.octets)) == known)
        #expect(Announcement.list([]) == [])
    }

    @Test(
        "Lengths that do not fit make it no list",
        arguments: [[0], [1, 2], [2], [3, 9], [2, 2, 255, 14, 0]] as [[UInt8]])
    func badLengths(_ data: [UInt8]) {
        #expect(Announcement.list(data) == nil)
    }

    // MARK: The choice

    @Test("Each side takes the certificate that the other prefers among those it accepts")
    func choice() async throws {
        let pair = try await Self.pair(seed: 1, try Fixture(), left: [.rsa, .ed25519], right: [.ecdsa, .rsa])
        #expect(pair.isUp)
        #expect(Self.signature(pair, ofResponder: false) == .ed25519)
        #expect(Self.signature(pair, ofResponder: true) == .ecdsa(.sha2_256))
        #expect(Self.lists(pair, in: .ikeSAInit, response: true).count == 1)
        #expect(Self.lists(pair, in: .ikeSAInit, response: false).isEmpty)
        #expect(Self.lists(pair, in: .ikeAuth, response: false).count == 1)
    }

    @Test("Where one side does not announce, the other goes by its own order")
    func oneSided() async throws {
        for policies in [(AnnouncementPolicy.no, AnnouncementPolicy.auto), (.auto, .no), (.no, .no)] {
            let pair = try await Self.pair(
                seed: 2, try Fixture(), left: [.rsa, .ed25519], right: [.rsa, .ed25519], policies: policies)
            #expect(pair.isUp)
            // The initiator goes by the responder's list if both take part, the responder by the initiator's.
            #expect(Self.signature(pair, ofResponder: false) == .rsaPSS(.sha2_256), "\(policies)")
            #expect(Self.signature(pair, ofResponder: true) == .rsaPSS(.sha2_256), "\(policies)")
        }
    }

    @Test("A responder goes by what the initiator accepts", arguments: [Kind.ecdsa, .rsa, .ed25519])
    private func responder(_ kind: Kind) async throws {
        let algorithm: SignatureAlgorithm =
            switch kind {
            case .ecdsa: .ecdsa(.sha2_256)
            case .rsa: .rsaPKCS1(.sha2_256)
            case .ed25519: .ed25519
            }
        let pair = try await Self.announcing(
            [[2, 2, 4, 77, 0, 0], Self.digital(algorithm)], try Fixture(), right: [.rsa, .ecdsa, .ed25519])
        #expect(pair.isUp)
        #expect(Self.signature(pair, ofResponder: true) == algorithm)
    }

    @Test(
        "Without a method in common, with a list that cannot be read, or a link beyond the authorities, configuration alone decides"
    )
    func noMatch() async throws {
        for list in [[2, 2], Self.digital(.ed448), [0], [3, 14], Self.digital(.ed25519, link: 9)] as [[UInt8]] {
            let pair = try await Self.announcing([list], try Fixture(), right: [.rsa, .ed25519])
            #expect(pair.isUp, "\(list)")
            #expect(Self.signature(pair, ofResponder: true) == .rsaPSS(.sha2_256), "\(list)")
        }
    }

    @Test("A link to the authority that issued a certificate admits it")
    func links() async throws {
        let first = try await Self.announcing(
            [Self.digital(.ed25519, link: 1)], try Fixture(), right: [.rsa, .ed25519])
        #expect(Self.signature(first, ofResponder: true) == .ed25519)
    }

    @Test("A peer without hash algorithms is served by the methods that stand for one signature each")
    func legacy() async throws {
        let pair = try await Self.pair(seed: 3, try Fixture(), left: [.ecdsa], right: [.rsa, .ecdsa]) { _, datagram in
            guard datagram.header?.exchangeType == .ikeSAInit, var message = try? Message(parsing: datagram.octets)
            else {
                return [datagram]
            }
            message.payloads.removeAll {
                if case .notify(let notify) = $0 { notify.type == .signatureHashAlgorithms } else { false }
            }
            return [
                datagram.carrying(message.serialized())
            ]
        }
        // The messages that were signed are not those that arrived, so neither side believes the other; the choice is seen all the same.
        let methods = pair.world.sent.filter { $0.isRequest(.ikeAuth) }.flatMap { datagram in
            (pair.wiretap.payloads(of: datagram.octets) ?? []).compactMap { payload in
                if case .authentication(let payload) = payload { payload.method } else { nil }
            }
        }
        #expect(methods.first == .ecdsaP256)
    }

    // MARK: IKE_INTERMEDIATE

    @Test("With IKE_INTERMEDIATE the responder's list comes there, and an empty notification says so before")
    func intermediate() async throws {
        let pair = try await Self.pair(
            seed: 4, try Fixture(), left: [.rsa, .ed25519], right: [.ecdsa], proposals: Self.hybrid)
        #expect(pair.isUp)
        #expect(Self.lists(pair, in: .ikeSAInit, response: true) == [[]])
        #expect(Self.lists(pair, in: .ikeIntermediate, response: true).first?.isEmpty == false)
        #expect(pair.world.sent.count { $0.isRequest(.ikeIntermediate) && !$0.octets.isEmpty } >= 1)
        #expect(Self.signature(pair, ofResponder: false) == .ed25519)
    }

    @Test("An initiator with a choice to make runs an exchange for the list alone")
    func ownExchange() async throws {
        let pair = try await Self.pair(seed: 5, try Fixture(), left: [.rsa, .ed25519], right: [.ecdsa])
        #expect(pair.isUp)
        #expect(Self.lists(pair, in: .ikeSAInit, response: true) == [[]])
        #expect(pair.world.sent.count { $0.isRequest(.ikeIntermediate) } == 1)
        #expect(Self.signature(pair, ofResponder: false) == .ed25519)
    }

    @Test("Who announces protected only says nothing in IKE_SA_INIT to a peer without IKE_INTERMEDIATE")
    func protectedOnly() async throws {
        let pair = try await Self.pair(
            seed: 6, try Fixture(), left: [.rsa], right: [.ecdsa, .ed25519], policies: (.auto, .protected))
        #expect(pair.isUp)
        #expect(Self.lists(pair, in: .ikeSAInit, response: true).isEmpty)
        #expect(Self.signature(pair, ofResponder: true) == .ed25519)
    }

    // MARK: On the way

    @Test(
        "Whoever takes the responder's list away, or puts another in its place, is found out", arguments: [false, true])
    func altered(isRemoved: Bool) async throws {
        let pair = try await Self.pair(seed: 7, try Fixture(), left: [.rsa], right: [.ecdsa]) { _, datagram in
            guard datagram.isResponse(.ikeSAInit), var message = try? Message(parsing: datagram.octets) else {
                return [datagram]
            }
            message.payloads = Self.replaced(message.payloads, by: isRemoved ? [] : [[2, 13]])
            return [
                datagram.carrying(message.serialized())
            ]
        }
        #expect(!pair.isUp)
    }

    @Test("Whoever gives a responder a list, or a promise of one, that it has not sent is found out")
    func added() async throws {
        for proposals in [nil, Self.hybrid] {
            for data in [Self.digital(.ed25519), [2, 13], [0], []] as [[UInt8]] {
                let pair = try await Self.pair(
                    seed: 9, try Fixture(), left: [.rsa, .ed25519], right: [.ecdsa], policies: (.auto, .no),
                    proposals: proposals)
                #expect(pair.isUp)
                await pair.terminate("left")
                await pair.rest()
                pair.rewriteInit(isResponse: true) { Self.replaced($0, by: [data]) }
                await pair.initiate()
                await pair.world.run(for: .seconds(5))
                #expect(!pair.isUp)
                #expect(pair.left.inbound.isEmpty && pair.right.inbound.isEmpty)
                #expect(pair.faults.isEmpty)
            }
        }
    }

    @Test("Whoever takes away or fills the promise of a list that is to come in IKE_INTERMEDIATE is found out")
    func alteredPromise() async throws {
        for data in [[], [Self.digital(.rsaPSS(.sha2_256))]] as [[[UInt8]]] {
            var seen: [[UInt8]] = []
            let pair = try await Self.pair(
                seed: 10, try Fixture(), left: [.rsa, .ed25519], right: [.ecdsa], proposals: Self.hybrid
            ) { _, datagram in
                guard datagram.isResponse(.ikeSAInit), var message = try? Message(parsing: datagram.octets) else {
                    return [datagram]
                }
                for case .notify(let notify) in message.payloads where notify.type == .supportedAuthMethods {
                    seen.append(notify.data)
                }
                message.payloads = Self.replaced(message.payloads, by: data)
                return [datagram.carrying(message.serialized())]
            }
            #expect(seen.first == [])
            #expect(!pair.isUp)
            #expect(pair.left.inbound.isEmpty && pair.right.inbound.isEmpty)
        }
    }

    @Test("Peers that prove themselves by a secret are not told what else there is")
    func secrets() async {
        let pair = await Pair(seed: 8, endpoint: { $0.exportsKeys = true })
        #expect(await pair.world.run(atMost: .seconds(2)) { pair.isUp })
        #expect(Self.lists(pair, in: .ikeSAInit, response: true).isEmpty)
        #expect(Self.lists(pair, in: .ikeAuth, response: false).isEmpty)
    }
}
