import CertificateFixtures
import Credentials
import Crypto
import IKE
import IKEMessage
import IPsecCrypto
import Octets
import Simulation
import Testing
import X509

/// What an initiator says in its first message, and then proves that it has said: nobody on the way has a hand in it.
@Suite("Odd announcements that the peer itself has signed") struct SignedAnnouncementTests {
    private typealias Change = (inout ConnectionConfiguration) -> Void

    private static func initiator(seed: UInt64, _ right: Change = { _ in }) async -> (pair: Pair, HandmadeInitiator) {
        let pair = await Pair(seed: seed, start: .none, right: right)
        return (pair, HandmadeInitiator(pair))
    }

    private static func notify(_ type: NotifyType, _ data: [UInt8] = [], spi: [UInt8] = []) -> Payload {
        .notify(NotifyPayload(protocolID: spi.isEmpty ? .none : .esp, spi: spi, type: type, data: data))
    }

    private static func notifications(_ payloads: [Payload], _ type: NotifyType) -> [NotifyPayload] {
        payloads.compactMap { if case .notify(let notify) = $0, notify.type == type { notify } else { nil } }
    }

    private static func isUp(_ pair: Pair) -> Bool {
        pair.right.status("site")?.ikeSAs.count == 1 && pair.right.inbound.count == 1 && pair.faults.isEmpty
    }

    /// An announcement with data, with an SPI, and twice.
    private static func forms(_ type: NotifyType) -> [[Payload]] {
        [
            [notify(type, [1, 2, 3])], [notify(type, spi: [1, 2, 3, 4])], [notify(type), notify(type)],
            [notify(type), notify(type, [UInt8](repeating: 0xff, count: 300))],
        ]
    }

    @Test(
        "Where nothing is to be had of it, an announcement in whatever form is passed over, and the tunnel comes up",
        arguments: [
            .intermediateExchangeSupported, .usePPK, .usePPKInt, .supportedAuthMethods, .ppkIdentity, .ppkIdentityKey,
            .noPPKAuth, .additionalKeyExchange, .saResourceInfo, .tsMaxQueue, ExtendedPayloadTests.format,
            NotifyType(rawValue: 41001), NotifyType(rawValue: 41011), NotifyType(rawValue: 51201),
        ] as [NotifyType])
    func unwanted(_ type: NotifyType) async throws {
        for form in Self.forms(type) {
            let (pair, initiator) = await Self.initiator(seed: 1) { $0.downgradePrevention = .no }
            try await initiator.begin(saying: form)
            try await initiator.authenticate(saying: form)
            #expect(Self.isUp(pair), "\(form)")
        }
    }

    // MARK: Downgrade prevention

    @Test("Of full transcripts a notification with data, with an SPI or twice is one, and both messages are proved")
    func fullTranscript() async throws {
        for form in Self.forms(.ikeSAInitFullTranscriptAuth) {
            for coversAnswer in [true, false] {
                let (pair, initiator) = await Self.initiator(seed: 2)
                try await initiator.begin(saying: form)
                let answer = try await initiator.authenticate(try initiator.proof(coversAnswer: coversAnswer))
                #expect(Self.isUp(pair) == coversAnswer)
                #expect(answer.contains(.authenticationFailed) != coversAnswer)
            }
        }
    }

    // MARK: Post-quantum preshared keys

    private static let secret = SecretOctets(Array("correct horse".utf8))

    private static func withKey(_ exchange: PPKExchange, isRequired: Bool = false) -> Change {
        {
            $0.ppks = [PostquantumPresharedKey(identifier: Array("name".utf8), secret: secret)]
            $0.ppkExchange = exchange
            $0.requiresPPK = isRequired
            $0.downgradePrevention = .no
        }
    }

    private static func identity(_ name: String) -> Payload { notify(.ppkIdentity, [2] + Array(name.utf8)) }

    @Test("USE_PPK with data, with an SPI or twice announces a key as well, which is then used")
    func usePPK() async throws {
        for form in Self.forms(.usePPK) {
            let (pair, initiator) = await Self.initiator(seed: 3, Self.withKey(.auth, isRequired: true))
            let answer = try await initiator.begin(saying: form)
            #expect(
                Self.notifications(answer, .usePPK) == [
                    NotifyPayload(protocolID: .none, spi: [], type: .usePPK, data: [])
                ])
            let used = try await initiator.authenticate(
                try initiator.proof(ppk: Self.secret), saying: [Self.identity("name")])
            #expect(used.contains(.ppkIdentity))
            #expect(Self.isUp(pair))
        }
    }

    @Test("Of two proofs without the key the first counts", arguments: [true, false])
    func twoProofs(isFirst: Bool) async throws {
        let (pair, initiator) = await Self.initiator(seed: 4, Self.withKey(.auth))
        try await initiator.begin(saying: [Self.notify(.usePPK)])
        let right = Self.notify(.noPPKAuth, try initiator.proof())
        let wrong = Self.notify(.noPPKAuth, [UInt8](repeating: 1, count: 32))
        try await initiator.authenticate(
            [UInt8](repeating: 2, count: 32),
            saying: [Self.identity("other")] + (isFirst ? [right, wrong] : [wrong, right]))
        #expect(Self.isUp(pair) == isFirst)
    }

    private static let intermediate = [notify(.intermediateExchangeSupported), notify(.usePPKInt)]

    /// An offer whose confirmation cannot be right.
    private static let offer = notify(.ppkIdentityKey, [2] + Array("name".utf8) + [UInt8](repeating: 0, count: 8))

    @Test("An offer of keys before the last exchange, or in IKE_AUTH, is none", arguments: [true, false])
    func misplacedOffer(isRequired: Bool) async throws {
        let (pair, initiator) = await Self.initiator(seed: 5) {
            Self.withKey(.intermediate, isRequired: isRequired)(&$0)
            $0.ikeProposals = [
                IKEProposal(
                    encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519],
                    additional: [
                        AdditionalKeyExchange(number: 1, methods: [.ecp256]),
                        AdditionalKeyExchange(number: 2, methods: [.ecp384]),
                    ])
            ]
        }
        try await initiator.begin(additional: [.ecp256, .ecp384], saying: Self.intermediate)
        // Here it would be refused for its confirmation, were it looked at.
        let first = try await initiator.intermediate(.ecp256, saying: [Self.offer])
        let last = try await initiator.intermediate(.ecp384)
        #expect(!(first + last).contains(.ppkIdentity))
        let answer = try await initiator.authenticate(saying: [Self.offer])
        #expect(Self.isUp(pair) == !isRequired)
        #expect(answer.contains(.authenticationFailed) == isRequired)
    }

    @Test("The same name with two confirmations is tried with the first alone, and once")
    func sameName() async throws {
        let (pair, initiator) = await Self.initiator(seed: 6, Self.withKey(.intermediate, isRequired: true))
        try await initiator.begin(saying: Self.intermediate)
        let answer = try await initiator.intermediate(saying: [Self.offer] + Array(repeating: Self.offer, count: 100))
        #expect(answer.contains(.authenticationFailed))
        #expect(pair.right.inbound.isEmpty)
        #expect(pair.faults.isEmpty)
    }

    // MARK: IKE_INTERMEDIATE

    @Test("An exchange that nothing calls for is answered INVALID_SYNTAX, whether or not it was announced")
    func uncalledExchange() async throws {
        for said in [[], [Self.notify(.intermediateExchangeSupported)]] {
            let (pair, initiator) = await Self.initiator(seed: 7)
            try await initiator.begin(saying: said)
            #expect(try await initiator.intermediate() == [Self.notify(.invalidSyntax)])
            await pair.world.run(for: .seconds(60))
            #expect(pair.right.endpoint.saCount == 0)
            #expect(pair.faults.isEmpty)
        }
    }

    @Test("One exchange more than there are key exchanges is answered INVALID_SYNTAX")
    func furtherExchange() async throws {
        let (pair, initiator) = await Self.initiator(seed: 8, Self.hybrid)
        try await initiator.begin(additional: [.ecp256], saying: [Self.notify(.intermediateExchangeSupported)])
        try await initiator.intermediate(.ecp256)
        #expect(try await initiator.intermediate() == [Self.notify(.invalidSyntax)])
        #expect(pair.right.inbound.isEmpty && pair.faults.isEmpty)
    }

    private static func hybrid(_ connection: inout ConnectionConfiguration) {
        connection.downgradePrevention = .no
        connection.ikeProposals = [
            IKEProposal(
                encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519],
                additional: [AdditionalKeyExchange(number: 1, methods: [.ecp256])])
        ]
    }

    @Test("Of two KE payloads in IKE_SA_INIT and in IKE_INTERMEDIATE the first counts")
    func twoPublicValues() async throws {
        let (pair, initiator) = await Self.initiator(seed: 9, Self.hybrid)
        let other = Payload.keyExchange(KeyExchangePayload(method: 20, data: [UInt8](repeating: 0, count: 96)))
        try await initiator.begin(
            additional: [.ecp256], saying: [other, Self.notify(.intermediateExchangeSupported)])
        try await initiator.intermediate(.ecp256, saying: [other])
        try await initiator.authenticate()
        #expect(Self.isUp(pair))
    }

    // MARK: Extended payloads

    private static func format(_ maximum: [UInt8]) -> Payload {
        notify(ExtendedPayloadTests.format, [1, 0, 0, 0] + maximum)
    }

    @Test("Of two announcements of extended payloads the first counts, with its maximum")
    func twoFormats() async throws {
        for (said, limit) in [
            ([Self.format([0, 1, 0x86, 0xa0]), Self.format([0, 0x10, 0, 0])], 100_000),
            ([Self.format([0, 0x10, 0, 0]), Self.format([0, 0, 0, 0])], 1 << 20),
        ] {
            let (pair, initiator) = await Self.initiator(seed: 10) {
                $0.extendedPayloads = .init(.yes)
                $0.downgradePrevention = .no
            }
            let answer = try await initiator.begin(saying: said)
            #expect(Self.notifications(answer, ExtendedPayloadTests.format).count == 1)
            initiator.format = .extended
            try await initiator.authenticate()
            #expect(Self.isUp(pair))
            #expect(pair.right.status("site")?.ikeSAs.first?.extendedPayloads == limit)
        }
    }

    // MARK: Announced authentication methods

    @Test("A list in the initiator's first message is not looked at; one in two notifications of IKE_AUTH is one list")
    func lists() async throws {
        let authority = try TestAuthority.root("Root") {
            $0.notBefore = 1_800_000_000 - 1000
            $0.notAfter = 1_800_000_000 + 1_000_000
        }
        let identities = try [SignatureAlgorithm.ecdsa(.sha2_256), .ed25519].map { algorithm in
            let leaf = try authority.leaf([.dnsName("right.example")]) {
                $0.notBefore = 1_800_000_000 - 1000
                $0.notAfter = 1_800_000_000 + 1_000_000
                if algorithm == .ed25519 { $0.key = .init(Curve25519.Signing.PrivateKey()) }
            }
            return try CertificateIdentity(
                certificatePEM: leaf.pem, intermediatesPEM: [authority.pem], keyPEM: leaf.keyPEM)
        }
        func list(_ algorithm: SignatureAlgorithm) -> Payload {
            Self.notify(
                .supportedAuthMethods,
                Announcement(.digitalSignature, link: 0, algorithmIdentifier: algorithm.algorithmIdentifier).octets)
        }
        let hashes = Self.notify(.signatureHashAlgorithms, [0, 2, 0, 3, 0, 4, 0, 5])
        let rows: [(initial: [Payload], later: [Payload], expected: SignatureAlgorithm)] = [
            ([list(.ed25519)], [], .ecdsa(.sha2_256)),
            ([], [list(.ed25519)], .ed25519),
            ([], [Self.notify(.supportedAuthMethods), list(.ed25519)], .ed25519),
            ([], [list(.ed448), list(.ed25519)], .ed25519),
            ([list(.ed25519)], [list(.ecdsa(.sha2_256))], .ecdsa(.sha2_256)),
        ]
        for row in rows {
            let (pair, initiator) = await Self.initiator(seed: 11) {
                $0.localAuthentication = .certificate(identities[0])
                $0.alternativeCertificates = [identities[1]]
                $0.downgradePrevention = .no
            }
            try await initiator.begin(saying: [hashes] + row.initial)
            let answer = try await initiator.authenticate(saying: row.later)
            let used = answer.lazy.compactMap { payload -> SignatureAlgorithm? in
                guard case .authentication(let proof) = payload,
                    let data = try? SignatureAuthenticationData(parsing: proof.data)
                else { return nil }
                return SignatureAlgorithm(algorithmIdentifier: data.algorithmIdentifier)
            }.first
            #expect(used == row.expected)
            #expect(Self.isUp(pair))
        }
    }
}
