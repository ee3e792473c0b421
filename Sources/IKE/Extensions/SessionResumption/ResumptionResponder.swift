// RFC 5723: the IKE_SESSION_RESUME exchange as the responder sees it.
import IKEMessage
import IPPacket
import IPsecCrypto
import Octets

extension SessionResumption {
    /// Answers an IKE_SESSION_RESUME request that has passed cookies and limits (RFC 5723 section 4.3.2).
    static func begin(
        initial request: Message, _ datagram: IKEDatagram, candidates: [ConnectionConfiguration],
        context: EndpointContext
    ) -> IKESA.InitAnswer {
        let payloads = request.payloads
        guard let nonce = payloads.nonce, let opaque = payloads.notification(.ticketOpaque) else {
            return .stateless([.notify(NotifyPayload(type: .invalidSyntax))])
        }
        let refusal = IKESA.InitAnswer.stateless([.notify(NotifyPayload(type: .ticketNack))])
        guard let (ticket, secret) = open(opaque.data, context),
            let connection = candidates.first(where: { isGood(ticket, for: $0, secret, at: context.wallClock()) })
        else { return refusal }
        let localSPI = context.ikeSPIs.allocate(using: &context.random)
        let initiatorSPI = request.header.initiatorSPI
        let sa = IKESA(
            context: context, isInitiator: false, localSPI: localSPI, remoteSPI: initiatorSPI,
            path: datagram.way,
            state: .answering(
                ResponderInit(
                    phase: .received, suite: ticket.suite, proposalNumber: 0, request: datagram.octets,
                    initiatorNonce: nonce, responderNonce: context.randomOctets(32), candidates: [connection],
                    until: context.now + context.configuration.halfOpenTimeout,
                    session: Session(
                        remoteIdentity: ticket.initiatorIdentity, authentication: ticket.authentication))),
            connection: nil,
            title:
                "IKE SA \(initiatorSPI.bigEndianOctets.hexadecimal) as responder, resumed, \(datagram.remote) to \(datagram.local)"
        )
        sa.window.expectedID = 1
        sa.tell(.received, "IKE_SESSION_RESUME request: \(payloads.summary(sa.codePoints))")
        if sa.path.detectNAT(in: payloads, initiatorSPI, 0), connection.encapsulation == .udp, datagram.stream == nil {
            sa.path.isBehindNAT = true
        }
        do {
            try sa.letExtensionsReceive(payloads, at: .initRequest)
            try answer(sa, ticket, pretendsNAT: connection.encapsulation == .udp)
        } catch {
            context.ikeSPIs.release(localSPI)
            return refusal
        }
        return .begun(sa)
    }

    /// The ticket, and what it was sealed with.
    private static func open(_ octets: [UInt8], _ context: EndpointContext) -> (Ticket, SecretOctets)? {
        let settings = context.configuration
        for case let secret? in [settings.ticketSecret, settings.formerTicketSecret] {
            if let ticket = Ticket(opening: octets, with: secret) { return (ticket, secret) }
        }
        return nil
    }

    /// Whether the connection the ticket was given for is still there, and would still take the peer in this way.
    private static func isGood(
        _ ticket: Ticket, for connection: ConnectionConfiguration, _ secret: SecretOctets, at now: Int64
    ) -> Bool {
        let lifetime = connection.timing.reauthenticateAfter?.components.seconds
        let reauthentication = lifetime.map { ticket.authenticatedAt + $0 }
        return connection.name == ticket.connection && mayResume(connection)
            && ticket.expiry > now
            && reauthentication ?? .max > now
            && connection.accepts(ticket.initiatorIdentity)
            && connection.localIdentity.matches(ticket.responderIdentity)
            && connection.remoteAuthentication.credentialDigest(secret) == ticket.credentialDigest
            && ProposalSelection.selectIKE(
                from: [ticket.suite.payload(number: 1)], configured: connection.ikeProposals, preferring: nil) != nil
    }

    private static func answer(_ sa: IKESA, _ ticket: Ticket, pretendsNAT: Bool) throws {
        guard case .answering(var initial) = sa.state else { return }
        try sa.secure(
            with: IKEKeys.resumed(
                suite: ticket.suite, skD: ticket.skD, initiatorNonce: initial.initiatorNonce,
                responderNonce: initial.responderNonce, initiatorSPI: sa.initiatorSPI, responderSPI: sa.responderSPI))
        var payloads: [Payload] = [.nonce(initial.responderNonce)]
        payloads += sa.path.natDetectionPayloads(
            sa.initiatorSPI, sa.responderSPI, pretendingNAT: pretendsNAT ? sa.context.randomOctets(20) : nil)
        payloads += sa.extensionPayloads(for: .initResponse)
        initial.phase = .awaitingAuth
        initial.response = Message(
            header: sa.header(.ikeSessionResume, id: 0, isResponse: true), payloads: payloads
        ).serialized()
        sa.state = .answering(initial)
        sa.transmit([initial.response])
        sa.tell(.sent, "IKE_SESSION_RESUME response: \(payloads.summary(sa.codePoints))")
    }
}
