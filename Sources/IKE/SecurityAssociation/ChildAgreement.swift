import IKEMessage
import IPsecPolicy
import Octets

/// The terms of a child SA: algorithms, the peer's SPI, selectors.
struct ChildTerms {
    var suite: ChildSuite
    var outboundSPI: UInt32
    var localSelectors: [TrafficSelector]
    var remoteSelectors: [TrafficSelector]
    /// The peer takes packets padded beyond what the cipher needs (RFC 7296 section 1.3.1).
    var takesTFCPadding: Bool
    var mode = SAMode.tunnel
    /// The security label of all packets (RFC 9478).
    var securityLabel: SecurityLabel?
    /// The classes of packets that DSCP, as a selector, allows; `nil` for all.
    var classes: DSCPSet?
    /// Where the selector stands.
    var classesAreInTSi = false
    var classesAreInTSr = false
    /// The classes that the peer says it sends; empty: it does not sort.
    var peerClasses: DSCPSet?
    /// Sequence number subspaces, if there are any.
    var subspaces: SubspaceCounts?
    /// Its place among SAs for the same traffic (RFC 9611).
    var place: ResourcePlace?

    /// Whether the same packets go by both.
    func carriesSame(as other: ChildTerms) -> Bool {
        haveSameSelectors(as: other) && securityLabel == other.securityLabel && classes == other.classes
    }

    func haveSameSelectors(as other: ChildTerms) -> Bool {
        Set(localSelectors) == Set(other.localSelectors) && Set(remoteSelectors) == Set(other.remoteSelectors)
    }
}

/// Traffic selectors of both sides.
struct SelectorPair: Hashable {
    var local: [TrafficSelector]
    var remote: [TrafficSelector]
}

/// What a responder selected for a child SA.
struct SelectedChild {
    var configuration: ChildConfiguration
    var proposalNumber: UInt8
    var terms: ChildTerms
    /// If all is inherited from the child that is replaced.
    var form: RekeyForm?
    var suite: ChildSuite { terms.suite }
}

// Agreeing on a child SA: the part that IKE_AUTH and CREATE_CHILD_SA share.
extension IKESA {
    /// SA, TSi and TSr of an offer of ours.
    func childOffer(_ child: ChildConfiguration, spi: UInt32, withKeyExchange: Bool) -> [Payload] {
        let proposals = child.espProposals.enumerated().map {
            $0.element.payload(
                number: UInt8(truncatingIfNeeded: $0.offset + 1), spi: spi, withKeyExchange: withKeyExchange)
        }
        for (proposal, own) in zip(proposals, child.espProposals) {
            tell(.offered, "child \(child.name): \(proposal.summary)", origin: own.origin)
        }
        let offered = child.offeredSelectors
        tell(
            .offered, "child \(child.name): \(offered.local.summary) === \(offered.remote.summary)",
            origin: child.origin(of: "local"))
        let others = otherSelectors(offering: child)
        return [
            .securityAssociation(SecurityAssociationPayload(proposals: proposals)),
            .trafficSelectorsInitiator(TrafficSelectorPayload(offered.local, others: others.initiator)),
            .trafficSelectorsResponder(TrafficSelectorPayload(offered.remote, others: others.responder)),
        ] + extensionPayloads(offering: child)
    }

    /// Reads the peer's answer to ``childOffer(_:spi:withKeyExchange:)``.
    func readChildAnswer(
        _ payloads: [Payload], _ child: ChildConfiguration, withKeyExchange: Bool
    ) throws(Refusal) -> ChildTerms {
        guard let association = payloads.securityAssociation else {
            throw peerRefusedChild(payloads.errorNotification?.type, child)
        }
        let choice = try ProposalSelection.acceptedESP(
            association.proposals, offered: child.espProposals, withKeyExchange: withKeyExchange)
        guard let spi = Self.spi(choice.spi) else {
            throw Refusal(.protocolViolation, "the peer's child SA has the reserved SPI \(choice.spi.hexadecimal)")
        }
        let answered = selectors(in: payloads, for: child, isOffer: false)
        let local = answered?.local ?? []
        let remote = answered?.remote ?? []
        guard Narrowing.isSubset(local, of: child.localSelectors),
            Narrowing.isSubset(remote, of: child.remoteSelectors)
        else {
            throw Refusal(
                .unacceptableSelectors,
                "the peer answered with selectors \(local.summary) === \(remote.summary), which are not within ours",
                at: [child.origin(of: "local"), child.origin(of: "remote")])
        }
        tell(.chosen, "child \(child.name) by the peer: \(choice.suite)", origin: choice.origin)
        tell(.chosen, "child \(child.name) by the peer: \(local.summary) === \(remote.summary)")
        var terms = ChildTerms(
            suite: choice.suite, outboundSPI: spi, localSelectors: local, remoteSelectors: remote,
            takesTFCPadding: payloads.notification(.espTFCPaddingNotSupported) == nil)
        try settle(&terms, of: child, by: payloads, isOffer: false)
        return terms
    }

    func peerRefusedChild(_ type: NotifyType?, _ child: ChildConfiguration) -> Refusal {
        switch type {
        case NotifyType.noProposalChosen?:
            Refusal(
                .noProposal, by: .peer,
                "the peer answered NO_PROPOSAL_CHOSEN for child \(child.name): none of our ESP proposals suits it; compare both sides' ESP proposals",
                at: [child.origin(of: "esp")])
        case NotifyType.tsUnacceptable?:
            Refusal(
                .unacceptableSelectors, by: .peer,
                "the peer answered TS_UNACCEPTABLE for child \(child.name): it protects no traffic within \(child.traffic); compare both sides' \(child.selectorKeys.count == 2 ? "subnets" : "subnets and what else tells traffic apart")",
                at: child.selectorKeys.map { child.origin(of: $0) })
        case let type?:
            Refusal(
                .refusedByPeer, by: .peer, "the peer answered \(type) for child \(child.name)", at: [child.origin],
                notify: type)
        case nil:
            Refusal(.protocolViolation, "the peer's answer for child \(child.name) has neither SA nor an error")
        }
    }

    /// The offered selectors, narrowed to what a configured child allows; `nil` if nothing is left of one side.
    func narrowed(
        _ child: ChildConfiguration, _ payloads: [Payload]
    ) -> (local: [TrafficSelector], remote: [TrafficSelector])? {
        guard let offered = selectors(in: payloads, for: child, isOffer: true) else { return nil }
        let local = Narrowing.narrow(offered.local, to: child.localSelectors)
        let remote = Narrowing.narrow(offered.remote, to: child.remoteSelectors)
        return local.isEmpty || remote.isEmpty ? nil : (local, remote)
    }

    /// Chooses child, proposal and selectors for the peer's offer (RFC 7296 section 2.9).
    ///
    /// - Parameter only: the child that is being rekeyed; any of the connection's otherwise.
    func selectChild(
        _ payloads: [Payload], withKeyExchange: Bool, preferring method: UInt16?, only: ChildConfiguration? = nil
    ) throws(Refusal) -> SelectedChild {
        guard let association = payloads.securityAssociation, let connection,
            let initiator = payloads.trafficSelectors(ofInitiator: true),
            let responder = payloads.trafficSelectors(ofInitiator: false)
        else { throw Refusal(.protocolViolation, "the offer of a child lacks SA, TSi or TSr", notify: .invalidSyntax) }
        let children = only.map { [$0] } ?? connection.children.map { adapted($0) }
        for proposal in association.proposals { tell(.offered, proposal.summary) }
        for line in ProposalSelection.forbidden(in: association.proposals) { tell(.refused, line) }
        let offeredLocal = responder.policySelectors
        let offeredRemote = initiator.policySelectors
        tell(.offered, "selectors \(offeredRemote.summary) === \(offeredLocal.summary) (peer === us)")
        var fitting: [(ChildConfiguration, [TrafficSelector], [TrafficSelector])] = []
        var refusal: Refusal?
        for child in children {
            guard let selectors = narrowed(child, payloads) else { continue }
            do throws(Refusal) {
                try admit(payloads, to: child)
                fitting.append((child, selectors.local, selectors.remote))
            } catch {
                tell(.refused, error.reason, origin: error.origins.first)
                refusal = refusal ?? error
            }
        }
        if let refusal, fitting.isEmpty { throw refusal }
        let ranks = fitting.map { rank($0.0, for: payloads) }
        fitting = fitting.indices.sorted { (-ranks[$0], $0) < (-ranks[$1], $1) }.map { fitting[$0] }
        guard !fitting.isEmpty else {
            for child in children {
                tell(
                    .wanted,
                    "child \(child.name): \(child.remoteSelectors.summary) === \(child.localSelectors.summary) (peer === us)",
                    origin: child.origin(of: "local"))
            }
            throw Refusal(
                .unacceptableSelectors,
                "the peer wants \(offeredRemote.summary) === \(offeredLocal.summary) (peer === us); no child of \(connection.name) protects any of that",
                at: children.flatMap { [$0.origin(of: "local"), $0.origin(of: "remote")] }, notify: .tsUnacceptable)
        }
        // The first selectors may be those of a packet that waits: a child that carries it comes before others (RFC 7296
        // section 2.9).
        if let local = offeredLocal.first, let remote = offeredRemote.first {
            func carries(_ selectors: [TrafficSelector], _ packet: TrafficSelector) -> Bool {
                selectors.contains { $0.contains(packet) }
            }
            fitting =
                fitting.filter { carries($0.1, local) && carries($0.2, remote) }
                + fitting.filter { !carries($0.1, local) || !carries($0.2, remote) }
        }
        // The child whose configuration is what was offered, if there is one, is the one the peer means.
        let wholeLocal = Narrowing.narrow(offeredLocal, to: offeredLocal)
        let wholeRemote = Narrowing.narrow(offeredRemote, to: offeredRemote)
        let exact = fitting.firstIndex {
            $0.1 == wholeLocal && $0.2 == wholeRemote && $0.0.localSelectors == wholeLocal
        }
        if let exact {
            fitting.insert(fitting.remove(at: exact), at: 0)
        }
        for (child, local, remote) in fitting {
            guard
                let choice = ProposalSelection.selectESP(
                    from: association.proposals, configured: preferredProposals(of: child, for: payloads),
                    withKeyExchange: withKeyExchange,
                    preferring: method),
                let spi = Self.spi(choice.spi)
            else { continue }
            tell(.chosen, "child \(child.name): \(choice.suite)", origin: choice.origin ?? child.origin(of: "esp"))
            tell(
                .chosen, "child \(child.name): \(remote.summary) === \(local.summary) (peer === us)",
                origin: child.origin(of: "local"))
            var terms = ChildTerms(
                suite: choice.suite, outboundSPI: spi, localSelectors: local, remoteSelectors: remote,
                takesTFCPadding: payloads.notification(.espTFCPaddingNotSupported) == nil)
            try settle(&terms, of: child, by: payloads, isOffer: true)
            return SelectedChild(configuration: child, proposalNumber: choice.number, terms: terms)
        }
        for (child, _, _) in fitting {
            let wanted = zip(1..., child.espProposals).map {
                $1.payload(number: $0, spi: 0, withKeyExchange: withKeyExchange)
            }
            for (proposal, own) in zip(wanted, child.espProposals) {
                tell(.wanted, "child \(child.name): \(proposal.summary)", origin: own.origin ?? child.origin(of: "esp"))
            }
            for line in ProposalSelection.explainMismatch(offered: association.proposals, wanted: wanted) {
                tell(.refused, line)
            }
        }
        throw Refusal(
            .noProposal, "no ESP proposal in common for \(fitting.map(\.0.name).joined(separator: ", "))",
            at: fitting.map { $0.0.origin(of: "esp") }, notify: .noProposalChosen)
    }

    /// Whether one more child SA is wanted: there is none, or none that carries `packet`, though what would be asked for does; and
    /// none is on its way.
    func lacks(_ child: ChildConfiguration, for packet: TriggerPacket?) -> Bool {
        guard let established else { return false }
        for owner in Extensions.all {
            if let isWanted = owner.isWanted(child, of: self) { return isWanted }
        }
        if case .child(let creation) = established.outgoing, creation.configuration.name == child.name { return false }
        let isPlanned = established.tasks.contains {
            if case .createChild(let planned) = $0 { planned.name == child.name } else { false }
        }
        // What is for other classes of packets does not carry these.
        let present = established.children.filter {
            $0.configuration.name == child.name && $0.isCurrent && !$0.isForOtherClasses(than: child)
        }
        guard !isPlanned, !present.isEmpty else { return !isPlanned }
        // The peer has narrowed what there is. More than a few would be a peer that narrows without end.
        guard let packet, let local = packet.local, present.count < 4 else { return false }
        func carries(_ selectors: [TrafficSelector], _ packet: TrafficSelector) -> Bool {
            selectors.contains { $0.contains(packet) }
        }
        let own = adapted(child)
        return carries(own.localSelectors, local) && carries(own.remoteSelectors, packet.remote)
            && !present.contains {
                carries($0.description.localSelectors, local) && carries($0.description.remoteSelectors, packet.remote)
            }
    }

    /// An SPI for a pair that is to come.
    ///
    /// - Parameters:
    ///   - place: says which worker of the data plane is to have it, if that has room; otherwise the one that has the IKE SA's first pair.
    ///   - old: the pair that it replaces, in whose worker's place it steps.
    func childSPI(at place: ResourcePlace?, replacing old: UInt32?) -> UInt32? {
        if old == nil, let worker = place?.wanted,
            let spi = context.childSPIs.allocate(of: worker, using: &context.random)
        {
            return spi
        }
        return context.childSPIs.allocate(
            beside: old ?? established?.children.first?.inboundSPI, using: &context.random)
    }

    /// SA, TSi and TSr of our answer to an offer, or what stands in their place.
    func childAcceptance(_ agreed: SelectedChild, spi: UInt32) -> [Payload] {
        if let form = agreed.form {
            return form.owner.payloads(acceptingRekeyOf: form.old, spi: spi.bigEndianOctets, of: self)
        }
        let others = otherSelectors(accepting: agreed)
        return [
            .securityAssociation(
                SecurityAssociationPayload(proposals: [agreed.suite.payload(number: agreed.proposalNumber, spi: spi)])),
            .trafficSelectorsInitiator(TrafficSelectorPayload(agreed.terms.remoteSelectors, others: others.initiator)),
            .trafficSelectorsResponder(TrafficSelectorPayload(agreed.terms.localSelectors, others: others.responder)),
        ] + extensionPayloads(accepting: agreed)
    }

    /// An SPI from four octets; `nil` if it is one of the reserved ones (RFC 4303 section 2.1).
    static func spi(_ octets: [UInt8]) -> UInt32? {
        guard octets.count == 4 else { return nil }
        let spi = octets.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return spi < 256 ? nil : spi
    }

    /// - Parameter exchange: the one that makes it.
    func makeChild(
        _ configuration: ChildConfiguration, _ terms: ChildTerms, by exchange: ExchangeType, inboundSPI: UInt32,
        inbound: DirectionKeys, outbound: DirectionKeys
    ) -> ChildSA {
        // A rekey offers what there is, not what once asked for it.
        var configuration = configuration.triggered(by: nil)
        for owner in Extensions.all { owner.keep(terms, in: &configuration) }
        let lifetime = configuration.lifetime
        let rekeyAfter = lifetime.rekeyAfter.map { context.jittered($0, by: lifetime.jitter) }
        let description = ChildSADescription(
            connection: connection?.name ?? "?", child: configuration.name, policyID: configuration.policyID,
            inboundSPI: inboundSPI, outboundSPI: terms.outboundSPI, suite: terms.suite, inboundKeys: inbound,
            outboundKeys: outbound, local: path.local, remote: path.remote, isEncapsulatedInUDP: path.encapsulatesESP,
            stream: path.stream,
            localSelectors: terms.localSelectors, remoteSelectors: terms.remoteSelectors, lifetime: lifetime,
            replayWindow: configuration.replayWindow,
            tfcPadding: terms.takesTFCPadding ? configuration.tfcPadding : nil,
            copiesDSCP: configuration.copiesDSCP, mode: terms.mode, securityLabel: terms.securityLabel,
            dscp: terms.classes, largestReceived: connection?.linkMTUNotification?.largestPacket,
            sentDSCP: configuration.classes?.values, peerDSCP: terms.peerClasses, subspaces: terms.subspaces,
            place: configuration.place)
        return ChildSA(
            configuration: configuration, description: description, terms: terms, exchange: exchange,
            establishedAt: context.now,
            rekeyAt: rekeyAfter.map { context.now + $0 },
            expiresAt: lifetime.rekeyAfter.map {
                context.now + .nanoseconds(Int64($0.inSeconds * (1 + lifetime.overtime) * 1e9))
            })
    }

    /// Takes a child on and lets its packets in.
    func add(_ child: ChildSA) {
        context.emit(.installInbound(child.description))
        if context.configuration.exportsKeys { context.emit(.keys(.child(child.description))) }
        _ = withEstablished { $0.children.append(child) }
        context.childOwners.insert(child, of: localSPI)
        for owner in Extensions.all { owner.added(child, to: self) }
        // An end may have moved while a key was computed.
        deleteChildrenOfOtherHosts()
        if let old = child.replaces {
            context.emit(.childRekeyed(connection: connection?.name ?? "?", old: old, child.status()))
        } else {
            context.emit(.childEstablished(connection: connection?.name ?? "?", child.status()))
        }
        context.signals.append(.childUp(self, child: child.configuration.name))
    }

    /// From now on the policy's packets leave through this child. That is said once: the data plane goes back to the one
    /// before when this one is removed.
    func activateOutbound(_ inboundSPI: UInt32) {
        let description = withEstablished { established -> ChildSADescription? in
            guard let index = established.children.firstIndex(where: { $0.inboundSPI == inboundSPI }),
                established.children[index].outboundRank == nil
            else { return nil }
            established.activations += 1
            established.children[index].outboundRank = established.activations
            return established.children[index].description
        }
        if case .some(.some(let description)) = description { context.emit(.activateOutbound(description)) }
    }
}
