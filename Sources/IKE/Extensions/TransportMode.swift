// RFC 7296, sections 1.3.1 and 2.23.1: transport mode, with and without NAT. Code point: notify 16391 (IKEMessage).
import IKEMessage
import IPPacket
import IPsecPolicy
import Octets

/// Which mode a child SA is to have.
public enum ModeWish: String, Hashable, Sendable, CaseIterable {
    case tunnel
    /// Transport mode, or none.
    case transport
    /// Transport mode, or tunnel mode where the peer does not take it.
    case preferTransport = "prefer-transport"
}

/// Child SAs that protect packets between the ends of the IKE SA themselves.
enum TransportMode: IKEExtension {
    /// Of what is configured, the part between the two ends.
    static func adapt(_ child: inout ChildConfiguration, of sa: IKESA) {
        guard child.mode != .tunnel else { return }
        let local = part(of: child.localSelectors, at: sa.path.local.address)
        let remote = part(of: child.remoteSelectors, at: sa.path.provedAddress)
        // With nothing left there is no transport mode to agree on, which `settle` says.
        guard !local.isEmpty, !remote.isEmpty else { return }
        child.localSelectors = local
        child.remoteSelectors = remote
    }

    private static func part(of selectors: [TrafficSelector], at address: IPAddress) -> [TrafficSelector] {
        Narrowing.narrow([TrafficSelector(IPPrefix(address))], to: selectors)
    }

    static func payloads(offering child: ChildConfiguration, of sa: IKESA) -> [Payload] {
        guard child.mode != .tunnel else { return [] }
        guard isBetweenEnds(child.localSelectors, child.remoteSelectors, of: sa) else {
            sa.tell(
                .note,
                "child \(child.name): no transport mode is offered: \(ends(of: sa)) are not what the selectors are about",
                origin: child.origin(of: "mode"))
            return []
        }
        sa.tell(.offered, "child \(child.name): transport mode", origin: child.origin(of: "mode"))
        return [.notify(NotifyPayload(type: .useTransportMode))]
    }

    /// Behind a NAT a peer names the ends as it sees them; what they are here takes their place (section 2.23.1).
    static func translate(
        _ selectors: inout SelectorPair, of child: ChildConfiguration, by payloads: [Payload], of sa: IKESA
    ) {
        guard child.mode != .tunnel, payloads.notification(.useTransportMode) != nil else { return }
        if sa.path.isBehindNAT { selectors.local = moved(selectors.local, to: sa.path.local.address) }
        if sa.path.isPeerBehindNAT { selectors.remote = moved(selectors.remote, to: sa.path.provedAddress) }
    }

    /// Only selectors of one address each can be those of transport mode.
    private static func moved(_ selectors: [TrafficSelector], to address: IPAddress) -> [TrafficSelector] {
        guard host(of: selectors) != nil else { return selectors }
        return selectors.map { selector in
            guard selector.family == address.family,
                let moved = TrafficSelector(
                    ipProtocol: selector.ipProtocol, firstPort: selector.firstPort, lastPort: selector.lastPort,
                    first: address, last: address)
            else { return selector }
            return moved
        }
    }

    static func settle(
        _ terms: inout ChildTerms, of child: ChildConfiguration, by payloads: [Payload], isOffer: Bool, of sa: IKESA
    ) throws(Refusal) {
        let origins = [child.origin(of: "mode")]
        guard payloads.notification(.useTransportMode) != nil else {
            guard child.mode != .transport else {
                throw Refusal(
                    .noProposal,
                    isOffer
                        ? "the peer asks for tunnel mode for child \(child.name), which has transport mode here; configure transport mode there, or prefer-transport here"
                        : "the peer did not take transport mode for child \(child.name); configure it there, or prefer-transport here to take tunnel mode then",
                    at: origins, notify: .noProposalChosen)
            }
            if child.mode == .preferTransport {
                sa.tell(.chosen, "child \(child.name): tunnel mode, as the peer wants it", origin: origins[0])
            }
            return
        }
        guard child.mode != .tunnel else {
            // Whoever does not want it leaves the notification out of the answer (section 1.3.1).
            guard isOffer else {
                throw Refusal(
                    .protocolViolation,
                    "the peer answered transport mode for child \(child.name), which was not offered",
                    at: origins)
            }
            sa.tell(
                .chosen, "child \(child.name): tunnel mode, though the peer prefers transport mode", origin: origins[0])
            return
        }
        guard sa.path.provedAddress == sa.path.remote.address else {
            throw Refusal(
                .unacceptableSelectors,
                "transport mode is for the host that the peer is, and that it is \(sa.path.remote.address) follows from the source of its messages alone, which anybody can write; let both sides have mobike, or set the tunnel up anew",
                at: origins, notify: .tsUnacceptable)
        }
        let theirLocal = payloads.trafficSelectors(ofInitiator: !isOffer)?.policySelectors ?? []
        let theirRemote = payloads.trafficSelectors(ofInitiator: isOffer)?.policySelectors ?? []
        guard isBetweenEnds(terms.localSelectors, terms.remoteSelectors, of: sa),
            let localAtPeer = host(of: theirLocal),
            let remoteAtPeer = host(of: theirRemote), localAtPeer.family == remoteAtPeer.family,
            localAtPeer.family == sa.path.local.address.family
        else {
            guard isOffer, child.mode == .preferTransport else {
                throw Refusal(
                    .unacceptableSelectors,
                    "transport mode is for traffic between \(ends(of: sa)) alone, and the selectors of child \(child.name) would be \(terms.localSelectors.summary) === \(terms.remoteSelectors.summary)",
                    at: [child.origin(of: "local"), child.origin(of: "remote")], notify: .tsUnacceptable)
            }
            sa.tell(
                .chosen, "child \(child.name): tunnel mode, as its selectors are not \(ends(of: sa))",
                origin: origins[0])
            return
        }
        // Not every peer knows of section 2.23.1: some return the selectors of who is behind the NAT as they came.
        let isTranslationUnknown =
            sa.path.isBehindNAT && localAtPeer == sa.path.local.address
            || sa.path.isPeerBehindNAT && remoteAtPeer == sa.path.remote.address
        terms.mode = .transport(
            TransportHosts(
                local: sa.path.local.address, remote: sa.path.remote.address, localAtPeer: localAtPeer,
                remoteAtPeer: remoteAtPeer, isTranslationUnknown: isTranslationUnknown))
        let isTranslated = localAtPeer != sa.path.local.address || remoteAtPeer != sa.path.remote.address
        sa.tell(
            .chosen,
            "child \(child.name): transport mode"
                + (isTranslated ? "; the peer knows us as \(localAtPeer) and itself as \(remoteAtPeer)" : ""),
            origin: origins[0])
    }

    static func payloads(accepting child: SelectedChild, of sa: IKESA) -> [Payload] {
        child.terms.mode == .tunnel ? [] : [.notify(NotifyPayload(type: .useTransportMode))]
    }

    /// The single address of all the selectors.
    private static func host(of selectors: [TrafficSelector]) -> IPAddress? {
        guard let host = selectors.first?.first,
            selectors.allSatisfy({ $0.first == host && $0.last == host })
        else { return nil }
        return host
    }

    private static func isBetweenEnds(
        _ local: [TrafficSelector], _ remote: [TrafficSelector], of sa: IKESA
    ) -> Bool {
        host(of: local) == sa.path.local.address && host(of: remote) == sa.path.remote.address
    }

    private static func ends(of sa: IKESA) -> String { "\(sa.path.local.address) and \(sa.path.remote.address)" }
}
