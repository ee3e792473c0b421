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
        pair.world.tap = { datagram in
            guard datagram.header?.exchangeType == .ikeSAInit, datagram.isResponse == fromAnswer,
                var message = try? Message(parsing: datagram.octets)
            else { return [datagram] }
            message.payloads.removeAll { if case .notify(let notify) = $0 { notify.type == .usePPK } else { false } }
            return [
                IKEDatagram(
                    octets: message.serialized(), local: datagram.local, remote: datagram.remote,
                    nonESPMarker: datagram.nonESPMarker)
            ]
        }
        await pair.initiate()
        await pair.world.run(for: .seconds(5))
        #expect(!pair.isUp)
    }
}
