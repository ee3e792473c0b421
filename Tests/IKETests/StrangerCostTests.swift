import IKE
import IKEMessage
import IPPacket
import IPsecCrypto
import Octets
import Simulation
import Testing

/// What somebody can make us compute and keep who has not proved who he is.
@Suite("What strangers cost")
struct StrangerCostTests {
    private static let good = IKEProposal(
        encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519])
    private static let other = IKEProposal(
        encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.ecp521])

    private func request(
        _ spi: UInt64, from address: String = "203.0.113.7", _ proposal: IKEProposal = other, cookie: [UInt8]? = nil,
        padding: Int = 0
    ) -> IKEDatagram {
        var payloads: [Payload] =
            cookie.map { [.notify(NotifyPayload(protocolID: .none, spi: [], type: .cookie, data: $0))] } ?? []
        payloads += [
            .securityAssociation(SecurityAssociationPayload(proposals: [proposal.payload(number: 1)])),
            .keyExchange(KeyExchangePayload(method: 31, data: [9] + [UInt8](repeating: 0, count: 31))),
            .nonce([UInt8](repeating: 1, count: 32)),
        ]
        if padding > 0 {
            let body = [UInt8](repeating: 0, count: padding)
            payloads.append(.unknown(RawPayload(type: PayloadType(rawValue: 200), isCritical: false, body: body)))
        }
        let message = Message(
            header: IKEHeader(
                initiatorSPI: spi, responderSPI: 0, exchangeType: .ikeSAInit, flags: .initiator, messageID: 0),
            payloads: payloads)
        return IKEDatagram(
            octets: message.serialized(), local: SocketAddress(IPAddress(address) ?? .unspecified(.v4), port: 500),
            remote: SocketAddress(IPAddress("198.51.100.2") ?? .unspecified(.v4), port: 500), nonESPMarker: false)
    }

    private func pair(seed: UInt64) async -> Pair {
        await Pair(
            seed: seed, start: .none,
            right: {
                $0.acceptsAnyRemoteAddress = true
                $0.ikeProposals = [Self.good]
            }, endpoint: { $0.exportsKeys = true })
    }

    /// What right says to a first message.
    private func answer(_ pair: Pair, _ request: IKEDatagram) async -> NotifyPayload? {
        let before = pair.world.sent.count
        pair.world.inject(request)
        await pair.world.run(for: .milliseconds(10))
        let answer = pair.world.sent.dropFirst(before).last.flatMap { try? Message(parsing: $0.octets) }
        for case .notify(let notify) in answer?.payloads ?? [] { return notify }
        return nil
    }

    // MARK: First messages that are refused

    @Test("Who is refused again and again has to return a cookie, and is not answered at all for a while if he does")
    func refusals() async {
        let pair = await pair(seed: 1)
        var refused = 0, asked = 0, silent = 0
        for spi in 1...50 as ClosedRange<UInt64> {
            var notify = await answer(pair, request(spi))
            if let cookie = notify, cookie.type == .cookie {
                asked += 1
                notify = await answer(pair, request(spi, cookie: cookie.data))
            }
            if notify?.type == .noProposalChosen { refused += 1 }
            if notify == nil { silent += 1 }
        }
        #expect(refused == 32)
        #expect(asked == 50 - 8)
        #expect(silent == 50 - 32)
        // Others are not concerned, and later he is not either.
        #expect(await answer(pair, request(99, from: "203.0.113.8"))?.type == .noProposalChosen)
        await pair.world.run(for: .seconds(11))
        #expect(await answer(pair, request(100))?.type == .noProposalChosen)
    }

    @Test("Refusals are explained while there are few of them, and all are told of")
    func explanations() async {
        let pair = await pair(seed: 2)
        for number in 1...40 as ClosedRange<UInt64> {
            pair.world.inject(request(number, from: "203.0.113.\(number)"))
        }
        await pair.world.run(for: .milliseconds(10))
        #expect(pair.right.narratives.count == 40)
        #expect(pair.right.narratives.count { $0.lines.contains { $0.kind == .wanted } } == 20)
    }

    @Test("A refusal names a few of a thousand connections, and one proposal that they share")
    func manyConnections() async throws {
        let pair = await pair(seed: 3)
        let connections = (0..<1000).map { number in
            Pair.configuration(isLeft: false, start: .none) {
                $0.name = "site \(number)"
                $0.acceptsAnyRemoteAddress = true
                $0.localAddresses = []
                $0.ikeProposals = [Self.good]
                $0.ikeProposals[0].origin = Origin(
                    file: "gateway.yaml", line: number, column: 1, key: "connections.site \(number).ike")
            }
        }
        let gateway = await pair.world.add("gateway", "198.51.100.9", connections)
        var call = request(1)
        call.remote = SocketAddress(IPAddress(v4: 0xc633_6409), port: 500)
        pair.world.inject(call)
        await pair.world.run(for: .milliseconds(10))
        let narrative = try #require(gateway.narratives.last)
        #expect(narrative.refusal?.origins.count == 8)
        #expect(narrative.lines.count { $0.kind == .wanted } == 1)
    }

    // MARK: What is kept

    @Test("A first message of sixteen KiB is the longest that is kept")
    func longFirstMessage() async {
        for (padding, count) in [(15_000, 1), (17_000, 0)] {
            let pair = await pair(seed: 4)
            pair.world.inject(request(1, Self.good, padding: padding))
            await pair.world.run(for: .milliseconds(10))
            #expect(pair.right.endpoint.saCount == count)
        }
    }

    /// A fragment by left, of a message that no other side has sent.
    private func fragment(
        _ pair: Pair, of header: IKEHeader, _ number: UInt16, _ total: UInt16, octets: Int, leading: [Payload] = []
    ) async {
        let sealed = pair.wiretap.seal(
            header, leading: leading, first: number == 1 ? .notify : .none, [UInt8](repeating: 0, count: octets),
            fragment: (number, total), iv: 1 << 50 | UInt64(number))
        guard let sealed else { return }
        pair.inject(sealed)
        await pair.world.run(for: .milliseconds(20))
    }

    /// The header of the IKE_AUTH request that left does not get through to right.
    private func halfOpen(_ pair: Pair) async throws -> IKEHeader {
        pair.world.tap = { $0.isRequest(.ikeAuth) ? [] : [$0] }
        await pair.initiate()
        await pair.world.run(for: .milliseconds(200))
        return try #require(pair.world.sent.last { $0.isRequest(.ikeAuth) }?.header)
    }

    @Test("Before a proof fragments of 64 KiB are kept, and more ends the half-open SA")
    func fragmentsBeforeProof() async throws {
        let pair = await Pair(
            seed: 5, start: .none, left: { $0.ikeProposals = [Self.good] }, right: { $0.ikeProposals = [Self.good] },
            endpoint: { $0.exportsKeys = true })
        let header = try await halfOpen(pair)
        await fragment(pair, of: header, 1, 3, octets: 32 * 1024)
        await fragment(pair, of: header, 2, 3, octets: 32 * 1024)
        #expect(pair.right.narratives.isEmpty)
        await fragment(pair, of: header, 3, 3, octets: 1)
        #expect(pair.right.narratives.last?.refusal?.cause == .protocolViolation)
    }

    @Test("After it there may be twice as much")
    func fragmentsAfterProof() async throws {
        let pair = await Pair.established(seed: 6)
        var header = try #require(pair.world.sent.last { $0.isRequest(.ikeAuth) }?.header)
        header.exchangeType = .informational
        header.messageID += 1
        for number in 1...3 as ClosedRange<UInt16> { await fragment(pair, of: header, number, 4, octets: 32 * 1024) }
        #expect(pair.agrees())
    }

    @Test("Before a fragment there may be a little that is not protected, and not much")
    func beforeFragment() async throws {
        for (octets, isRefused) in [(500, false), (2000, true)] {
            let pair = await Pair(
                seed: 7, start: .none, left: { $0.ikeProposals = [Self.good] },
                right: { $0.ikeProposals = [Self.good] },
                endpoint: { $0.exportsKeys = true })
            let header = try await halfOpen(pair)
            let body = [UInt8](repeating: 0, count: octets)
            let payload = Payload.unknown(RawPayload(type: PayloadType(rawValue: 200), isCritical: false, body: body))
            await fragment(pair, of: header, 1, 2, octets: 8, leading: [payload])
            #expect((pair.right.narratives.last?.refusal?.cause == .protocolViolation) == isRefused)
        }
    }

    @Test("Of an SA that is only there to repeat its answer no fragments are kept")
    func afterTheEnd() async throws {
        let pair = await Pair.established(seed: 8)
        var header = try #require(pair.world.sent.last { $0.isRequest(.ikeAuth) }?.header)
        header.exchangeType = .informational
        func send(_ octets: [UInt8]?) async -> Int {
            let before = pair.world.sent.count
            guard let octets else { return 0 }
            pair.inject(octets)
            await pair.world.run(for: .milliseconds(20))
            return pair.world.sent.count - before
        }
        header.messageID = 2
        #expect(await send(pair.wiretap.seal(header, first: .delete, [0, 0, 0, 3, 1], iv: 1 << 41)) == 1)
        header.messageID = 3
        for number in 1...2 as ClosedRange<UInt16> {
            #expect(
                await send(
                    pair.wiretap.seal(
                        header, first: .none, [], fragment: (number, 2), iv: 1 << 42 | UInt64(number))) == 0)
        }
        #expect(await send(pair.wiretap.seal(header, [], iv: 1 << 43)) == 1)
    }

    // MARK: What is told

    @Test("The name of a key that a stranger says to have is told of by its beginning")
    func longName() async throws {
        let pair = await Pair(
            seed: 9,
            left: {
                $0.ppks = [
                    PostquantumPresharedKey(
                        identifier: [UInt8](repeating: 0x41, count: 3000),
                        secret: SecretOctets([UInt8](repeating: 1, count: 32)))
                ]
                $0.requiresPPK = true
            },
            right: {
                $0.ppks = [
                    PostquantumPresharedKey(
                        identifier: [0x42], secret: SecretOctets([UInt8](repeating: 2, count: 32)))
                ]
                $0.requiresPPK = true
            })
        await pair.world.run(for: .seconds(1))
        let reason = try #require(pair.right.refusals.first?.reason)
        #expect(reason.contains("AAAA") && reason.count < 400, "\(reason)")
    }
}
