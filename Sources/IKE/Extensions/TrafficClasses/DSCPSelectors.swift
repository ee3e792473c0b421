// draft-mglt-ipsecme-ts-dscp-03: DSCP as a traffic selector. Code point: traffic selector type TS_DSCP, which IANA has not
// assigned: 241, from the range for private use, where nothing else is configured (`code-points: ts-dscp`).
//
// The draft calls the octets opaque; here each is a DSCP, 0 to 63. That the list goes into TSi, and that one in each of TSi and TSr
// is taken where `dscp-form: selectors` says so, is decided here: revisions differ. A class for which a packet asks first
// (PFP) has no SA of its own: there are as many as are configured.
import IKEMessage
import IPsecPolicy
import Octets

/// Child SAs that are for some classes of packets: both sides send no others, and take no others.
enum DSCPSelectors: IKEExtension {
    /// What is left of an offer of ours is to be asked for next, once for each child (section 4).
    struct State {
        fileprivate var rest: ChildConfiguration?
    }

    private static func selector(_ classes: DSCPSet, _ sa: IKESA) -> WireTrafficSelector {
        .unknown(RawTrafficSelector(type: type(sa), body: classes.values))
    }

    private static func type(_ sa: IKESA) -> TrafficSelectorType {
        TrafficSelectorType(rawValue: UInt8(truncatingIfNeeded: sa.context.configuration.codePoints[.tsDSCP]))
    }

    static func selectors(offering child: ChildConfiguration, of sa: IKESA) -> OtherSelectors {
        guard let classes = child.classes, classes.form.isSelector else { return OtherSelectors() }
        sa.tell(.offered, "child \(child.name): DSCP \(classes.values)", origin: child.origin(of: "dscp"))
        let wire = [selector(classes.values, sa)]
        return OtherSelectors(initiator: wire, responder: classes.form == .selectors ? wire : [])
    }

    static func selectors(accepting child: SelectedChild, of sa: IKESA) -> OtherSelectors {
        guard let classes = child.terms.classes else { return OtherSelectors() }
        let wire = [selector(classes, sa)]
        return OtherSelectors(
            initiator: child.terms.classesAreInTSi ? wire : [], responder: child.terms.classesAreInTSr ? wire : [])
    }

    static func admit(_ offer: [Payload], to child: ChildConfiguration, of sa: IKESA) throws(Refusal) {
        _ = try choose(from: offer, for: child, sa)
    }

    /// A child that is for just what is offered is what the peer means; one that is for all comes before one for some where
    /// nothing is offered.
    static func rank(_ child: ChildConfiguration, for offer: [Payload], of sa: IKESA) -> Int {
        let offered = lists(in: offer, sa).first ?? DSCPNotification.values(in: offer, sa)
        guard let offered, let set = DSCPSet(offered), !set.isEmpty else { return child.classes == nil ? 1 : 0 }
        guard let classes = child.classes else { return 1 }
        return classes.values == set ? 3 : classes.values.intersection(set).isEmpty ? 0 : 2
    }

    static func settle(
        _ terms: inout ChildTerms, of child: ChildConfiguration, by payloads: [Payload], isOffer: Bool, of sa: IKESA
    ) throws(Refusal) {
        guard child.classes != nil || !isOffer else { return }
        // What came to nothing is not gone on with.
        if !isOffer { sa.slots[Self.self] = nil }
        let agreed = try isOffer ? choose(from: payloads, for: child, sa) : answered(in: payloads, for: child, sa)
        let origin = child.origin(of: "dscp")
        terms.classes = agreed?.classes
        terms.classesAreInTSi = agreed?.isInTSi ?? false
        terms.classesAreInTSr = agreed?.isInTSr ?? false
        guard let classes = child.classes, classes.form.isSelector else { return }
        guard let agreed else {
            sa.tell(
                .chosen,
                "child \(child.name): DSCP is no selector, as the peer has none; packets are sorted as they are sent",
                origin: origin)
            return
        }
        sa.tell(.chosen, "child \(child.name): DSCP \(agreed.classes)", origin: origin)
        let rest = classes.values.subtracting(agreed.classes)
        guard !isOffer, !rest.isEmpty else { return }
        var other = child
        other.classes?.values = rest
        // Without a selector it would be in the way of what has been agreed upon.
        other.classes?.isRequired = true
        sa.slots[Self.self] = State(rest: other)
    }

    static func added(_ child: ChildSA, to sa: IKESA) {
        guard let rest = sa.slots[Self.self]?.rest, rest.name == child.configuration.name else { return }
        sa.slots[Self.self] = nil
        _ = sa.withEstablished { $0.tasks.append(.createChild(rest)) }
    }

    /// A rekey asks for the classes agreed upon; where there are none, for none.
    static func keep(_ terms: ChildTerms, in child: inout ChildConfiguration) {
        guard let classes = child.classes, classes.form.isSelector else { return }
        if let agreed = terms.classes {
            child.classes?.values = agreed
            child.classes?.isRequired = true
        } else {
            child.classes?.form = .local
        }
    }

    static func alternative(to child: ChildConfiguration) -> ChildConfiguration? {
        guard let classes = child.classes, classes.form.isSelector, !classes.isRequired else { return nil }
        var other = child
        other.classes?.form = .local
        return other
    }

    // MARK: Choosing

    private struct Agreed {
        let classes: DSCPSet
        let isInTSi: Bool
        let isInTSr: Bool
    }

    /// As a responder: the classes of the offer that a child is for; `nil` where DSCP is no selector of it.
    private static func choose(
        from offer: [Payload], for child: ChildConfiguration, _ sa: IKESA
    ) throws(Refusal) -> Agreed? {
        // Without classes of its own a child takes all: the selector is left out of the answer.
        guard let classes = child.classes, classes.form.isSelector else { return nil }
        func refusal(_ reason: String) -> Refusal {
            Refusal(.unacceptableSelectors, reason, at: [child.origin(of: "dscp")], notify: .tsUnacceptable)
        }
        switch read(offer, mayBeInBoth: classes.form == .selectors, sa) {
        case .none:
            guard classes.isRequired else { return nil }
            throw refusal(
                "the peer offers no DSCP for child \(child.name), which is for DSCP \(classes.values) here; configure it there, or dscp-required: no here"
            )
        case .bad(let why): throw refusal("the peer offers DSCP for child \(child.name) by \(why)")
        case .empty: throw refusal("the peer offers no DSCP at all for child \(child.name): no packet would be for it")
        case .good(let offered):
            guard offer.notification(.useTransportMode) == nil else {
                throw refusal("the peer offers DSCP for child \(child.name) together with transport mode")
            }
            let common = offered.classes.intersection(classes.values)
            guard !common.isEmpty else {
                throw refusal(
                    "the peer offers DSCP \(offered.classes) for child \(child.name), which is for DSCP \(classes.values) here"
                )
            }
            return Agreed(classes: common, isInTSi: offered.isInTSi, isInTSr: offered.isInTSr)
        }
    }

    /// As an initiator: the classes of the answer.
    private static func answered(
        in answer: [Payload], for child: ChildConfiguration, _ sa: IKESA
    ) throws(Refusal) -> Agreed? {
        let origins = [child.origin(of: "dscp")]
        let classes = child.classes.flatMap { $0.form.isSelector ? $0 : nil }
        switch read(answer, mayBeInBoth: classes?.form == .selectors, sa) {
        case .none:
            guard let classes, classes.isRequired else { return nil }
            throw Refusal(
                .unacceptableSelectors,
                "the peer answered without DSCP for child \(child.name), which must be for DSCP \(classes.values) alone",
                at: origins)
        case .bad(let why):
            throw Refusal(.protocolViolation, "the peer answered DSCP for child \(child.name) by \(why)", at: origins)
        case .empty:
            // The first revision refused so, with the child set up nevertheless.
            throw Refusal(
                .unacceptableSelectors,
                "the peer wants none of the DSCP offered for child \(child.name)", at: origins)
        case .good(let agreed):
            guard let classes, agreed.classes.isSubset(of: classes.values) else {
                throw Refusal(
                    .protocolViolation,
                    "the peer answered DSCP \(agreed.classes) for child \(child.name), where \(classes.map { "\($0.values)" } ?? "none") was offered",
                    at: origins)
            }
            return agreed
        }
    }

    private enum Reading {
        case none, empty
        /// Why it is not what the draft allows.
        case bad(String)
        case good(Agreed)
    }

    private static func read(_ payloads: [Payload], mayBeInBoth: Bool, _ sa: IKESA) -> Reading {
        let (ofInitiator, ofResponder) = (
            lists(in: payloads, ofInitiator: true, sa), lists(in: payloads, ofInitiator: false, sa)
        )
        guard let list = ofInitiator.first ?? ofResponder.first else { return .none }
        guard ofInitiator.count <= 1, ofResponder.count <= 1 else { return .bad("two selectors in one payload") }
        if let other = ofInitiator.isEmpty ? nil : ofResponder.first {
            guard mayBeInBoth else { return .bad("one selector in TSi and one in TSr") }
            guard other == list else { return .bad("different selectors in TSi and TSr") }
        }
        guard !list.isEmpty else { return .empty }
        guard let classes = DSCPSet(list) else { return .bad("a value above 63") }
        guard zip(list, list.dropFirst()).allSatisfy({ $0 < $1 }) else { return .bad("values that do not increase") }
        return .good(Agreed(classes: classes, isInTSi: !ofInitiator.isEmpty, isInTSr: !ofResponder.isEmpty))
    }

    private static func lists(in payloads: [Payload], ofInitiator: Bool, _ sa: IKESA) -> [[UInt8]] {
        let wanted = type(sa)
        return payloads.trafficSelectors(ofInitiator: ofInitiator)?.selectors.compactMap { selector in
            if case .unknown(let raw) = selector, raw.type == wanted { raw.body } else { nil }
        } ?? []
    }

    private static func lists(in payloads: [Payload], _ sa: IKESA) -> [[UInt8]] {
        lists(in: payloads, ofInitiator: true, sa) + lists(in: payloads, ofInitiator: false, sa)
    }
}
