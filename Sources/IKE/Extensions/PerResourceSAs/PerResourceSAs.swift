// RFC 9611: several child SAs with the same traffic selectors, each for a resource of its own. Code points: notifications
// SA_RESOURCE_INFO (16444) and TS_MAX_QUEUE (48, an error).
//
// A resource is a worker of the data plane here. The first SA of a group is its worker's own, and the fallback of those that have none;
// one for another worker is asked for when that has packets to send, never before. From memory and not read anew in the RFC: that a
// rekey keeps the resource whether or not it carries SA_RESOURCE_INFO (ours does not), and that NO_ADDITIONAL_SAS is not the answer to
// one SA too many. Decided here: an additional SA with other algorithms or another mode is refused, one with other selectors begins
// another group; what the peer has refused is not asked for again while the group is as large as it was then.
import IKEMessage
import Octets

/// Groups of child SAs for the same traffic, in which each data plane worker has its own.
enum PerResourceSAs: IKEExtension {
    /// By the numbers of groups.
    typealias State = [UInt32: ResourceGroup]
    /// The number of the group that was begun last.
    typealias Shared = UInt32

    /// Of one IKE SA, in all groups: each takes memory and a place in the tables of the data plane.
    static let maximumOfIKESA = 256
    /// The most that can be configured for one pair of selectors.
    static let maximumLimit = 64
    /// Octets of an identifier of ours.
    static let identifierLength = 4
    /// Octets of the peer's identifier that are kept, to be shown.
    static let keptIdentifierLength = 32
    /// How long a worker does without, when the peer has deleted its SA, or it could not be had or installed.
    static let pauseAfterDeletion: Duration = .seconds(30)
    /// How long a peer that is always busy is left alone at most.
    static let longestPause: Duration = .seconds(240)

    // MARK: What is said

    static func payloads(offering child: ChildConfiguration, of sa: IKESA) -> [Payload] {
        guard child.resourceLimit != nil, !isRekeying(sa) else { return [] }
        guard let place = child.place else {
            sa.tell(
                .offered, "child \(child.name): further SAs for the same traffic",
                origin: child.origin(of: "per-resource"))
            return [notification([])]
        }
        sa.tell(
            .offered,
            "child \(child.name): one more SA for the same traffic, identifier \(place.identifier.hexadecimal)",
            origin: child.origin(of: "per-resource"))
        return [notification(place.identifier)]
    }

    /// Not in a rekey, in which the resource is the old SA's anyway.
    static func payloads(accepting child: SelectedChild, of sa: IKESA) -> [Payload] {
        guard let place = child.terms.place, child.configuration.place == nil else { return [] }
        return [notification(place.identifier)]
    }

    private static func notification(_ identifier: [UInt8]) -> Payload {
        .notify(NotifyPayload(type: .saResourceInfo, data: identifier))
    }

    /// Whether the exchange of ours that is under way replaces a child.
    private static func isRekeying(_ sa: IKESA) -> Bool {
        if case .child(let creation) = sa.established?.outgoing { creation.replaces != nil } else { false }
    }

    // MARK: What is agreed

    static func settle(
        _ terms: inout ChildTerms, of child: ChildConfiguration, by payloads: [Payload], isOffer: Bool, of sa: IKESA
    ) throws(Refusal) {
        guard let place = child.place else {
            guard let limit = child.resourceLimit, isOffer ? payloads.notification(.rekeySA) == nil : !isRekeying(sa)
            else { return }
            let info = payloads.notification(.saResourceInfo)?.data
            terms.place =
                try isOffer
                ? info.map { identifier throws(Refusal) in try admit(identifier, terms, child, limit, sa) }
                : begin(info, terms, child, sa)
            return
        }
        if place.wanted != nil, let other = members(of: place.group, sa).first {
            if let difference = difference(terms, from: other.terms, withTraffic: true) {
                throw Refusal(
                    .protocolViolation,
                    "the peer answered other \(difference) for one more SA of child \(child.name) than its first has",
                    at: [child.origin(of: "per-resource")])
            }
            let identifier = payloads.notification(.saResourceInfo)?.data
            sa.tell(
                .received,
                "child \(child.name): one more SA\(identifier.map { ", the peer's identifier \($0.hexadecimal)" } ?? "")"
            )
            terms.place = place
            terms.place?.peerIdentifier = kept(identifier)
            return
        }
        terms.place = place
    }

    static func keep(_ terms: ChildTerms, in child: inout ChildConfiguration) {
        child.place = terms.place
        child.place?.wanted = nil
    }

    /// As an initiator: the first SA's place; `nil` where the peer takes no further ones.
    private static func begin(
        _ info: [UInt8]?, _ terms: ChildTerms, _ child: ChildConfiguration, _ sa: IKESA
    ) -> ResourcePlace? {
        guard let info else {
            sa.tell(.note, "child \(child.name): the peer takes no further SAs for the same traffic")
            return nil
        }
        // The peer's first one may have come while ours was under way.
        let other = all(sa).first {
            $0.configuration.name == child.name && difference(terms, from: $0.terms, withTraffic: true) == nil
        }
        guard let group = other?.configuration.place?.group else { return beginGroup(info, child, sa) }
        return ResourcePlace(group: group, isFallback: false, peerIdentifier: kept(info))
    }

    private static func beginGroup(_ identifier: [UInt8], _ child: ChildConfiguration, _ sa: IKESA) -> ResourcePlace {
        let group = (sa.context.shared[Self.self] ?? 0) &+ 1
        sa.context.shared[Self.self] = group
        sa.tell(
            .chosen,
            "child \(child.name): further SAs for the same traffic may follow, at most \(child.resourceLimit ?? 1) in all",
            origin: child.origin(of: "per-resource"))
        return ResourcePlace(group: group, isFallback: true, peerIdentifier: kept(identifier))
    }

    /// As a responder: the place of an SA that is not a rekey; in the group for the same traffic, or the first of a new one.
    private static func admit(
        _ identifier: [UInt8], _ terms: ChildTerms, _ child: ChildConfiguration, _ limit: Int, _ sa: IKESA
    ) throws(Refusal) -> ResourcePlace {
        let origins = [child.origin(of: "per-resource")]
        guard lineages(all(sa)) < maximumOfIKESA else {
            throw Refusal(
                .refusedByPeer,
                "the peer has \(maximumOfIKESA) SAs for resources already, which are the most of one IKE SA",
                at: origins,
                notify: .tsMaxQueue)
        }
        let first = all(sa).first {
            $0.configuration.name == child.name && differenceOfTraffic(terms, from: $0.terms) == nil
        }
        guard let first, let group = first.configuration.place?.group else { return beginGroup(identifier, child, sa) }
        if let difference = difference(terms, from: first.terms, withTraffic: false) {
            throw Refusal(
                .noProposal,
                "one more SA of child \(child.name) must have the \(difference) of its first, and the peer's offer has others",
                at: origins, notify: .noProposalChosen)
        }
        let members = members(of: group, sa)
        let count = lineages(members)
        guard count < limit else {
            throw Refusal(
                .refusedByPeer,
                "child \(child.name) has \(count) SAs for the same traffic already, which are the most allowed",
                at: origins,
                notify: .tsMaxQueue)
        }
        var counts = [Int](repeating: 0, count: max(sa.context.configuration.packetWorkers, 1))
        for member in members {
            let worker = sa.context.childSPIs.worker(of: member.inboundSPI)
            if counts.indices.contains(worker) { counts[worker] += 1 }
        }
        // Of equals the one that comes next after the first's, so that second ones are spread as evenly as first ones.
        let start = sa.context.childSPIs.worker(of: first.inboundSPI)
        func distance(_ worker: Int) -> Int { (worker - start + counts.count) % counts.count }
        let worker = counts.indices.min { (counts[$0], distance($0)) < (counts[$1], distance($1)) }
        sa.tell(
            .chosen, "child \(child.name): SA \(count + 1) of at most \(limit) for the same traffic",
            origin: origins.first)
        return ResourcePlace(
            group: group, isFallback: false, identifier: freshIdentifier(beside: members, sa),
            peerIdentifier: kept(identifier), wanted: worker)
    }

    private static func kept(_ identifier: [UInt8]?) -> [UInt8] {
        Array((identifier ?? []).prefix(keptIdentifierLength))
    }

    /// At random: the peer is to learn nothing of processors by it.
    static func freshIdentifier(beside members: [ChildSA], _ sa: IKESA) -> [UInt8] {
        while true {
            let identifier = sa.context.randomOctets(identifierLength)
            if !members.contains(where: { $0.configuration.place?.identifier == identifier }) { return identifier }
        }
    }

    private static func difference(
        _ terms: ChildTerms, from first: ChildTerms, withTraffic: Bool
    ) -> String? {
        let (new, old) = (terms.suite, first.suite)
        // The key exchange is not the SA's: in IKE_AUTH there is none.
        guard new.encryption == old.encryption, new.integrity == old.integrity,
            new.sequenceNumbers == old.sequenceNumbers
        else { return "algorithms" }
        guard terms.mode == first.mode else { return "mode" }
        return withTraffic ? differenceOfTraffic(terms, from: first) : nil
    }

    private static func differenceOfTraffic(_ terms: ChildTerms, from first: ChildTerms) -> String? {
        guard terms.haveSameSelectors(as: first) else { return "selectors" }
        return terms.carriesSame(as: first) ? nil : "traffic"
    }

    // MARK: Proposals

    /// The algorithms of a group's first SA, as each of these proposals has them that has them.
    static func reduced(_ proposals: [ESPProposal], to suite: ChildSuite) -> [ESPProposal] {
        proposals.compactMap { proposal in
            guard proposal.encryption.contains(suite.encryption),
                suite.integrity.map(proposal.integrity.contains) ?? proposal.integrity.isEmpty,
                proposal.sequenceNumbers.contains(suite.sequenceNumbers)
            else { return nil }
            var proposal = proposal
            proposal.encryption = [suite.encryption]
            proposal.integrity = suite.integrity.map { [$0] } ?? []
            proposal.sequenceNumbers = [suite.sequenceNumbers]
            return proposal
        }
    }

    /// One more SA is to have the algorithms of the first, whichever we would rather have.
    static func preferred(
        _ proposals: [ESPProposal], of child: ChildConfiguration, for offer: [Payload], of sa: IKESA
    ) -> [ESPProposal] {
        guard child.resourceLimit != nil, offer.notification(.saResourceInfo) != nil,
            offer.notification(.rekeySA) == nil,
            let first = all(sa).first(where: { $0.configuration.name == child.name })
        else { return proposals }
        return reduced(proposals, to: first.terms.suite) + proposals
    }

    // MARK: Who is in a group

    static func all(_ sa: IKESA) -> [ChildSA] {
        sa.established?.children.filter { $0.configuration.place != nil && $0.isCurrent } ?? []
    }

    static func members(of group: UInt32, _ sa: IKESA) -> [ChildSA] {
        all(sa).filter { $0.configuration.place?.group == group }
    }

    /// How many there are if those that replace each other count as one: rekeys do not meet the limits.
    static func lineages(_ members: [ChildSA]) -> Int {
        Set(members.map { $0.replaces ?? $0.inboundSPI }).count
    }

    /// Several for each configured child, so that it is never the core that refuses one of a group.
    static func childrenBeyondUsual(of sa: IKESA) -> Int {
        2 * min(maximumOfIKESA, sa.connection?.children.reduce(0) { $0 + ($1.resourceLimit ?? 0) } ?? 0)
    }
}
