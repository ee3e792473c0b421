import IKEMessage
import IPPacket
import IPsecCrypto
import Octets

/// IKE_SA_INIT as the initiator sees it (RFC 7296 section 1.2): from the first key to the shared secret.
struct InitiatorInit {
    enum Phase {
        case makingKey(Job.ID)
        case awaitingAnswer(KeyExchangeKey)
        case agreeing(Job.ID, Accepted)
    }

    /// What the peer's answer settled.
    struct Accepted {
        var suite: IKESuite
        var responderNonce: [UInt8]
        var response: [UInt8]
    }

    var phase: Phase
    var method: KeyExchangeMethod
    let nonce: [UInt8]
    /// The children asked for; the first goes into IKE_AUTH.
    let children: [ChildConfiguration]
    var cookie: [UInt8]?
    var triedMethods: Set<KeyExchangeMethod>
    var cookieRounds = 0
    /// The first message as last sent: part of what IKE_AUTH signs.
    var request: [UInt8] = []
    /// What an unauthenticated error said. It may be forged, so a good answer is waited for until `until`.
    var doubt: (refusal: Refusal, until: Instant)?

    static let maximumCookieRounds = 3
    /// How long a better answer than an unprotected error is waited for.
    static let patience: Duration = .milliseconds(750)
}

extension IKESA {
    /// Begins an IKE SA with the peer of a connection.
    ///
    /// - Parameter path: our address and the peer's, on the IKE ports.
    static func initiate(
        _ connection: ConnectionConfiguration, children: [ChildConfiguration], path: Path, localSPI: UInt64,
        context: EndpointContext
    ) -> IKESA? {
        guard let method = connection.ikeProposals.lazy.flatMap(\.keyExchange).first else { return nil }
        let job = context.start(.makeKey(method, seeds: context.seeds(for: method)), for: localSPI)
        let phase = InitiatorInit(
            phase: .makingKey(job), method: method, nonce: context.randomOctets(32), children: children,
            triedMethods: [method])
        let sa = IKESA(
            context: context, isInitiator: true, localSPI: localSPI, remoteSPI: 0, path: path,
            state: .initiating(phase), connection: connection,
            title: "IKE SA \(localSPI.bigEndianOctets.hexadecimal) as initiator, \(path.local) to \(path.remote)")
        sa.tell(.wanted, "peer \(connection.remoteIdentity?.description ?? "with any identity") at \(path.remote)", origin: connection.origin(of: "remote"))
        return sa
    }

    func completeInitiatorInit(_ job: Job.ID, _ result: JobResult, _ initial: InitiatorInit) {
        switch (initial.phase, result.value) {
        case (.makingKey(job), .key(let key)):
            sendInit(initial, key)
        case (.agreeing(job, let accepted), .secret(let secret)):
            finishInit(initial, accepted, secret)
        case (.makingKey(job), .failure(let reason)), (.agreeing(job, _), .failure(let reason)):
            close(Refusal(.protocolViolation, "key exchange \(initial.method.name) failed: \(reason)"), tellPeer: false)
        default: break
        }
    }

    private func sendInit(_ initial: InitiatorInit, _ key: KeyExchangeKey) {
        guard let connection else { return }
        var initial = initial
        var payloads: [Payload] = []
        if let cookie = initial.cookie { payloads.append(.notify(NotifyPayload(type: .cookie, data: cookie))) }
        let proposals = connection.ikeProposals.enumerated().map {
            $0.element.payload(number: UInt8(truncatingIfNeeded: $0.offset + 1))
        }
        payloads += [
            .securityAssociation(SecurityAssociationPayload(proposals: proposals)),
            .keyExchange(KeyExchangePayload(method: initial.method.rawValue, data: key.publicValue)),
            .nonce(initial.nonce),
        ]
        payloads += path.natDetectionPayloads(
            initiatorSPI, 0, pretendingNAT: connection.encapsulation == .udp ? context.randomOctets(20) : nil)
        payloads += InitCapabilities.payloads(for: connection)
        for (proposal, wanted) in zip(proposals, connection.ikeProposals) {
            tell(.offered, proposal.summary, origin: wanted.origin)
        }
        let octets = Message(header: header(.ikeSAInit, id: 0, isResponse: false), payloads: payloads).serialized()
        initial.request = octets
        initial.phase = .awaitingAnswer(key)
        state = .initiating(initial)
        window.nextID = 1
        launch(.ikeSAInit, id: 0, [octets])
        tell(.sent, "IKE_SA_INIT request: \(payloads.summary)")
    }

    /// An unprotected IKE_SA_INIT response for this SA.
    func receiveInitResponse(_ message: Message, _ datagram: IKEDatagram) {
        guard case .initiating(var initial) = state, case .awaitingAnswer(let key) = initial.phase,
            message.header.messageID == 0, datagram.remote == path.remote
        else { return }
        let payloads = message.payloads
        if let cookie = payloads.notification(.cookie), payloads.securityAssociation == nil {
            guard (1...64).contains(cookie.data.count), initial.cookieRounds < InitiatorInit.maximumCookieRounds
            else { return }
            tell(.received, "IKE_SA_INIT response: COOKIE; the first message is sent again with it")
            initial.cookieRounds += 1
            initial.cookie = cookie.data
            sendInit(initial, key)
        } else if let invalid = payloads.notification(.invalidKEPayload), payloads.securityAssociation == nil {
            retryInit(initial, invalid)
        } else if let error = payloads.errorNotification, payloads.securityAssociation == nil {
            doubt(initial, peerRefusedInit(error.type))
        } else {
            accept(initial, key, message, datagram)
        }
    }

    private func retryInit(_ initial: InitiatorInit, _ invalid: NotifyPayload) {
        guard let connection, invalid.data.count == 2 else { return }
        let number = UInt16(invalid.data[0]) << 8 | UInt16(invalid.data[1])
        tell(.received, "IKE_SA_INIT response: INVALID_KE_PAYLOAD, the peer wants \(transformName(.keyExchange, number, keyLength: nil))")
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
        initial.phase = .makingKey(context.start(.makeKey(method, seeds: context.seeds(for: method)), for: localSPI))
        window.outstanding = nil
        state = .initiating(initial)
    }

    private func doubt(_ initial: InitiatorInit, _ refusal: Refusal) {
        guard initial.doubt == nil else { return }
        var initial = initial
        tell(.received, "IKE_SA_INIT response: \(refusal.reason)")
        initial.doubt = (refusal, context.now + InitiatorInit.patience)
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
        _ initial: InitiatorInit, _ key: KeyExchangeKey, _ message: Message, _ datagram: IKEDatagram
    ) {
        guard let connection else { return }
        let payloads = message.payloads
        do throws(Refusal) {
            guard message.header.responderSPI != 0, let association = payloads.securityAssociation,
                let exchange = payloads.keyExchange, let nonce = payloads.nonce
            else {
                throw Refusal(.protocolViolation, "the peer's IKE_SA_INIT response lacks SA, KE or nonce, or its SPI is zero")
            }
            let choice = try ProposalSelection.acceptedIKE(
                association.proposals, offered: connection.ikeProposals)
            guard choice.suite.keyExchange == initial.method, exchange.method == initial.method.rawValue else {
                throw Refusal(
                    .protocolViolation,
                    "the peer chose \(choice.suite.keyExchange.name) although our key is for \(initial.method.name)")
            }
            tell(.received, "IKE_SA_INIT response: \(payloads.summary)")
            tell(.chosen, "by the peer: \(choice.suite)", origin: choice.origin)
            remoteSPI = message.header.responderSPI
            path.detectNAT(in: payloads, initiatorSPI, responderSPI)
            InitCapabilities.read(payloads, into: self)
            var next = initial
            next.phase = .agreeing(
                context.start(.agree(key, peerPublicValue: exchange.data), for: localSPI),
                .init(suite: choice.suite, responderNonce: nonce, response: datagram.octets))
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
        if path.encapsulatesESP { floatToNATPort() }
        beginAuthentication(
            InitiatorAuth.Foundation(
                request: initial.request, response: accepted.response, initiatorNonce: initial.nonce,
                responderNonce: accepted.responderNonce, children: initial.children))
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

    /// A NAT was found: IKE and ESP go by UDP 4500 (RFC 7296 section 2.23).
    private func floatToNATPort() {
        guard !path.usesNATPort, let connection else { return }
        path.usesNATPort = true
        path.local.port = context.configuration.natPort
        path.remote.port = connection.remoteNATPort
        let who = path.isBehindNAT ? (path.isPeerBehindNAT ? "both sides are" : "we are") : "the peer is"
        tell(.note, "\(who) behind a NAT: going on at port \(path.remote.port), ESP in UDP")
    }
}

/// Notifications of IKE_SA_INIT that tell what a side can do.
enum InitCapabilities {
    static func payloads(for connection: ConnectionConfiguration?) -> [Payload] {
        var payloads: [Payload] = []
        if connection?.fragmentation ?? true {
            payloads.append(.notify(NotifyPayload(type: .ikev2FragmentationSupported)))
        }
        payloads.append(
            .notify(
                NotifyPayload(
                    type: .signatureHashAlgorithms,
                    data: SignatureAuthentication.acceptedHashes.flatMap { $0.rawValue.bigEndianOctets })))
        return payloads
    }

    static func read(_ payloads: [Payload], into sa: IKESA) {
        sa.peerSupportsFragmentation = payloads.notification(.ikev2FragmentationSupported) != nil
        if let hashes = payloads.notification(.signatureHashAlgorithms)?.data, hashes.count.isMultiple(of: 2) {
            sa.peerHashes = stride(from: 0, to: hashes.count, by: 2).compactMap {
                HashAlgorithm(rawValue: UInt16(hashes[$0]) << 8 | UInt16(hashes[$0 + 1]))
            }
        }
    }
}
