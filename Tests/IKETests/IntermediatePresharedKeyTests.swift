import Credentials
import IKE
import IKEMessage
import IPsecCrypto
import Octets
import Simulation
import Testing

@Suite("Post-quantum preshared keys before IKE_AUTH (RFC 9867)")
struct IntermediatePresharedKeyTests {
    private static func key(_ name: String, _ secret: String = "correct horse") -> PostquantumPresharedKey {
        PostquantumPresharedKey(identifier: Array(name.utf8), secret: SecretOctets(Array(secret.utf8)))
    }

    private struct End {
        var keys: [PostquantumPresharedKey]
        var isRequired = false
        var exchange = PPKExchange.intermediate
        var proposals: [IKEProposal]?

        func set(_ connection: inout ConnectionConfiguration) {
            connection.ppks = keys
            connection.requiresPPK = isRequired
            connection.ppkExchange = exchange
            if let proposals { connection.ikeProposals = proposals }
        }
    }

    private static func pair(
        seed: UInt64, left: End, right: End, tap: ((Pair, IKEDatagram) -> [IKEDatagram])? = nil
    ) async -> Pair {
        let pair = await Pair(
            seed: seed, start: .none, left: { left.set(&$0) }, right: { right.set(&$0) },
            endpoint: { $0.exportsKeys = true })
        if let tap { pair.world.tap = { tap(pair, $0) } }
        await pair.initiate()
        await pair.world.run(for: .seconds(5))
        return pair
    }

    private static func additional(_ methods: [KeyExchangeMethod]) -> [IKEProposal] {
        [
            IKEProposal(
                encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519],
                additional: methods.enumerated().map {
                    AdditionalKeyExchange(number: $0.offset + 1, methods: [$0.element])
                })
        ]
    }

    /// The key that a response of IKE_INTERMEDIATE chose.
    private static func chosen(_ pair: Pair) -> String? {
        for datagram in pair.world.sent where datagram.isResponse(.ikeIntermediate) {
            for case .notify(let notify) in pair.wiretap.payloads(of: datagram.octets) ?? []
            where notify.type == .ppkIdentity {
                return String(decoding: notify.data.dropFirst(), as: UTF8.self)
            }
        }
        return nil
    }

    private static func exchanges(_ pair: Pair) -> Int {
        pair.world.sent.count { $0.isResponse(.ikeIntermediate) }
    }

    private static func isInAuth(_ pair: Pair) -> Bool {
        pair.world.sent.contains {
            $0.isRequest(.ikeAuth) && pair.wiretap.payloads(of: $0.octets)?.contains(.ppkIdentity) ?? false
        }
    }

    // MARK: Keys

    // No vectors were at hand. The expected values were computed independently, in Python, with HMAC-SHA2-256.
    @Test("A key mixed in makes all keys anew")
    func mixed() throws {
        let (initiatorNonce, responderNonce) = (Array<UInt8>(0..<32), Array<UInt8>(32..<64))
        let (initiatorSPI, responderSPI) = (0x1011_1213_1415_1617 as UInt64, 0x2021_2223_2425_2627 as UInt64)
        let keys = try IKEKeys.initial(
            suite: IKESuite(
                encryption: .aesGCM16(256), integrity: nil, prf: .hmacSHA2_256, keyExchange: .curve25519),
            sharedSecret: SecretOctets(Array<UInt8>(64..<96)), initiatorNonce: initiatorNonce,
            responderNonce: responderNonce, initiatorSPI: initiatorSPI, responderSPI: responderSPI)
        let mixed = try keys.mixed(
            intermediate: SecretOctets(Array("a post-quantum preshared key".utf8)), initiatorNonce: initiatorNonce,
            responderNonce: responderNonce, initiatorSPI: initiatorSPI, responderSPI: responderSPI)
        #expect(mixed.skD.unprotected.hexadecimal == "341f876d3544eac8c0a0cb870dff84520aedb358c61680711c0e0fe2e700f3c2")
        #expect(
            mixed.skEi.unprotected.hexadecimal
                == "2359fad513f4772942262035556d77bfee93796c2fb5270562b7aeb8bd986ce0e6abe409")
        #expect(
            mixed.skEr.unprotected.hexadecimal
                == "0e6bc55fef8e6ef82771a3b529d12a508e46d7efde4cea364fc08c60a6b898de9b65534d")
        #expect(
            mixed.skPi.unprotected.hexadecimal == "f43dc3f72a63f160fd9d3783900e3d3176c306b3091f126dda90bb05a5392987")
        #expect(
            mixed.skPr.unprotected.hexadecimal == "8821e399153c8a8b319ef950bb3c05fe9e208d57d87b8c6bc84e9f401f12ecd7")
    }

    // MARK: Negotiation

    @Test(
        "Both sides use a key they share, in an exchange of its own, and IKE_AUTH says nothing of it",
        arguments: [false, true])
    func shared(isRequired: Bool) async {
        let end = End(keys: [Self.key("one"), Self.key("two")], isRequired: isRequired)
        let pair = await Self.pair(seed: 1, left: end, right: End(keys: [Self.key("two")], isRequired: isRequired))
        #expect(pair.agrees())
        #expect(Self.chosen(pair) == "two")
        #expect(Self.exchanges(pair) == 1)
        #expect(!Self.isInAuth(pair))
        await pair.rekeyIKE("right")
        await pair.rekeyChild("left")
        await pair.rekeyIKE("left")
        await pair.rest()
        #expect(pair.agrees())
    }

    @Test("It is mixed in last, in the last exchange of the additional key exchanges", arguments: [1, 3])
    func withKeyExchanges(count: Int) async {
        let methods = Array([KeyExchangeMethod.mlKEM768, .ecp256, .ecp384].prefix(count))
        let end = End(keys: [Self.key("one")], isRequired: true, proposals: Self.additional(methods))
        let pair = await Self.pair(seed: 2, left: end, right: end)
        #expect(pair.agrees())
        #expect(Self.exchanges(pair) == count)
        let responses = pair.world.sent.filter { $0.isResponse(.ikeIntermediate) }
        let withKey = responses.map { pair.wiretap.payloads(of: $0.octets)?.contains(.ppkIdentity) ?? false }
        #expect(withKey == Array(repeating: false, count: count - 1) + [true])
    }

    @Test("A lost answer comes again, although the keys have changed since")
    func lostAnswer() async {
        var isLost = false
        let end = End(keys: [Self.key("one")], isRequired: true)
        let pair = await Self.pair(seed: 3, left: end, right: end) { _, datagram in
            guard datagram.isResponse(.ikeIntermediate), !isLost else { return [datagram] }
            isLost = true
            return []
        }
        #expect(isLost)
        #expect(pair.agrees())
    }

    @Test("Without a key in common there is none, unless either side requires one")
    func unknown() async {
        for (leftRequires, rightRequires) in [(false, false), (true, false), (false, true), (true, true)] {
            let pair = await Self.pair(
                seed: 4, left: End(keys: [Self.key("ours")], isRequired: leftRequires),
                right: End(keys: [Self.key("theirs")], isRequired: rightRequires))
            #expect(pair.agrees() == !(leftRequires || rightRequires), "\(leftRequires) \(rightRequires)")
            #expect(Self.chosen(pair) == nil)
            if rightRequires { #expect(pair.right.refusals.first?.cause == .authenticationFailed) }
        }
    }

    @Test("A key of the same name and another secret is no common key")
    func wrongSecret() async {
        let right = End(keys: [Self.key("name", "battery staple")])
        let optional = await Self.pair(seed: 5, left: End(keys: [Self.key("name")]), right: right)
        #expect(optional.agrees())
        #expect(Self.chosen(optional) == nil)
        let required = await Self.pair(seed: 6, left: End(keys: [Self.key("name")], isRequired: true), right: right)
        #expect(!required.isUp)
        #expect(required.left.refusals.first?.reason.contains("none of our post-quantum preshared keys") ?? false)
    }

    @Test("Where one side wants it in IKE_AUTH only, it is used there if the other allows that, and otherwise not")
    func exchangeChoice() async {
        for left in PPKExchange.allCases {
            for right in PPKExchange.allCases {
                let pair = await Self.pair(
                    seed: 7, left: End(keys: [Self.key("one")], exchange: left),
                    right: End(keys: [Self.key("one")], exchange: right))
                #expect(pair.agrees())
                let isBefore = left != .auth && right != .auth
                let isInAuth = left != .intermediate && right != .intermediate && !isBefore
                #expect((Self.chosen(pair) != nil) == isBefore, "\(left) \(right)")
                #expect(Self.isInAuth(pair) == isInAuth, "\(left) \(right)")
            }
        }
    }

    @Test("Whoever requires it in one exchange refuses a peer that has it in the other only")
    func requiredExchange() async {
        for isLeft in [true, false] {
            let strict = End(keys: [Self.key("one")], isRequired: true, exchange: .intermediate)
            let other = End(keys: [Self.key("one")], exchange: .auth)
            let pair = await Self.pair(seed: 8, left: isLeft ? strict : other, right: isLeft ? other : strict)
            #expect(!pair.isUp)
        }
    }

    @Test("Where a key is required no session is resumed, and the tunnel comes back all the same")
    func resumption() async {
        let end = End(keys: [Self.key("one")], isRequired: true)
        let pair = await Pair(
            seed: 9, start: .boot,
            left: {
                end.set(&$0)
                $0.resumption = true
            },
            right: {
                end.set(&$0)
                $0.resumption = true
            }, endpoint: { $0.exportsKeys = true })
        await pair.world.run(for: .seconds(3))
        #expect(pair.agrees())
        let restarted = await pair.restarted(left: false, after: .seconds(1))
        await restarted.world.run(for: .seconds(400))
        #expect(restarted.agrees())
        #expect(!restarted.world.sent.contains { $0.isResponse(.ikeSessionResume) && $0.octets.count > 100 })
    }

    // MARK: On the way

    @Test(
        "Whoever takes USE_PPK_INT out of the first message, or the answer, or puts USE_PPK into the answer, is found out",
        arguments: ["request", "answer", "added"])
    func altered(_ what: String) async {
        let end = End(keys: [Self.key("one")], exchange: .any)
        let pair = await Self.pair(seed: 10, left: end, right: end) { _, datagram in
            guard datagram.header?.exchangeType == .ikeSAInit, datagram.isResponse == (what != "request"),
                var message = try? Message(parsing: datagram.octets)
            else { return [datagram] }
            if what == "added" {
                message.payloads.append(.notify(NotifyPayload(protocolID: .none, spi: [], type: .usePPK, data: [])))
            } else {
                message.payloads.removeAll {
                    if case .notify(let notify) = $0 { notify.type == .usePPKInt } else { false }
                }
            }
            return [datagram.carrying(message.serialized())]
        }
        #expect(!pair.isUp)
        #expect(pair.left.status("site")?.ikeSAs.isEmpty ?? true)
    }

    @Test(
        "Whoever announces it, or IKE_INTERMEDIATE alone, in the name of a side that has neither is found out",
        arguments: [[NotifyType.intermediateExchangeSupported], [.intermediateExchangeSupported, .usePPKInt]],
        [false, true])
    func added(_ types: [NotifyType], inAnswer: Bool) async {
        let (with, without) = (End(keys: [Self.key("one")]), End(keys: []))
        let pair = await Pair(
            seed: 16, start: .none, left: { (inAnswer ? with : without).set(&$0) },
            right: { (inAnswer ? without : with).set(&$0) })
        pair.rewriteInit(isResponse: inAnswer) { payloads in
            payloads.filter { payload in
                if case .notify(let notify) = payload { !types.contains(notify.type) } else { true }
            } + types.map { .notify(NotifyPayload(protocolID: .none, spi: [], type: $0, data: [])) }
        }
        await pair.initiate()
        await pair.world.run(for: .seconds(5))
        #expect(!pair.isUp)
        #expect(pair.left.inbound.isEmpty && pair.right.inbound.isEmpty)
        #expect(pair.faults.isEmpty)
        // Without him they come together.
        pair.world.tap = nil
        await pair.world.run(for: .seconds(60))
        await pair.initiate()
        await pair.rest()
        #expect(pair.agrees())
    }

    @Test("Whoever takes the offer out of IKE_INTERMEDIATE, with keys he should not have, is found out by IKE_AUTH")
    func strippedOffer() async {
        let end = End(keys: [Self.key("one")])
        let pair = await Self.pair(seed: 11, left: end, right: end) { pair, datagram in
            guard datagram.isRequest(.ikeIntermediate), let header = datagram.header,
                let octets = pair.wiretap.seal(header, [], iv: 1 << 40)
            else { return [datagram] }
            return [datagram.carrying(octets)]
        }
        #expect(!pair.isUp)
    }

    @Test("A forged answer without the notification is not believed at once by who requires it")
    func forgedAnswer() async {
        let end = End(keys: [Self.key("one")], isRequired: true)
        let pair = await Self.pair(seed: 12, left: end, right: end) { _, datagram in
            guard datagram.isResponse(.ikeSAInit), var message = try? Message(parsing: datagram.octets) else {
                return [datagram]
            }
            message.payloads.removeAll {
                if case .notify(let notify) = $0 { notify.type == .usePPKInt } else { false }
            }
            return [datagram.carrying(message.serialized()), datagram]
        }
        #expect(pair.agrees())
    }

    // MARK: Malformed

    private static func offering(_ notifications: [[UInt8]], isRequired: Bool = false, others: [Payload] = []) async
        -> Pair
    {
        let end = End(keys: [key("one")], isRequired: isRequired)
        return await Self.pair(seed: 13, left: end, right: end) { pair, datagram in
            guard datagram.isRequest(.ikeIntermediate), let header = datagram.header,
                let octets = pair.wiretap.seal(
                    header,
                    notifications.map {
                        .notify(NotifyPayload(protocolID: .none, spi: [], type: .ppkIdentityKey, data: $0))
                    } + others,
                    iv: 1 << 40)
            else { return [datagram] }
            return [datagram.carrying(octets)]
        }
    }

    private static func answer(_ pair: Pair) -> NotifyType? {
        pair.world.sent.lazy.filter { $0.isResponse(.ikeIntermediate) }.compactMap { datagram in
            pair.wiretap.payloads(of: datagram.octets)?.lazy.compactMap { payload -> NotifyType? in
                if case .notify(let notify) = payload { notify.type } else { nil }
            }.first
        }.first
    }

    @Test(
        "A PPK_IDENTITY_KEY too short for an identifier and a confirmation is answered INVALID_SYNTAX",
        arguments: [0, 8, 9])
    func short(count: Int) async {
        let pair = await Self.offering([[UInt8](repeating: 2, count: count)])
        #expect(Self.answer(pair) == .invalidSyntax)
        // It is kept for a while, to say so again.
        await pair.world.run(for: .seconds(60))
        #expect(pair.right.endpoint.saCount == 0)
    }

    @Test("PPK_IDs of unknown types are keys nobody knows", arguments: [1, 77])
    func unknownType(_ type: UInt8) async {
        let offer = [type] + Array("one".utf8) + [UInt8](repeating: 0, count: 8)
        #expect(Self.answer(await Self.offering([offer])) == nil)
        #expect(Self.answer(await Self.offering([offer], isRequired: true)) == .authenticationFailed)
    }

    @Test("A right name with a wrong confirmation is a key nobody knows")
    func wrongConfirmation() async {
        let offer = [2] + Array("one".utf8) + [UInt8](repeating: 0, count: 8)
        #expect(Self.answer(await Self.offering([offer], isRequired: true)) == .authenticationFailed)
    }

    @Test("A KE payload that nobody agreed on is answered INVALID_SYNTAX")
    func strayKeyExchange() async {
        let pair = await Self.offering([], others: [.keyExchange(KeyExchangePayload(method: 36, data: [1, 2, 3]))])
        #expect(Self.answer(pair) == .invalidSyntax)
    }

    @Test("A chosen key that was not offered ends the attempt", arguments: ["two", ""])
    func notOffered(_ name: String) async {
        let end = End(keys: [Self.key("one")])
        let pair = await Self.pair(seed: 14, left: end, right: end) { pair, datagram in
            let data = name.isEmpty ? [] : [2] + Array(name.utf8)
            guard datagram.isResponse(.ikeIntermediate), let header = datagram.header,
                let octets = pair.wiretap.seal(
                    header, [.notify(NotifyPayload(protocolID: .none, spi: [], type: .ppkIdentity, data: data))],
                    iv: 1 << 40)
            else { return [datagram] }
            return [datagram.carrying(octets)]
        }
        #expect(!pair.isUp)
        #expect(pair.left.refusals.first?.reason.contains("that we have not offered") ?? false)
    }

    @Test(
        "Of two chosen keys the first counts, and that the peer meant the other is found out", arguments: [true, false])
    func twoChosen(isOfferedFirst: Bool) async {
        let end = End(keys: [Self.key("one")])
        let pair = await Self.pair(seed: 17, left: end, right: end) { pair, datagram in
            let chosen = (isOfferedFirst ? ["one", "two"] : ["two", "one"]).map { name in
                Payload.notify(
                    NotifyPayload(protocolID: .none, spi: [], type: .ppkIdentity, data: [2] + Array(name.utf8)))
            }
            guard datagram.isResponse(.ikeIntermediate), let header = datagram.header,
                let octets = pair.wiretap.seal(header, chosen, iv: 1 << 40)
            else { return [datagram] }
            return [datagram.carrying(octets)]
        }
        #expect(!pair.isUp)
        let isFirstTaken = pair.left.narratives.contains { narrative in
            narrative.lines.contains { $0.text.contains("the post-quantum preshared key one, before IKE_AUTH") }
        }
        #expect(isFirstTaken == isOfferedFirst)
        #expect(pair.left.inbound.isEmpty && pair.right.inbound.isEmpty)
    }

    @Test("A key of another connection than the peer's does not let it in")
    func notForThisPeer() async {
        let pair = await Pair(
            seed: 15, start: .none,
            left: {
                $0.ppks = [Self.key("another's")]
                $0.ppkExchange = .intermediate
            },
            right: {
                $0.ppks = [Self.key("its own")]
                $0.ppkExchange = .intermediate
            }, endpoint: { $0.exportsKeys = true })
        await pair.world.act("right") { endpoint, now in
            let connections = ["its own", "another's"].map { name in
                Pair.configuration(isLeft: false, start: .none) {
                    $0.ppks = [Self.key(name)]
                    $0.ppkExchange = .intermediate
                    guard name != "its own" else { return }
                    $0.name = "another"
                    $0.remoteIdentity = Identity.fqdn("another.example")
                }
            }
            endpoint.apply(connections, at: now)
        }
        await pair.initiate()
        await pair.world.run(for: .seconds(5))
        #expect(!pair.isUp)
        #expect(pair.right.refusals.first?.reason.contains("is not for this peer") ?? false)
    }
}
