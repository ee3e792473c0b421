// RFC 5723: the IKE_SESSION_RESUME exchange as the initiator sees it.
import IKEMessage
import IPPacket
import IPsecCrypto
import Octets

/// Our IKE_SESSION_RESUME request is under way (RFC 5723 section 4.3.2).
struct InitiatorResumption {
    let ticket: SessionResumption.HeldTicket
    let nonce: [UInt8]
    let children: [ChildConfiguration]
    let until: Instant
    var request: [UInt8] = []
    var cookieRounds = 0
}

extension SessionResumption {
    static var initialExchange: ExchangeType? { .ikeSessionResume }

    /// Uses the ticket of the connection, if there is one. It is gone then, whatever becomes of the attempt.
    static func initiate(
        _ connection: ConnectionConfiguration, children: [ChildConfiguration], path: Path, localSPI: UInt64,
        context: EndpointContext
    ) -> IKESA? {
        guard mayResume(connection), let ticket = context.shared[Self.self]?.removeValue(forKey: connection.name),
            ticket.expires > context.now, ticket.fingerprint == connection.fingerprint
        else { return nil }
        let resumption = InitiatorResumption(
            ticket: ticket, nonce: context.randomOctets(32), children: children,
            until: context.attemptLimit(connection.timing))
        let sa = IKESA(
            context: context, isInitiator: true, localSPI: localSPI, remoteSPI: 0, path: path,
            state: .resuming(resumption), connection: connection,
            title:
                "IKE SA \(localSPI.bigEndianOctets.hexadecimal) as initiator, resumed, \(path.local) to \(path.remote)")
        send(resumption, cookie: nil, of: sa)
        return sa
    }

    private static func send(_ resumption: InitiatorResumption, cookie: [UInt8]?, of sa: IKESA) {
        var payloads: [Payload] = cookie.map { [.notify(NotifyPayload(type: .cookie, data: $0))] } ?? []
        payloads += [
            .nonce(resumption.nonce), .notify(NotifyPayload(type: .ticketOpaque, data: resumption.ticket.octets)),
        ]
        let pretends = sa.connection?.encapsulation == .udp
        payloads += sa.path.natDetectionPayloads(
            sa.initiatorSPI, 0, pretendingNAT: pretends ? sa.pretendedAddressHash : nil)
        payloads += sa.extensionPayloads(for: .initRequest)
        var next = resumption
        next.request = Message(
            header: IKEHeader(
                initiatorSPI: sa.initiatorSPI, responderSPI: 0, exchangeType: .ikeSessionResume, flags: .initiator,
                messageID: 0),
            payloads: payloads
        ).serialized()
        sa.state = .resuming(next)
        sa.window.nextID = 1
        sa.launch(.ikeSessionResume, id: 0, [next.request])
        sa.tell(.sent, "IKE_SESSION_RESUME request: \(payloads.summary(sa.codePoints))")
    }

    static func receive(initialResponse message: Message, _ datagram: IKEDatagram, of sa: IKESA) {
        guard case .resuming(var resumption) = sa.state, message.header.messageID == 0,
            datagram.remote == sa.path.remote
        else { return }
        let payloads = message.payloads
        if let nonce = payloads.nonce, message.header.responderSPI != 0 {
            finish(resumption, message, responderNonce: nonce, datagram, sa)
        } else if let cookie = payloads.notification(.cookie) {
            guard (1...64).contains(cookie.data.count), resumption.cookieRounds < InitiatorInit.maximumCookieRounds
            else { return }
            resumption.cookieRounds += 1
            send(resumption, cookie: cookie.data, of: sa)
        } else if payloads.notification(.ticketNack) != nil || payloads.errorNotification != nil {
            // Nothing protects this answer; whoever forged it has gained a full exchange in place of a short one.
            sa.tell(
                .received, "IKE_SESSION_RESUME response: \(payloads.summary(sa.codePoints)): going on with IKE_SA_INIT")
            sa.beginInit(children: resumption.children)
        }
    }

    private static func finish(
        _ resumption: InitiatorResumption, _ message: Message, responderNonce: [UInt8], _ datagram: IKEDatagram,
        _ sa: IKESA
    ) {
        sa.tell(.received, "IKE_SESSION_RESUME response: \(message.payloads.summary(sa.codePoints))")
        sa.remoteSPI = message.header.responderSPI
        if sa.path.detectNAT(in: message.payloads, sa.initiatorSPI, sa.responderSPI),
            sa.connection?.encapsulation == .udp
        {
            sa.path.isBehindNAT = true
        }
        do throws(CryptoError) {
            try sa.secure(
                with: IKEKeys.resumed(
                    suite: resumption.ticket.suite, skD: resumption.ticket.skD, initiatorNonce: resumption.nonce,
                    responderNonce: responderNonce, initiatorSPI: sa.initiatorSPI, responderSPI: sa.responderSPI))
        } catch {
            sa.close(Refusal(.local, "cannot derive keys: \(error.reason)"), tellPeer: false)
            return
        }
        do throws(Refusal) {
            try sa.letExtensionsReceive(message.payloads, at: .initResponse)
        } catch {
            sa.close(error, tellPeer: false)
            return
        }
        sa.window.outstanding = nil
        sa.floatToNATPortIfNeeded()
        sa.beginAuthentication(
            InitiatorAuth.Foundation(
                request: resumption.request, response: datagram.octets, initiatorNonce: resumption.nonce,
                responderNonce: responderNonce, children: resumption.children, until: resumption.until,
                session: Session(
                    remoteIdentity: resumption.ticket.remoteIdentity,
                    authentication: resumption.ticket.authentication)))
    }
}
