import IKEMessage
import IPPacket
import IPsecCrypto
import Octets

/// IKE_SA_INIT as the responder sees it: from the request to the time IKE_AUTH arrives.
struct ResponderInit {
    enum Phase {
        /// Extensions look at the request; nothing has been computed.
        case received
        case agreeing(Job.ID)
        case awaitingAuth
        /// One of the additional key exchanges.
        case agreeingFurther(Job.ID)
    }

    var phase: Phase
    let suite: IKESuite
    let proposalNumber: UInt8
    let request: [UInt8]
    let initiatorNonce: [UInt8]
    let responderNonce: [UInt8]
    /// Connections that fit the addresses and accept the suite; IKE_AUTH decides among them.
    let candidates: [ConnectionConfiguration]
    /// When the peer must have proved who it is.
    let until: Instant
    var response: [UInt8] = []
    /// How often that may still be sent again.
    var repetition = AnswerRepetition()
    /// How many of the additional key exchanges have taken place.
    var additionalCount = 0
    /// How many IKE_INTERMEDIATE exchanges there were beside those.
    var furtherCount = 0
    /// The SA goes on from this session, so that its peer proves itself by that.
    var session: SessionResumption.Session?

    /// The additional key exchanges that come before IKE_AUTH: none where a session is gone on with (RFC 5723).
    var awaitedMethods: [KeyExchangeMethod] { session == nil ? suite.additional.methods : [] }
}

extension IKESA {
    /// More than any peer has reason to offer: what a stranger sends is not to cost more than a moment.
    static let proposalLimit = 32
    static let transformLimit = 512

    /// What is to be done about an IKE_SA_INIT request.
    enum InitAnswer {
        /// An SA has been begun; its answer follows.
        case begun(IKESA)
        /// An unprotected answer that leaves no state behind.
        case stateless([Payload])
    }

    /// Answers an IKE_SA_INIT request that has passed cookies and limits.
    ///
    /// - Parameters:
    ///   - candidates: the connections whose addresses fit, the most specific first.
    ///   - representatives: of those that have the same IKE proposals the first.
    static func answerInit(
        _ message: Message, _ datagram: IKEDatagram, candidates: [ConnectionConfiguration],
        representatives: [ConnectionConfiguration], context: EndpointContext
    ) -> InitAnswer {
        let payloads = message.payloads
        let initiatorSPI = message.header.initiatorSPI
        var narrative = Narrative(
            title:
                "IKE SA \(initiatorSPI.bigEndianOctets.hexadecimal) as responder, \(datagram.remote) to \(datagram.local)",
            at: context.now)
        func tell(_ kind: Narrative.Kind, _ text: String, _ origin: Origin? = nil) {
            narrative.add(kind, text, at: context.now, origin: origin)
        }
        func refuse(_ refusal: Refusal, connection: String?) {
            tell(.refused, refusal.reason, refusal.origins.first)
            narrative.refusal = refusal
            narrative.isFinished = true
            narrative.isFromStranger = true
            context.emit(.negotiated(connection: connection, narrative))
            context.emit(.callerRefused(connection: connection, remote: datagram.remote, refusal))
        }

        tell(.received, "IKE_SA_INIT request: \(payloads.summary(context.configuration.codePoints))")
        guard let association = payloads.securityAssociation, let exchange = payloads.keyExchange,
            let initiatorNonce = payloads.nonce, (1...Self.proposalLimit).contains(association.proposals.count),
            association.proposals.reduce(0, { $0 + $1.transforms.count }) <= Self.transformLimit
        else { return .stateless([.notify(NotifyPayload(type: .invalidSyntax))]) }
        func tellOffer() {
            for proposal in association.proposals { tell(.offered, proposal.summary) }
            for line in ProposalSelection.forbidden(in: association.proposals) { tell(.refused, line) }
        }
        guard !candidates.isEmpty else {
            refuse(
                Refusal(
                    .noConnection,
                    "no configured connection fits an initiator at \(datagram.remote.address) calling \(datagram.local.address)"
                ),
                connection: nil)
            return .stateless([.notify(NotifyPayload(type: .noProposalChosen))])
        }

        var choice: ProposalSelection.Choice<IKESuite>?
        for candidate in representatives where choice == nil {
            choice = ProposalSelection.selectIKE(
                from: association.proposals, configured: candidate.ikeProposals, preferring: exchange.method,
                withAdditional: payloads.notification(.intermediateExchangeSupported) != nil)
        }
        guard let choice else {
            let isExplained = context.explanations.takes(at: context.now)
            if isExplained {
                tellOffer()
            } else {
                tell(.note, "too many are refused at this moment for all to be explained")
            }
            for candidate in representatives.prefix(isExplained ? 4 : 0) {
                let wanted = zip(1..., candidate.ikeProposals).map { $1.payload(number: $0) }
                for (proposal, own) in zip(wanted, candidate.ikeProposals) {
                    tell(.wanted, proposal.summary, own.origin ?? candidate.origin(of: "ike"))
                }
                for line in ProposalSelection.explainMismatch(offered: association.proposals, wanted: wanted) {
                    tell(.refused, line)
                }
            }
            refuse(
                Refusal(
                    .noProposal, "no IKE proposal in common with \(datagram.remote.address)",
                    at: candidates.prefix(Self.namedCandidateLimit).map { $0.origin(of: "ike") }),
                connection: candidates.count == 1 ? candidates[0].name : nil)
            return .stateless([.notify(NotifyPayload(type: .noProposalChosen))])
        }
        let method = choice.suite.keyExchange
        guard exchange.method == method.rawValue else {
            return .stateless([.notify(NotifyPayload(type: .invalidKEPayload, data: method.rawValue.bigEndianOctets))])
        }
        guard exchange.data.count == method.publicValueLength else {
            return .stateless([.notify(NotifyPayload(type: .invalidSyntax))])
        }
        tellOffer()
        tell(.chosen, "\(choice.suite)", choice.origin)

        let localSPI = context.ikeSPIs.allocate(using: &context.random)
        let fitting = connections(candidates, allowing: choice.suite)
        let path = datagram.way
        let sa = IKESA(
            context: context, isInitiator: false, localSPI: localSPI, remoteSPI: initiatorSPI, path: path,
            state: .answering(
                ResponderInit(
                    phase: .received, suite: choice.suite, proposalNumber: choice.number, request: datagram.octets,
                    initiatorNonce: initiatorNonce, responderNonce: context.randomOctets(32), candidates: fitting,
                    until: context.now + context.configuration.halfOpenTimeout)),
            connection: nil, title: narrative.title)
        sa.narrative = narrative
        sa.window.expectedID = 1
        // The hashes were made before there was a responder SPI.
        if sa.path.detectNAT(in: payloads, initiatorSPI, 0), path.stream == nil,
            fitting.contains(where: { $0.encapsulation == .udp })
        {
            sa.path.isBehindNAT = true
        }
        do {
            try sa.letExtensionsReceive(payloads, at: .initRequest)
        } catch {
            context.ikeSPIs.release(localSPI)
            refuse(error, connection: fitting.count == 1 ? fitting[0].name : nil)
            return .stateless([.notify(NotifyPayload(type: error.notify ?? .noProposalChosen))])
        }
        sa.beginAgreement(with: exchange)
        return .begun(sa)
    }

    /// Those of the candidates whose proposals have the suite; the same list, not a copy, where all have.
    private static func connections(
        _ candidates: [ConnectionConfiguration], allowing suite: IKESuite
    ) -> [ConnectionConfiguration] {
        let offer = [suite.payload(number: 1)]
        // Thousands of connections may share a few lists of proposals.
        var verdicts: [[IKEProposal]: Bool] = [:]
        func allows(_ proposals: [IKEProposal]) -> Bool {
            if let verdict = verdicts[proposals] { return verdict }
            let verdict =
                ProposalSelection.selectIKE(from: offer, configured: proposals, preferring: nil) != nil
            verdicts[proposals] = verdict
            return verdict
        }
        guard !candidates.allSatisfy({ allows($0.ikeProposals) }) else { return candidates }
        return candidates.filter { allows($0.ikeProposals) }
    }

    private func beginAgreement(with exchange: KeyExchangePayload) {
        guard case .answering(var initial) = state else { return }
        let method = initial.suite.keyExchange
        initial.phase = .agreeing(
            context.start(
                .makeKeyAndAgree(method, seeds: context.seeds(for: method), peerPublicValue: exchange.data),
                for: localSPI))
        state = .answering(initial)
    }

    func completeResponderInit(_ job: Job.ID, _ result: JobResult, _ initial: ResponderInit) {
        guard case .agreeing(job) = initial.phase else { return }
        guard case .agreement(let publicValue, let secret) = result.value else {
            if case .failure(let reason) = result.value {
                close(
                    Refusal(
                        .protocolViolation, "key exchange \(initial.suite.keyExchange.name) failed: \(reason)"),
                    tellPeer: false)
            }
            return
        }
        do {
            try secure(
                with: IKEKeys.initial(
                    suite: initial.suite, sharedSecret: secret, initiatorNonce: initial.initiatorNonce,
                    responderNonce: initial.responderNonce, initiatorSPI: initiatorSPI, responderSPI: responderSPI))
        } catch {
            close(Refusal(.local, "cannot derive keys: \(error.reason)"), tellPeer: false)
            return
        }
        let forcesUDP = path.stream == nil && initial.candidates.contains { $0.encapsulation == .udp }
        var payloads: [Payload] = [
            .securityAssociation(
                SecurityAssociationPayload(proposals: [initial.suite.payload(number: initial.proposalNumber)])),
            .keyExchange(KeyExchangePayload(method: initial.suite.keyExchange.rawValue, data: publicValue)),
            .nonce(initial.responderNonce),
        ]
        payloads += path.natDetectionPayloads(
            initiatorSPI, responderSPI, pretendingNAT: forcesUDP ? context.randomOctets(20) : nil)
        payloads += extensionPayloads(for: .initResponse)
        if let request = CertificateRequest.payload(for: initial.candidates) { payloads.append(request) }
        var next = initial
        next.phase = .awaitingAuth
        next.response = Message(
            header: header(.ikeSAInit, id: 0, isResponse: true), payloads: payloads
        ).serialized()
        state = .answering(next)
        transmit([next.response])
        tell(.sent, "IKE_SA_INIT response: \(payloads.summary(codePoints))")
    }

    /// The same IKE_SA_INIT request again: its answer was lost (RFC 7296 section 2.1).
    func repeatInitResponse(to datagram: IKEDatagram) {
        switch state {
        case .answering(var initial) where initial.request == datagram.octets && !initial.response.isEmpty:
            let isAllowed = initial.repetition.allows(isProved: false, isElsewhere: false, at: context.now)
            state = .answering(initial)
            guard isAllowed else { return context.counters.count(.answerWithheld) }
            transmit([initial.response])
        default: break
        }
    }
}
