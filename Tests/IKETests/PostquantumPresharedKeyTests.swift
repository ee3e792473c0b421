import Credentials
import IKE
import IKEMessage
import IPsecCrypto
import Octets
import Simulation
import Testing

@Suite("Post-quantum preshared keys (RFC 8784)")
struct PostquantumPresharedKeyTests {
    private static func key(_ name: String, _ secret: String = "correct horse") -> PostquantumPresharedKey {
        PostquantumPresharedKey(identifier: Array(name.utf8), secret: SecretOctets(Array(secret.utf8)))
    }

    private static func pair(
        seed: UInt64, left: [PostquantumPresharedKey], right: [PostquantumPresharedKey], leftRequires: Bool = false,
        rightRequires: Bool = false
    ) async -> Pair {
        let pair = await Pair(
            seed: seed, start: .none,
            left: {
                $0.ppks = left
                $0.ppkExchange = .auth
                $0.requiresPPK = leftRequires
            },
            right: {
                $0.ppks = right
                $0.ppkExchange = .auth
                $0.requiresPPK = rightRequires
            }, endpoint: { $0.exportsKeys = true })
        await pair.initiate()
        await pair.world.run(for: .seconds(5))
        return pair
    }

    /// Whether the IKE_AUTH response says that the key was used.
    private static func isUsed(_ pair: Pair) -> Bool {
        pair.world.sent.contains { datagram in
            datagram.isResponse(.ikeAuth) && pair.wiretap.payloads(of: datagram.octets)?.contains(.ppkIdentity) ?? false
        }
    }

    // The document prints no vectors. The expected values were computed independently, in Python, with HMAC-SHA2-256.
    @Test("A key mixed in makes these keys")
    func mixed() throws {
        let keys = try IKEKeys.initial(
            suite: IKESuite(
                encryption: .aesGCM16(256), integrity: nil, prf: .hmacSHA2_256, keyExchange: .curve25519),
            sharedSecret: SecretOctets(Array<UInt8>(64..<96)), initiatorNonce: Array(0..<32),
            responderNonce: Array(32..<64), initiatorSPI: 0x1011_1213_1415_1617, responderSPI: 0x2021_2223_2425_2627)
        let mixed = try keys.mixed(with: SecretOctets(Array("a post-quantum preshared key".utf8)))
        #expect(mixed.skD.unprotected.hexadecimal == "dafdb94ef6541d3c0a554b5f51ec1113e3635f1f2020a45f5633255c01594920")
        #expect(
            mixed.skPi.unprotected.hexadecimal == "5634d474d908fd06e7cdb1bca38b84085426c81dfce6e005db2fa722e13323b3")
        #expect(
            mixed.skPr.unprotected.hexadecimal == "2fbeb45e9b83248fba433a125882f6def3c7c5b67810a2770cd611aa3dd54654")
        #expect(mixed.skEi == keys.skEi && mixed.skEr == keys.skEr)
    }

    @Test("Both sides use the key they share, whether it is required or not", arguments: [false, true])
    func shared(isRequired: Bool) async {
        let pair = await Self.pair(
            seed: 1, left: [Self.key("second"), Self.key("first")], right: [Self.key("first"), Self.key("second")],
            leftRequires: isRequired, rightRequires: isRequired)
        #expect(pair.agrees())
        #expect(Self.isUsed(pair))
        await pair.rekeyIKE("right")
        await pair.rekeyChild("left")
        await pair.rest()
        #expect(pair.agrees())
    }

    @Test("A key that the peer does not know is done without, unless either side requires one")
    func unknown() async {
        for (leftRequires, rightRequires) in [(false, false), (true, false), (false, true), (true, true)] {
            let pair = await Self.pair(
                seed: 2, left: [Self.key("ours")], right: [Self.key("theirs")], leftRequires: leftRequires,
                rightRequires: rightRequires)
            #expect(pair.agrees() == !(leftRequires || rightRequires), "\(leftRequires) \(rightRequires)")
            #expect(!Self.isUsed(pair))
        }
    }

    @Test("A peer that uses none is done without, unless one is required")
    func absent() async {
        for isRequired in [false, true] {
            let initiator = await Self.pair(seed: 3, left: [Self.key("ours")], right: [], leftRequires: isRequired)
            #expect(initiator.agrees() == !isRequired)
            let responder = await Self.pair(seed: 4, left: [], right: [Self.key("ours")], rightRequires: isRequired)
            #expect(responder.agrees() == !isRequired)
        }
    }

    @Test("A key of the same name and another secret keeps the two apart")
    func wrongSecret() async {
        let pair = await Self.pair(seed: 5, left: [Self.key("name")], right: [Self.key("name", "battery staple")])
        #expect(!pair.isUp)
        #expect(pair.right.refusals.first?.cause == .authenticationFailed)
    }

    @Test("Whoever takes USE_PPK out of the first message, or the answer, is found out", arguments: [false, true])
    func stripped(fromAnswer: Bool) async {
        let pair = await Pair(
            seed: 6, start: .none,
            left: {
                $0.ppks = [Self.key("name")]
                $0.ppkExchange = .auth
            },
            right: { $0.ppks = [Self.key("name")] })
        pair.rewriteInit(isResponse: fromAnswer) {
            $0.filter { if case .notify(let notify) = $0 { notify.type != .usePPK } else { true } }
        }
        await pair.initiate()
        await pair.world.run(for: .seconds(5))
        #expect(!pair.isUp)
    }

    @Test("Whoever adds USE_PPK to the first message, or the answer, is found out", arguments: [false, true])
    func added(toAnswer: Bool) async {
        let pair = await Pair(
            seed: 7, start: .none, left: { if toAnswer { $0.ppks = [Self.key("name")] } },
            right: { if !toAnswer { $0.ppks = [Self.key("name")] } })
        pair.rewriteInit(isResponse: toAnswer) {
            $0 + [.notify(NotifyPayload(protocolID: .none, spi: [], type: .usePPK, data: []))]
        }
        await pair.initiate()
        await pair.world.run(for: .seconds(5))
        #expect(!pair.isUp)
        #expect(pair.left.inbound.isEmpty && pair.right.inbound.isEmpty)
    }

    /// What a peer sends in IKE_AUTH in the place of its notifications about the key.
    private static func rewritten(
        seed: UInt64, rightRequires: Bool, inAnswer: Bool = false, by others: [NotifyPayload], keepingProof: Bool = true
    ) async -> Pair {
        let pair = await Pair(
            seed: seed, start: .none,
            left: {
                $0.ppks = [key("name")]
                $0.ppkExchange = .auth
            },
            right: {
                $0.ppks = [key("name")]
                $0.ppkExchange = .auth
                $0.requiresPPK = rightRequires
            }, endpoint: { $0.exportsKeys = true })
        pair.rewrite({ inAnswer ? $0.isResponse(.ikeAuth) : $0.isRequest(.ikeAuth) }) { payloads in
            payloads.filter {
                guard case .notify(let notify) = $0 else { return true }
                return notify.type != .ppkIdentity && (keepingProof || notify.type != .noPPKAuth)
            } + others.map { .notify($0) }
        }
        await pair.initiate()
        await pair.world.run(for: .seconds(5))
        return pair
    }

    @Test(
        "An identity that is empty, of an unknown type or of nobody is a key nobody knows",
        arguments: [[], [2], [1] + Array("name".utf8), [9, 1], [2] + [UInt8](repeating: 0x78, count: 40_000)]
            as [[UInt8]])
    func oddIdentity(_ data: [UInt8]) async {
        let identity = NotifyPayload(protocolID: .none, spi: [], type: .ppkIdentity, data: data)
        let required = await Self.rewritten(seed: 8, rightRequires: true, by: [identity])
        #expect(!required.isUp)
        #expect(required.right.refusals.isEmpty == false && required.right.inbound.isEmpty)
        let optional = await Self.rewritten(seed: 9, rightRequires: false, by: [identity])
        #expect(optional.agrees() && !Self.isUsed(optional))
        let without = await Self.rewritten(seed: 10, rightRequires: false, by: [identity], keepingProof: false)
        #expect(!without.isUp)
    }

    @Test("An announcement that no identity follows is refused; of two identities the first counts")
    func missingIdentity() async {
        let none = await Self.rewritten(seed: 11, rightRequires: false, by: [])
        #expect(!none.isUp && none.right.refusals.first?.cause == .authenticationFailed)
        let right = NotifyPayload(protocolID: .none, spi: [], type: .ppkIdentity, data: [2] + Array("name".utf8))
        let other = NotifyPayload(protocolID: .none, spi: [], type: .ppkIdentity, data: [2] + Array("other".utf8))
        let first = await Self.rewritten(seed: 12, rightRequires: true, by: [right, other])
        #expect(first.agrees())
        let second = await Self.rewritten(seed: 13, rightRequires: true, by: [other, right])
        #expect(!second.isUp)
    }

    @Test("A proof without the key that is empty or wrong is no proof")
    func wrongProof() async {
        let unknown = NotifyPayload(protocolID: .none, spi: [], type: .ppkIdentity, data: [2] + Array("other".utf8))
        for data in [[], [UInt8](repeating: 0, count: 32), [UInt8](repeating: 1, count: 33)] as [[UInt8]] {
            let pair = await Self.rewritten(
                seed: 14, rightRequires: false,
                by: [unknown, NotifyPayload(protocolID: .none, spi: [], type: .noPPKAuth, data: data)],
                keepingProof: false)
            #expect(!pair.isUp)
            #expect(pair.right.refusals.first?.cause == .authenticationFailed)
        }
    }

    @Test("A responder that says nothing of the key it has used is not believed")
    func silentResponder() async {
        let pair = await Self.rewritten(seed: 15, rightRequires: false, inAnswer: true, by: [])
        #expect(!pair.left.isUp("site"))
        #expect(pair.left.inbound.isEmpty)
    }
}
