// RFC 9478: labeled IPsec. Code point: traffic selector type TS_SECLABEL 10 (IKEMessage).
//
// What the document leaves open is decided here: TSi and TSr have the same label, as every system that uses labels wants it;
// a child's policy has one label at a time.
import IKEMessage
import IPsecPolicy
import Octets

/// Child SAs that are for traffic with one security label.
///
/// A label is compared, never interpreted. Which packets have it is for the data plane to know: the selectors of addresses
/// that go with it, and nothing else (`docs/security.md`).
enum LabeledIPsec: IKEExtension {
    /// All acceptable labels, the best first, on either side (section 3).
    static func selectors(offering child: ChildConfiguration, of sa: IKESA) -> OtherSelectors {
        guard !child.securityLabels.isEmpty else { return OtherSelectors() }
        sa.tell(
            .offered, "child \(child.name): label \(child.securityLabels.alternatives)",
            origin: child.origin(of: "label"))
        let wire = child.securityLabels.map(\.wire)
        return OtherSelectors(initiator: wire, responder: wire)
    }

    static func selectors(accepting child: SelectedChild, of sa: IKESA) -> OtherSelectors {
        guard let label = child.terms.securityLabel else { return OtherSelectors() }
        return OtherSelectors(initiator: [label.wire], responder: [label.wire])
    }

    static func admit(_ offer: [Payload], to child: ChildConfiguration, of sa: IKESA) throws(Refusal) {
        _ = try choose(from: offer, for: child)
    }

    static func settle(
        _ terms: inout ChildTerms, of child: ChildConfiguration, by payloads: [Payload], isOffer: Bool, of sa: IKESA
    ) throws(Refusal) {
        let label = try isOffer ? choose(from: payloads, for: child) : answered(in: payloads, for: child)
        if let other = otherLabel(than: label, child, sa) {
            throw Refusal(
                .unacceptableSelectors,
                "child \(child.name) is there already, \(other.map { "with label \($0)" } ?? "without a label"), and its packets could not be told from those of another \(label.map { "with label \($0)" } ?? "without one")",
                at: [child.origin(of: "label")], notify: .tsUnacceptable)
        }
        terms.securityLabel = label
        if let label {
            sa.tell(.chosen, "child \(child.name): label \(label)", origin: child.origin(of: "label"))
        } else if !child.securityLabels.isEmpty {
            sa.tell(
                .chosen, "child \(child.name): no label, as the peer has none",
                origin: child.origin(of: "label-required"))
        }
    }

    /// A rekey keeps the label, or that there is none.
    static func keep(_ terms: ChildTerms, in child: inout ChildConfiguration) {
        child.securityLabels = terms.securityLabel.map { [$0] } ?? []
        child.requiresSecurityLabel = true
    }

    /// A label that is not required is tried first, and left out when the peer has refused it (section 3).
    static func alternative(to child: ChildConfiguration) -> ChildConfiguration? {
        guard !child.securityLabels.isEmpty, !child.requiresSecurityLabel else { return nil }
        var other = child
        other.securityLabels = []
        return other
    }

    // MARK: Choosing

    /// As many labels of an offer are looked at.
    private static let labelLimit = 32

    /// The label of the peer's offer that a child is to have: its best one that is configured here; `nil` for none.
    private static func choose(
        from offer: [Payload], for child: ChildConfiguration
    ) throws(Refusal) -> SecurityLabel? {
        let (ofInitiator, ofResponder) = (labels(in: offer, ofInitiator: true), labels(in: offer, ofInitiator: false))
        let origins = [child.origin(of: "label")]
        guard ofInitiator.isPresent || ofResponder.isPresent else {
            guard child.securityLabels.isEmpty || !child.requiresSecurityLabel else {
                throw Refusal(
                    .unacceptableSelectors,
                    "the peer offers no label for child \(child.name), which has label \(child.securityLabels.alternatives) here; configure it there, or label-required: no here",
                    at: origins, notify: .tsUnacceptable)
            }
            return nil
        }
        // The peer may have proved nothing yet.
        let common = ofInitiator.labels.prefix(labelLimit).filter(ofResponder.labels.prefix(labelLimit).contains)
        if let label = common.first(where: child.securityLabels.contains) { return label }
        let offered = common.isEmpty ? "labels that are not the same in TSi and TSr" : "label \(common.alternatives)"
        guard !child.securityLabels.isEmpty else {
            throw Refusal(
                .unacceptableSelectors,
                "the peer offers \(offered) for child \(child.name), which has none here; configure label here, or leave it out there",
                at: [child.origin], notify: .tsUnacceptable)
        }
        let unended = common.contains { label in
            child.securityLabels.contains { $0.octets.dropLast(1) == label.octets[...] && $0.octets.last == 0 }
        }
        throw Refusal(
            .unacceptableSelectors,
            "the peer offers \(offered) for child \(child.name), which has label \(child.securityLabels.alternatives) here"
                + (unended
                    ? "; what it offers lacks the zero octet at the end, without which it can be configured as 0x…"
                    : ""),
            at: origins, notify: .tsUnacceptable)
    }

    /// The label in the peer's answer; `nil` for none.
    private static func answered(
        in answer: [Payload], for child: ChildConfiguration
    ) throws(Refusal) -> SecurityLabel? {
        let (ofInitiator, ofResponder) = (labels(in: answer, ofInitiator: true), labels(in: answer, ofInitiator: false))
        let origins = [child.origin(of: "label")]
        guard ofInitiator.isPresent || ofResponder.isPresent else {
            guard child.securityLabels.isEmpty || !child.requiresSecurityLabel else {
                throw Refusal(
                    .unacceptableSelectors,
                    "the peer answered without a label for child \(child.name), which must have label \(child.securityLabels.alternatives)",
                    at: origins)
            }
            return nil
        }
        guard ofInitiator.labels.count == 1, ofInitiator.labels == ofResponder.labels,
            let label = ofInitiator.labels.first,
            child.securityLabels.contains(label)
        else {
            let answered = (ofInitiator.labels + ofResponder.labels).alternatives
            throw Refusal(
                .protocolViolation,
                "the peer answered label \(answered.isEmpty ? "of no octets" : answered) for child \(child.name), where one of those offered is due, the same in TSi and TSr; offered was \(child.securityLabels.isEmpty ? "none" : child.securityLabels.alternatives)",
                at: origins)
        }
        return label
    }

    /// The labels of TSi or TSr; those of no octets are ignored, but not the fact that they are there (section 2.2).
    private static func labels(
        in payloads: [Payload], ofInitiator: Bool
    ) -> (labels: [SecurityLabel], isPresent: Bool) {
        let bodies = payloads.trafficSelectors(ofInitiator: ofInitiator)?.selectors.compactMap { selector -> [UInt8]? in
            guard case .unknown(let raw) = selector, raw.type == .securityLabel else { return nil }
            return raw.body
        }
        return (bodies?.compactMap { SecurityLabel(octets: $0) } ?? [], bodies?.isEmpty == false)
    }

    /// Another label that a child of the same policy has with this peer, while it is there to stay. The outer `nil`: no such child.
    private static func otherLabel(
        than label: SecurityLabel?, _ child: ChildConfiguration, _ sa: IKESA
    ) -> SecurityLabel?? {
        let others = sa.established?.children.filter {
            $0.configuration.policyID == child.policyID && $0.isCurrent && $0.description.securityLabel != label
        }
        return others?.first.map(\.description.securityLabel)
    }
}

extension SecurityLabel {
    fileprivate var wire: WireTrafficSelector {
        .unknown(RawTrafficSelector(type: .securityLabel, body: octets))
    }
}
