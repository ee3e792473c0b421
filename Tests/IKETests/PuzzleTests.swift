import IKE
import IKEMessage
import IPPacket
import IPsecCrypto
import Octets
import Simulation
import Testing

@Suite("Puzzles (RFC 8019)")
struct PuzzleTests {
    /// The cookie of the example in RFC 8019 section 4.4.
    private let cookie: [UInt8] = [
        0xfd, 0xbc, 0xfa, 0x5a, 0x43, 0x0d, 0x72, 0x01, 0x28, 0x23, 0x58, 0xa2, 0xa0, 0x34, 0xde, 0x00, 0x13, 0xcf,
        0xe2, 0xae,
    ]

    private func puzzle(_ difficulty: Int, prf: PRF = .hmacSHA2_256) -> Puzzle {
        Puzzle(prf: prf, difficulty: difficulty, octets: cookie)
    }

    // MARK: The puzzle itself

    @Test(
        "Zero bits are counted at the end of the PRF, as in RFC 8019 section 4.4's first example and by Python's hmac",
        arguments: [
            ([0x00], 2), ([0x03], 4), ([0x1a], 8), ([0x07, 0x41], 13), ([0xf3, 0xc6], 17), ([0x0a, 0xaa, 0xb2], 20),
        ]
            as [([UInt8], Int)])
    func zeroBits(key: [UInt8], count: Int) {
        #expect(puzzle(0).zeroBits(underKey: key) == count)
    }

    @Test("What the solver finds solves the puzzle, and not one of twice the difficulty", arguments: PRF.allCases)
    func solved(prf: PRF) throws {
        let solution = try #require(puzzle(6, prf: prf).solution())
        #expect(puzzle(6, prf: prf).isSolved(by: solution[...]))
        #expect(!puzzle(12, prf: prf).isSolved(by: solution[...]))
    }

    @Test("The four keys must differ, have one length, and be there at all")
    func malformedSolutions() throws {
        let solution = try #require(puzzle(4).solution())
        let first = Array(solution.prefix(4))
        #expect(!puzzle(4).isSolved(by: (first + first + solution.suffix(8))[...]))
        #expect(!puzzle(4).isSolved(by: solution.dropLast()))
        #expect(!puzzle(4).isSolved(by: []))
        #expect(!puzzle(0).isSolved(by: [UInt8](repeating: 1, count: 4 * 65)[...]))
        #expect(puzzle(0).isSolved(by: [1, 2, 3, 4]))
    }

    @Test("A puzzle beyond the limit is not begun")
    func limit() {
        #expect(puzzle(Puzzle.hardest + 1).solution() == nil)
    }

    // MARK: Two gateways

    /// Every request of which `right` has to pay a puzzle of this difficulty.
    private func pair(
        seed: UInt64, difficulty: Int = 10, start: StartPolicy = .boot,
        right: (inout ConnectionConfiguration) -> Void = { _ in },
        settings: (inout EndpointConfiguration) -> Void = { _ in }
    ) async -> Pair {
        await Pair(
            seed: seed, start: start, right: right,
            endpoint: {
                $0.cookieThreshold = 0
                $0.puzzleThreshold = 0
                $0.puzzleDifficulty = difficulty
                settings(&$0)
            })
    }

    private func payloads(_ datagram: IKEDatagram?) -> [Payload] {
        datagram.flatMap { try? Message(parsing: $0.octets, understanding: [.puzzleSolution]) }?.payloads ?? []
    }

    private func notification(_ type: NotifyType, in datagram: IKEDatagram?) -> [UInt8]? {
        for case .notify(let notify) in payloads(datagram) where notify.type == type { return notify.data }
        return nil
    }

    @Test("Under load an initiator solves the puzzle that came with the cookie, and is let in")
    func roundTrip() async {
        let pair = await pair(seed: 1)
        #expect(await pair.world.run(atMost: .seconds(2)) { pair.isUp })
        let demand = pair.world.sent.first { notification(.puzzle, in: $0) != nil }
        #expect(notification(.puzzle, in: demand) == [0, 5, 10])
        #expect(notification(.cookie, in: demand)?.count == 35)
        let paid = pair.world.sent.first { payloads($0).contains(.puzzleSolution) }
        // RFC 8019 section 7.1.2: the cookie first, then the solution, then the request as it was.
        #expect(payloads(paid).map(\.type).prefix(3) == [.notify, .puzzleSolution, .securityAssociation])
    }

    @Test("A puzzle and another key exchange can be demanded of one initiator")
    func withInvalidKE() async {
        let pair = await pair(
            seed: 2,
            right: {
                $0.ikeProposals = [
                    IKEProposal(encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.ecp256])
                ]
            })
        #expect(await pair.world.run(atMost: .seconds(3)) { pair.isUp })
    }

    @Test("While the puzzle is worked on, the request is not sent again")
    func silentWhileSolving() async {
        let pair = await pair(seed: 3, start: .none)
        pair.world.jobTime = .seconds(9) ... .seconds(9)
        await pair.initiate()
        await pair.world.run(for: .seconds(17))
        #expect(pair.world.sent.filter { pair.isFromLeft($0) }.count == 1)
    }

    @Test("With difficulty 0 no puzzle is given, only cookies")
    func off() async {
        let pair = await pair(seed: 4, difficulty: 0)
        #expect(await pair.world.run(atMost: .seconds(2)) { pair.isUp })
        #expect(pair.world.sent.allSatisfy { notification(.puzzle, in: $0) == nil })
    }

    // MARK: A stranger

    private func request(
        _ spi: UInt64, from address: String, before: [Payload] = [], prf: PRF = .hmacSHA2_256
    ) -> IKEDatagram {
        let proposal = IKEProposal(encryption: [.aesGCM16(256)], prf: [prf], keyExchange: [.curve25519])
        let message = Message(
            header: IKEHeader(
                initiatorSPI: spi, responderSPI: 0, exchangeType: .ikeSAInit, flags: .initiator, messageID: 0),
            payloads: before + [
                .securityAssociation(SecurityAssociationPayload(proposals: [proposal.payload(number: 1)])),
                .keyExchange(KeyExchangePayload(method: 31, data: [9] + [UInt8](repeating: 0, count: 31))),
                .nonce([UInt8](repeating: 1, count: 32)),
            ])
        return IKEDatagram(
            octets: message.serialized(), local: SocketAddress(IPAddress(address) ?? .unspecified(.v4), port: 500),
            remote: SocketAddress(IPAddress("198.51.100.2") ?? .unspecified(.v4), port: 500), nonESPMarker: false)
    }

    private func payment(_ cookie: [UInt8], _ solution: [UInt8]? = nil) -> [Payload] {
        [.notify(NotifyPayload(protocolID: .none, spi: [], type: .cookie, data: cookie))]
            + (solution.map { [.unknown(RawPayload(type: .puzzleSolution, body: $0))] } ?? [])
    }

    @Test("A peer that solves no puzzles gets in with its cookie, but only a share of the room goes to such peers")
    func legacyShare() async {
        let pair = await pair(
            seed: 5, start: .none, right: { $0.acceptsAnyRemoteAddress = true }, settings: { $0.halfOpenLimit = 64 })
        for number in 1...40 as ClosedRange<UInt64> {
            let address = "203.0.\(number).1"
            pair.world.inject(request(number, from: address))
            await pair.world.run(for: .milliseconds(5))
            let cookie = notification(.cookie, in: pair.world.sent.last) ?? []
            pair.world.inject(request(number, from: address, before: payment(cookie)))
            await pair.world.run(for: .milliseconds(5))
        }
        #expect((1...8).contains(pair.right.endpoint.halfOpenCount))
    }

    @Test("A wrong solution, and one for another cookie, count as none")
    func wrongSolutions() async throws {
        let pair = await pair(
            seed: 6, start: .none, right: { $0.acceptsAnyRemoteAddress = true }, settings: { $0.halfOpenLimit = 4 })
        // The share of those who solve nothing is one at once here: used up by the first.
        var cookies: [[UInt8]] = []
        for number in 1...3 as ClosedRange<UInt64> {
            pair.world.inject(request(number, from: "203.0.113.\(number)"))
            await pair.world.run(for: .milliseconds(5))
            cookies.append(notification(.cookie, in: pair.world.sent.last) ?? [])
        }
        func solution(_ cookie: [UInt8]) -> [UInt8]? {
            Puzzle(prf: .hmacSHA2_256, difficulty: Int(cookie[2]), octets: cookie).solution()
        }
        pair.world.inject(request(1, from: "203.0.113.1", before: payment(cookies[0])))
        await pair.world.run(for: .milliseconds(5))
        #expect(pair.right.endpoint.halfOpenCount == 1)
        pair.world.inject(request(2, from: "203.0.113.2", before: payment(cookies[1], solution(cookies[2]))))
        await pair.world.run(for: .milliseconds(5))
        #expect(pair.right.endpoint.halfOpenCount == 1)
        pair.world.inject(request(2, from: "203.0.113.2", before: payment(cookies[1], solution(cookies[1]))))
        await pair.world.run(for: .milliseconds(5))
        #expect(pair.right.endpoint.halfOpenCount == 2)
    }

    @Test("Nobody makes a puzzle easier by changing the difficulty in the cookie")
    func forgedMark() async {
        let pair = await pair(
            seed: 7, start: .none, right: { $0.acceptsAnyRemoteAddress = true }, settings: { $0.halfOpenLimit = 4 })
        pair.world.inject(request(1, from: "203.0.113.1"))
        await pair.world.run(for: .milliseconds(5))
        var cookie = notification(.cookie, in: pair.world.sent.last) ?? []
        cookie[1] = 0
        cookie[2] = 0
        pair.world.inject(request(1, from: "203.0.113.1", before: payment(cookie, [1, 2, 3, 4])))
        await pair.world.run(for: .milliseconds(5))
        #expect(pair.right.endpoint.halfOpenCount == 0)
    }

    @Test("The puzzle's PRF is one that the initiator has offered")
    func offeredPRF() async {
        let pair = await pair(seed: 8, start: .none, right: { $0.acceptsAnyRemoteAddress = true })
        pair.world.inject(request(1, from: "203.0.113.1", prf: .hmacSHA2_512))
        await pair.world.run(for: .milliseconds(5))
        #expect(notification(.puzzle, in: pair.world.sent.last)?.prefix(2) == [0, 7])
        pair.world.inject(request(2, from: "203.0.113.1", prf: .aes128XCBC))
        await pair.world.run(for: .milliseconds(5))
        #expect(notification(.cookie, in: pair.world.sent.last) != nil)
        #expect(notification(.puzzle, in: pair.world.sent.last) == nil)
    }

    @Test("A neighbourhood with many half-open SAs pays puzzles while all others still pay nothing")
    func perNetwork() async {
        let pair = await Pair(
            seed: 9, start: .none, right: { $0.acceptsAnyRemoteAddress = true },
            endpoint: {
                $0.cookieThreshold = 8
                $0.puzzleThresholdPerNetwork = 8
            })
        for number in 1...8 as ClosedRange<UInt64> { pair.world.inject(request(number, from: "203.0.113.\(number)")) }
        await pair.world.run(for: .milliseconds(5))
        pair.world.inject(request(9, from: "203.0.113.9"))
        await pair.world.run(for: .milliseconds(5))
        #expect(notification(.puzzle, in: pair.world.sent.last) != nil)
        pair.world.inject(request(10, from: "203.0.114.1"))
        await pair.world.run(for: .milliseconds(5))
        #expect(notification(.puzzle, in: pair.world.sent.last) == nil)
    }

    @Test("The less room is left for half-open SAs, the harder the puzzle", arguments: [(4, 10), (8, 13), (11, 16)])
    func pressure(halfOpen: Int, difficulty: UInt8) async {
        let pair = await Pair(
            seed: 10, start: .none, right: { $0.acceptsAnyRemoteAddress = true },
            endpoint: {
                $0.cookieThreshold = halfOpen
                $0.puzzleThreshold = 4
                $0.halfOpenLimit = 12
            })
        for number in 1...UInt64(halfOpen + 1) { pair.world.inject(request(number, from: "203.0.\(number).1")) }
        await pair.world.run(for: .milliseconds(5))
        #expect(pair.right.endpoint.halfOpenCount == halfOpen)
        #expect(notification(.puzzle, in: pair.world.sent.last) == [0, 5, difficulty])
    }

    @Test("A demand for cookie and puzzle is never longer than the request, and a request too short for it gets none")
    func noAmplification() async {
        let pair = await pair(seed: 11, start: .none, right: { $0.acceptsAnyRemoteAddress = true })
        let message = Message(
            header: IKEHeader(
                initiatorSPI: 1, responderSPI: 0, exchangeType: .ikeSAInit, flags: .initiator, messageID: 0),
            payloads: [.nonce([UInt8](repeating: 1, count: 16))])
        var short = request(1, from: "203.0.113.1")
        let long = short
        short.octets = message.serialized()
        pair.world.inject(short)
        await pair.world.run(for: .milliseconds(5))
        #expect(pair.world.sent.isEmpty)
        pair.world.inject(long)
        await pair.world.run(for: .milliseconds(5))
        #expect(pair.world.sent.count == 1)
        #expect((pair.world.sent.first?.octets.count ?? .max) <= long.octets.count)
    }
}
