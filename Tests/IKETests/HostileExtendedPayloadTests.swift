import IKE
import IKEMessage
import IPPacket
import Octets
import Simulation
import Testing

@Suite("Hostile messages with extended payloads")
struct HostileExtendedPayloadTests {
    private static func pair(seed: UInt64, maximum: Int = 1 << 20) async -> Pair {
        await Pair.established(
            seed: seed, left: { $0.extendedPayloads = .init(.yes, maximum: maximum) },
            right: { $0.extendedPayloads = .init(.yes, maximum: maximum) })
    }

    private static func header(_ pair: Pair, _ exchange: ExchangeType, id: UInt32) -> IKEHeader {
        let sa = pair.left.status("site")?.ikeSAs.last
        return IKEHeader(
            initiatorSPI: sa?.localSPI ?? 0, responderSPI: sa?.remoteSPI ?? 0, exchangeType: exchange,
            flags: .initiator, messageID: id)
    }

    private static func send(_ pair: Pair, _ octets: [UInt8]?) async {
        guard let octets else { return }
        pair.inject(octets)
        await pair.world.run(for: .milliseconds(20))
    }

    /// Right's answer to octets that left would have protected.
    private static func answer(_ pair: Pair, first: PayloadType, _ octets: [UInt8]) async -> [Payload]? {
        let before = pair.world.sent.count
        await send(pair, pair.wiretap.seal(header(pair, .informational, id: 2), first: first, octets, iv: 1 << 40))
        return pair.world.sent.dropFirst(before).last.flatMap { pair.wiretap.payloads(of: $0.octets) }
    }

    private static let notify = Payload.notify(
        NotifyPayload(protocolID: .none, spi: [], type: .initialContact, data: []))

    private static func hasEnded(_ pair: Pair) -> Bool {
        pair.right.inbound.isEmpty && pair.right.status("site")?.ikeSAs.isEmpty == true
            && pair.right.refusals.last?.cause == .protocolViolation
    }

    @Test(
        "A header that cannot be read is answered INVALID_SYNTAX, and ends the IKE SA (RFC 7296 section 2.21.3)",
        arguments: [
            [0x00], [0x00, 0x20], [0x00, 0x60, 0x01], [0x00, 0x20, 0x04, 0, 0, 0x40, 0],
            [0x00, 0x60, 0, 0, 4, 0, 0, 0x40, 0],
            [0x00, 0x05, 0, 0, 0x40, 0], [0x00, 0x7f, 0xff, 0xff, 0xff], [0x00, 0x04, 0, 0, 0x40, 0, 0],
            [0x29, 0x04, 0, 0, 0x40, 0],
        ] as [[UInt8]])
    func malformed(octets: [UInt8]) async {
        let pair = await Self.pair(seed: 1)
        let answer = await Self.answer(pair, first: .notify, octets)
        #expect(answer?.contains(.invalidSyntax) == true)
        #expect(Self.hasEnded(pair))
        #expect(pair.faults.isEmpty)
    }

    @Test("Classic headers after the agreement are answered INVALID_SYNTAX, and end the IKE SA")
    func classicHeaders() async {
        let pair = await Self.pair(seed: 2)
        let chain = Payload.serializeChain([Self.notify, Self.notify])
        #expect(await Self.answer(pair, first: chain.first, chain.octets)?.contains(.invalidSyntax) == true)
        #expect(Self.hasEnded(pair))
    }

    @Test("Extended headers without the agreement are answered INVALID_SYNTAX, and end the IKE SA")
    func extendedHeaders() async throws {
        let pair = await Pair.established(seed: 3)
        let chain = try Payload.serializeChain([Self.notify], format: .extended)
        #expect(await Self.answer(pair, first: chain.first, chain.octets)?.contains(.invalidSyntax) == true)
        #expect(Self.hasEnded(pair))
    }

    @Test("Classic headers in IKE_AUTH end what has been agreed on before")
    func classicAuthentication() async {
        let pair = await Pair(
            seed: 4, start: .none, left: { $0.extendedPayloads = .init(.yes) },
            right: { $0.extendedPayloads = .init(.yes) }, endpoint: { $0.exportsKeys = true })
        pair.world.tap = { datagram in
            guard datagram.isRequest(.ikeAuth), let header = datagram.header,
                let payloads = pair.wiretap.payloads(of: datagram.octets),
                let octets = pair.wiretap.seal(header, payloads, iv: 1 << 40)
            else { return [datagram] }
            return [
                datagram.carrying(octets)
            ]
        }
        await pair.initiate()
        await pair.world.run(for: .seconds(2))
        #expect(!pair.isUp)
        #expect(
            pair.right.narratives.contains { $0.refusal?.reason.contains("IKE_AUTH request cannot be read") ?? false })
        await pair.world.run(for: .seconds(60))
        #expect(pair.right.endpoint.saCount == 0)
        #expect(pair.faults.isEmpty)
    }

    @Test(
        "An unknown payload is passed over, of any length, and a critical one named; the SA survives",
        arguments: [1, 70_000])
    func unknown(count: Int) async throws {
        let pair = await Self.pair(seed: 5)
        let type = PayloadType(rawValue: 200)
        for isCritical in [false, true] {
            let raw = RawPayload(type: type, isCritical: isCritical, body: [UInt8](repeating: 1, count: count))
            let chain = try Payload.serializeChain([.unknown(raw)], format: .extended)
            let parts = stride(from: 0, to: chain.octets.count, by: 60_000).map {
                Array(chain.octets[$0..<min($0 + 60_000, chain.octets.count)])
            }
            let before = pair.world.sent.count
            for (index, part) in parts.enumerated() {
                await Self.send(
                    pair,
                    pair.wiretap.seal(
                        Self.header(pair, .informational, id: isCritical ? 3 : 2), first: index == 0 ? type : .none,
                        part, fragment: (UInt16(index + 1), UInt16(parts.count)),
                        iv: UInt64(isCritical ? 1 : 2) << 40 + UInt64(index)))
            }
            let answer = pair.world.sent.dropFirst(before).last.flatMap { pair.wiretap.payloads(of: $0.octets) }
            #expect(answer?.contains(.unsupportedCriticalPayload) == isCritical)
        }
        #expect(pair.agrees())
    }

    // MARK: Amounts

    private static func sendFragments(
        _ pair: Pair, _ header: IKEHeader, _ sizes: [Int], total: UInt16, iv: UInt64 = 1 << 40
    ) async {
        for (index, size) in sizes.enumerated() {
            await send(
                pair,
                pair.wiretap.seal(
                    header, first: index == 0 ? .vendorID : .none, [UInt8](repeating: 0, count: size),
                    fragment: (UInt16(index + 1), total), iv: iv + UInt64(index)))
        }
    }

    @Test("Who sends more than was announced loses the SA when the limit is passed", arguments: [100_000, 100_001])
    func tooMuch(count: Int) async {
        let pair = await Self.pair(seed: 6, maximum: 100_000)
        await Self.sendFragments(
            pair, Self.header(pair, .informational, id: 2), [50_000, count - 50_000], total: 3)
        #expect(Self.hasEnded(pair) == (count > 100_000))
    }

    @Test(
        "More fragments than an honest sender needs are not waited for, N and N + 1",
        arguments: [(4096, false), (4097, true), (65_535, true)])
    func fragmentCounts(total: UInt16, isRefused: Bool) async {
        let pair = await Self.pair(seed: 7)
        await Self.sendFragments(pair, Self.header(pair, .informational, id: 2), [10], total: total)
        #expect(Self.hasEnded(pair) == isRefused)
    }

    /// A pair whose right side waits for IKE_AUTH, which left's network swallows.
    private static func halfOpen(seed: UInt64, budget: Int) async -> (Pair, IKEHeader?) {
        let pair = await Pair(
            seed: seed, start: .none, left: { $0.extendedPayloads = .init(.yes) },
            right: { $0.extendedPayloads = .init(.yes) },
            endpoint: {
                $0.exportsKeys = true
                $0.fragmentBudget = budget
            })
        pair.world.audits = true
        pair.world.tap = { $0.isRequest(.ikeAuth) ? [] : [$0] }
        await pair.initiate()
        _ = await pair.world.run(atMost: .seconds(1)) { pair.world.sent.contains { $0.isRequest(.ikeAuth) } }
        return (pair, pair.world.sent.first { $0.isRequest(.ikeAuth) }?.header)
    }

    @Test("What a stranger has kept counts from 64 KiB on, and is dropped where there is no room for it")
    func budget() async throws {
        let (pair, header) = await Self.halfOpen(seed: 8, budget: 100_000)
        let request = try #require(header)
        await Self.sendFragments(pair, request, [30_000, 30_000], total: 5)
        #expect(pair.right.endpoint.countedFragmentOctets == 0)
        await Self.sendFragments(pair, request, [30_000, 30_000, 30_000], total: 5, iv: 1 << 41)
        #expect(pair.right.endpoint.countedFragmentOctets == 90_000)
        let dropped = pair.right.endpoint.messageCounters[.fragmentBudget]
        await Self.sendFragments(pair, request, [30_000, 30_000, 30_000, 30_000], total: 5, iv: 1 << 42)
        #expect(pair.right.endpoint.countedFragmentOctets == 0)
        #expect(pair.right.endpoint.messageCounters[.fragmentBudget] == dropped + 1)
        // An honest request is served all the same.
        pair.world.tap = nil
        #expect(await pair.world.run(atMost: .seconds(10)) { pair.isUp })
        #expect(pair.faults.isEmpty)
    }

    @Test("What is counted is free again when the half-open SA is gone")
    func budgetReturned() async throws {
        let (pair, header) = await Self.halfOpen(seed: 9, budget: 1 << 20)
        await Self.sendFragments(pair, try #require(header), [30_000, 30_000, 30_000], total: 5)
        #expect(pair.right.endpoint.countedFragmentOctets == 90_000)
        await pair.world.run(for: .seconds(70))
        #expect(pair.right.endpoint.countedFragmentOctets == 0)
        #expect(pair.faults.isEmpty)
    }

    @Test(
        "A stranger's message is put together up to 128 KiB, and its fragments are few", arguments: [512, 513, 65_535])
    func strangersFragments(total: UInt16) async throws {
        let (pair, header) = await Self.halfOpen(seed: 10, budget: 16 << 20)
        await Self.sendFragments(pair, try #require(header), [1000], total: total)
        let isRefused = pair.right.narratives.contains { $0.refusal?.reason.contains("at most 512") ?? false }
        #expect(isRefused == (total > 512))
    }
}
