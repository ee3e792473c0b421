import IKE
import IKEMessage
import Octets
import Simulation
import Testing

// draft-ponchon-ipsecme-anti-replay-subspaces
@Suite("Sequence number subspaces, agreed upon")
struct AntiReplaySubspaceTests {
    private typealias Change = (inout ConnectionConfiguration) -> Void

    private static func on(_ count: Int = 16, isRequired: Bool = false) -> Change {
        { $0.children[0].antiReplaySubspaces = AntiReplaySubspacesPolicy(isRequired: isRequired, count: count) }
    }

    private static func off(_ connection: inout ConnectionConfiguration) {}

    private static func numbers(_ numbers: [SequenceNumbers], _ change: @escaping Change) -> Change {
        {
            change(&$0)
            for index in $0.children[0].espProposals.indices {
                $0.children[0].espProposals[index].sequenceNumbers = numbers
            }
        }
    }

    private static func pair(
        seed: UInt64, left: @escaping Change, right: @escaping Change,
        conditions: NetworkConditions = NetworkConditions(), codePoint: UInt16? = nil,
        tap: ((Pair) -> (IKEDatagram) -> [IKEDatagram])? = nil
    ) async -> Pair {
        let pair = await Pair(
            seed: seed, start: .none, conditions: conditions, left: left, right: right,
            endpoint: {
                $0.exportsKeys = true
                if let codePoint { $0.codePoints[.antiReplaySubspaces] = codePoint }
            })
        pair.world.tap = tap?(pair)
        await pair.initiate()
        await pair.world.run(for: .seconds(10))
        return pair
    }

    /// What a side's only child SA has, inbound and outbound.
    private static func counts(_ host: Host) -> [SubspaceCounts?] { host.inbound.values.map(\.subspaces) }

    private static func counts(_ inbound: Int, _ outbound: Int) -> SubspaceCounts {
        SubspaceCounts(inbound: inbound, outbound: outbound)
    }

    /// The whole notifications of messages, in the order sent.
    private static func notifications(
        _ pair: Pair, type: UInt16 = 41011, _ wanted: (IKEDatagram) -> Bool
    ) -> [[UInt8]] {
        pair.world.sent.filter(wanted).flatMap { datagram in
            (pair.wiretap.payloads(of: datagram.octets) ?? []).compactMap { payload in
                guard case .notify(let notify) = payload, notify.type.rawValue == type else { return nil }
                return [UInt8](notify.spi) + notify.data
            }
        }
    }

    private static func isOffer(_ datagram: IKEDatagram) -> Bool { datagram.isRequest(.ikeAuth) }
    private static func isAnswer(_ datagram: IKEDatagram) -> Bool { datagram.isResponse(.ikeAuth) }
    private static func isRekey(_ datagram: IKEDatagram) -> Bool { datagram.isRequest(.createChildSA) }
    private static func isRekeyAnswer(_ datagram: IKEDatagram) -> Bool { datagram.isResponse(.createChildSA) }

    private static func notification(
        _ data: [UInt8], spi: [UInt8] = [], protocolID: ProtocolID = .none
    ) -> Payload {
        .notify(NotifyPayload(protocolID: protocolID, spi: spi, type: NotifyType(rawValue: 41011), data: data))
    }

    private static func replacing(_ new: [Payload]) -> ([Payload]) -> [Payload] {
        { payloads in payloads.filter { !isNotification($0) } + new }
    }

    private static func isNotification(_ payload: Payload) -> Bool {
        if case .notify(let notify) = payload { notify.type.rawValue == 41011 } else { false }
    }

    // MARK: Both

    @Test("The notification has profile 1, flags 0 and the highest ID that its sender receives, beside the offer")
    func layout() async throws {
        let pair = await Self.pair(seed: 1, left: Self.on(8), right: Self.on(16))
        let datagram = try #require(pair.world.sent.first(where: Self.isOffer))
        let payloads = try #require(pair.wiretap.payloads(of: datagram.octets))
        #expect(
            payloads.filter(Self.isNotification).map { Payload.serializeChain([$0]).octets }
                == [[0, 0, 0, 12, 0, 0, 0xa0, 0x33, 1, 0, 0, 7]])
        #expect(Self.notifications(pair, Self.isAnswer) == [[1, 0, 0, 15]])
    }

    @Test(
        "Each side sends with what the other takes",
        arguments: [(16, 16), (8, 16), (1, 256), (256, 1), (1, 1)])
    func asymmetric(_ left: Int, _ right: Int) async {
        let pair = await Self.pair(seed: 2, left: Self.on(left), right: Self.on(right))
        #expect(Self.counts(pair.left) == [Self.counts(left, right)])
        #expect(Self.counts(pair.right) == [Self.counts(right, left)])
        #expect(pair.left.status("site")?.children.map(\.subspaces) == [Self.counts(left, right)])
        #expect(pair.agrees() && pair.faults.isEmpty)
    }

    @Test("No more than 256 are announced, and a peer's 65536 are believed")
    func extremes() async {
        #expect(AntiReplaySubspacesPolicy(count: 1000).count == 256)
        #expect(AntiReplaySubspacesPolicy(count: 0).count == 1)
        let pair = await Self.pair(
            seed: 3, left: Self.on(), right: Self.on(),
            tap: Pair.rewriting(Self.isOffer, change: Self.replacing([Self.notification([1, 0xff, 0xff, 0xff])])))
        #expect(Self.counts(pair.right) == [Self.counts(16, 65536)])
    }

    @Test("A number that is configured stands for the notification")
    func codePoint() async {
        let pair = await Self.pair(seed: 4, left: Self.on(), right: Self.on(), codePoint: 50000)
        #expect(Self.counts(pair.left) == [Self.counts(16, 16)])
        #expect(Self.notifications(pair, type: 50000, Self.isOffer).count == 1)
        #expect(Self.notifications(pair, Self.isOffer).isEmpty)
    }

    @Test("It is agreed upon though messages are lost and come twice", arguments: [UInt64(5), 6, 7, 8])
    func loss(seed: UInt64) async {
        var conditions = NetworkConditions()
        conditions.loss = 0.3
        conditions.duplication = 0.3
        let pair = await Self.pair(seed: seed, left: Self.on(4), right: Self.on(8), conditions: conditions)
        _ = await pair.world.run(atMost: .seconds(60)) { pair.isUp }
        #expect(Self.counts(pair.left) == [Self.counts(4, 8)])
        #expect(Self.counts(pair.right) == [Self.counts(8, 4)])
    }

    // MARK: One alone

    @Test("Where one side has it alone there is a child without", arguments: [true, false])
    func alone(isLeft: Bool) async {
        let pair = await Self.pair(
            seed: 9, left: isLeft ? Self.on() : Self.off, right: isLeft ? Self.off : Self.on())
        #expect(Self.counts(pair.left) == [nil] && Self.counts(pair.right) == [nil])
        #expect(Self.notifications(pair, Self.isOffer).count == (isLeft ? 1 : 0))
        #expect(Self.notifications(pair, Self.isAnswer).isEmpty)
        #expect(pair.agrees() && pair.faults.isEmpty)
    }

    @Test(
        "Where it is required and the other has it not, there is no child, and the IKE SA lives",
        arguments: [true, false])
    func required(isLeft: Bool) async {
        let needs = Self.on(isRequired: true)
        let pair = await Self.pair(seed: 10, left: isLeft ? needs : Self.off, right: isLeft ? Self.off : needs)
        for host in [pair.left, pair.right] {
            #expect(host.status("site")?.ikeSAs.count == 1, "\(host.name)")
            #expect(host.inbound.isEmpty && host.outbound.isEmpty, "\(host.name)")
        }
        #expect(pair.faults.isEmpty)
        let told = (isLeft ? pair.left : pair.right).refusals
        #expect(told.contains { $0.reason.contains("no sequence number subspaces for child net") })
    }

    @Test("Required by both it is had", arguments: [true, false])
    func requiredByBoth(isRequired: Bool) async {
        let pair = await Self.pair(seed: 11, left: Self.on(isRequired: true), right: Self.on(isRequired: isRequired))
        #expect(Self.counts(pair.left) == [Self.counts(16, 16)])
        #expect(pair.agrees())
    }

    // MARK: What they need

    @Test("Without extended sequence numbers it is not offered, and not answered", arguments: [true, false])
    func shortNumbers(isLeft: Bool) async {
        let short = Self.numbers([.sequential32], Self.on())
        let pair = await Self.pair(seed: 12, left: isLeft ? short : Self.on(), right: isLeft ? Self.on() : short)
        #expect(Self.counts(pair.left) == [nil] && Self.counts(pair.right) == [nil])
        #expect(Self.notifications(pair, Self.isOffer).count == (isLeft ? 0 : 1))
        #expect(Self.notifications(pair, Self.isAnswer).isEmpty)
        #expect(pair.agrees())
    }

    @Test("A responder that requires it refuses a child whose numbers are not extended")
    func shortNumbersRequired() async {
        let pair = await Self.pair(
            seed: 13, left: Self.on(), right: Self.numbers([.sequential32], Self.on(isRequired: true)))
        #expect(pair.right.inbound.isEmpty && pair.left.inbound.isEmpty)
        #expect(pair.right.status("site")?.ikeSAs.count == 1)
    }

    @Test("An answer with it and without extended numbers has the child deleted")
    func contradictoryAnswer() async {
        let pair = await Self.pair(
            seed: 14, left: Self.on(), right: Self.numbers([.sequential32], Self.off),
            tap: Pair.rewriting(Self.isAnswer, change: Self.replacing([Self.notification([1, 0, 0, 15])])))
        #expect(pair.left.inbound.isEmpty && pair.right.inbound.isEmpty)
        #expect(pair.left.status("site")?.ikeSAs.count == 1)
        #expect(pair.left.refusals.contains { $0.reason.contains("without extended sequence numbers") })
    }

    @Test("Without a replay window nothing is announced")
    func noWindow() async {
        let pair = await Self.pair(
            seed: 15,
            left: {
                Self.on()(&$0)
                $0.children[0].replayWindow = 0
            }, right: Self.on())
        #expect(Self.notifications(pair) { _ in true }.isEmpty)
        #expect(Self.counts(pair.left) == [nil] && Self.counts(pair.right) == [nil])
    }

    // MARK: What is malformed

    private struct Odd: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let payloads: [Payload]
    }

    private static let odd = [
        Odd(testDescription: "no data", payloads: [notification([])]),
        Odd(testDescription: "three octets", payloads: [notification([1, 0, 0])]),
        Odd(testDescription: "five octets", payloads: [notification([1, 0, 0, 7, 0])]),
        Odd(testDescription: "profile 0", payloads: [notification([0, 0, 0, 7])]),
        Odd(testDescription: "profile 2", payloads: [notification([2, 0, 0, 7])]),
        Odd(testDescription: "twice", payloads: [notification([1, 0, 0, 7]), notification([1, 0, 0, 7])]),
        Odd(testDescription: "twice, differing", payloads: [notification([1, 0, 0, 7]), notification([1, 0, 0, 8])]),
        Odd(
            testDescription: "with an SPI",
            payloads: [notification([1, 0, 0, 7], spi: [1, 2, 3, 4], protocolID: .esp)]),
    ]

    @Test("An offer that is not understood is as none: a child without, and no answer", arguments: odd)
    private func oddOffer(_ odd: Odd) async {
        let pair = await Self.pair(
            seed: 16, left: Self.on(), right: Self.on(),
            tap: Pair.rewriting(Self.isOffer, change: Self.replacing(odd.payloads)))
        #expect(Self.counts(pair.left) == [nil] && Self.counts(pair.right) == [nil])
        #expect(Self.notifications(pair, Self.isAnswer).isEmpty)
        #expect(pair.agrees() && pair.faults.isEmpty)
    }

    @Test("An answer that is not understood is as none, and refused where it is required", arguments: odd)
    private func oddAnswer(_ odd: Odd) async {
        let lax = await Self.pair(
            seed: 17, left: Self.on(), right: Self.off,
            tap: Pair.rewriting(Self.isAnswer, change: Self.replacing(odd.payloads)))
        #expect(Self.counts(lax.left) == [nil] && lax.agrees())
        let strict = await Self.pair(
            seed: 18, left: Self.on(isRequired: true), right: Self.off,
            tap: Pair.rewriting(Self.isAnswer, change: Self.replacing(odd.payloads)))
        #expect(strict.left.inbound.isEmpty && strict.right.inbound.isEmpty)
        #expect(strict.left.status("site")?.ikeSAs.count == 1)
    }

    @Test("An answer to nothing is ignored")
    func unasked() async {
        let pair = await Self.pair(
            seed: 19, left: Self.off, right: Self.off,
            tap: Pair.rewriting(Self.isAnswer, change: Self.replacing([Self.notification([1, 0, 0, 7])])))
        #expect(Self.counts(pair.left) == [nil])
        #expect(pair.agrees())
    }

    @Test("Flags are not looked at")
    func flags() async {
        let pair = await Self.pair(
            seed: 20, left: Self.on(8), right: Self.on(),
            tap: Pair.rewriting(Self.isOffer, change: Self.replacing([Self.notification([1, 0xff, 0, 7])])))
        #expect(Self.counts(pair.right) == [Self.counts(16, 8)])
    }

    @Test("Whoever changes a message on the way without keys changes nothing but how long it takes")
    func strippedOnTheWay() async {
        final class Once { var changed: Set<Int> = [] }
        let once = Once()
        let pair = await Self.pair(
            seed: 21, left: Self.on(), right: Self.on(),
            tap: { _ in
                { datagram in
                    guard Self.isOffer(datagram) || Self.isAnswer(datagram),
                        once.changed.insert(datagram.octets.count).inserted
                    else { return [datagram] }
                    // The notification is the last thing inside: take it off, and alter what is left.
                    var cut = datagram
                    cut.octets.removeLast(12)
                    var altered = datagram
                    altered.octets[altered.octets.count - 20] ^= 1
                    return [cut, altered]
                }
            })
        _ = await pair.world.run(atMost: .seconds(30)) { pair.isUp }
        #expect(once.changed.count == 2)
        #expect(Self.counts(pair.left) == [Self.counts(16, 16)])
        #expect(Self.counts(pair.right) == [Self.counts(16, 16)])
        #expect(pair.agrees())
    }

    // MARK: Rekeys

    @Test(
        "Rekeys of the child agree on it anew, by either side, and one of the IKE SA leaves it",
        arguments: ["left", "right"])
    func rekeys(side: String) async {
        let pair = await Self.pair(seed: 22, left: Self.on(4), right: Self.on(8))
        for _ in 0..<2 {
            await pair.rekeyChild(side)
            await pair.rest()
            #expect(Self.counts(pair.left) == [Self.counts(4, 8)])
            #expect(Self.counts(pair.right) == [Self.counts(8, 4)])
            #expect(pair.agrees())
        }
        #expect(Self.notifications(pair, Self.isRekey).count == 2)
        #expect(Self.notifications(pair, Self.isRekeyAnswer).count == 2)
        await pair.rekeyIKE(side)
        await pair.rest()
        #expect(Self.counts(pair.left) == [Self.counts(4, 8)])
        #expect(pair.agrees() && pair.faults.isEmpty)
    }

    @Test("Absent in a rekey it is absent in the new child, while the old one keeps its own")
    func absentInRekey() async {
        let pair = await Self.pair(
            seed: 23, left: Self.on(), right: Self.on(), tap: Pair.rewriting(Self.isRekey, change: Self.replacing([])))
        #expect(Self.counts(pair.left) == [Self.counts(16, 16)])
        await pair.rekeyChild("left")
        _ = await pair.world.run(atMost: .seconds(5)) { pair.left.inbound.count == 2 && pair.right.inbound.count == 2 }
        #expect(Set(Self.counts(pair.left)) == [nil, Self.counts(16, 16)])
        #expect(Set(Self.counts(pair.right)) == [nil, Self.counts(16, 16)])
        await pair.rest()
        #expect(Self.counts(pair.left) == [nil] && Self.counts(pair.right) == [nil])
        #expect(pair.agrees())
    }

    @Test(
        "An offer, or an answer, in a rekey that is not understood is as none: the new child is without", arguments: odd
    )
    private func oddInRekey(_ odd: Odd) async {
        for wanted in [Self.isRekey, Self.isRekeyAnswer] {
            let pair = await Self.pair(
                seed: 25, left: Self.on(), right: Self.on(),
                tap: Pair.rewriting(wanted, change: Self.replacing(odd.payloads)))
            let old = pair.childSPIs
            await pair.rekeyChild("left")
            await pair.rest()
            #expect(Self.counts(pair.left) == [nil])
            #expect(pair.childSPIs.count == 1 && pair.childSPIs != old && pair.ikeSPI != 0)
            #expect(pair.right.inbound.count == 1 && pair.faults.isEmpty)
        }
    }

    @Test("A rekey that changes nothing but keys keeps the subspaces")
    func optimized() async {
        let pair = await Self.pair(
            seed: 24,
            left: {
                $0.optimizedRekey = true
                Self.on(4)(&$0)
            },
            right: {
                $0.optimizedRekey = true
                Self.on(8)(&$0)
            })
        for _ in 0..<3 {
            await pair.rekeyChild("left")
            await pair.rest()
        }
        #expect(Self.notifications(pair, Self.isRekey).count == 1)
        #expect(Self.counts(pair.left) == [Self.counts(4, 8)])
        #expect(Self.counts(pair.right) == [Self.counts(8, 4)])
        #expect(pair.agrees())
    }
}
