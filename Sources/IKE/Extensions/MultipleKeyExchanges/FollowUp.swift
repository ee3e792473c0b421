// RFC 9370: Multiple Key Exchanges in IKEv2, section 2.2.4: after CREATE_CHILD_SA. Code points: exchange 44, notifies 16441 and 47
// (IKEMessage). The length of a link and how long an unfinished answer is kept are our own.
import IKEMessage
import IPsecCrypto
import Octets

/// A chain of IKE_FOLLOWUP_KE exchanges of ours, one for each additional key exchange.
struct FollowUp {
    enum Phase {
        case makingKey(Job.ID)
        case awaitingAnswer(KeyExchangeKey)
        /// `link`: for the exchange after this one.
        case agreeing(Job.ID, link: [UInt8]?)
    }

    enum Outcome {
        case goesOn(FollowUp)
        /// All secrets, that of CREATE_CHILD_SA first.
        case done([SecretOctets])
        case failed(Refusal)
        /// The peer may have made what we cannot make: the IKE SA has to end.
        case spoilt(Refusal)
        /// It waits for something else.
        case unmoved
    }

    /// The method of this exchange, and those of the exchanges after it.
    let methods: ArraySlice<KeyExchangeMethod>
    /// What the peer gave us to show which of its unfinished answers we go on with.
    let link: [UInt8]
    let secrets: [SecretOctets]
    var phase: Phase
}

/// An answer to CREATE_CHILD_SA that becomes an SA when all key exchanges have taken place.
struct UnfinishedAnswer {
    enum Subject {
        case child(SelectedChild, replaces: UInt32?, inboundSPI: UInt32)
        case ike(IKERekeyChoice, newSPI: UInt64)
    }

    let subject: Subject
    let initiatorNonce: [UInt8]
    let responderNonce: [UInt8]
    var methods: ArraySlice<KeyExchangeMethod>
    var secrets: [SecretOctets]
    var link: [UInt8]
    /// When it is given up (RFC 9370 wants 5 to 20 seconds).
    var until: Instant
    /// The computation for the exchange under way.
    var job: Job.ID?

    static let patience: Duration = .seconds(20)
    static let linkLength = 16
    /// The IKE SA is deleted when the peer has forgotten so many in a row.
    static let tries = 3
}

extension IKESA {
    // MARK: Initiator

    /// - Parameter secrets: that of CREATE_CHILD_SA, and of exchanges since.
    /// - Returns: `nil` if there is no method.
    func beginFollowUp(
        _ methods: ArraySlice<KeyExchangeMethod>, link: [UInt8], secrets: [SecretOctets]
    ) -> FollowUp? {
        guard let method = methods.first else { return nil }
        let job = context.start(.makeKey(method, seeds: context.seeds(for: method)), for: localSPI)
        return FollowUp(methods: methods, link: link, secrets: secrets, phase: .makingKey(job))
    }

    func pursue(_ followUp: FollowUp, _ job: Job.ID, _ result: JobResult) -> FollowUp.Outcome {
        switch (followUp.phase, result.value) {
        case (.makingKey(job), .key(let key)):
            var next = followUp
            next.phase = .awaitingAnswer(key)
            request(
                .ikeFollowupKE,
                [
                    .keyExchange(KeyExchangePayload(method: key.method.rawValue, data: key.publicValue)),
                    .notify(NotifyPayload(type: .additionalKeyExchange, data: followUp.link)),
                ])
            return .goesOn(next)
        case (.agreeing(job, let link), .secret(let secret)):
            let (rest, secrets) = (followUp.methods.dropFirst(), followUp.secrets + [secret])
            guard !rest.isEmpty else {
                _ = withEstablished { $0.forgottenChains = 0 }
                return .done(secrets)
            }
            guard let link, let next = beginFollowUp(rest, link: link, secrets: secrets) else {
                return .failed(
                    Refusal(.protocolViolation, "the peer's IKE_FOLLOWUP_KE response lacks ADDITIONAL_KEY_EXCHANGE"))
            }
            return .goesOn(next)
        case (.makingKey(job), .failure(let reason)):
            return .failed(Refusal(.local, "an additional key exchange failed: \(reason)"))
        case (.agreeing(job, _), .failure(let reason)):
            return .spoilt(Refusal(.protocolViolation, "an additional key exchange failed: \(reason)"))
        default: return .unmoved
        }
    }

    func receive(_ answer: Authenticated, _ followUp: FollowUp) -> FollowUp.Outcome {
        guard case .awaitingAnswer(let key) = followUp.phase else { return .unmoved }
        if let error = answer.payloads.errorNotification {
            // The peer has forgotten what it began: the whole may be tried again, but not for ever.
            let isForgotten = error.type == .stateNotFound
            let refusal = Refusal(
                .refusedByPeer, by: .peer, "the peer answered \(error.type) to IKE_FOLLOWUP_KE",
                notify: isForgotten ? .temporaryFailure : error.type)
            let times = withEstablished { established in
                established.forgottenChains += isForgotten ? 1 : 0
                return established.forgottenChains
            }
            return times ?? 0 < UnfinishedAnswer.tries ? .failed(refusal) : .spoilt(refusal)
        }
        guard let exchange = answer.payloads.keyExchange, exchange.method == key.method.rawValue else {
            return .spoilt(
                Refusal(
                    .protocolViolation, "the peer's IKE_FOLLOWUP_KE response has no KE payload for \(key.method.name)"))
        }
        var next = followUp
        next.phase = .agreeing(
            context.start(.agree(key, peerPublicValue: exchange.data), for: localSPI),
            link: answer.payloads.notification(.additionalKeyExchange)?.data)
        return .goesOn(next)
    }

    /// Of two crossing rekeys neither has made an SA yet: the one with the lowest nonce stops (RFC 9370 section 2.2.4), so that if it
    /// is the peer's, its unfinished answer goes.
    ///
    /// - Returns: whether ours goes on.
    func prevails(own nonces: ([UInt8], [UInt8]), over unfinished: UnfinishedAnswer) -> Bool {
        func lowest(_ one: [UInt8], _ other: [UInt8]) -> [UInt8] { isLower(one, than: other) ? one : other }
        let theirs = lowest(unfinished.initiatorNonce, unfinished.responderNonce)
        guard !isLower(lowest(nonces.0, nonces.1), than: theirs) else { return false }
        // A request for it that we are working on is answered as the next one would be.
        if unfinished.job != nil { answer(.ikeFollowupKE, [.notify(NotifyPayload(type: .stateNotFound))]) }
        dropUnfinishedAnswer()
        return true
    }

    // MARK: Responder

    /// The notify that has the peer go on, and keeps what it goes on with. One at a time: whoever begins anew has given up what
    /// was before.
    func keepUnfinished(_ answer: UnfinishedAnswer) -> Payload {
        dropUnfinishedAnswer()
        _ = withEstablished { $0.unfinished = answer }
        return .notify(NotifyPayload(type: .additionalKeyExchange, data: answer.link))
    }

    func unfinished(
        _ subject: UnfinishedAnswer.Subject, _ methods: [KeyExchangeMethod], secret: SecretOctets,
        _ initiatorNonce: [UInt8], _ responderNonce: [UInt8]
    ) -> UnfinishedAnswer {
        UnfinishedAnswer(
            subject: subject, initiatorNonce: initiatorNonce, responderNonce: responderNonce, methods: methods[...],
            secrets: [secret], link: context.randomOctets(UnfinishedAnswer.linkLength),
            until: context.now + UnfinishedAnswer.patience)
    }

    func dropUnfinishedAnswer() {
        guard let unfinished = established?.unfinished else { return }
        _ = withEstablished { $0.unfinished = nil }
        switch unfinished.subject {
        case .child(_, _, let spi): context.childSPIs.release(spi)
        case .ike(_, let spi): context.ikeSPIs.release(spi)
        }
    }

    func handleFollowUpRequest(_ message: Authenticated) {
        guard var unfinished = established?.unfinished, unfinished.job == nil, unfinished.until > context.now,
            message.payloads.notification(.additionalKeyExchange)?.data == unfinished.link,
            let method = unfinished.methods.first
        else {
            answer(.ikeFollowupKE, [.notify(NotifyPayload(type: .stateNotFound))])
            return
        }
        guard let exchange = message.payloads.keyExchange, exchange.method == method.rawValue,
            exchange.data.count == method.publicValueLength
        else {
            return endForInvalidSyntax(
                .ikeFollowupKE, "the peer's IKE_FOLLOWUP_KE request has no KE payload for \(method.name)")
        }
        unfinished.job = context.start(
            .makeKeyAndAgree(method, seeds: context.seeds(for: method), peerPublicValue: exchange.data), for: localSPI)
        _ = withEstablished { $0.unfinished = unfinished }
    }

    func completeFollowUpAnswer(_ job: Job.ID, _ result: JobResult, _ pending: UnfinishedAnswer) {
        guard pending.job == job, let method = pending.methods.first else { return }
        guard case .agreement(let publicValue, let secret) = result.value else {
            guard case .failure(let reason) = result.value else { return }
            if result.isPeersFault {
                endForInvalidSyntax(.ikeFollowupKE, "the peer's key exchange value: \(reason)")
            } else {
                dropUnfinishedAnswer()
                answer(.ikeFollowupKE, [.notify(NotifyPayload(type: .temporaryFailure))])
                runNextTask()
            }
            return
        }
        let payload = Payload.keyExchange(KeyExchangePayload(method: method.rawValue, data: publicValue))
        var next = pending
        next.job = nil
        next.secrets.append(secret)
        next.methods = next.methods.dropFirst()
        guard next.methods.isEmpty else {
            next.link = context.randomOctets(UnfinishedAnswer.linkLength)
            next.until = context.now + UnfinishedAnswer.patience
            _ = withEstablished { $0.unfinished = next }
            answer(
                .ikeFollowupKE, [payload, .notify(NotifyPayload(type: .additionalKeyExchange, data: next.link))])
            return
        }
        // From here on its SPI is that of an SA.
        _ = withEstablished { $0.unfinished = nil }
        switch next.subject {
        case .child(let agreed, let replaces, let spi):
            finishChildAnswer(
                agreed, replaces: replaces, spi: spi, next.secrets, next.initiatorNonce, next.responderNonce,
                .ikeFollowupKE, [payload])
        case .ike(let choice, let newSPI):
            finishIKERekeyAnswer(
                choice, newSPI: newSPI, next.secrets, next.initiatorNonce, next.responderNonce, .ikeFollowupKE,
                [payload])
        }
        runNextTask()
    }
}
