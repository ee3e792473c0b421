import IKE
import IKEMessage
import IPsecPolicy
import Octets
import Simulation
import Testing

@Suite("Labeled IPsec (RFC 9478)")
struct LabeledIPsecTests {
    private static let red = SecurityLabel(text: "system_u:object_r:red_t:s0")
    private static let blue = SecurityLabel(text: "system_u:object_r:blue_t:s0")
    private static let green = SecurityLabel(text: "system_u:object_r:green_t:s0")

    private static func labels(
        _ labels: SecurityLabel?..., isRequired: Bool = true
    ) -> (inout ConnectionConfiguration) -> Void {
        {
            $0.children[0].securityLabels = labels.compactMap(\.self)
            $0.children[0].requiresSecurityLabel = isRequired
        }
    }

    /// Left calls; all is at rest afterwards.
    private static func pair(
        seed: UInt64, left: @escaping (inout ConnectionConfiguration) -> Void,
        right: @escaping (inout ConnectionConfiguration) -> Void, conditions: NetworkConditions = NetworkConditions(),
        tap: ((Pair) -> (IKEDatagram) -> [IKEDatagram])? = nil
    ) async -> Pair {
        let pair = await Pair(
            seed: seed, start: .none, conditions: conditions, left: left, right: right,
            endpoint: { $0.exportsKeys = true })
        pair.world.tap = tap?(pair)
        await pair.initiate()
        await pair.world.run(for: .seconds(10))
        return pair
    }

    private static func wire(_ octets: [UInt8], second: UInt8 = 0) -> WireTrafficSelector {
        .unknown(RawTrafficSelector(type: .securityLabel, second: second, body: octets))
    }

    private static func labels(_ pair: Pair, _ wanted: (IKEDatagram) -> Bool) -> [[[UInt8]]] {
        guard let datagram = pair.world.sent.first(where: wanted),
            let payloads = pair.wiretap.payloads(of: datagram.octets)
        else { return [] }
        return payloads.compactMap {
            switch $0 {
            case .trafficSelectorsInitiator(let payload), .trafficSelectorsResponder(let payload):
                payload.selectors.compactMap {
                    if case .unknown(let raw) = $0, raw.type == .securityLabel { raw.body } else { nil }
                }
            default: nil
            }
        }
    }

    private static func isAuthRequest(_ datagram: IKEDatagram) -> Bool { datagram.isRequest(.ikeAuth) }
    private static func isAuthResponse(_ datagram: IKEDatagram) -> Bool { datagram.isResponse(.ikeAuth) }

    /// The IKE SA is there, and no child, and nothing else was done wrong.
    private static func expectNoChild(_ pair: Pair, _ location: SourceLocation = #_sourceLocation) {
        for host in [pair.left, pair.right] {
            #expect(host.status("site")?.ikeSAs.count == 1, "\(host.name)", sourceLocation: location)
            #expect(host.status("site")?.children.isEmpty == true, "\(host.name)", sourceLocation: location)
            #expect(host.inbound.isEmpty && host.outbound.isEmpty, "\(host.name)", sourceLocation: location)
        }
        #expect(pair.faults.isEmpty, sourceLocation: location)
    }

    private static func answersUnacceptable(_ pair: Pair, _ wanted: (IKEDatagram) -> Bool) -> Bool {
        pair.world.sent.filter(wanted).contains {
            pair.wiretap.payloads(of: $0.octets)?.contains(NotifyType.tsUnacceptable) ?? false
        }
    }

    // MARK: The label

    @Test("A text is a label with the zero octet that ends it, and octets are one as they are")
    func text() {
        #expect(SecurityLabel(text: "s0")?.octets == [0x73, 0x30, 0])
        #expect(SecurityLabel(octets: [0x73, 0x30])?.octets == [0x73, 0x30])
        #expect(SecurityLabel(text: "s0") != SecurityLabel(octets: [0x73, 0x30]))
    }

    @Test("A label has 1 to 1024 octets, not just a zero, and a text none inside")
    func lengths() {
        #expect(SecurityLabel(octets: []) == nil)
        #expect(SecurityLabel(octets: [0]) == nil)
        #expect(SecurityLabel(octets: [1]) != nil)
        #expect(SecurityLabel(octets: [UInt8](repeating: 7, count: 1024)) != nil)
        #expect(SecurityLabel(octets: [UInt8](repeating: 7, count: 1025)) == nil)
        #expect(SecurityLabel(text: "") == nil)
        #expect(SecurityLabel(text: "a\0b") == nil)
        #expect(SecurityLabel(text: String(repeating: "a", count: 1023)) != nil)
        #expect(SecurityLabel(text: String(repeating: "a", count: 1024)) == nil)
    }

    @Test("A label is shown as text without what could disturb a terminal, otherwise as digits")
    func description() {
        #expect(SecurityLabel(text: "a\u{1b}[1m\n")?.description == "a\\u{1b}[1m\\u{a}")
        #expect(SecurityLabel(octets: [0x73, 0x30])?.description == "0x7330")
        #expect(SecurityLabel(octets: [0x73, 0, 0x30, 0])?.description == "0x73003000")
        #expect(SecurityLabel(octets: [0xff, 0])?.description == "0xff00")
    }

    // MARK: Negotiation

    @Test("Both sides have the label: it is offered and answered in TSi and TSr, and the child has it at either end")
    func agreed() async throws {
        let pair = await Self.pair(seed: 1, left: Self.labels(Self.red), right: Self.labels(Self.red))
        #expect(pair.agrees())
        let octets = try #require(Self.red).octets
        #expect(Self.labels(pair, Self.isAuthRequest) == [[octets], [octets]])
        #expect(Self.labels(pair, Self.isAuthResponse) == [[octets], [octets]])
        #expect(pair.left.inbound.values.map(\.securityLabel) == [Self.red])
        #expect(pair.right.inbound.values.map(\.securityLabel) == [Self.red])
        #expect(pair.left.status("site")?.children.first?.securityLabel == Self.red)
        #expect(pair.faults.isEmpty)
    }

    @Test("A label behind the addresses reads TS Type 10, reserved 0, length, octets")
    func layout() async throws {
        let pair = await Self.pair(seed: 2, left: Self.labels(SecurityLabel(text: "s0")), right: Self.labels())
        let datagram = try #require(pair.world.sent.first(where: Self.isAuthRequest))
        let payloads = try #require(pair.wiretap.payloads(of: datagram.octets))
        let selectors = payloads.filter { (payload: Payload) in payload.type == .trafficSelectorInitiator }
        let octets = Payload.serializeChain(selectors).octets.hexadecimal
        #expect(octets == "0000001f020000000700001000" + "00ffff0a0100000a01ffff" + "0a000007733000")
    }

    @Test("All labels are offered, and the responder takes the initiator's best one that it has too")
    func chosen() async throws {
        let pair = await Self.pair(
            seed: 3, left: Self.labels(Self.red, Self.blue, Self.green), right: Self.labels(Self.green, Self.blue))
        #expect(pair.agrees())
        let all = try [Self.red, Self.blue, Self.green].map { try #require($0).octets }
        #expect(Self.labels(pair, Self.isAuthRequest) == [all, all])
        #expect(Self.labels(pair, Self.isAuthResponse) == [[all[1]], [all[1]]])
        #expect(pair.left.inbound.values.first?.securityLabel == Self.blue)
        #expect(pair.right.inbound.values.first?.securityLabel == Self.blue)
    }

    @Test(
        "Another label, one that only one side has, or none where one is required: TS_UNACCEPTABLE, and the IKE SA stays",
        arguments: ["other", "unasked", "missing"])
    func refused(what: String) async {
        let pair = await Self.pair(
            seed: 4, left: what == "missing" ? Self.labels() : Self.labels(Self.red),
            right: what == "unasked" ? Self.labels() : Self.labels(Self.blue))
        Self.expectNoChild(pair)
        #expect(Self.answersUnacceptable(pair, Self.isAuthResponse))
        #expect(pair.right.refusals.first?.reason.contains("label") == true)
        #expect(pair.right.refusals.first?.origins.isEmpty == false)
        #expect(pair.left.refusals.first?.cause == .unacceptableSelectors)
    }

    @Test("Labels that differ by nothing but the zero octet at the end are two, and the refusal says so")
    func unended() async throws {
        let pair = await Self.pair(
            seed: 5, left: Self.labels(SecurityLabel(octets: [0x73, 0x30])),
            right: Self.labels(SecurityLabel(text: "s0")))
        Self.expectNoChild(pair)
        #expect(pair.right.refusals.first?.reason.contains("lacks the zero octet") == true)
    }

    @Test("An initiator that does not insist asks with the label first, then without")
    func optionalAtInitiator() async throws {
        let pair = await Self.pair(seed: 6, left: Self.labels(Self.red, isRequired: false), right: Self.labels())
        #expect(pair.agrees())
        #expect(pair.left.inbound.values.map(\.securityLabel) == [nil])
        #expect(
            Self.labels(pair, Self.isAuthRequest) == [[try #require(Self.red).octets], [try #require(Self.red).octets]])
        #expect(Self.labels(pair) { $0.isRequest(.createChildSA) } == [[], []])
        #expect(pair.faults.isEmpty)
    }

    @Test("The same holds for a child that is asked for later, and it asks twice only")
    func optionalLater() async {
        let pair = await Self.pair(
            seed: 7, left: { Self.labels(Self.red, isRequired: false)(&$0) },
            right: {
                Self.labels(Self.blue)(&$0)
            })
        Self.expectNoChild(pair)
        let before = pair.world.sent.count { $0.isRequest(.createChildSA) }
        await pair.initiate(child: "net")
        await pair.world.run(for: .seconds(10))
        Self.expectNoChild(pair)
        #expect(pair.world.sent.count { $0.isRequest(.createChildSA) } == before + 2)
    }

    @Test("A responder that does not insist takes no label, its own, but no other")
    func optionalAtResponder() async {
        let without = await Self.pair(seed: 8, left: Self.labels(), right: Self.labels(Self.red, isRequired: false))
        #expect(without.agrees())
        #expect(without.right.inbound.values.map(\.securityLabel) == [nil])
        let own = await Self.pair(seed: 9, left: Self.labels(Self.red), right: Self.labels(Self.red, isRequired: false))
        #expect(own.right.inbound.values.map(\.securityLabel) == [Self.red])
        let other = await Self.pair(
            seed: 10, left: Self.labels(Self.blue), right: Self.labels(Self.red, isRequired: false))
        Self.expectNoChild(other)
    }

    @Test("Addresses are narrowed beside a label, which is not")
    func narrowed() async {
        let pair = await Self.pair(
            seed: 11,
            left: {
                Self.labels(Self.red)(&$0)
                $0.children[0].localSelectors = Pair.selector("0.0.0.0/0")
                $0.children[0].remoteSelectors = Pair.selector("0.0.0.0/0")
            }, right: Self.labels(Self.red))
        #expect(pair.left.inbound.values.first?.remoteSelectors == Pair.selector("10.2.0.0/16"))
        #expect(pair.left.inbound.values.first?.securityLabel == Self.red)
        #expect(pair.right.inbound.values.first?.securityLabel == Self.red)
    }

    @Test("With more selectors of addresses than a payload takes, the label is still offered")
    func full() async throws {
        let pair = await Self.pair(
            seed: 12,
            left: {
                Self.labels(Self.red)(&$0)
                $0.children[0].localSelectors = (0..<300).flatMap {
                    Pair.selector("10.1.\($0 / 128).\($0 % 128 * 2)/32")
                }
            }, right: Self.labels(Self.red))
        #expect(pair.right.inbound.values.first?.securityLabel == Self.red)
        #expect(pair.right.inbound.values.first?.remoteSelectors.count == 254)
    }

    /// Children of the same addresses.
    private static func two(_ first: SecurityLabel?, _ second: SecurityLabel?) -> (inout ConnectionConfiguration) ->
        Void
    {
        {
            $0.children.append($0.children[0])
            $0.children[1].name = "other"
            $0.children[1].policyID = 2
            $0.children[0].securityLabels = [first].compactMap(\.self)
            $0.children[1].securityLabels = [second].compactMap(\.self)
        }
    }

    @Test("Children of the same addresses are told apart by their labels, in whatever order they are configured")
    func toldApart() async {
        let pair = await Self.pair(seed: 13, left: Self.two(Self.red, Self.blue), right: Self.two(Self.blue, Self.red))
        await pair.initiate(child: "other")
        await pair.rest()
        func children(_ host: Host) -> [String: SecurityLabel?] {
            Dictionary(
                (host.status("site")?.children ?? []).map { ($0.name, $0.securityLabel) }, uniquingKeysWith: { $1 })
        }
        #expect(children(pair.left) == ["net": Self.red, "other": Self.blue])
        #expect(children(pair.right) == ["net": Self.blue, "other": Self.red])
        #expect(pair.left.inbound.count == 2 && pair.right.inbound.count == 2)
        #expect(pair.faults.isEmpty)
    }

    @Test("A second child of one policy with another label is refused, as its packets could not be told apart")
    func second() async {
        let pair = await Self.pair(
            seed: 14, left: Self.two(Self.red, Self.blue), right: Self.labels(Self.red, Self.blue))
        await pair.initiate(child: "other")
        await pair.rest()
        #expect(pair.right.inbound.values.map(\.securityLabel) == [Self.red])
        #expect(Self.answersUnacceptable(pair) { $0.isResponse(.createChildSA) })
        #expect(pair.right.refusals.last?.reason.contains("there already") == true)
    }

    // MARK: Life

    @Test(
        "A rekey by either side keeps the label and offers no other, also after a rekey of the IKE SA",
        arguments: ["left", "right"])
    func rekey(side: String) async throws {
        let pair = await Self.pair(
            seed: 15, left: Self.labels(Self.red, Self.blue), right: Self.labels(Self.blue, Self.green))
        await pair.rekeyIKE(side)
        await pair.rest()
        let old = pair.childSPIs
        await pair.rekeyChild(side)
        await pair.rest()
        #expect(pair.childSPIs != old)
        #expect(pair.agrees())
        #expect(pair.left.inbound.values.map(\.securityLabel) == [Self.blue])
        #expect(pair.right.inbound.values.map(\.securityLabel) == [Self.blue])
        let blue = try #require(Self.blue).octets
        let offered = pair.world.sent.filter { $0.isRequest(.createChildSA) }.compactMap { datagram in
            pair.wiretap.payloads(of: datagram.octets)?.contains(.rekeySA) == true
                ? Self.labels(pair) { $0 == datagram } : nil
        }
        #expect(offered.first == [[blue], [blue]])
        #expect(pair.faults.isEmpty)
    }

    @Test("A child that was agreed without its optional label is rekeyed without", arguments: ["left", "right"])
    func rekeyWithout(side: String) async {
        let pair = await Self.pair(
            seed: 16, left: Self.labels(Self.red, isRequired: false), right: Self.labels())
        let old = pair.childSPIs
        await pair.rekeyChild(side)
        await pair.rest()
        #expect(pair.childSPIs != old)
        #expect(pair.agrees())
        #expect(pair.left.inbound.values.map(\.securityLabel) == [nil])
    }

    @Test(
        "A rekey that asks for another label, or for none, is refused, and the old child stays",
        arguments: [true, false])
    func rekeyOther(isOther: Bool) async throws {
        let blue = try #require(Self.blue).octets
        let pair = await Self.pair(
            seed: 17, left: Self.labels(Self.red), right: Self.labels(Self.red, Self.blue),
            tap: Pair.rewritingSelectors(
                { $0.isRequest(.createChildSA) }, initiator: isOther ? [Self.wire(blue)] : [],
                responder: isOther ? [Self.wire(blue)] : []))
        let old = pair.childSPIs
        await pair.rekeyChild("left")
        await pair.rest()
        #expect(pair.childSPIs == old)
        #expect(Self.answersUnacceptable(pair) { $0.isResponse(.createChildSA) })
        #expect(pair.agrees())
    }

    @Test("Both sides rekey at once, and one child with the label stays")
    func simultaneous() async {
        let pair = await Self.pair(seed: 18, left: Self.labels(Self.red), right: Self.labels(Self.red))
        await pair.rekeyChild("left")
        await pair.rekeyChild("right")
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.left.inbound.values.map(\.securityLabel) == [Self.red])
        #expect(pair.faults.isEmpty)
    }

    @Test("A new authentication negotiates the label anew")
    func reauthentication() async {
        let pair = await Self.pair(seed: 19, left: Self.labels(Self.red), right: Self.labels(Self.red))
        let old = pair.ikeSPI
        await pair.world.act("left") { endpoint, now in endpoint.reauthenticate("site", at: now) }
        await pair.rest()
        #expect(pair.ikeSPI != old)
        #expect(pair.left.inbound.values.map(\.securityLabel) == [Self.red])
        #expect(pair.right.inbound.values.map(\.securityLabel) == [Self.red])
    }

    @Test("A label is agreed upon over a network that loses and repeats messages", arguments: UInt64(20)..<30)
    func loss(seed: UInt64) async {
        var conditions = NetworkConditions()
        conditions.loss = 0.2
        conditions.duplication = 0.2
        let pair = await Self.pair(
            seed: seed, left: Self.labels(Self.red, Self.blue), right: Self.labels(Self.blue), conditions: conditions)
        await pair.world.run(for: .seconds(60))
        #expect(pair.left.inbound.values.allSatisfy { $0.securityLabel == Self.blue })
        #expect(pair.right.inbound.values.map(\.securityLabel).contains(Self.blue))
        #expect(pair.faults.isEmpty)
    }

    // MARK: Odd peers

    private struct OddOffer: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let initiator: [[UInt8]]
        let responder: [[UInt8]]
        var keepsAddresses = true
        var label: [UInt8]?
    }

    private static let s0: [UInt8] = [0x73, 0x30, 0]

    private static let oddOffers = [
        OddOffer(testDescription: "labels alone", initiator: [s0], responder: [s0], keepsAddresses: false),
        OddOffer(testDescription: "no octets", initiator: [[]], responder: [[]]),
        OddOffer(testDescription: "a zero octet alone", initiator: [[0]], responder: [[0]]),
        OddOffer(testDescription: "none in TSr", initiator: [s0], responder: []),
        OddOffer(testDescription: "none in TSi", initiator: [], responder: [s0]),
        OddOffer(testDescription: "different ones", initiator: [s0], responder: [[0x73, 0x31, 0]]),
        OddOffer(testDescription: "without its zero octet", initiator: [[0x73, 0x30]], responder: [[0x73, 0x30]]),
        OddOffer(
            testDescription: "20 000 octets", initiator: [[UInt8](repeating: 1, count: 20_000)],
            responder: [[UInt8](repeating: 1, count: 20_000)]),
        OddOffer(testDescription: "an empty one beside it", initiator: [[], s0], responder: [s0, []], label: s0),
        OddOffer(testDescription: "twice", initiator: [s0, s0], responder: [s0], label: s0),
        OddOffer(
            testDescription: "others first", initiator: [[1], [2], s0], responder: [[2], s0, [3]], label: s0),
    ]

    @Test(
        "An odd offer is answered TS_UNACCEPTABLE, or with the label where there is one, and the IKE SA lives",
        arguments: oddOffers)
    private func oddOffer(_ offer: OddOffer) async {
        let pair = await Self.pair(
            seed: 31, left: Self.labels(SecurityLabel(text: "s0")), right: Self.labels(SecurityLabel(text: "s0")),
            tap: Pair.rewritingSelectors(
                Self.isAuthRequest, keepsAddresses: offer.keepsAddresses,
                initiator: offer.initiator.map { Self.wire($0) }, responder: offer.responder.map { Self.wire($0) }))
        guard let label = offer.label else {
            Self.expectNoChild(pair)
            #expect(Self.answersUnacceptable(pair, Self.isAuthResponse))
            return
        }
        #expect(pair.right.inbound.values.map { $0.securityLabel?.octets } == [label])
    }

    @Test("A label of no octets is no wildcard, nor is it nothing: a child without label refuses it")
    func emptyForUnlabeled() async {
        let pair = await Self.pair(
            seed: 32, left: Self.labels(), right: Self.labels(),
            tap: Pair.rewritingSelectors(Self.isAuthRequest, initiator: [Self.wire([])], responder: [Self.wire([])]))
        Self.expectNoChild(pair)
    }

    @Test("The reserved octet is ignored")
    func reserved() async {
        let pair = await Self.pair(
            seed: 33, left: Self.labels(SecurityLabel(text: "s0")), right: Self.labels(SecurityLabel(text: "s0")),
            tap: Pair.rewritingSelectors(
                Self.isAuthRequest, initiator: [Self.wire(Self.s0, second: 7)],
                responder: [Self.wire(Self.s0, second: 1)]))
        #expect(pair.right.inbound.values.map { $0.securityLabel?.octets } == [Self.s0])
    }

    private static let oddAnswers = [
        OddOffer(testDescription: "none", initiator: [], responder: []),
        OddOffer(testDescription: "none in TSi", initiator: [], responder: [s0]),
        OddOffer(testDescription: "one not offered", initiator: [[1]], responder: [[1]]),
        OddOffer(testDescription: "two that were offered", initiator: [s0, [2]], responder: [s0, [2]]),
        OddOffer(testDescription: "different ones", initiator: [s0], responder: [[2]]),
        OddOffer(testDescription: "no octets", initiator: [[]], responder: [[]]),
    ]

    @Test("After an odd answer the child is deleted at the peer as well, and the IKE SA lives", arguments: oddAnswers)
    private func oddAnswer(_ answer: OddOffer) async {
        let configured = Self.labels(SecurityLabel(text: "s0"), SecurityLabel(octets: [2]))
        let pair = await Self.pair(
            seed: 34, left: configured, right: configured,
            tap: Pair.rewritingSelectors(
                Self.isAuthResponse, initiator: answer.initiator.map { Self.wire($0) },
                responder: answer.responder.map { Self.wire($0) }))
        Self.expectNoChild(pair)
        #expect(pair.left.refusals.first?.decidedBy == .us)
        #expect(pair.left.refusals.first?.reason.contains("label") == true)
    }

    @Test("A label in the answer to an offer without one ends the child")
    func unaskedAnswer() async {
        let pair = await Self.pair(
            seed: 35, left: Self.labels(), right: Self.labels(),
            tap: Pair.rewritingSelectors(
                Self.isAuthResponse, initiator: [Self.wire(Self.s0)], responder: [Self.wire(Self.s0)]))
        Self.expectNoChild(pair)
        #expect(pair.left.refusals.first?.cause == .protocolViolation)
    }

    @Test("Where the label is optional, an answer without it makes a child without")
    func answerWithout() async {
        let pair = await Self.pair(
            seed: 36, left: Self.labels(Self.red, isRequired: false), right: Self.labels(Self.red),
            tap: Pair.rewritingSelectors(Self.isAuthResponse, initiator: [], responder: []))
        #expect(pair.left.inbound.values.map(\.securityLabel) == [nil])
    }
}
