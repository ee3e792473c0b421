import IKE
import IKEMessage
import IPsecPolicy
import Octets
import Simulation
import Testing

@Suite("Traffic classes: DSCP as a selector and as a notification")
struct TrafficClassTests {
    private static func set(_ values: [UInt8]) -> DSCPSet { DSCPSet(values) ?? DSCPSet(mask: 0) }

    private static func classes(
        _ values: [UInt8], _ form: TrafficClasses.Form = .selector, isRequired: Bool = false
    ) -> (inout ConnectionConfiguration) -> Void {
        { $0.children[0].classes = TrafficClasses(set(values), form: form, isRequired: isRequired) }
    }

    private static func none(_ connection: inout ConnectionConfiguration) {}

    private static func pair(
        seed: UInt64, left: @escaping (inout ConnectionConfiguration) -> Void,
        right: @escaping (inout ConnectionConfiguration) -> Void, start: StartPolicy = .none,
        codePoint: UInt16? = nil, tap: ((Pair) -> (IKEDatagram) -> [IKEDatagram])? = nil
    ) async -> Pair {
        let pair = await Pair(
            seed: seed, start: start, left: left, right: right,
            endpoint: {
                $0.exportsKeys = true
                if let codePoint { $0.codePoints[.tsDSCP] = codePoint }
            })
        pair.world.tap = tap?(pair)
        if start == .none { await pair.initiate() }
        await pair.world.run(for: .seconds(10))
        return pair
    }

    private static func wire(_ octets: [UInt8], second: UInt8 = 0, type: UInt8 = 241) -> WireTrafficSelector {
        .unknown(RawTrafficSelector(type: TrafficSelectorType(rawValue: type), second: second, body: octets))
    }

    /// TS_DSCP in TSi and TSr of messages, in the order sent.
    private static func selectors(_ pair: Pair, _ wanted: (IKEDatagram) -> Bool) -> [[[UInt8]]] {
        var known: Set<IKEDatagram> = []
        return pair.world.sent.filter { wanted($0) && known.insert($0).inserted }.map { datagram in
            (pair.wiretap.payloads(of: datagram.octets) ?? []).flatMap { payload -> [[UInt8]] in
                switch payload {
                case .trafficSelectorsInitiator(let payload), .trafficSelectorsResponder(let payload):
                    payload.selectors.compactMap {
                        if case .unknown(let raw) = $0, raw.type.rawValue >= 241 { raw.body } else { nil }
                    }
                default: []
                }
            }
        }
    }

    private static func notifications(_ pair: Pair, _ wanted: (IKEDatagram) -> Bool) -> [[UInt8]] {
        pair.world.sent.filter(wanted).flatMap { datagram in
            (pair.wiretap.payloads(of: datagram.octets) ?? []).compactMap {
                if case .notify(let notify) = $0, notify.type.rawValue == 41031 { notify.data } else { nil }
            }
        }
    }

    private static func rewriting(
        _ wanted: @escaping (IKEDatagram) -> Bool, keepsAddresses: Bool = true, initiator: [WireTrafficSelector],
        responder: [WireTrafficSelector] = []
    ) -> (Pair) -> (IKEDatagram) -> [IKEDatagram] {
        Pair.rewritingSelectors(wanted, keepsAddresses: keepsAddresses, initiator: initiator, responder: responder)
    }

    private static func isAuthRequest(_ datagram: IKEDatagram) -> Bool { datagram.isRequest(.ikeAuth) }
    private static func isAuthResponse(_ datagram: IKEDatagram) -> Bool { datagram.isResponse(.ikeAuth) }

    private static func expectNoChild(_ pair: Pair, _ location: SourceLocation = #_sourceLocation) {
        for host in [pair.left, pair.right] {
            #expect(host.status("site")?.ikeSAs.count == 1, "\(host.name)", sourceLocation: location)
            #expect(host.inbound.isEmpty && host.outbound.isEmpty, "\(host.name)", sourceLocation: location)
        }
        #expect(pair.faults.isEmpty, sourceLocation: location)
    }

    private static func isUnacceptable(_ pair: Pair) -> Bool {
        pair.world.sent.filter(isAuthResponse).contains {
            pair.wiretap.payloads(of: $0.octets)?.contains(NotifyType.tsUnacceptable) ?? false
        }
    }

    private static func agreed(_ host: Host) -> [[UInt8]] {
        host.inbound.values.map { $0.dscp?.values ?? [] }.sorted { $0.lexicographicallyPrecedes($1) }
    }

    // MARK: The selector

    @Test("A selector reads private type 241, reserved 0, length, one octet for each value in increasing order")
    func layout() async throws {
        let pair = await Self.pair(seed: 1, left: Self.classes([14, 10, 12]), right: Self.none)
        let datagram = try #require(pair.world.sent.first(where: Self.isAuthRequest))
        let payloads = try #require(pair.wiretap.payloads(of: datagram.octets))
        let wanted = payloads.filter { (payload: Payload) in payload.type == .trafficSelectorInitiator }
        let octets = Payload.serializeChain(wanted).octets.hexadecimal
        #expect(octets.hasSuffix("f10000070a0c0e"))
        #expect(Self.selectors(pair, Self.isAuthRequest) == [[[10, 12, 14]]])
    }

    @Test("Both sides have the classes: one selector in TSi each way, and the child is for them in both directions")
    func agreed() async {
        let pair = await Self.pair(seed: 2, left: Self.classes([46]), right: Self.classes([46]))
        #expect(Self.selectors(pair, Self.isAuthRequest) == [[[46]]])
        #expect(Self.selectors(pair, Self.isAuthResponse) == [[[46]]])
        #expect(Self.agreed(pair.left) == [[46]] && Self.agreed(pair.right) == [[46]])
        #expect(pair.left.status("site")?.children.first?.distinctions == ["DSCP 46"])
        #expect(pair.agrees())
    }

    @Test("A number that is configured stands for the selector; a peer with another does not know it")
    func codePoint() async {
        let pair = await Self.pair(
            seed: 3, left: Self.classes([46]), right: Self.classes([46]), codePoint: 250)
        #expect(Self.agreed(pair.right) == [[46]])
        let other = await Self.pair(
            seed: 4, left: Self.classes([46]), right: Self.classes([46]),
            tap: Self.rewriting(Self.isAuthRequest, initiator: [Self.wire([46], type: 250)]))
        #expect(Self.agreed(other.right) == [[]])
    }

    @Test("Narrowed to what both have, the rest is asked for by another child, and refused the first stays")
    func narrowed() async {
        let pair = await Self.pair(
            seed: 5, left: Self.classes([10, 12, 14]), right: Self.classes([12, 46]), start: .boot)
        await pair.world.run(for: .seconds(120))
        #expect(Self.selectors(pair, Self.isAuthResponse) == [[[12]]])
        #expect(Self.selectors(pair) { $0.isRequest(.createChildSA) } == [[[10, 14]]])
        #expect(Self.agreed(pair.left) == [[12]] && Self.agreed(pair.right) == [[12]])
        #expect(pair.faults.isEmpty)
    }

    @Test("Where the peer has a child for the rest, there are two children in the end, with one list each")
    func rest() async {
        let pair = await Self.pair(
            seed: 6, left: Self.classes([10, 12, 14]),
            right: {
                Self.classes([12])(&$0)
                $0.children.append($0.children[0])
                $0.children[1].name = "other"
                $0.children[1].policyID = 2
                $0.children[1].classes = TrafficClasses(Self.set([10, 14]))
            })
        #expect(Self.agreed(pair.left) == [[10, 14], [12]] && Self.agreed(pair.right) == [[10, 14], [12]])
        #expect(pair.faults.isEmpty)
    }

    @Test(
        "The child for just what is offered is taken, or the one for all where nothing is offered, in whatever order",
        arguments: [false, true])
    func siblings(isReversed: Bool) async {
        let change: (inout ConnectionConfiguration) -> Void = {
            let base = $0.children[0]
            let lists: [(name: String, values: [UInt8]?)] = [("all", nil), ("af", [10, 12]), ("ef", [46])]
            $0.children = lists.enumerated().map { index, list in
                var child = base
                child.name = list.name
                child.policyID = UInt32(index + 1)
                child.classes = list.values.map { TrafficClasses(Self.set($0)) }
                return child
            }
        }
        let pair = await Self.pair(
            seed: 7, left: change,
            right: {
                change(&$0)
                if isReversed { $0.children.reverse() }
            })
        await pair.initiate(child: "af")
        await pair.initiate(child: "ef")
        await pair.rest()
        let expected: [String: [UInt8]] = ["all": [], "af": [10, 12], "ef": [46]]
        for host in [pair.left, pair.right] {
            let children = host.inbound.values.map { ($0.child, $0.dscp?.values ?? []) }
            #expect(Dictionary(children, uniquingKeysWith: { $1 }) == expected, "\(host.name)")
        }
        #expect(pair.faults.isEmpty)
    }

    private struct Odd: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let initiator: [[UInt8]]
        var responder: [[UInt8]] = []
        var keepsAddresses = true
    }

    private static let oddOffers = [
        Odd(testDescription: "no values", initiator: [[]]),
        Odd(testDescription: "decreasing", initiator: [[12, 10]]),
        Odd(testDescription: "twice the same", initiator: [[10, 10]]),
        Odd(testDescription: "above 63", initiator: [[10, 64]]),
        Odd(testDescription: "two in TSi", initiator: [[10], [12]]),
        Odd(testDescription: "two in TSr", initiator: [], responder: [[10], [12]]),
        Odd(testDescription: "one in each", initiator: [[10]], responder: [[10]]),
        Odd(testDescription: "no addresses", initiator: [[10]], keepsAddresses: false),
        Odd(testDescription: "nothing in common", initiator: [[46]]),
    ]

    @Test("An offer that the draft forbids is answered TS_UNACCEPTABLE, and the IKE SA lives", arguments: oddOffers)
    private func oddOffer(_ odd: Odd) async {
        let pair = await Self.pair(
            seed: 8, left: Self.classes([10, 12], isRequired: true), right: Self.classes([10, 12]),
            tap: Self.rewriting(
                Self.isAuthRequest, keepsAddresses: odd.keepsAddresses, initiator: odd.initiator.map { Self.wire($0) },
                responder: odd.responder.map { Self.wire($0) }))
        Self.expectNoChild(pair)
        #expect(Self.isUnacceptable(pair))
    }

    @Test("A selector together with transport mode is refused")
    func transport() async {
        let pair = await Self.pair(
            seed: 9, left: Self.classes([10], isRequired: true), right: Self.classes([10]),
            tap: Pair.rewriting(Self.isAuthRequest) {
                $0 + [.notify(NotifyPayload(protocolID: .none, spi: [], type: .useTransportMode, data: []))]
            })
        Self.expectNoChild(pair)
        #expect(Self.isUnacceptable(pair))
    }

    @Test("One in TSr alone is answered there; all 64 values are taken; the reserved octet is ignored")
    func allowed() async {
        let inTSr = await Self.pair(
            seed: 10, left: Self.classes([10, 12]), right: Self.classes([10, 12]),
            tap: Self.rewriting(Self.isAuthRequest, initiator: [], responder: [Self.wire([10], second: 9)]))
        #expect(Self.selectors(inTSr, Self.isAuthResponse) == [[[10]]])
        #expect(Self.agreed(inTSr.right) == [[10], [12]])
        let all = await Self.pair(
            seed: 11, left: Self.classes([10, 12]), right: Self.classes([10, 12]),
            tap: Self.rewriting(Self.isAuthRequest, initiator: [Self.wire([UInt8](0..<64))]))
        #expect(Self.agreed(all.right) == [[10, 12]])
    }

    @Test("As earlier revisions have it there is one in each payload, where both are so configured")
    func both() async {
        let pair = await Self.pair(
            seed: 12, left: Self.classes([10, 12], .selectors), right: Self.classes([12], .selectors))
        #expect(Self.selectors(pair, Self.isAuthRequest).first == [[10, 12], [10, 12]])
        #expect(Self.selectors(pair, Self.isAuthResponse).first == [[12], [12]])
        #expect(Self.agreed(pair.left) == [[12]] && Self.agreed(pair.right) == [[12]])
        let different = await Self.pair(
            seed: 13, left: Self.classes([10], .selectors, isRequired: true), right: Self.classes([10], .selectors),
            tap: Self.rewriting(
                Self.isAuthRequest, initiator: [Self.wire([10])], responder: [Self.wire([10, 12])]))
        Self.expectNoChild(different)
    }

    @Test(
        "A peer without it leaves it out: a child without selector, or none where it is required",
        arguments: [false, true])
    func unsupported(isRequired: Bool) async {
        let pair = await Self.pair(seed: 14, left: Self.classes([46], isRequired: isRequired), right: Self.none)
        if isRequired {
            Self.expectNoChild(pair)
        } else {
            #expect(pair.agrees())
            #expect(Self.agreed(pair.left) == [[]])
            #expect(pair.left.status("site")?.children.first?.distinctions == ["sends DSCP 46"])
        }
    }

    @Test(
        "A responder that requires it refuses an offer without; one that does not takes it", arguments: [false, true])
    func notOffered(isRequired: Bool) async {
        let pair = await Self.pair(seed: 15, left: Self.none, right: Self.classes([46], isRequired: isRequired))
        if isRequired {
            Self.expectNoChild(pair)
            #expect(Self.isUnacceptable(pair))
        } else {
            #expect(pair.agrees())
            #expect(Self.agreed(pair.right) == [[]])
        }
    }

    @Test("After TS_UNACCEPTABLE it is tried once without, unless it is required", arguments: [false, true])
    func retry(isRequired: Bool) async {
        let pair = await Self.pair(
            seed: 16, left: Self.classes([10], isRequired: isRequired), right: Self.classes([46]))
        #expect(pair.world.sent.count { $0.isRequest(.createChildSA) } == (isRequired ? 0 : 1))
        if isRequired { return Self.expectNoChild(pair) }
        #expect(pair.agrees())
        #expect(Self.agreed(pair.left) == [[]])
        let refused = await Self.pair(seed: 17, left: Self.classes([10]), right: Self.classes([46], isRequired: true))
        Self.expectNoChild(refused)
        #expect(refused.world.sent.count { $0.isRequest(.createChildSA) } == 1)
    }

    private static let oddAnswers = [
        Odd(testDescription: "one more", initiator: [[10, 12, 46]]),
        Odd(testDescription: "no values", initiator: [[]]),
        Odd(testDescription: "decreasing", initiator: [[12, 10]]),
        Odd(testDescription: "two", initiator: [[10], [12]]),
    ]

    @Test("After an answer that was not offered there is no child, at the peer neither", arguments: oddAnswers)
    private func oddAnswer(_ odd: Odd) async {
        let pair = await Self.pair(
            seed: 18, left: Self.classes([10, 12], isRequired: true), right: Self.classes([10, 12]),
            tap: Self.rewriting(Self.isAuthResponse, initiator: odd.initiator.map { Self.wire($0) }))
        Self.expectNoChild(pair)
        #expect(pair.world.sent.contains { $0.isRequest(.informational) })
    }

    @Test("A selector in the answer to an offer without one ends the child")
    func unasked() async {
        let pair = await Self.pair(
            seed: 19, left: Self.none, right: Self.none,
            tap: Self.rewriting(Self.isAuthResponse, initiator: [Self.wire([10])]))
        Self.expectNoChild(pair)
        #expect(pair.left.refusals.first?.cause == .protocolViolation)
    }

    @Test(
        "A rekey by either side offers what was agreed upon, also after a rekey of the IKE SA",
        arguments: ["left", "right"])
    func rekey(side: String) async {
        let pair = await Self.pair(
            seed: 20, left: Self.classes([10, 12]), right: Self.classes([10, 12, 46]))
        await pair.rekeyIKE(side)
        await pair.rest()
        let old = pair.childSPIs
        await pair.rekeyChild(side)
        await pair.rest()
        #expect(pair.childSPIs != old)
        #expect(pair.agrees())
        #expect(Self.agreed(pair.left) == [[10, 12]] && Self.agreed(pair.right) == [[10, 12]])
        #expect(Self.selectors(pair) { $0.isRequest(.createChildSA) }.contains([[10, 12]]))
        #expect(pair.faults.isEmpty)
    }

    @Test(
        "An odd selector in a rekey is answered TS_UNACCEPTABLE, and the child that was there stays",
        arguments: oddOffers)
    private func oddRekey(_ odd: Odd) async {
        let pair = await Self.pair(
            seed: 28, left: Self.classes([10, 12]), right: Self.classes([10, 12]),
            tap: Self.rewriting(
                { $0.isRequest(.createChildSA) }, keepsAddresses: odd.keepsAddresses,
                initiator: odd.initiator.map { Self.wire($0) }, responder: odd.responder.map { Self.wire($0) }))
        let old = pair.childSPIs
        await pair.rekeyChild("left")
        await pair.world.run(for: .seconds(2))
        let answer = pair.world.sent.last { $0.isResponse(.createChildSA) }
        #expect(answer.flatMap { pair.wiretap.payloads(of: $0.octets) }?.contains(.tsUnacceptable) ?? false)
        #expect(pair.agrees() && pair.childSPIs == old && Self.agreed(pair.left) == [[10, 12]])
        // Once it is as it should be, it is taken.
        pair.world.tap = nil
        await pair.world.run(for: .seconds(60))
        await pair.rekeyChild("left")
        await pair.rest()
        #expect(pair.agrees() && pair.childSPIs != old && Self.agreed(pair.right) == [[10, 12]])
        #expect(pair.faults.isEmpty)
    }

    @Test(
        "After an odd selector in the answer to a rekey the new child is gone, and the old one stays",
        arguments: oddAnswers)
    private func oddRekeyAnswer(_ odd: Odd) async {
        let pair = await Self.pair(
            seed: 29, left: Self.classes([10, 12]), right: Self.classes([10, 12]),
            tap: Self.rewriting({ $0.isResponse(.createChildSA) }, initiator: odd.initiator.map { Self.wire($0) }))
        let old = pair.childSPIs
        await pair.rekeyChild("left")
        await pair.rest()
        #expect(pair.agrees() && pair.childSPIs == old)
        #expect(pair.left.refusals.last?.decidedBy == .us)
        #expect(pair.faults.isEmpty)
    }

    // MARK: The notification

    @Test("Each side says what it sends, which may differ, and nobody is bound")
    func notification() async {
        let pair = await Self.pair(seed: 21, left: Self.classes([46], .notify), right: Self.classes([46, 34], .notify))
        #expect(Self.notifications(pair, Self.isAuthRequest) == [[46]])
        #expect(Self.notifications(pair, Self.isAuthResponse) == [[34, 46]])
        #expect(Self.selectors(pair, Self.isAuthRequest) == [[]])
        #expect(Self.agreed(pair.left) == [[]] && Self.agreed(pair.right) == [[]])
        #expect(pair.left.inbound.values.first?.peerDSCP?.values == [34, 46])
        #expect(pair.right.inbound.values.first?.sentDSCP?.values == [34, 46])
        #expect(
            pair.left.status("site")?.children.first?.distinctions == ["sends DSCP 46", "peer sends DSCP 34, 46"])
    }

    @Test("A peer without it does not answer; who was not told does not answer either")
    func unanswered() async {
        let one = await Self.pair(seed: 22, left: Self.classes([46], .notify), right: Self.none)
        #expect(one.agrees())
        #expect(Self.notifications(one, Self.isAuthResponse).isEmpty)
        let other = await Self.pair(seed: 23, left: Self.none, right: Self.classes([46], .notify))
        #expect(other.agrees())
        #expect(Self.notifications(other, Self.isAuthResponse).isEmpty)
    }

    private static func notifying(_ values: [UInt8]) -> (Pair) -> (IKEDatagram) -> [IKEDatagram] {
        Pair.rewriting(isAuthRequest) { payloads in
            payloads.filter { if case .notify(let notify) = $0 { notify.type.rawValue != 41031 } else { true } }
                + [.notify(NotifyPayload(protocolID: .none, spi: [], type: NotifyType(rawValue: 41031), data: values))]
        }
    }

    @Test(
        "An empty one says that the peer does not sort; one with values above 63 or twice is ignored",
        arguments: [([], []), ([64], nil), ([10, 10], nil), ([12, 10], [10, 12])] as [([UInt8], [UInt8]?)])
    func data(_ values: [UInt8], _ understood: [UInt8]?) async {
        let pair = await Self.pair(
            seed: 24, left: Self.classes([46], .notify), right: Self.classes([46], .notify), tap: Self.notifying(values)
        )
        #expect(pair.agrees())
        #expect(pair.right.inbound.values.first.map { $0.peerDSCP?.values } == understood)
        #expect(Self.notifications(pair, Self.isAuthResponse).isEmpty == (understood == nil))
    }

    @Test("Beside a selector, a notification that differs is ignored")
    func besideSelector() async {
        for (values, understood) in [([46], [46]), ([10], nil)] as [([UInt8], [UInt8]?)] {
            let pair = await Self.pair(
                seed: 25, left: Self.classes([46]), right: Self.classes([46]), tap: Self.notifying(values))
            #expect(Self.agreed(pair.right) == [[46]])
            #expect(pair.right.inbound.values.first.map { $0.peerDSCP?.values } == understood)
        }
    }

    @Test("A rekey by either side tells it again", arguments: ["left", "right"])
    func rekeyTold(side: String) async {
        let pair = await Self.pair(seed: 26, left: Self.classes([46], .notify), right: Self.classes([34], .notify))
        await pair.rekeyChild(side)
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.left.inbound.values.map { $0.peerDSCP?.values } == [[34]])
        #expect(pair.right.inbound.values.map { $0.peerDSCP?.values } == [[46]])
    }

    @Test("Sorted for ourselves, the peer hears of nothing")
    func local() async {
        let pair = await Self.pair(seed: 27, left: Self.classes([46], .local), right: Self.classes([46]))
        #expect(pair.agrees())
        #expect(Self.selectors(pair, Self.isAuthRequest) == [[]])
        #expect(Self.notifications(pair, Self.isAuthRequest).isEmpty)
    }
}
