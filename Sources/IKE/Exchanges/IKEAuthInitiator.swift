import Credentials
import IKEMessage
import IPsecCrypto
import Octets

/// IKE_AUTH as the initiator sees it (RFC 7296 section 1.2).
struct InitiatorAuth {
    /// What IKE_SA_INIT left behind.
    struct Foundation {
        let request: [UInt8]
        let response: [UInt8]
        let initiatorNonce: [UInt8]
        let responderNonce: [UInt8]
        let children: [ChildConfiguration]
        /// When the attempt is given up.
        let until: Instant
        /// The SA goes on from this session, so that its peers prove themselves by that.
        var session: SessionResumption.Session?
        /// What is proved of the exchanges since.
        var intermediate: [UInt8] = []
        /// The post-quantum preshared key that is offered, and the keys it makes.
        var ppk: (key: PostquantumPresharedKey, keys: IKEKeys)?
    }

    enum Phase {
        case signing(Job.ID, AuthenticationMethod, SignatureAlgorithm)
        /// Once more, for a peer that does not know the post-quantum preshared key; `first` is the proof with it.
        case signingWithoutPPK(Job.ID, AuthenticationMethod, SignatureAlgorithm, first: AuthenticationPayload)
        case awaitingAnswer
        case verifying(Job.ID, Authenticated, Identity)
    }

    let foundation: Foundation
    var phase: Phase
    /// The first child, and the SPI it will receive with.
    var child: (configuration: ChildConfiguration, inboundSPI: UInt32)?
}

extension IKESA {
    func beginAuthentication(_ foundation: InitiatorAuth.Foundation) {
        guard let connection, let keys else { return }
        var foundation = foundation
        foundation.intermediate = transcript.octets(beforeMessage: window.nextID)
        do throws(Refusal) {
            foundation.ppk = try offeredPPK(keys, isResumed: foundation.session != nil)
        } catch {
            state = .proving(InitiatorAuth(foundation: foundation, phase: .awaitingAnswer))
            close(error, tellPeer: true)
            return
        }
        var proving = InitiatorAuth(foundation: foundation, phase: .awaitingAnswer)
        do {
            if try !omitsFirstChild(), let first = foundation.children.first,
                let spi = context.childSPIs.allocate(using: &context.random)
            {
                proving.child = (first, spi)
            }
        } catch {
            state = .proving(proving)
            close(error, tellPeer: true)
            return
        }
        do throws(Refusal) {
            guard foundation.session == nil else {
                let proof = try SessionResumption.proof(
                    key: keys.skPi, message: foundation.request, prf: keys.suite.prf)
                return sendAuth(proving, proof)
            }
            let proofKeys = foundation.ppk?.keys ?? keys
            let octets = try octetsToSign(foundation, connection, by: proofKeys)
            switch connection.localAuthentication {
            case .preSharedKey(let secret):
                func proof(_ octets: [UInt8]) throws(Refusal) -> [UInt8] {
                    try AuthenticationOctets.sharedKeyProof(secret, octets: octets, prf: keys.suite.prf).unprotected
                }
                let plain = try octetsWithoutPPK(foundation, connection, keys).map { octets throws(Refusal) in
                    try proof(octets)
                }
                sendAuth(
                    proving, AuthenticationPayload(method: .sharedKey, data: try proof(octets)), withoutPPK: plain)
            case .anonymous:
                let plain = try octetsWithoutPPK(foundation, connection, keys).map { octets throws(Refusal) in
                    try NullAuthentication.proof(key: keys.skPi, octets: octets, keys: keys).data
                }
                sendAuth(
                    proving, try NullAuthentication.proof(key: proofKeys.skPi, octets: octets, keys: keys),
                    withoutPPK: plain)
            case .certificate(let certificate):
                let (chosen, method, algorithm) = try AuthenticationAnnouncements.choose(
                    certificate, of: connection, sa: self)
                self.connection?.localAuthentication = .certificate(chosen)
                let job = context.start(.sign(chosen.signingKey, algorithm, octets: octets), for: localSPI)
                proving.phase = .signing(job, method, algorithm)
                state = .proving(proving)
            }
        } catch {
            var refusal = error
            refusal.origins = [connection.origin(of: "local.auth")]
            state = .proving(proving)
            close(refusal, tellPeer: true)
        }
    }

    func completeInitiatorAuth(_ job: Job.ID, _ result: JobResult, _ proving: InitiatorAuth) {
        switch (proving.phase, result.value) {
        case (.signing(job, let method, let algorithm), .signature(let signature)):
            guard let payload = SignatureAuthentication.payload(method, algorithm, signature: signature) else { return }
            tell(.note, "we sign with \(algorithm)")
            signWithoutPPK(proving, method, algorithm, payload)
        case (.signingWithoutPPK(job, let method, let algorithm, let first), .signature(let signature)):
            let payload = SignatureAuthentication.payload(method, algorithm, signature: signature)
            sendAuth(proving, first, withoutPPK: payload?.data)
        case (.verifying(job, let answer, let identity), .verification),
            (.verifying(job, let answer, let identity), .inquired):
            switch pursueProof(result.value) {
            case .proved: finishAuth(proving, answer, identity)
            case .refused(let refusal): refuseResponder(proving, refusal)
            case .goesOn(let next):
                var proving = proving
                proving.phase = .verifying(next, answer, identity)
                state = .proving(proving)
            }
        case (.signing(job, _, _), .failure(let reason)), (.signingWithoutPPK(job, _, _, _), .failure(let reason)),
            (.verifying(job, _, _), .failure(let reason)):
            close(Refusal(.local, "authentication cannot be computed: \(reason)"), tellPeer: true)
        default: break
        }
    }

    /// The post-quantum preshared key that we offer, if the peer uses such, and the keys it makes.
    private func offeredPPK(
        _ keys: IKEKeys, isResumed: Bool
    ) throws(Refusal) -> (key: PostquantumPresharedKey, keys: IKEKeys)? {
        guard let connection, let key = connection.ppks.first, !isResumed else { return nil }
        guard slots[PostquantumPresharedKeys.self] != nil else {
            guard !connection.requiresPPK || IntermediatePresharedKeys.isUsed(by: self) else {
                throw Refusal(
                    .authenticationFailed, "the peer uses no post-quantum preshared keys",
                    at: [connection.origin(of: "ppk")])
            }
            return nil
        }
        return (key, try PostquantumPresharedKeys.mixed(keys, with: key))
    }

    private func octetsToSign(
        _ foundation: InitiatorAuth.Foundation, _ connection: ConnectionConfiguration, by keys: IKEKeys
    ) throws(Refusal) -> [UInt8] {
        try AuthenticationOctets.signed(
            message: try signedMessage(foundation.request, received: foundation.response),
            otherNonce: foundation.responderNonce,
            identityBody: connection.localIdentity.payload.serializedBody, key: keys.skPi, prf: keys.suite.prf,
            intermediate: foundation.intermediate)
    }

    /// `nil` if there is no PPK, or the peer may not do without it.
    private func octetsWithoutPPK(
        _ foundation: InitiatorAuth.Foundation, _ connection: ConnectionConfiguration, _ keys: IKEKeys
    ) throws(Refusal) -> [UInt8]? {
        guard foundation.ppk != nil, !connection.requiresPPK else { return nil }
        return try octetsToSign(foundation, connection, by: keys)
    }

    private func signWithoutPPK(
        _ proving: InitiatorAuth, _ method: AuthenticationMethod, _ algorithm: SignatureAlgorithm,
        _ first: AuthenticationPayload
    ) {
        guard let connection, let keys, case .certificate(let certificate) = connection.localAuthentication else {
            return
        }
        do throws(Refusal) {
            guard let octets = try octetsWithoutPPK(proving.foundation, connection, keys) else {
                return sendAuth(proving, first)
            }
            var next = proving
            next.phase = .signingWithoutPPK(
                context.start(.sign(certificate.signingKey, algorithm, octets: octets), for: localSPI), method,
                algorithm, first: first)
            state = .proving(next)
        } catch {
            close(error, tellPeer: true)
        }
    }

    private func sendAuth(
        _ proving: InitiatorAuth, _ authentication: AuthenticationPayload, withoutPPK plain: [UInt8]? = nil
    ) {
        guard let connection else { return }
        var proving = proving
        proving.phase = .awaitingAnswer
        state = .proving(proving)
        var payloads: [Payload] = [.identificationInitiator(connection.localIdentity.payload)]
        let isResumed = proving.foundation.session != nil
        if !isResumed, case .certificate(let certificate) = connection.localAuthentication {
            payloads += certificate.payloads
        }
        if !isResumed, let request = CertificateRequest.payload(for: [connection]) { payloads.append(request) }
        if let identity = connection.remoteIdentity { payloads.append(.identificationResponder(identity.payload)) }
        payloads.append(.authentication(authentication))
        if let ppk = proving.foundation.ppk {
            payloads += PostquantumPresharedKeys.payloads(offering: ppk.key, withoutIt: plain)
        }
        // Only if it is true as far as we know (RFC 7296 section 2.4).
        let identities = IdentityPairs.Pair(local: connection.localIdentity, remote: connection.remoteIdentity)
        let isFirst = context.identityPairs.isFree(identities)
        claim(identities)
        if connection.sendsInitialContact, isFirst, connection.localIdentity != .anonymous {
            payloads.append(.notify(NotifyPayload(type: .initialContact)))
        }
        tell(
            .wanted, "we are \(connection.localIdentity), the peer is to be \(connection.wantedPeer)",
            origin: connection.origin(of: "local.id"))
        payloads += extensionPayloads(for: .authRequest)
        if let child = proving.child {
            payloads += childOffer(adapted(child.configuration), spi: child.inboundSPI, withKeyExchange: false)
        }
        request(.ikeAuth, payloads)
    }

    func handleAuthResponse(_ message: Authenticated, _ proving: InitiatorAuth) {
        guard case .awaitingAnswer = proving.phase, let connection, var keys else { return }
        let payloads = message.payloads
        guard let authentication = payloads.authentication,
            let identification = payloads.identification(ofInitiator: false)
        else {
            let type = payloads.errorNotification?.type
            close(peerRefusedAuth(type), tellPeer: type == nil)
            return
        }
        do throws(Refusal) {
            let identity = try connection.identity(claimedBy: identification)
            if !connection.accepts(identity) {
                throw Refusal(
                    .authenticationFailed, "the peer says it is \(identity); \(connection.wantedPeer) was expected",
                    at: [connection.origin(of: "remote.id")], notify: .authenticationFailed)
            }
            let foundation = proving.foundation
            if let ppk = foundation.ppk {
                if payloads.notification(.ppkIdentity) != nil {
                    keys = ppk.keys
                    self.keys = keys
                    slots[PostquantumPresharedKeys.self]?.isUsed = true
                    tell(
                        .chosen,
                        "the post-quantum preshared key \(PostquantumPresharedKeys.name(ppk.key.identifier))",
                        origin: connection.origin(of: "ppk"))
                } else if connection.requiresPPK {
                    throw Refusal(
                        .authenticationFailed, "the peer did without the post-quantum preshared key",
                        at: [connection.origin(of: "ppk")], notify: .authenticationFailed)
                }
            }
            if let session = foundation.session {
                try SessionResumption.check(
                    session, identity, authentication, key: keys.skPr, message: foundation.response,
                    prf: keys.suite.prf)
                finishAuth(proving, message, identity)
                return
            }
            let octets = try AuthenticationOctets.signed(
                message: try signedMessage(foundation.response, received: foundation.request),
                otherNonce: foundation.initiatorNonce,
                identityBody: identification.serializedBody, key: keys.skPr, prf: keys.suite.prf,
                intermediate: foundation.intermediate)
            switch try check(
                authentication, payloads, identity, octets: octets, by: connection.remoteAuthentication,
                origin: connection.origin(of: "remote.auth"), keys: keys)
            {
            case nil: finishAuth(proving, message, identity)
            case let proof?:
                var next = proving
                next.phase = .verifying(context.start(.verify(proof), for: localSPI), message, identity)
                state = .proving(next)
            }
        } catch {
            refuseResponder(proving, error)
        }
    }

    /// Checks a pre-shared key proof at once; for a certificate, returns what remains to be verified.
    func check(
        _ authentication: AuthenticationPayload, _ payloads: [Payload], _ identity: Identity, octets: [UInt8],
        by wanted: RemoteAuthentication, origin: Origin, keys: IKEKeys
    ) throws(Refusal) -> PeerProof? {
        switch wanted {
        case .preSharedKey(let secret):
            guard authentication.method == .sharedKey else {
                throw Refusal(
                    .authenticationFailed,
                    "the peer authenticated by \(authentication.method); a pre-shared key is configured", at: [origin],
                    notify: .authenticationFailed)
            }
            let proof = try AuthenticationOctets.sharedKeyProof(secret, octets: octets, prf: keys.suite.prf)
            guard proof == SecretOctets(authentication.data) else {
                throw Refusal(
                    .authenticationFailed,
                    "the pre-shared key of \(identity) is not the one configured here", at: [origin],
                    notify: .authenticationFailed)
            }
            return nil
        case .anonymous:
            try NullAuthentication.check(
                authentication, key: isInitiator ? keys.skPr : keys.skPi, octets: octets, keys: keys, origin: origin)
            return nil
        case .certificate(let anchors):
            guard authentication.method != .sharedKey, authentication.method != .null else {
                throw Refusal(
                    .authenticationFailed,
                    "the peer authenticated by \(authentication.method); a certificate is wanted", at: [origin],
                    notify: .authenticationFailed)
            }
            let (algorithm, signature) = try SignatureAuthentication.read(authentication)
            guard !payloads.certificates.isEmpty else {
                throw Refusal(
                    .certificate, "the peer sent no certificate for \(identity)", at: [origin],
                    notify: .authenticationFailed)
            }
            // Not only when the path is searched: until then it would all have to be kept.
            do throws(CredentialError) {
                try CertificatePathValidator.checkAmount(of: payloads.certificates, longest: contents.certificateLimit)
            } catch {
                throw Refusal(.certificate, error.reason, at: [origin], notify: .authenticationFailed)
            }
            tell(.note, "the peer signs with \(algorithm) and sent \(payloads.certificates.count) certificate(s)")
            return PeerProof(
                chain: payloads.certificates, anchors: anchors, identity: identity, signature: signature,
                algorithm: algorithm, signedOctets: octets, unixTime: context.wallClock(),
                revocation: revocationCheck(payloads), certificateLimit: contents.certificateLimit)
        }
    }

    private func refuseResponder(_ proving: InitiatorAuth, _ refusal: Refusal) {
        var refusal = refusal
        if refusal.origins.isEmpty, let connection { refusal.origins = [connection.origin(of: "remote.auth")] }
        // The responder believes the SA to be up: tell it why not, and that it ends (RFC 7296 section 2.21.2).
        request(.informational, [.notify(NotifyPayload(type: .authenticationFailed))])
        close(refusal, tellPeer: false)
    }

    private func peerRefusedAuth(_ type: NotifyType?) -> Refusal {
        guard let connection else { return Refusal(.local, "no connection") }
        switch type {
        case NotifyType.authenticationFailed?:
            return Refusal(
                .authenticationFailed, by: .peer,
                "the peer answered AUTHENTICATION_FAILED: our identity \(connection.localIdentity), our secret or certificate, or the identity we asked for (\(connection.remoteIdentity?.description ?? "none")) does not fit its configuration; compare these lines with the peer's",
                at: [
                    connection.origin(of: "local.id"), connection.origin(of: "local.auth"),
                    connection.origin(of: "remote.id"),
                ])
        case let type?:
            return Refusal(.refusedByPeer, by: .peer, "the peer answered \(type) to IKE_AUTH", at: [connection.origin])
        case nil:
            return Refusal(.protocolViolation, "the peer's IKE_AUTH response has neither AUTH nor an error")
        }
    }

    private func finishAuth(_ proving: InitiatorAuth, _ answer: Authenticated, _ identity: Identity) {
        guard let connection else { return }
        tell(.chosen, "the peer is \(identity)", origin: connection.origin(of: "remote.id"))
        establish(remote: identity, from: proving.foundation.session)
        let children = proving.foundation.children
        if Extensions.all.contains(where: { $0.divert(authenticated: answer.payloads, children: children, of: self) }) {
            if let child = proving.child { context.childSPIs.release(child.inboundSPI) }
            return finishNarrative(nil)
        }
        var refusal: Refusal?
        do {
            try letExtensionsReceive(answer.payloads, at: .authResponse)
            if let child = proving.child {
                try acceptFirstChild(
                    adapted(child.configuration), spi: child.inboundSPI, answer.payloads, proving.foundation)
            }
        } catch {
            refusal = error
            if let child = proving.child {
                if error.decidedBy == .us, answer.payloads.securityAssociation != nil {
                    // The peer has set up a child that we cannot accept: it must go there too.
                    _ = withEstablished {
                        $0.tasks.append(.deleteChild(inboundSPI: child.inboundSPI, reason: error.reason))
                    }
                } else {
                    context.childSPIs.release(child.inboundSPI)
                }
                if let other = alternative(to: child.configuration, refused: error) {
                    _ = withEstablished { $0.tasks.append(.createChild(other)) }
                } else {
                    context.signals.append(.childLost(self, child: child.configuration.name, refusal: error))
                }
            }
        }
        for owner in Extensions.all { owner.established(self) }
        finishNarrative(refusal)
        for child in proving.foundation.children.dropFirst(proving.child == nil ? 0 : 1) {
            _ = withEstablished { $0.tasks.append(.createChild(child)) }
        }
        runNextTask()
    }

    private func acceptFirstChild(
        _ configuration: ChildConfiguration, spi: UInt32, _ payloads: [Payload], _ foundation: InitiatorAuth.Foundation
    ) throws(Refusal) {
        guard let keys else { return }
        let agreed = try readChildAnswer(payloads, configuration, withKeyExchange: false)
        let childKeys: ChildKeys
        do {
            childKeys = try keys.childKeys(
                suite: agreed.suite, sharedSecret: nil, initiatorNonce: foundation.initiatorNonce,
                responderNonce: foundation.responderNonce)
        } catch {
            throw Refusal(.local, "cannot derive the child's keys: \(error.reason)")
        }
        let child = makeChild(
            configuration, agreed, by: .ikeAuth, inboundSPI: spi, inbound: childKeys.fromResponder,
            outbound: childKeys.fromInitiator)
        add(child)
        activateOutbound(child.inboundSPI)
    }
}

extension ConnectionConfiguration {
    /// Who the peer is, as far as that can follow from its identification payload, in one spelling: by another it is not to
    /// be one more peer, with addresses and a place of its own.
    func identity(claimedBy payload: IdentificationPayload) throws(Refusal) -> Identity {
        if case .anonymous = remoteAuthentication { return .anonymous }
        return try Identity(payload: payload).canonical
    }
}

extension Identity {
    /// The identity as an IDi or IDr payload has it.
    var payload: IdentificationPayload {
        IdentificationPayload(type: IdentificationType(rawValue: type), data: data)
    }

    init(payload: IdentificationPayload) throws(Refusal) {
        guard let identity = Identity(type: payload.type.rawValue, data: payload.data) else {
            throw Refusal(
                .authenticationFailed, "the peer's identity of type \(payload.type) cannot be read",
                notify: .authenticationFailed)
        }
        self = identity
    }
}

extension CertificateIdentity {
    /// The certificates as CERT payloads, our own first (RFC 7296 section 3.6).
    var payloads: [Payload] {
        ([leafDER] + intermediatesDER).map {
            .certificate(CertificatePayload(encoding: .x509Signature, data: $0))
        }
    }
}
