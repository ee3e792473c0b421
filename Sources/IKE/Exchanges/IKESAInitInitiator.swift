import IKEMessage
import IPPacket
import IPsecCrypto
import Octets

/// IKE_SA_INIT as the initiator sees it (RFC 7296 section 1.2): from the first key to the shared secret.
struct InitiatorInit {
    enum Phase {
        case makingKey(Job.ID)
        /// The TCP connection is not open yet.
        case awaitingStream(KeyExchangeKey)
        case awaitingAnswer
        /// What the extension wants computed before the cookie is returned.
        case earningCookie(Job.ID, any IKEExtension.Type)
        case agreeing(Job.ID, Accepted)
    }

    /// A first message as it was sent: part of what IKE_AUTH signs.
    struct Attempt {
        var key: KeyExchangeKey
        var request: [UInt8]
    }

    /// What the peer's answer settled.
    struct Accepted {
        var suite: IKESuite
        var request: [UInt8]
        var responderNonce: [UInt8]
        var response: [UInt8]
    }

    var phase: Phase
    /// Everything sent so far, one entry per key exchange method. A demand for another method or for a cookie may have been
    /// forged, so that a good answer to an earlier message still counts.
    var attempts: [Attempt] = []
    var method: KeyExchangeMethod
    let nonce: [UInt8]
    /// The children asked for; the first goes into IKE_AUTH.
    let children: [ChildConfiguration]
    /// When the attempt is given up, however far it has come.
    let until: Instant
    var cookie: [UInt8]?
    /// What goes with the cookie.
    var besideCookie: [Payload] = []
    var triedMethods: Set<KeyExchangeMethod>
    var cookieRounds = 0
    /// A cookie is not returned at once: an answer that follows on its heels shows that it was forged, and must not find
    /// that the message it answers is no longer the one we sign.
    var cookieDemand: (cookie: [UInt8], response: [Payload], until: Instant)?
    /// What an unauthenticated error said. It may be forged, so a good answer is waited for until `until`.
    var doubt: (refusal: Refusal, until: Instant)?

    static let maximumCookieRounds = 3
    /// How long a better answer than an unprotected error is waited for.
    static let patience: Duration = .milliseconds(750)
    static let cookiePatience: Duration = .milliseconds(100)
}

extension IKESA {
    /// Begins an IKE SA with the peer of a connection.
    ///
    /// - Parameters:
    ///   - path: our address and the peer's, on the IKE ports.
    ///   - mayResume: whether what an earlier SA has proved may count.
    static func initiate(
        _ connection: ConnectionConfiguration, children: [ChildConfiguration], path: Path, localSPI: UInt64,
        mayResume: Bool, context: EndpointContext
    ) -> IKESA? {
        for owner in Extensions.all where mayResume {
            let sa = owner.initiate(connection, children: children, path: path, localSPI: localSPI, context: context)
            if let sa { return sa }
        }
        guard let method = connection.ikeProposals.lazy.flatMap(\.keyExchange).first else { return nil }
        let job = context.start(.makeKey(method, seeds: context.seeds(for: method)), for: localSPI)
        let phase = InitiatorInit(
            phase: .makingKey(job), method: method, nonce: context.randomOctets(32), children: children,
            until: context.attemptLimit(connection.timing), triedMethods: [method])
        let sa = IKESA(
            context: context, isInitiator: true, localSPI: localSPI, remoteSPI: 0, path: path,
            state: .initiating(phase), connection: connection,
            title: "IKE SA \(localSPI.bigEndianOctets.hexadecimal) as initiator, \(path.local) to \(path.remote)")
        sa.tell(.wanted, "peer \(connection.wantedPeer) at \(path.remote)", origin: connection.origin(of: "remote"))
        return sa
    }

    /// Goes over to IKE_SA_INIT where another way to begin has failed.
    func beginInit(children: [ChildConfiguration]) {
        guard let connection, let method = connection.ikeProposals.lazy.flatMap(\.keyExchange).first else { return }
        let job = context.start(.makeKey(method, seeds: context.seeds(for: method)), for: localSPI)
        window.outstanding = nil
        state = .initiating(
            InitiatorInit(
                phase: .makingKey(job), method: method, nonce: context.randomOctets(32), children: children,
                until: context.attemptLimit(connection.timing), triedMethods: [method]))
    }

    func completeInitiatorInit(_ job: Job.ID, _ result: JobResult, _ initial: InitiatorInit) {
        switch (initial.phase, result.value) {
        case (.makingKey(job), .key(let key)):
            sendInit(initial, key)
        case (.agreeing(job, let accepted), .secret(let secret)):
            finishInit(initial, accepted, secret)
        case (.earningCookie(job, let owner), _):
            guard let last = initial.attempts.last else { return }
            var earned = initial
            earned.besideCookie = owner.payloads(besideCookie: result, of: self)
            sendInit(earned, last.key)
        case (.makingKey(job), .failure(let reason)):
            close(Refusal(.local, "key exchange \(initial.method.name) failed: \(reason)"), tellPeer: false)
        case (.agreeing(job, let accepted), .failure(let reason)):
            // An impossible public value: the peer's, or that of somebody who was faster.
            doubt(
                initial,
                Refusal(.protocolViolation, "key exchange \(accepted.suite.keyExchange.name) failed: \(reason)"))
            launch(.ikeSAInit, id: 0, [accepted.request])
        default: break
        }
    }

    private func sendInit(_ initial: InitiatorInit, _ key: KeyExchangeKey) {
        guard let connection else { return }
        var initial = initial
        guard path.isOpen else {
            initial.phase = .awaitingStream(key)
            state = .initiating(initial)
            return
        }
        var payloads: [Payload] = []
        if let cookie = initial.cookie { payloads.append(.notify(NotifyPayload(type: .cookie, data: cookie))) }
        payloads += initial.besideCookie
        let proposals = connection.ikeProposals.enumerated().map {
            $0.element.payload(number: UInt8(truncatingIfNeeded: $0.offset + 1))
        }
        payloads += [
            .securityAssociation(SecurityAssociationPayload(proposals: proposals)),
            .keyExchange(KeyExchangePayload(method: initial.method.rawValue, data: key.publicValue)),
            .nonce(initial.nonce),
        ]
        payloads += path.natDetectionPayloads(
            initiatorSPI, 0,
            pretendingNAT: connection.encapsulation == .udp && path.stream == nil ? pretendedAddressHash : nil)
        payloads += extensionPayloads(for: .initRequest)
        for (proposal, wanted) in zip(proposals, connection.ikeProposals) {
            tell(.offered, proposal.summary, origin: wanted.origin)
        }
        let first = IKEHeader(
            initiatorSPI: initiatorSPI, responderSPI: 0, exchangeType: .ikeSAInit, flags: .initiator, messageID: 0)
        let octets = Message(header: first, payloads: payloads).serialized()
        initial.attempts.removeAll { $0.key.method == key.method }
        initial.attempts.append(.init(key: key, request: octets))
        initial.phase = .awaitingAnswer
        initial.doubt = nil
        state = .initiating(initial)
        window.nextID = 1
        launch(.ikeSAInit, id: 0, [octets])
        tell(.sent, "IKE_SA_INIT request: \(payloads.summary(codePoints))")
    }

    /// Sends the first message if that was ready before its TCP connection.
    func streamIsOpen() {
        guard case .initiating(let initial) = state, case .awaitingStream(let key) = initial.phase else { return }
        sendInit(initial, key)
    }

    /// An unprotected IKE_SA_INIT response for this SA.
    func receiveInitResponse(_ message: Message, _ datagram: IKEDatagram) {
        guard case .initiating(var initial) = state, message.header.messageID == 0, datagram.remote == path.remote
        else { return }
        let isWaiting: Bool
        switch initial.phase {
        case .agreeing: return
        case .makingKey, .awaitingStream, .earningCookie: isWaiting = false
        case .awaitingAnswer: isWaiting = true
        }
        let payloads = message.payloads
        if payloads.securityAssociation != nil {
            accept(initial, message, datagram)
        } else if !isWaiting {
            return
        } else if let cookie = payloads.notification(.cookie) {
            guard (1...64).contains(cookie.data.count), initial.cookieDemand == nil,
                initial.cookieRounds < InitiatorInit.maximumCookieRounds
            else { return }
            tell(.received, "IKE_SA_INIT response: COOKIE")
            initial.cookieDemand = (
                cookie.data, payloads, context.now + (path.stream == nil ? InitiatorInit.cookiePatience : .zero)
            )
            state = .initiating(initial)
        } else if let invalid = payloads.notification(.invalidKEPayload) {
            retryInit(initial, invalid)
        } else if Extensions.all.contains(where: { $0.divert(initial: message, of: self) }) {
            return
        } else if let error = payloads.errorNotification {
            doubt(initial, peerRefusedInit(error.type))
        }
    }

    /// Sends the first message again, with the cookie that was demanded (RFC 7296 section 2.6).
    func payCookie(_ initial: InitiatorInit, _ cookie: [UInt8], demandedBy response: [Payload]) {
        guard case .awaitingAnswer = initial.phase, let last = initial.attempts.last else { return }
        var initial = initial
        initial.cookieRounds += 1
        initial.cookie = cookie
        initial.besideCookie = []
        initial.cookieDemand = nil
        for owner in Extensions.all {
            guard let work = owner.work(forCookieIn: response, of: self) else { continue }
            initial.phase = .earningCookie(context.start(work, for: localSPI), owner)
            // The same request again would only be asked for the same again.
            window.outstanding = nil
            state = .initiating(initial)
            return
        }
        sendInit(initial, last.key)
    }

    private func retryInit(_ initial: InitiatorInit, _ invalid: NotifyPayload) {
        guard let connection, invalid.data.count == 2 else { return }
        let number = UInt16(invalid.data[0]) << 8 | UInt16(invalid.data[1])
        tell(
            .received,
            "IKE_SA_INIT response: INVALID_KE_PAYLOAD, the peer wants \(transformName(.keyExchange, number, keyLength: nil))"
        )
        guard let method = KeyExchangeMethod(rawValue: number),
            connection.ikeProposals.contains(where: { $0.keyExchange.contains(method) })
        else {
            doubt(
                initial,
                Refusal(
                    .noProposal, by: .us,
                    "the peer wants key exchange \(transformName(.keyExchange, number, keyLength: nil)), which is not among ours",
                    at: [connection.origin(of: "ike")]))
            return
        }
        // A method tried before means that the peer goes round in circles, or that somebody forges answers.
        guard !initial.triedMethods.contains(method) else { return }
        var initial = initial
        initial.triedMethods.insert(method)
        initial.method = method
        initial.doubt = nil
        initial.cookieDemand = nil
        initial.phase = .makingKey(context.start(.makeKey(method, seeds: context.seeds(for: method)), for: localSPI))
        window.outstanding = nil
        state = .initiating(initial)
    }

    private func doubt(_ initial: InitiatorInit, _ refusal: Refusal) {
        var initial = initial
        if case .agreeing = initial.phase { initial.phase = .awaitingAnswer }
        if initial.doubt == nil {
            tell(.received, "IKE_SA_INIT response: \(refusal.reason)")
            // Nobody can be faster than the peer on its TCP connection (RFC 9329 section 6.4).
            initial.doubt = (refusal, context.now + (path.stream == nil ? InitiatorInit.patience : .zero))
        }
        state = .initiating(initial)
    }

    private func peerRefusedInit(_ type: NotifyType) -> Refusal {
        guard type == .noProposalChosen, let connection else {
            return Refusal(.refusedByPeer, by: .peer, "the peer answered \(type) to IKE_SA_INIT")
        }
        return Refusal(
            .noProposal, by: .peer,
            "the peer answered NO_PROPOSAL_CHOSEN: none of our IKE proposals suits it, or it has no connection for our address; compare both sides' IKE proposals and addresses",
            at: [connection.origin(of: "ike"), connection.origin(of: "local")])
    }

    private func accept(
        _ initial: InitiatorInit, _ message: Message, _ datagram: IKEDatagram
    ) {
        guard let connection else { return }
        let payloads = message.payloads
        do throws(Refusal) {
            guard message.header.responderSPI != 0, let association = payloads.securityAssociation,
                let exchange = payloads.keyExchange, let nonce = payloads.nonce
            else {
                throw Refusal(
                    .protocolViolation, "the peer's IKE_SA_INIT response lacks SA, KE or nonce, or its SPI is zero")
            }
            let choice = try ProposalSelection.acceptedIKE(
                association.proposals, offered: connection.ikeProposals)
            guard exchange.method == choice.suite.keyExchange.rawValue,
                let attempt = initial.attempts.last(where: { $0.key.method == choice.suite.keyExchange })
            else {
                throw Refusal(
                    .protocolViolation,
                    "the peer chose \(choice.suite.keyExchange.name) although our key is for \(initial.method.name)")
            }
            guard
                choice.suite.additional.methods.isEmpty || payloads.notification(.intermediateExchangeSupported) != nil
            else {
                throw Refusal(
                    .protocolViolation, "the peer chose additional key exchanges, but does not support IKE_INTERMEDIATE"
                )
            }
            tell(.received, "IKE_SA_INIT response: \(payloads.summary(codePoints))")
            tell(.chosen, "by the peer: \(choice.suite)", origin: choice.origin)
            remoteSPI = message.header.responderSPI
            if path.detectNAT(in: payloads, initiatorSPI, responderSPI), connection.encapsulation == .udp,
                path.stream == nil
            {
                // We have announced a NAT that is not there: the peer takes to UDP, and so must we.
                path.isBehindNAT = true
            }
            try letExtensionsReceive(payloads, at: .initResponse)
            var next = initial
            next.doubt = nil
            next.cookieDemand = nil
            next.phase = .agreeing(
                context.start(.agree(attempt.key, peerPublicValue: exchange.data), for: localSPI),
                .init(
                    suite: choice.suite, request: attempt.request, responderNonce: nonce, response: datagram.octets))
            window.outstanding = nil
            state = .initiating(next)
        } catch {
            doubt(initial, error)
        }
    }

    private func finishInit(
        _ initial: InitiatorInit, _ accepted: InitiatorInit.Accepted, _ secret: SecretOctets
    ) {
        do {
            let keys = try IKEKeys.initial(
                suite: accepted.suite, sharedSecret: secret, initiatorNonce: initial.nonce,
                responderNonce: accepted.responderNonce, initiatorSPI: initiatorSPI, responderSPI: responderSPI)
            try secure(with: keys)
        } catch {
            close(Refusal(.local, "cannot derive keys: \(error.reason)"), tellPeer: false)
            return
        }
        floatToNATPortIfNeeded()
        beginIntermediate(
            InitiatorAuth.Foundation(
                request: accepted.request, response: accepted.response, initiatorNonce: initial.nonce,
                responderNonce: accepted.responderNonce, children: initial.children, until: initial.until),
            accepted.suite.additional.methods[...])
    }

    /// From here on the SA's messages are protected by these keys.
    func secure(with keys: IKEKeys) throws(CryptoError) {
        self.keys = keys
        protection = try MessageProtection(keys: keys, isInitiator: isInitiator)
        guard context.configuration.exportsKeys else { return }
        context.emit(
            .keys(
                .ike(
                    initiatorSPI: initiatorSPI, responderSPI: responderSPI, suite: keys.suite, skEi: keys.skEi,
                    skEr: keys.skEr, skAi: keys.skAi, skAr: keys.skAr)))
    }

    /// A NAT was found, or may come between: IKE and ESP go by UDP 4500 (RFC 7296 section 2.23).
    func floatToNATPortIfNeeded() {
        guard !path.usesNATPort, let connection else { return }
        let isAskedFor = path.traversesNATs && Extensions.all.contains { $0.prefersNATPort(of: self) }
        guard path.encapsulatesESP || isAskedFor else { return }
        path.usesNATPort = true
        path.local.port = context.configuration.natPort
        path.remote.port = connection.remoteNATPort
        guard path.encapsulatesESP else { return }
        let who = path.isBehindNAT ? (path.isPeerBehindNAT ? "both sides are" : "we are") : "the peer is"
        tell(.note, "\(who) behind a NAT: going on at port \(path.remote.port), ESP in UDP")
    }
}
