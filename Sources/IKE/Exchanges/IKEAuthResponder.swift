import Credentials
import IKEMessage
import IPsecCrypto
import Octets

/// IKE_AUTH as the responder sees it: the peer is checked first, then we prove ourselves.
struct ResponderAuth {
    enum Phase {
        case verifying(Job.ID)
        case signing(Job.ID, AuthenticationMethod, SignatureAlgorithm)
    }

    let initial: ResponderInit
    var connection: ConnectionConfiguration
    let remoteIdentity: Identity
    let request: Authenticated
    var phase: Phase
}

extension IKESA {
    /// The initiator's IKE_AUTH request.
    func admit(_ message: Authenticated, _ initial: ResponderInit) {
        guard case .awaitingAuth = initial.phase, var keys else { return }
        guard initial.additionalCount == initial.awaitedMethods.count else {
            return endForInvalidSyntax(.ikeAuth, "the peer sent IKE_AUTH before all key exchanges had taken place")
        }
        let payloads = message.payloads
        guard let identification = payloads.identification(ofInitiator: true) else {
            refuseInitiator(Refusal(.protocolViolation, "the IKE_AUTH request lacks IDi", notify: .invalidSyntax))
            return
        }
        guard var authentication = payloads.authentication else {
            refuseInitiator(
                Refusal(
                    .authenticationFailed, "the peer asks for EAP, which no connection here offers",
                    notify: .authenticationFailed))
            return
        }
        do {
            let identity = try Identity(payload: identification).canonical
            let wanted = try payloads.identification(ofInitiator: false).map { payload throws(Refusal) in
                try Identity(payload: payload)
            }
            tell(
                .received,
                "the peer says it is \(identity)\(wanted.map { " and asks for \($0)" } ?? ""), by \(authentication.method)"
            )
            if let session = initial.session, let connection = initial.candidates.first {
                self.connection = connection
                try SessionResumption.check(
                    session, identity, authentication, key: keys.skPi, message: initial.request, prf: keys.suite.prf)
                let proof = try SessionResumption.proof(
                    key: keys.skPr, message: initial.response, prf: keys.suite.prf)
                let admitting = ResponderAuth(
                    initial: initial, connection: connection, remoteIdentity: identity, request: message,
                    phase: .verifying(Job.ID(number: 0)))
                state = .admitting(admitting)
                finishAdmission(admitting, proof)
                return
            }
            let connection = try choose(among: initial.candidates, identity, wanted, authentication, payloads)
                .resolved(for: identity)
            self.connection = connection
            try NullAuthentication.admit(to: connection, context: context)
            try admit(to: connection)
            (keys, authentication) = try PostquantumPresharedKeys.settle(
                authentication, payloads, connection, keys, of: self)
            self.keys = keys
            let octets = try AuthenticationOctets.signed(
                message: try signedMessage(initial.request, received: initial.response),
                otherNonce: initial.responderNonce,
                identityBody: identification.serializedBody, key: keys.skPi, prf: keys.suite.prf,
                intermediate: transcript.octets(beforeMessage: message.header.messageID))
            var proof: PeerProof?
            proof = try check(
                authentication, payloads, identity, octets: octets, by: connection.remoteAuthentication,
                origin: connection.origin(of: "remote.auth"), keys: keys)
            let job = proof.map { context.start(.verify($0), for: localSPI) }
            let admitting = ResponderAuth(
                initial: initial, connection: connection,
                remoteIdentity: try connection.identity(claimedBy: identification), request: message,
                phase: .verifying(job ?? Job.ID(number: 0)))
            state = .admitting(admitting)
            if job == nil { proveOurselves(admitting) }
        } catch {
            refuseInitiator(error)
        }
    }

    func completeResponderAuth(_ job: Job.ID, _ result: JobResult, _ admitting: ResponderAuth) {
        switch (admitting.phase, result.value) {
        case (.verifying(job), .verification), (.verifying(job), .inquired):
            switch pursueProof(result.value) {
            case .proved: proveOurselves(admitting)
            case .refused(var refusal):
                refusal.origins = [admitting.connection.origin(of: "remote.auth")]
                refuseInitiator(refusal)
            case .goesOn(let next):
                var admitting = admitting
                admitting.phase = .verifying(next)
                state = .admitting(admitting)
            }
        case (.signing(job, let method, let algorithm), .signature(let signature)):
            guard let payload = SignatureAuthentication.payload(method, algorithm, signature: signature) else { return }
            tell(.note, "we sign with \(algorithm)")
            finishAdmission(admitting, payload)
        case (.verifying(job), .failure(let reason)), (.signing(job, _, _), .failure(let reason)):
            refuseInitiator(
                Refusal(.local, "authentication cannot be computed: \(reason)", notify: .authenticationFailed))
        default: break
        }
    }

    /// The connection for these identities and this way of authentication.
    private func choose(
        among candidates: [ConnectionConfiguration], _ identity: Identity, _ wanted: Identity?,
        _ authentication: AuthenticationPayload, _ payloads: [Payload]
    ) throws(Refusal) -> ConnectionConfiguration {
        let fitting = candidates.filter { candidate in
            candidate.accepts(identity) && (wanted.map(candidate.localIdentity.matches) ?? true)
        }
        let byMethod = fitting.filter {
            switch $0.remoteAuthentication {
            case .preSharedKey: authentication.method == .sharedKey
            case .certificate: authentication.method != .sharedKey && authentication.method != .null
            case .anonymous: authentication.method == .null
            }
        }
        // With the method wrong for all, the check that follows says so with the line that decides.
        let suitable = byMethod.isEmpty ? fitting : byMethod
        // Who is named is not taken for one of many.
        let precision = suitable.map(\.precision).max()
        let remaining = suitable.filter { $0.precision == precision }
        let bySelectors = remaining.first { candidate in
            candidate.children.contains { child in
                narrowed(child, payloads) != nil && (try? admit(payloads, to: child)) != nil
            }
        }
        if let chosen = bySelectors ?? remaining.first { return chosen }
        let reasons = candidates.prefix(Self.namedCandidateLimit).map { candidate in
            if !NullAuthentication.allows(identity, for: candidate) {
                (
                    text: "\(candidate.name) takes nobody without an identity",
                    origin: candidate.origin(of: "remote.auth")
                )
            } else if !candidate.accepts(identity) {
                (
                    text: "\(candidate.name) wants the peer to be \(candidate.wantedPeer)",
                    origin: candidate.origin(of: "remote.id")
                )
            } else {
                (
                    text: "\(candidate.name) is ours as \(candidate.localIdentity)",
                    origin: candidate.origin(of: "local.id")
                )
            }
        }
        for reason in reasons { tell(.refused, reason.text, origin: reason.origin) }
        let others = candidates.count - reasons.count
        throw Refusal(
            .authenticationFailed,
            "no connection here is for the peer \(identity)\(wanted.map { " with us as \($0)" } ?? ""): "
                + reasons.map(\.text).joined(separator: "; ") + (others > 0 ? "; nor are \(others) others" : ""),
            at: reasons.map(\.origin), notify: .authenticationFailed)
    }

    /// How many connections a refusal names.
    static let namedCandidateLimit = 8

    private func refuseInitiator(_ refusal: Refusal) {
        answer(.ikeAuth, [.notify(NotifyPayload(type: refusal.notify ?? .authenticationFailed))])
        close(refusal, tellPeer: false, repeatsAnswer: true)
        context.emit(.callerRefused(connection: connection?.name, remote: path.remote, refusal))
    }

    private func proveOurselves(_ admitting: ResponderAuth) {
        guard let keys else { return }
        let connection = admitting.connection
        do throws(Refusal) {
            let octets = try AuthenticationOctets.signed(
                message: try signedMessage(admitting.initial.response, received: admitting.initial.request),
                otherNonce: admitting.initial.initiatorNonce,
                identityBody: connection.localIdentity.payload.serializedBody, key: keys.skPr, prf: keys.suite.prf,
                intermediate: transcript.octets(beforeMessage: admitting.request.header.messageID))
            switch connection.localAuthentication {
            case .preSharedKey(let secret):
                let proof = try AuthenticationOctets.sharedKeyProof(secret, octets: octets, prf: keys.suite.prf)
                finishAdmission(admitting, AuthenticationPayload(method: .sharedKey, data: proof.unprotected))
            case .anonymous:
                finishAdmission(admitting, try NullAuthentication.proof(key: keys.skPr, octets: octets, keys: keys))
            case .certificate(let certificate):
                let (chosen, method, algorithm) = try AuthenticationAnnouncements.choose(
                    certificate, of: connection, request: admitting.request.payloads, sa: self)
                self.connection?.localAuthentication = .certificate(chosen)
                var next = admitting
                next.connection.localAuthentication = .certificate(chosen)
                next.phase = .signing(
                    context.start(.sign(chosen.signingKey, algorithm, octets: octets), for: localSPI), method,
                    algorithm)
                state = .admitting(next)
            }
        } catch {
            var refusal = error
            refusal.origins = [connection.origin(of: "local.auth")]
            refuseInitiator(refusal)
        }
    }

    private func finishAdmission(_ admitting: ResponderAuth, _ authentication: AuthenticationPayload) {
        let connection = admitting.connection
        guard
            !connection.takesSeveralPeers
                || context.instances.hasRoom(
                    for: admitting.remoteIdentity, of: connection.name, limit: context.configuration.peerLimit)
        else {
            return refuseInitiator(
                Refusal(
                    .refusedByPeer, "\(connection.name) has \(context.configuration.peerLimit) peers already",
                    at: [connection.origin], notify: .authenticationFailed))
        }
        tell(.chosen, "the peer is \(admitting.remoteIdentity)", origin: connection.origin(of: "remote.id"))
        establish(remote: admitting.remoteIdentity, from: admitting.initial.session)
        // Whoever resumes a session has lost the SA that it was.
        receivedInitialContact =
            admitting.initial.session != nil
            || admitting.remoteIdentity != .anonymous
                && admitting.request.payloads.notification(.initialContact) != nil
        var payloads: [Payload] = [.identificationResponder(connection.localIdentity.payload)]
        if admitting.initial.session == nil, case .certificate(let certificate) = connection.localAuthentication {
            payloads += certificate.payloads
        }
        payloads.append(.authentication(authentication))
        var added: UInt32?
        var refusal: Refusal?
        var childPayloads: [Payload] = []
        do {
            try letExtensionsReceive(admitting.request.payloads, at: .authRequest)
            if let others = payloadsInPlaceOfChild() {
                childPayloads = others
            } else if admitting.request.payloads.securityAssociation != nil {
                let (child, answer) = try answerFirstChild(admitting)
                childPayloads = answer
                add(child)
                added = child.inboundSPI
            }
        } catch {
            refusal = error
            childPayloads = [.notify(NotifyPayload(type: error.notify ?? .noProposalChosen))]
            context.emit(.peerRefused(connection: connection.name, error))
        }
        // A CP payload stands before the SA payload (RFC 7296 section 2.19).
        guard answer(.ikeAuth, payloads + extensionPayloads(for: .authResponse) + childPayloads) else { return }
        if let added { activateOutbound(added) }
        for owner in Extensions.all { owner.established(self) }
        finishNarrative(refusal)
        runNextTask()
    }

    private func answerFirstChild(
        _ admitting: ResponderAuth
    ) throws(Refusal) -> (ChildSA, [Payload]) {
        guard let keys else { throw Refusal(.local, "no keys") }
        let agreed = try selectChild(admitting.request.payloads, withKeyExchange: false, preferring: nil)
        guard let spi = context.childSPIs.allocate(using: &context.random) else {
            throw Refusal(.local, "all SPIs are in use", notify: .noAdditionalSAs)
        }
        do {
            let childKeys = try keys.childKeys(
                suite: agreed.suite, sharedSecret: nil, initiatorNonce: admitting.initial.initiatorNonce,
                responderNonce: admitting.initial.responderNonce)
            let child = makeChild(
                agreed.configuration, agreed.terms, by: .ikeAuth, inboundSPI: spi, inbound: childKeys.fromInitiator,
                outbound: childKeys.fromResponder)
            return (child, childAcceptance(agreed, spi: spi))
        } catch {
            context.childSPIs.release(spi)
            throw Refusal(.local, "cannot derive the child's keys: \(error.reason)", notify: .noProposalChosen)
        }
    }
}

extension IKESA {
    /// Both sides are authenticated.
    ///
    /// - Parameter session: what the SA goes on from, if the peer has not proved itself anew.
    func establish(remote identity: Identity, from session: SessionResumption.Session?) {
        guard let connection, let suite = keys?.suite else { return }
        var established = Established(
            localIdentity: connection.localIdentity, remoteIdentity: identity, at: context.now)
        scheduleLifetime(&established)
        state = .established(established)
        context.fragmentBudget.forget(localSPI)
        earlierProtection = nil
        peerAuthentication =
            session?.authentication
            ?? PeerAuthentication(time: context.wallClock(), certificateExpiry: certificateExpiry)
        claim(IdentityPairs.Pair(local: connection.localIdentity, remote: identity))
        enterInstance(identity)
        tell(.chosen, "IKE SA established: \(suite)")
        if let status = status() { context.emit(.ikeEstablished(connection: connection.name, status)) }
        context.signals.append(.established(self))
    }

    /// Gives a finished computation to the exchange that waits for it.
    func complete(_ job: Job.ID, _ result: JobResult) {
        switch state {
        case .initiating(let initial): completeInitiatorInit(job, result, initial)
        case .resuming: break
        case .proving(let proving): completeInitiatorAuth(job, result, proving)
        case .exchangingKeys(let current): completeIntermediate(job, result, current)
        case .answering(let initial):
            completeResponderInit(job, result, initial)
            completeIntermediateAnswer(job, result, initial)
        case .admitting(let admitting): completeResponderAuth(job, result, admitting)
        case .established(let established):
            switch established.outgoing {
            case .child(let creation): completeChildCreation(job, result, creation)
            case .rekeyIKE(let rekey): completeIKERekey(job, result, rekey)
            default: break
            }
            switch established.incoming {
            case .child(let pending): completeChildAnswer(job, result, pending)
            case .rekeyIKE(let pending): completeIKERekeyAnswer(job, result, pending)
            case nil: break
            }
            if let pending = established.unfinished { completeFollowUpAnswer(job, result, pending) }
        case .closing, .closed: break
        }
    }
}

extension ConnectionConfiguration {
    /// How closely it says who the peer is.
    fileprivate var precision: Int { remoteIdentity != nil || !peerSecrets.isEmpty ? 2 : remotePattern != nil ? 1 : 0 }
}
