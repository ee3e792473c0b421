import IKEMessage
import IPsecCrypto
import Octets

/// A CREATE_CHILD_SA exchange of ours that makes a child SA, new or as a replacement (RFC 7296 sections 1.3.1, 1.3.3).
struct ChildCreation {
    enum Phase {
        case makingKey(Job.ID)
        case awaitingAnswer(KeyExchangeKey?)
        /// `link`: for the additional key exchanges.
        case agreeing(Job.ID, ChildTerms, responderNonce: [UInt8], link: [UInt8]?)
        case following(FollowUp, ChildTerms, responderNonce: [UInt8])
    }

    let configuration: ChildConfiguration
    /// Inbound SPI of the child that is to be replaced.
    let replaces: UInt32?
    /// If it is to inherit all from that child.
    let form: RekeyForm?
    let inboundSPI: UInt32
    let nonce: [UInt8]
    var method: KeyExchangeMethod?
    var triedMethods: Set<KeyExchangeMethod>
    var phase: Phase
    /// What the peer made to replace the same child, when that child has gone meanwhile.
    var peerReplacement: ChildSA.Replacement?
    /// Outbound SPIs that the peer has deleted and that are not known: a Delete may overtake the answer that tells of its SPI.
    var deletedByPeer: Set<UInt32> = []
}

extension IKESA {
    func beginChildCreation(_ child: ChildConfiguration, replaces: UInt32?) {
        guard let spi = childSPI(at: child.place, replacing: replaces) else {
            let refusal = Refusal(.local, "all SPIs are in use")
            if let replaces {
                retryRekey(ofChild: replaces, after: .seconds(30))
            } else {
                fail(toCreate: child, refusal, isTemporary: false)
            }
            return
        }
        narrative = Narrative(
            .child,
            title:
                "child SA \(child.name)\(replaces == nil ? "" : " (rekey)") as initiator, \(path.local) to \(path.remote)",
            at: context.now)
        let old = replaces.flatMap { established?.child(inboundSPI: $0) }
        let form = old.flatMap { otherForm(rekeying: .child($0), spi: spi.bigEndianOctets) }
        let child = form == nil ? adapted(child) : child
        var method = old?.terms.suite.keyExchange
        if form == nil, method == nil { method = child.espProposals.lazy.flatMap(\.keyExchange).first }
        var creation = ChildCreation(
            configuration: child, replaces: replaces, form: form, inboundSPI: spi, nonce: context.randomOctets(32),
            method: method,
            triedMethods: Set(method.map { [$0] } ?? []), phase: .awaitingAnswer(nil))
        if let replaces { setChildState(replaces, .rekeying) }
        if let method {
            creation.phase = .makingKey(
                context.start(.makeKey(method, seeds: context.seeds(for: method)), for: localSPI))
            _ = withEstablished { $0.outgoing = .child(creation) }
        } else {
            sendChildCreation(creation, nil)
        }
    }

    func setChildState(_ inboundSPI: UInt32, _ state: ChildSA.State) {
        _ = withEstablished { established in
            if let index = established.children.firstIndex(where: { $0.inboundSPI == inboundSPI }) {
                established.children[index].state = state
            }
        }
    }

    private func sendChildCreation(_ creation: ChildCreation, _ key: KeyExchangeKey?) {
        var creation = creation
        creation.phase = .awaitingAnswer(key)
        _ = withEstablished { $0.outgoing = .child(creation) }
        var payloads: [Payload] = []
        if let replaces = creation.replaces {
            payloads.append(
                .notify(
                    NotifyPayload(protocolID: .esp, spi: replaces.bigEndianOctets, type: .rekeySA, data: [])))
        }
        var offer =
            creation.form?.payloads
            ?? childOffer(creation.configuration, spi: creation.inboundSPI, withKeyExchange: true)
        offer.insert(.nonce(creation.nonce), at: min(1, offer.count))
        if let key {
            offer.insert(
                .keyExchange(KeyExchangePayload(method: key.method.rawValue, data: key.publicValue)),
                at: min(2, offer.count))
        }
        request(.createChildSA, payloads + offer)
    }

    func completeChildCreation(_ job: Job.ID, _ result: JobResult, _ creation: ChildCreation) {
        switch (creation.phase, result.value) {
        case (.makingKey(job), .key(let key)):
            sendChildCreation(creation, key)
        case (.agreeing(job, let terms, let nonce, let link), .secret(let secret)):
            followUpChildCreation(creation, terms, secret, responderNonce: nonce, link: link)
        case (.following(let followUp, let terms, let nonce), _):
            follow(pursue(followUp, job, result), creation, terms, nonce)
        case (.makingKey(job), .failure(let reason)):
            failChildCreation(
                creation, Refusal(.local, "key exchange for child \(creation.configuration.name): \(reason)"))
        case (.agreeing(job, _, _, _), .failure(let reason)):
            undoChildCreation(
                creation, Refusal(.local, "key exchange for child \(creation.configuration.name): \(reason)"))
        default: break
        }
    }

    /// Goes on with the additional key exchanges, or makes the child if there are none.
    private func followUpChildCreation(
        _ creation: ChildCreation, _ terms: ChildTerms, _ secret: SecretOctets, responderNonce: [UInt8],
        link: [UInt8]?
    ) {
        let methods = terms.suite.additional.methods
        guard !methods.isEmpty else {
            return finishChildCreation(creation, terms, [secret], responderNonce: responderNonce)
        }
        if let old = creation.replaces, let unfinished = established?.unfinished,
            case .child(_, old, _) = unfinished.subject,
            !prevails(own: (creation.nonce, responderNonce), over: unfinished)
        {
            return failChildCreation(
                creation,
                Refusal(
                    .refusedByPeer, by: .us, "the peer's simultaneous rekey prevails",
                    at: [creation.configuration.origin], notify: .temporaryFailure), isTemporary: true)
        }
        guard let link, let followUp = beginFollowUp(methods[...], link: link, secrets: [secret]) else {
            return failChildCreation(
                creation,
                Refusal(.protocolViolation, "the peer's CREATE_CHILD_SA response lacks ADDITIONAL_KEY_EXCHANGE"))
        }
        var next = creation
        next.phase = .following(followUp, terms, responderNonce: responderNonce)
        _ = withEstablished { $0.outgoing = .child(next) }
    }

    private func follow(
        _ outcome: FollowUp.Outcome, _ creation: ChildCreation, _ terms: ChildTerms, _ responderNonce: [UInt8]
    ) {
        switch outcome {
        case .goesOn(let followUp):
            var next = creation
            next.phase = .following(followUp, terms, responderNonce: responderNonce)
            _ = withEstablished { $0.outgoing = .child(next) }
        case .done(let secrets): finishChildCreation(creation, terms, secrets, responderNonce: responderNonce)
        case .failed(let refusal):
            failChildCreation(creation, refusal, isTemporary: refusal.notify == .temporaryFailure)
        case .spoilt(let refusal): close(refusal, tellPeer: true)
        case .unmoved: break
        }
    }

    func handleChildFollowUpResponse(_ message: Authenticated, _ creation: ChildCreation) {
        guard case .following(let followUp, let terms, let nonce) = creation.phase else { return }
        follow(receive(message, followUp), creation, terms, nonce)
    }

    func handleChildCreationResponse(_ message: Authenticated, _ creation: ChildCreation) {
        guard case .awaitingAnswer(let key) = creation.phase else { return }
        let payloads = message.payloads
        let form = ownerOfForm(payloads)
        let isAnswered = payloads.securityAssociation != nil || form != nil
        if let error = payloads.errorNotification {
            guard isAnswered else { return childCreationRefused(creation, error) }
            // Whatever else the answer says, an error means that the request has failed (RFC 7296 section 3.10.1).
            return undoChildCreation(
                creation,
                Refusal(
                    .protocolViolation, "the peer answered \(error.type) together with an SA",
                    at: [creation.configuration.origin]))
        }
        do throws(Refusal) {
            let terms = try readAnswer(payloads, creation, form)
            guard let nonce = payloads.nonce else {
                throw Refusal(.protocolViolation, "the peer's CREATE_CHILD_SA response lacks a nonce")
            }
            guard let key, terms.suite.keyExchange != nil else {
                guard terms.suite.keyExchange == nil else {
                    throw Refusal(.protocolViolation, "the peer chose a key exchange we sent no key for")
                }
                finishChildCreation(creation, terms, [], responderNonce: nonce)
                return
            }
            guard let exchange = payloads.keyExchange, exchange.method == key.method.rawValue,
                terms.suite.keyExchange == key.method
            else { throw Refusal(.protocolViolation, "the peer's KE payload does not fit our \(key.method.name) key") }
            var next = creation
            next.phase = .agreeing(
                context.start(.agree(key, peerPublicValue: exchange.data), for: localSPI), terms, responderNonce: nonce,
                link: payloads.notification(.additionalKeyExchange)?.data)
            _ = withEstablished { $0.outgoing = .child(next) }
        } catch {
            if isAnswered || creation.form != nil {
                undoChildCreation(creation, error)
            } else {
                failChildCreation(creation, error)
            }
        }
    }

    private func readAnswer(
        _ payloads: [Payload], _ creation: ChildCreation, _ owner: (any IKEExtension.Type)?
    ) throws(Refusal) -> ChildTerms {
        guard let form = creation.form, case .child(let old) = form.old else {
            guard owner == nil else {
                throw Refusal(.protocolViolation, "the peer answered in a form of a rekey that was not asked for")
            }
            return try readChildAnswer(payloads, creation.configuration, withKeyExchange: true)
        }
        return try form.owner.terms(fromRekey: payloads, of: old, isRequest: false, of: self)
    }

    /// The peer has the child and we cannot take it on: it must go there too (RFC 7296 section 2.21.3).
    private func undoChildCreation(_ creation: ChildCreation, _ refusal: Refusal) {
        _ = withEstablished {
            $0.undone.insert(creation.inboundSPI)
            $0.tasks.insert(.deleteChild(inboundSPI: creation.inboundSPI, reason: refusal.reason), at: 0)
        }
        failChildCreation(creation, refusal, keepsSPI: true)
    }

    private func childCreationRefused(_ creation: ChildCreation, _ error: NotifyPayload) {
        let child = creation.configuration
        if let form = creation.form, error.type != .temporaryFailure, error.type != .childSANotFound {
            guard form.owner.rekeyFailed(of: form.old, answer: error.type, of: self), let old = creation.replaces else {
                return failChildCreation(creation, peerRefusedChild(error.type, child), answer: error.type)
            }
            endOutgoing()
            context.childSPIs.release(creation.inboundSPI)
            finishNarrative(
                Refusal(
                    .noProposal, by: .peer,
                    "the peer answered \(error.type) to a rekey of child \(child.name) that changes nothing: the regular form follows",
                    at: [child.origin]))
            retryRekey(ofChild: old, after: .zero)
            return runNextTask()
        }
        switch error.type {
        case .invalidKEPayload:
            let number = error.data.count == 2 ? UInt16(error.data[0]) << 8 | UInt16(error.data[1]) : 0
            guard let method = KeyExchangeMethod(rawValue: number), !creation.triedMethods.contains(method),
                child.espProposals.contains(where: { $0.keyExchange.contains(method) })
            else {
                failChildCreation(creation, peerRefusedChild(.noProposalChosen, child))
                return
            }
            var next = creation
            next.method = method
            next.triedMethods.insert(method)
            next.phase = .makingKey(
                context.start(.makeKey(method, seeds: context.seeds(for: method)), for: localSPI))
            _ = withEstablished { $0.outgoing = .child(next) }
        case .childSANotFound where creation.replaces != nil:
            // The peer no longer has the child (RFC 7296 section 2.25): forget it and make a new one, unless the peer has
            // told us of its end meanwhile.
            endOutgoing()
            context.childSPIs.release(creation.inboundSPI)
            if let old = creation.replaces, established?.child(inboundSPI: old) != nil {
                // Whatever place it had beside others, that is gone with it.
                var successor = child
                successor.place = nil
                _ = withEstablished { $0.tasks.insert(.createChild(successor), at: 0) }
                removeChild(old, reason: "the peer no longer has it", lingers: false)
            }
            runNextTask()
        default:
            let refusal = peerRefusedChild(error.type, child)
            if creation.replaces == nil, let other = alternative(to: child, refused: refusal) {
                endOutgoing()
                context.childSPIs.release(creation.inboundSPI)
                finishNarrative(refusal)
                _ = withEstablished { $0.tasks.insert(.createChild(other), at: 0) }
                return runNextTask()
            }
            failChildCreation(creation, refusal, isTemporary: error.type == .temporaryFailure)
        }
    }

    /// - Parameter answer: what the peer answered, if it was asked in another form than the regular one.
    private func failChildCreation(
        _ creation: ChildCreation, _ refusal: Refusal, isTemporary: Bool = false, keepsSPI: Bool = false,
        answer: NotifyType? = nil
    ) {
        endOutgoing()
        if !keepsSPI { context.childSPIs.release(creation.inboundSPI) }
        finishNarrative(refusal)
        if let form = creation.form, !isTemporary {
            _ = form.owner.rekeyFailed(of: form.old, answer: answer, of: self)
        }
        if let old = creation.replaces {
            let next = retryRekey(ofChild: old, after: .seconds(isTemporary ? 4 : 30))
            if !isTemporary {
                context.emit(
                    .failed(
                        connection: connection?.name, child: creation.configuration.name, refusal, nextAttempt: next))
            }
        } else {
            fail(toCreate: creation.configuration, refusal, isTemporary: isTemporary)
        }
        runNextTask()
    }

    /// A child that was to replace none has come to nothing.
    private func fail(toCreate child: ChildConfiguration, _ refusal: Refusal, isTemporary: Bool) {
        // An extension may know what follows.
        guard !Extensions.all.contains(where: { $0.failed(child, refusal, isTemporary: isTemporary, of: self) }) else {
            return
        }
        let remains = established?.children.contains { $0.configuration.name == child.name && $0.isCurrent } ?? false
        if remains {
            // It was to be one more for what the others of the name leave out; they stay.
            context.emit(.failed(connection: connection?.name, child: child.name, refusal, nextAttempt: nil))
        } else {
            context.signals.append(.childLost(self, child: child.name, refusal: refusal))
        }
    }

    /// The old pair works until its lifetime ends: tries again before that.
    @discardableResult
    private func retryRekey(ofChild inboundSPI: UInt32, after pause: Duration) -> Instant? {
        let pause = context.jittered(pause, by: 0.5)
        let next = withEstablished { established -> Instant? in
            guard let index = established.children.firstIndex(where: { $0.inboundSPI == inboundSPI }) else {
                return nil
            }
            let child = established.children[index]
            guard child.state == .rekeying || child.state == .installed else { return nil }
            if child.peerReplacement != nil {
                established.children[index].state = .rekeyed
                return nil
            }
            established.children[index].state = .installed
            let at = context.now + context.within(pause, beforeEndAt: child.expiresAt)
            established.children[index].rekeyAt = at
            return at
        }
        return next ?? nil
    }

    private func finishChildCreation(
        _ creation: ChildCreation, _ terms: ChildTerms, _ secrets: [SecretOctets], responderNonce: [UInt8]
    ) {
        guard let keys else { return }
        guard !creation.deletedByPeer.contains(terms.outboundSPI) else {
            return failChildCreation(
                creation,
                Refusal(
                    .refusedByPeer, by: .peer,
                    "the peer has made child \(creation.configuration.name) and deleted it again",
                    at: [creation.configuration.origin]))
        }
        let childKeys: ChildKeys
        do {
            childKeys = try keys.childKeys(
                suite: terms.suite, sharedSecret: secrets.first, additional: Array(secrets.dropFirst()),
                initiatorNonce: creation.nonce, responderNonce: responderNonce)
        } catch {
            undoChildCreation(creation, Refusal(.local, "cannot derive the child's keys: \(error.reason)"))
            return
        }
        var child = makeChild(
            creation.configuration, terms, by: .createChildSA, inboundSPI: creation.inboundSPI,
            inbound: childKeys.fromResponder, outbound: childKeys.fromInitiator)
        child.replaces = creation.replaces
        add(child)
        endOutgoing()
        finishNarrative(nil)
        let own = ChildSA.Replacement(
            inboundSPI: child.inboundSPI,
            lowestNonce: isLower(creation.nonce, than: responderNonce) ? creation.nonce : responderNonce)
        if let old = creation.replaces, established?.child(inboundSPI: old) != nil {
            ownReplacementIsReady(old: old, own)
        } else if let peer = creation.peerReplacement, established?.child(inboundSPI: peer.inboundSPI) != nil {
            decide(old: nil, own, peer)
        } else {
            activateOutbound(child.inboundSPI)
        }
        runNextTask()
    }
}
