import CertificateFixtures
import Credentials
import IKE
import IKEMessage
import IPsecCrypto
import Octets
import Simulation
import SwiftASN1
import Testing
import X509

// draft-smyslov-ipsecme-ikev2-extended-pld, in our own profile 1
@Suite("Extended payloads")
struct ExtendedPayloadTests {
    static let format = NotifyType(rawValue: 41021)
    private typealias Change = (inout ConnectionConfiguration) -> Void

    private static func pair(
        seed: UInt64, left: ExtendedPayloadPolicy = .init(.yes), right: ExtendedPayloadPolicy = .init(.yes),
        conditions: NetworkConditions = NetworkConditions(), _ change: @escaping Change = { _ in },
        prepare: (World) -> Void = { _ in }
    ) async -> Pair {
        let pair = await Pair(
            seed: seed, conditions: conditions,
            prepare: {
                $0.audits = true
                prepare($0)
            },
            left: {
                $0.extendedPayloads = left
                change(&$0)
            },
            right: {
                $0.extendedPayloads = right
                change(&$0)
            }, endpoint: { $0.exportsKeys = true })
        _ = await pair.world.run(atMost: .seconds(20)) { pair.isUp }
        await pair.world.run(for: .seconds(1))
        return pair
    }

    private static func limit(_ host: Host) -> Int? { host.status("site")?.ikeSAs.first?.extendedPayloads }

    private static func lengths(_ pair: Pair, _ exchange: ExchangeType) -> [Int] {
        pair.world.sent.filter { $0.header?.exchangeType == exchange }.map(\.octets.count)
    }

    // MARK: Agreement

    @Test("The notification has 16 octets, in both messages of IKE_SA_INIT")
    func notification() async throws {
        let pair = await Self.pair(seed: 1, right: .init(.yes, maximum: 100_000))
        for (datagram, maximum) in zip(pair.world.sent, ["00100000", "000186a0"]) {
            let payloads = try Message(parsing: datagram.octets).payloads.filter { $0.is(Self.format) }
            #expect(
                Payload.serializeChain(payloads).octets.hexadecimal == "00000010" + "0000a03d" + "01000000" + maximum)
        }
        #expect(Self.limit(pair.left) == 100_000)
        #expect(Self.limit(pair.right) == 1 << 20)
        #expect(
            pair.left.narratives.contains { narrative in
                narrative.lines.contains {
                    $0.kind == .chosen
                        && $0.text.contains("messages of up to 100000 octets to the peer, 1048576 from it")
                }
            })
    }

    @Test("It is agreed on where both sides have it, and they are without where one does not insist")
    func table() async {
        for left in ExtendedPayloadPolicy.Use.allCases {
            for right in ExtendedPayloadPolicy.Use.allCases {
                let pair = await Self.pair(seed: 2, left: .init(left), right: .init(right))
                let isAgreed = left != .no && right != .no
                let comesUp = isAgreed || (left != .require && right != .require)
                #expect(pair.agrees() == comesUp, "\(left) \(right)")
                for host in [pair.left, pair.right] {
                    #expect((Self.limit(host) != nil) == isAgreed, "\(left) \(right)")
                }
                let refusals = (pair.left.refusals + pair.right.refusals).map(\.reason)
                #expect(refusals.isEmpty == comesUp, "\(left) \(right): \(refusals)")
                if left == .require, right == .no {
                    #expect(
                        pair.left.refusals.first?.reason.contains("extended payload headers, which are required")
                            == true)
                }
                let announcements = pair.world.sent.filter {
                    (try? Message(parsing: $0.octets))?.payloads.contains(Self.format) ?? false
                }
                #expect(announcements.contains { pair.isFromLeft($0) } == (left != .no))
                #expect(announcements.contains { !pair.isFromLeft($0) } == isAgreed)
                #expect(pair.faults.isEmpty)
            }
        }
    }

    @Test("A responder that learns only in IKE_AUTH which connection is meant refuses there what that requires")
    func requiredByOne() async {
        let world = World(seed: 3)
        var required = Pair.configuration(isLeft: false, start: .none) {
            $0.extendedPayloads = .init(.require)
        }
        required.remoteIdentity = .fqdn("left.example")
        var other = Pair.configuration(isLeft: false, start: .none)
        other.name = "other"
        other.remoteIdentity = .fqdn("other.example")
        let right = await world.add("right", "198.51.100.2", [other, required])
        let left = await world.add("left", "192.0.2.1", [Pair.configuration(isLeft: true, start: .boot)])
        await world.run(for: .seconds(3))
        #expect(!left.isUp("site"))
        #expect(right.refusals.first?.reason.contains("which site requires") == true)
    }

    @Test(
        "Data of other lengths than eight, and other profiles, are as if it were not there",
        arguments: ["", "01000000001000", "010000000010000000", "0200000000100000", "0000000000100000"])
    func otherData(_ data: String) async throws {
        let pair = await Pair(
            seed: 4, start: .none, left: { $0.extendedPayloads = .init(.yes) },
            right: { $0.extendedPayloads = .init(.yes) })
        pair.world.tap = { Self.replacing(data, in: $0, ofAnswer: false) }
        await pair.initiate()
        await pair.world.run(for: .milliseconds(100))
        let answer = try #require(pair.world.sent.first { $0.isResponse(.ikeSAInit) })
        #expect(try !Message(parsing: answer.octets).payloads.contains(Self.format))
    }

    @Test("Of several profiles the one that is known is taken, and a peer that names no maximum is sent 65535 octets")
    func severalProfiles() async throws {
        let pair = await Pair(
            seed: 5, start: .none, left: { $0.extendedPayloads = .init(.yes) },
            right: { $0.extendedPayloads = .init(.yes) })
        pair.world.tap = { datagram in
            guard datagram.isRequest(.ikeSAInit), var message = try? Message(parsing: datagram.octets),
                let index = message.payloads.firstIndex(where: { $0.is(Self.format) })
            else { return [datagram] }
            message.payloads[index] = Self.announcement([1, 9, 9, 9, 0, 0, 0, 0])
            message.payloads.insert(Self.announcement([2, 0, 0, 0, 0, 0x10, 0, 0]), at: index)
            return [datagram.carrying(message.serialized())]
        }
        await pair.initiate()
        await pair.world.run(for: .seconds(2))
        let told = pair.right.narratives.flatMap(\.lines).map(\.text)
        #expect(told.contains { $0.contains("messages of up to 65535 octets to the peer") })
    }

    private static func announcement(_ data: [UInt8]) -> Payload {
        .notify(NotifyPayload(protocolID: .none, spi: [], type: format, data: data))
    }

    /// With other data in the notification, or without it where that is `nil`.
    private static func replacing(_ data: String?, in datagram: IKEDatagram, ofAnswer: Bool) -> [IKEDatagram] {
        datagram.rewritingInit(isResponse: ofAnswer) { payloads in
            payloads.filter { !$0.is(format) } + (data.map { [announcement([UInt8](hexadecimal: $0) ?? [])] } ?? [])
        }
    }

    @Test("Without fragments no more is announced than a message has in one piece")
    func withoutFragments() async {
        let pair = await Self.pair(seed: 6) { $0.fragmentation = false }
        #expect(Self.limit(pair.left) == 65_535)
        #expect(pair.agrees())
    }

    // MARK: A man in the middle

    @Test(
        "Whoever takes the notification away, adds it or changes it is found out",
        arguments: [nil, "0100000000020000", "0200000000100000", "01"] as [String?], [false, true])
    func altered(data: String?, inAnswer: Bool) async {
        let policies: [ExtendedPayloadPolicy] = data == "0100000000020000" ? [.init(.yes), .init(.no)] : [.init(.yes)]
        for policy in policies {
            let pair = await Pair(
                seed: 7, start: .none, left: { $0.extendedPayloads = policy },
                right: { $0.extendedPayloads = policy })
            pair.world.tap = { Self.replacing(data, in: $0, ofAnswer: inAnswer) }
            await pair.initiate()
            await pair.world.run(for: .seconds(20))
            #expect(!pair.left.isUp("site") && !pair.right.isUp("site"))
            #expect(pair.left.inbound.isEmpty && pair.right.inbound.isEmpty)
            pair.world.tap = nil
            await pair.world.run(for: .seconds(90))
            await pair.initiate()
            await pair.rest()
            #expect(pair.agrees())
            #expect(pair.faults.isEmpty)
        }
    }

    @Test("A forged answer without the notification is not believed at once by who requires it")
    func forgedAnswer() async {
        let pair = await Pair(
            seed: 8, start: .none, left: { $0.extendedPayloads = .init(.require) },
            right: { $0.extendedPayloads = .init(.require) })
        pair.world.tap = { datagram in
            datagram.isResponse(.ikeSAInit)
                ? Self.replacing(nil, in: datagram, ofAnswer: true) + [datagram] : [datagram]
        }
        await pair.initiate()
        await pair.world.run(for: .seconds(3))
        #expect(pair.agrees())
    }

    // MARK: What it is good for

    @Test("Each protected message is shorter by what its payloads' headers save")
    func saved() async throws {
        let extended = await Self.pair(seed: 9)
        let classic = await Self.pair(seed: 9, left: .init(.no), right: .init(.no))
        for pair in [extended, classic] {
            await pair.rekeyChild("left")
            await pair.rest()
            await pair.terminate("left")
            await pair.rest()
        }
        for exchange in [ExchangeType.ikeAuth, .createChildSA, .informational] {
            let (long, short) = (Self.lengths(classic, exchange), Self.lengths(extended, exchange))
            #expect(long.count == short.count && !long.isEmpty)
            let payloads = try extended.world.sent.filter { $0.header?.exchangeType == exchange }.map {
                try #require(extended.wiretap.payloads(of: $0.octets))
            }
            for ((long, short), payloads) in zip(zip(long, short), payloads) {
                #expect(long - short == PayloadFormat.extended.octetsSaved(by: payloads))
                #expect(long > short || payloads.isEmpty)
            }
        }
        // With pre-shared keys, the request and the response.
        let both = zip(Self.lengths(classic, .ikeAuth), Self.lengths(extended, .ikeAuth)).map { $0 - $1 }
        #expect(both == [16, 12])
    }

    @Test(
        "The IKE SA that replaces another has them too, whoever begins, and whatever is lost",
        arguments: ["left", "right"])
    func rekeyed(side: String) async {
        let conditions = NetworkConditions(loss: 0.1, duplication: 0.1)
        let pair = await Self.pair(seed: 10, conditions: conditions) { $0.timing.retransmission.tries = 12 }
        for _ in 0..<2 {
            await pair.rekeyIKE(side)
            await pair.world.run(for: .seconds(60))
            await pair.rekeyChild(side == "left" ? "right" : "left")
            await pair.world.run(for: .seconds(60))
        }
        #expect(pair.agrees())
        #expect(Self.limit(pair.left) == 1 << 20 && Self.limit(pair.right) == 1 << 20)
        #expect(pair.left.tally.ikeRekeys == 2)
        #expect(pair.faults.isEmpty)
    }

    @Test("A resumed SA agrees on it anew")
    func resumed() async throws {
        var pair = await Pair(
            seed: 11, left: Self.resuming, right: Self.resuming,
            endpoint: {
                $0.exportsKeys = true
                $0.ticketSecret = SecretOctets([UInt8](repeating: 9, count: 32))
            })
        _ = await pair.world.run(atMost: .seconds(5)) { pair.isUp }
        await pair.world.run(for: .seconds(1))
        pair = await pair.restarted(left: false, after: .seconds(1))
        #expect(await pair.world.run(atMost: .seconds(60)) { pair.isUp })
        await pair.rest()
        for isResponse in [false, true] {
            let message = try #require(
                pair.world.sent.last { $0.header?.exchangeType == .ikeSessionResume && $0.isResponse == isResponse })
            #expect(try Message(parsing: message.octets).payloads.contains(Self.format))
        }
        #expect(Self.limit(pair.left) == 1 << 20)
        await pair.rekeyChild("left")
        await pair.rest()
        #expect(pair.agrees())
    }

    private static func resuming(_ connection: inout ConnectionConfiguration) {
        connection.resumption = true
        connection.fingerprint = "1"
        connection.timing.livenessInterval = .seconds(5)
        connection.timing.retransmission.tries = 2
        connection.extendedPayloads = .init(.yes)
    }

    // MARK: IKE_INTERMEDIATE

    @Test("IntAuth of a small exchange is this")
    func transcript() throws {
        // Computed by hand and, the codes, with Python: A with an SK header of two octets, and P.
        func octets(_ flags: IKEHeader.Flags, _ data: [UInt8]) throws -> [UInt8] {
            try IntermediateTranscript.octets(
                of: Self.header(flags), [.keyExchange(KeyExchangePayload(method: 36, data: data))], format: .extended)
        }
        let request = try octets(.initiator, [0xde, 0xad, 0xbe, 0xef])
        #expect(
            request.hexadecimal == "010203040506070811121314151617182e202b080000000100000028220a000800240000deadbeef")
        let response = try octets(.response, [0xca, 0xfe, 0xba, 0xbe])
        var transcript = IntermediateTranscript()
        try transcript.add(
            request, ofInitiator: true, key: SecretOctets([UInt8](repeating: 0x55, count: 32)), prf: .hmacSHA2_256)
        try transcript.add(
            response, ofInitiator: false, key: SecretOctets([UInt8](repeating: 0x66, count: 32)), prf: .hmacSHA2_256)
        #expect(
            transcript.octets(beforeMessage: 2).hexadecimal
                == "170de8fdd7d3ad7d679d1ad4974bb58a4da2e9172c97ec992f9e6005c21806fb"
                + "af2783b730fad3c62c588f21f1d9c8434660de534442b3b88d1861a891c4de36" + "00000002")
    }

    private static func header(_ flags: IKEHeader.Flags) -> IKEHeader {
        IKEHeader(
            initiatorSPI: 0x0102_0304_0506_0708, responderSPI: 0x1112_1314_1516_1718, exchangeType: .ikeIntermediate,
            flags: flags, messageID: 1)
    }

    @Test(
        "It is the same at both ends, in one piece or in fragments, for a key of 261120 octets too",
        arguments: [4, 261_120])
    func sameTranscript(count: Int) throws {
        let payloads: [Payload] = [
            .keyExchange(KeyExchangePayload(method: 36, data: [UInt8](repeating: 3, count: count))),
            .notify(NotifyPayload(protocolID: .none, spi: [], type: .initialContact, data: [])),
        ]
        let sent = try IntermediateTranscript.octets(of: Self.header(.initiator), payloads, format: .extended)
        let chain = try Payload.serializeChain(payloads, format: .extended)
        for fragment in [nil, (1, 300)] as [(UInt16, UInt16)?] {
            let prefix = Message.encryptedPrefix(
                header: Self.header(.initiator), leading: [], type: fragment == nil ? .encrypted : .encryptedFragment,
                innerFirst: chain.first, fragment: fragment.map { (number: $0.0, total: $0.1) }, bodyLength: 1000)
            #expect(
                IntermediateTranscript.octets(prefix: prefix, plaintext: chain.octets, format: .extended) == sent)
        }
        var reader = OctetReader(sent)
        #expect(Int(try IKEHeader(parsing: &reader).length) == sent.count)
    }

    @Test("Additional key exchanges are proved by IKE_AUTH, with GCM and CBC, in one piece and in fragments")
    func intermediate() async {
        for encryption in [EncryptionAlgorithm.aesGCM16(256), .aesCBC(256)] {
            for size in [576, 9000] {
                let pair = await Self.pair(seed: 12) {
                    $0.fragmentSize = size
                    $0.ikeProposals = [
                        IKEProposal(
                            encryption: [encryption], integrity: encryption == .aesCBC(256) ? [.hmacSHA2_256_128] : [],
                            prf: [.hmacSHA2_256], keyExchange: [.curve25519],
                            additional: [AdditionalKeyExchange(number: 1, methods: [.mlKEM1024])])
                    ]
                }
                #expect(pair.agrees(), "\(encryption) \(size)")
                #expect(Self.limit(pair.left) != nil)
                #expect(Self.lengths(pair, .ikeIntermediate).count > (size == 576 ? 4 : 1))
            }
        }
    }

    @Test("No key exchange here needs more than classic headers can tell of")
    func keyExchanges() {
        for method in KeyExchangeMethod.allCases {
            #expect(max(method.publicValueLength, method.responseLength) <= 65_527, "\(method)")
        }
    }

    // MARK: Beyond 64 KiB

    private static func identity(_ authority: TestAuthority, _ name: String, octets: Int) throws -> CertificateIdentity
    {
        let leaf = try authority.leaf([.dnsName(name)]) {
            $0.notBefore = 1_799_000_000
            $0.notAfter = 1_801_000_000
            if octets > 0 {
                $0.more = [
                    .init(
                        oid: [1, 3, 6, 1, 4, 1, 32473, 1], critical: false,
                        value: ArraySlice([UInt8](repeating: 5, count: octets)))
                ]
            }
        }
        return try CertificateIdentity(
            certificatePEM: leaf.pem, intermediatesPEM: [], keyPEM: leaf.keyPEM)
    }

    private static func certified(
        seed: UInt64, left: Int, right: Int, use: ExtendedPayloadPolicy.Use = .yes, loss: Double = 0,
        isUDPStopped: Bool = false
    ) async throws -> Pair {
        let authority = try TestAuthority.root {
            $0.notBefore = 1_799_000_000
            $0.notAfter = 1_801_000_000
        }
        let anchors = try TrustAnchors(pem: [authority.pem])
        let identities = [
            try identity(authority, "left.example", octets: left),
            try identity(authority, "right.example", octets: right),
        ]
        let pair = await Pair(
            seed: seed, conditions: NetworkConditions(loss: loss),
            prepare: {
                $0.audits = true
                $0.stopsUDP = { _ in isUDPStopped }
            },
            left: {
                $0.localAuthentication = .certificate(identities[0])
                $0.remoteAuthentication = .certificate(anchors)
                $0.extendedPayloads = .init(use)
                if isUDPStopped { $0.tcp.use = .always }
            },
            right: {
                $0.localAuthentication = .certificate(identities[1])
                $0.remoteAuthentication = .certificate(anchors)
                $0.extendedPayloads = .init(use)
                if isUDPStopped { $0.tcp.use = .fallback }
            }, endpoint: { $0.exportsKeys = true })
        _ = await pair.world.run(atMost: .seconds(20)) { pair.isUp }
        await pair.world.run(for: .seconds(1))
        return pair
    }

    @Test(
        "Certificates of 90000 octets go both ways, also where every twentieth datagram is lost", arguments: [0, 0.05])
    func certificates(loss: Double) async throws {
        let pair = try await Self.certified(seed: 13, left: 90_000, right: 90_000, loss: loss)
        #expect(pair.agrees(), "\(pair.left.refusals) \(pair.right.refusals)")
        #expect(pair.faults.isEmpty)
        for isResponse in [false, true] {
            let datagrams = pair.world.sent.filter {
                $0.header?.exchangeType == .ikeAuth && $0.isResponse == isResponse
            }
            #expect(datagrams.count > 70)
            let payloads = try #require(pair.wiretap.payloads(ofFragments: datagrams.map(\.octets)))
            let certificate = payloads.compactMap { if case .certificate(let payload) = $0 { payload } else { nil } }
            #expect(certificate.first?.data.count ?? 0 > 90_000)
        }
    }

    @Test("By TCP they go in two fragments, as a length of 16 bits stands before each")
    func certificatesByTCP() async throws {
        let pair = try await Self.certified(seed: 14, left: 90_000, right: 90_000, isUDPStopped: true)
        #expect(pair.agrees(), "\(pair.left.refusals) \(pair.right.refusals)")
        let lengths = Self.lengths(pair, .ikeAuth)
        #expect(lengths.count == 4)
        #expect(lengths.allSatisfy { $0 <= 65_529 } && lengths.contains { $0 > 65_000 })
    }

    @Test("Without the agreement such a certificate is not cut: whose it is says so, and the attempt comes to nothing")
    func withoutAgreement() async throws {
        let ours = try await Self.certified(seed: 15, left: 90_000, right: 0, use: .no)
        #expect(!ours.left.isUp("site"))
        let reason = try #require(ours.left.refusals.first?.reason)
        #expect(reason.contains("CERT payload") && reason.contains("classic payload headers"))
        let theirs = try await Self.certified(seed: 16, left: 0, right: 90_000, use: .no)
        #expect(!theirs.left.isUp("site") && !theirs.right.isUp("site"))
        #expect(theirs.left.refusals.first?.cause == .authenticationFailed)
        #expect(
            theirs.right.narratives.contains { $0.refusal?.reason.contains("answer to the peer's IKE_AUTH") ?? false })
        #expect(theirs.right.inbound.isEmpty)
        #expect(theirs.faults.isEmpty)
    }

    @Test("A certificate beyond what is taken of a stranger is not sent: whose it is says so")
    func beforeProof() async throws {
        let pair = try await Self.certified(seed: 17, left: 140_000, right: 0)
        #expect(!pair.left.isUp("site") && !pair.right.isUp("site"))
        let reason = try #require(pair.left.refusals.first?.reason)
        #expect(reason.contains("takes at most 131072"), "\(reason)")
        #expect(pair.faults.isEmpty)
    }

    @Test(
        "A message of a million octets arrives whole where every twentieth datagram is lost, and no crowd leaves at once"
    )
    func million() async throws {
        let pair = await Self.pair(seed: 18)
        pair.world.conditions = NetworkConditions(loss: 0.05, delay: .milliseconds(5) ... .milliseconds(15))
        var counts: [Instant: Int] = [:]
        let world = pair.world
        world.tap = { datagram in
            if datagram.isRequest(.informational) { counts[world.now, default: 0] += 1 }
            return [datagram]
        }
        let content = Payload.vendorID((0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 / 251) })
        await Self.inform(pair, content)
        #expect(await world.run(atMost: .seconds(30)) { world.sent.contains { $0.isResponse(.informational) } })
        #expect(counts.values.reduce(0, +) > 800)
        #expect((counts.values.max() ?? 0) <= 64)
        let datagrams = world.sent.filter { $0.isRequest(.informational) }.map(\.octets)
        #expect(pair.wiretap.payloads(ofFragments: datagrams) == [content])
        await pair.rest()
        // Everything that was under way has been given up: the answer is here.
        let after = world.sent.count
        await world.run(for: .seconds(20))
        #expect(!world.sent.dropFirst(after).contains { $0.isRequest(.informational) && $0.octets.count > 500 })
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }

    @Test("It does by TCP too, in sixteen fragments")
    func millionByTCP() async throws {
        let pair = await Self.pair(
            seed: 19,
            { $0.tcp.use = $0.localIdentity == .fqdn("left.example") ? .always : .fallback },
            prepare: { $0.stopsUDP = { _ in true } })
        #expect(pair.agrees())
        await Self.inform(pair, .vendorID([UInt8](repeating: 1, count: 1_000_000)))
        #expect(
            await pair.world.run(atMost: .seconds(5)) { pair.world.sent.contains { $0.isResponse(.informational) } })
        #expect(Self.lengths(pair, .informational).filter { $0 > 500 }.count == 16)
        #expect(pair.agrees())
    }

    private static func inform(_ pair: Pair, _ payload: Payload) async {
        await pair.world.act("left") { endpoint, now in endpoint.inform("site", [payload], at: now) }
    }

    @Test("More than the peer has announced is not sent", arguments: [100_000, 100_001])
    func announcedMaximum(count: Int) async {
        let pair = await Self.pair(seed: 20, right: .init(.yes, maximum: 100_000))
        let before = pair.world.sent.count
        await Self.inform(pair, .vendorID([UInt8](repeating: 1, count: count - 4)))
        await pair.world.run(for: .milliseconds(300))
        let sent = pair.world.sent.dropFirst(before).filter { $0.isRequest(.informational) }
        if count == 100_000 {
            #expect(sent.count > 80 && pair.agrees())
        } else {
            // Nothing but the Delete that ends what cannot go on.
            #expect(sent.count == 1)
            #expect(
                pair.left.events.contains {
                    if case .warning(_, let text) = $0 { text.contains("the peer takes at most 100000") } else { false }
                })
        }
    }
}
