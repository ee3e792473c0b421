import IKEMessage
import IPsecCrypto
import Octets

/// A peer's CREATE_CHILD_SA request for a child SA, whose answer waits for the key exchange.
struct ChildAnswer {
    let job: Job.ID
    let agreed: SelectedChild
    let replaces: UInt32?
    let initiatorNonce: [UInt8]
}

extension IKESA {
    func handleCreateChildSARequest(_ message: Authenticated) {
        guard let established else { return }
        let payloads = message.payloads
        let owner = ownerOfForm(payloads)
        let isIKERekey =
            owner == nil
            ? payloads.securityAssociation?.proposals.contains { $0.protocolID == .ike } ?? false
            : payloads.notification(.rekeySA) == nil
        narrative = Narrative(
            isIKERekey ? .rekey : .child,
            title: "\(isIKERekey ? "IKE SA rekey" : "child SA") as responder, \(path.remote) to \(path.local)",
            at: context.now)
        tell(.received, "CREATE_CHILD_SA request: \(payloads.summary(codePoints))")
        if let type = mustWait(established, forIKERekey: isIKERekey) {
            answer(.createChildSA, [.notify(NotifyPayload(type: type))])
            return
        }
        if isIKERekey {
            handleIKERekeyRequest(message, owner)
        } else {
            handleChildRequest(message, established, owner)
        }
    }

    /// The error that keeps crossing exchanges apart (RFC 7296 section 2.25), if one is due.
    private func mustWait(_ established: Established, forIKERekey: Bool) -> NotifyType? {
        if established.isReplaced || established.peerReplacement != nil { return .temporaryFailure }
        switch established.outgoing {
        case .deleteIKE: return .temporaryFailure
        // One that is past CREATE_CHILD_SA holds (RFC 9370 section 2.2.4).
        case .rekeyIKE(let rekey):
            if case .following = rekey.phase { return .temporaryFailure }
            return forIKERekey ? nil : .temporaryFailure
        case .child, .deleteChild: return forIKERekey ? .temporaryFailure : nil
        case .liveness, .notice, nil: return nil
        }
    }

    /// - Parameter owner: whose form the request has; `nil` for the regular one.
    private func handleChildRequest(
        _ message: Authenticated, _ established: Established, _ owner: (any IKEExtension.Type)?
    ) {
        let payloads = message.payloads
        do throws(Refusal) {
            guard let initiatorNonce = payloads.nonce else {
                throw Refusal(
                    .protocolViolation, "the CREATE_CHILD_SA request lacks a nonce",
                    notify: owner == nil ? .invalidSyntax : .noProposalChosen)
            }
            var old: ChildSA?
            if let rekey = payloads.notification(.rekeySA) {
                guard rekey.protocolID == .esp, let spi = Self.spi(rekey.spi),
                    let child = established.child(outboundSPI: spi)
                else {
                    // It may be the one that we are asking for, whose answer this request has overtaken.
                    if case .child = established.outgoing {
                        throw Refusal(
                            .refusedByPeer, "the child to be rekeyed is not known yet", notify: .temporaryFailure)
                    }
                    answer(
                        .createChildSA,
                        [
                            .notify(
                                NotifyPayload(
                                    protocolID: .esp, spi: Array(rekey.spi.prefix(4)), type: .childSANotFound, data: [])
                            )
                        ])
                    return
                }
                guard child.state != .deleting, child.peerReplacement == nil else {
                    throw Refusal(
                        .refusedByPeer, "child \(child.configuration.name) is being deleted", notify: .temporaryFailure)
                }
                if isPastRequest(toRekey: child.inboundSPI) {
                    throw Refusal(
                        .refusedByPeer, "our own rekey of child \(child.configuration.name) is past CREATE_CHILD_SA",
                        notify: .temporaryFailure)
                }
                old = child
            }
            // Several of each for crossing rekeys; more would be SPIs taken from other peers.
            let usual = max(16, 4 * (connection?.children.count ?? 0))
            guard established.children.count < usual + childrenBeyondUsual() else {
                throw Refusal(
                    .refusedByPeer, "the peer has \(established.children.count) child SAs already",
                    notify: .noAdditionalSAs)
            }
            let agreed: SelectedChild
            if let owner, let old {
                agreed = SelectedChild(
                    configuration: old.configuration, proposalNumber: 0,
                    terms: try owner.terms(fromRekey: payloads, of: old, isRequest: true, of: self),
                    form: RekeyForm(owner: owner, old: .child(old)))
            } else {
                agreed = try selectChild(
                    payloads, withKeyExchange: true, preferring: payloads.keyExchange?.method, only: old?.configuration)
            }
            guard let method = agreed.suite.keyExchange else {
                finishChildAnswer(agreed, replaces: old?.inboundSPI, nil, publicValue: nil, initiatorNonce)
                return
            }
            guard let exchange = payloads.keyExchange, exchange.method == method.rawValue else {
                answer(
                    .createChildSA,
                    [.notify(NotifyPayload(type: .invalidKEPayload, data: method.rawValue.bigEndianOctets))])
                return
            }
            let job = context.start(
                .makeKeyAndAgree(method, seeds: context.seeds(for: method), peerPublicValue: exchange.data),
                for: localSPI)
            _ = withEstablished {
                $0.incoming = .child(
                    ChildAnswer(
                        job: job, agreed: agreed, replaces: old?.inboundSPI, initiatorNonce: initiatorNonce))
            }
        } catch {
            refuseChildRequest(error)
        }
    }

    /// Whether our own rekey of a child is past CREATE_CHILD_SA, so that the peer's has to wait (RFC 9370 section 2.2.4).
    private func isPastRequest(toRekey inboundSPI: UInt32) -> Bool {
        if case .child(let creation) = established?.outgoing, creation.replaces == inboundSPI,
            case .following = creation.phase
        {
            return true
        }
        return false
    }

    private func refuseChildRequest(_ refusal: Refusal) {
        guard refusal.notify != .invalidSyntax else { return endForInvalidSyntax(.createChildSA, refusal.reason) }
        answer(.createChildSA, [.notify(NotifyPayload(type: refusal.notify ?? .noProposalChosen))])
        guard refusal.notify != .temporaryFailure else { return }
        finishNarrative(refusal)
        context.emit(.peerRefused(connection: connection?.name, refusal))
    }

    func completeChildAnswer(_ job: Job.ID, _ result: JobResult, _ pending: ChildAnswer) {
        guard pending.job == job else { return }
        _ = withEstablished { $0.incoming = nil }
        switch result.value {
        case .agreement(let publicValue, let secret):
            // The old child, or this whole SA, may have gone while the key was computed.
            let isReplaced = established?.isReplaced ?? true
            if isReplaced
                || pending.replaces.map({ established?.child(inboundSPI: $0) == nil || isPastRequest(toRekey: $0) })
                    ?? false
            {
                answer(.createChildSA, [.notify(NotifyPayload(type: .temporaryFailure))])
            } else {
                finishChildAnswer(
                    pending.agreed, replaces: pending.replaces, secret, publicValue: publicValue, pending.initiatorNonce
                )
            }
        case .failure(let reason) where result.isPeersFault:
            refuseChildRequest(
                Refusal(.protocolViolation, "the peer's key exchange value: \(reason)", notify: .invalidSyntax))
        case .failure(let reason):
            refuseChildRequest(Refusal(.local, "key exchange for a child: \(reason)", notify: .temporaryFailure))
        default: break
        }
        runNextTask()
    }

    private func finishChildAnswer(
        _ agreed: SelectedChild, replaces: UInt32?, _ secret: SecretOctets?, publicValue: [UInt8]?,
        _ initiatorNonce: [UInt8]
    ) {
        guard let spi = childSPI(at: agreed.terms.place, replacing: replaces) else {
            refuseChildRequest(Refusal(.local, "all SPIs are in use", notify: .noAdditionalSAs))
            return
        }
        let nonce = context.randomOctets(32)
        var payloads = childAcceptance(agreed, spi: spi)
        payloads.insert(.nonce(nonce), at: min(1, payloads.count))
        if let publicValue, let method = agreed.suite.keyExchange {
            payloads.insert(
                .keyExchange(KeyExchangePayload(method: method.rawValue, data: publicValue)),
                at: min(2, payloads.count))
        }
        let methods = agreed.suite.additional.methods
        if let secret, !methods.isEmpty {
            let subject = UnfinishedAnswer.Subject.child(agreed, replaces: replaces, inboundSPI: spi)
            payloads.append(keepUnfinished(unfinished(subject, methods, secret: secret, initiatorNonce, nonce)))
            answer(.createChildSA, payloads)
            return
        }
        finishChildAnswer(
            agreed, replaces: replaces, spi: spi, secret.map { [$0] } ?? [], initiatorNonce, nonce, .createChildSA,
            payloads)
    }

    /// Makes the child and gives the answer that tells the peer so.
    ///
    /// - Parameters:
    ///   - exchange: the last one of those that make it.
    ///   - payloads: the answer.
    func finishChildAnswer(
        _ agreed: SelectedChild, replaces: UInt32?, spi: UInt32, _ secrets: [SecretOctets], _ initiatorNonce: [UInt8],
        _ nonce: [UInt8], _ exchange: ExchangeType, _ payloads: [Payload]
    ) {
        guard let keys, let established else { return }
        if established.isReplaced || replaces.map({ established.child(inboundSPI: $0) == nil }) ?? false {
            // The old child, or this whole SA, has gone since the peer began.
            context.childSPIs.release(spi)
            answer(exchange, [.notify(NotifyPayload(type: .temporaryFailure))])
            return
        }
        let childKeys: ChildKeys
        do {
            childKeys = try keys.childKeys(
                suite: agreed.suite, sharedSecret: secrets.first, additional: Array(secrets.dropFirst()),
                initiatorNonce: initiatorNonce, responderNonce: nonce)
        } catch {
            context.childSPIs.release(spi)
            let refusal = Refusal(
                .local, "cannot derive the child's keys: \(error.reason)", notify: .noProposalChosen)
            answer(exchange, [.notify(NotifyPayload(type: .noProposalChosen))])
            finishNarrative(refusal)
            context.emit(.peerRefused(connection: connection?.name, refusal))
            return
        }
        var child = makeChild(
            agreed.configuration, agreed.terms, by: .createChildSA, inboundSPI: spi,
            inbound: childKeys.fromInitiator, outbound: childKeys.fromResponder)
        child.replaces = replaces
        add(child)
        answer(exchange, payloads)
        finishNarrative(nil)
        if let replaces {
            // The peer has its new inbound SA only when it has our answer: go on with the old pair until we hear of that.
            peerReplacementIsReady(
                old: replaces,
                ChildSA.Replacement(
                    inboundSPI: spi, lowestNonce: isLower(initiatorNonce, than: nonce) ? initiatorNonce : nonce))
        } else {
            activateOutbound(spi)
        }
    }
}
