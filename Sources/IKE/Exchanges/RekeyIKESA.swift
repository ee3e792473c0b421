import IKEMessage
import IPsecCrypto
import Octets

/// A CREATE_CHILD_SA exchange of ours that replaces the IKE SA (RFC 7296 sections 1.3.2, 2.18).
struct IKERekey {
    enum Phase {
        case makingKey(Job.ID)
        case awaitingAnswer(KeyExchangeKey)
        /// `link`: for the additional key exchanges.
        case agreeing(Job.ID, IKESuite, responderNonce: [UInt8], responderSPI: UInt64, link: [UInt8]?)
        case following(FollowUp, IKESuite, responderNonce: [UInt8], responderSPI: UInt64)
    }

    let newSPI: UInt64
    let nonce: [UInt8]
    /// If the new SA is to inherit all from this one.
    let form: RekeyForm?
    var triedMethods: Set<KeyExchangeMethod>
    var phase: Phase
}

/// The peer's request to replace the IKE SA, whose answer waits for the key exchange.
struct IKERekeyAnswer {
    let job: Job.ID
    let choice: IKERekeyChoice
    let initiatorNonce: [UInt8]
}

/// What a responder chose for the new IKE SA.
struct IKERekeyChoice {
    let suite: IKESuite
    /// Of the proposal that was chosen.
    let number: UInt8
    let initiatorSPI: UInt64
    /// If all is inherited from the old one.
    var form: RekeyForm?
}

extension IKESA {
    // MARK: Initiator

    func beginIKERekey() {
        guard let method = keys?.suite.keyExchange else { return }
        narrative = Narrative(
            .rekey, title: "IKE SA rekey as initiator, \(path.local) to \(path.remote)", at: context.now)
        let job = context.start(.makeKey(method, seeds: context.seeds(for: method)), for: localSPI)
        let newSPI = context.ikeSPIs.allocate(using: &context.random)
        let rekey = IKERekey(
            newSPI: newSPI, nonce: context.randomOctets(32),
            form: otherForm(rekeying: .ike, spi: newSPI.bigEndianOctets), triedMethods: [method],
            phase: .makingKey(job))
        _ = withEstablished { $0.outgoing = .rekeyIKE(rekey) }
    }

    func completeIKERekey(_ job: Job.ID, _ result: JobResult, _ rekey: IKERekey) {
        switch (rekey.phase, result.value) {
        case (.makingKey(job), .key(let key)):
            sendIKERekey(rekey, key)
        case (.agreeing(job, let suite, let nonce, let spi, let link), .secret(let secret)):
            followUpIKERekey(rekey, suite, secret, responderNonce: nonce, responderSPI: spi, link: link)
        case (.following(let followUp, let suite, let nonce, let spi), _):
            follow(pursue(followUp, job, result), rekey, suite, nonce, spi)
        case (.makingKey(job), .failure(let reason)):
            failIKERekey(rekey, Refusal(.local, "key exchange for the new IKE SA: \(reason)"))
        case (.agreeing(job, _, _, _, _), .failure(let reason)):
            // The peer has given the children to an SA that we shall not have: begin anew.
            close(Refusal(.local, "key exchange for the new IKE SA: \(reason)"), tellPeer: true)
        default: break
        }
    }

    private func sendIKERekey(_ rekey: IKERekey, _ key: KeyExchangeKey) {
        guard let connection else { return }
        var rekey = rekey
        rekey.phase = .awaitingAnswer(key)
        _ = withEstablished { $0.outgoing = .rekeyIKE(rekey) }
        let proposals = connection.ikeProposals.enumerated().map {
            $0.element.payload(
                number: UInt8(truncatingIfNeeded: $0.offset + 1), spi: rekey.newSPI.bigEndianOctets)
        }
        let offer = rekey.form?.payloads ?? [.securityAssociation(SecurityAssociationPayload(proposals: proposals))]
        request(
            .createChildSA,
            offer + [
                .nonce(rekey.nonce),
                .keyExchange(KeyExchangePayload(method: key.method.rawValue, data: key.publicValue)),
            ])
    }

    func handleIKERekeyResponse(_ message: Authenticated, _ rekey: IKERekey) {
        guard case .awaitingAnswer(let key) = rekey.phase, let connection else { return }
        let payloads = message.payloads
        do throws(Refusal) {
            let owner = ownerOfForm(payloads)
            if payloads.securityAssociation == nil, owner == nil, let error = payloads.errorNotification {
                if askRegularly(rekey, error.type) { return }
                if rekey.form == nil, error.type == .invalidKEPayload, retryIKERekey(rekey, error) { return }
                throw Refusal(
                    .refusedByPeer, by: .peer, "the peer answered \(error.type) to the rekey of the IKE SA",
                    at: [connection.origin(of: "ike")], notify: error.type)
            }
            guard let nonce = payloads.nonce, let exchange = payloads.keyExchange else {
                throw Refusal(.protocolViolation, "the peer's rekey response lacks nonce or KE")
            }
            let (suite, spi) = try readIKERekeyAnswer(payloads, rekey, owner, connection)
            guard suite.keyExchange == key.method, exchange.method == key.method.rawValue else {
                throw Refusal(
                    .protocolViolation, "the peer's rekey response does not fit our \(key.method.name) key")
            }
            var next = rekey
            next.phase = .agreeing(
                context.start(.agree(key, peerPublicValue: exchange.data), for: localSPI), suite,
                responderNonce: nonce, responderSPI: spi, link: payloads.notification(.additionalKeyExchange)?.data)
            _ = withEstablished { $0.outgoing = .rekeyIKE(next) }
        } catch {
            failIKERekey(rekey, error)
        }
    }

    /// Algorithms and SPI of the new SA, from the peer's answer.
    private func readIKERekeyAnswer(
        _ payloads: [Payload], _ rekey: IKERekey, _ owner: (any IKEExtension.Type)?,
        _ connection: ConnectionConfiguration
    ) throws(Refusal) -> (IKESuite, UInt64) {
        if let form = rekey.form, let suite = keys?.suite {
            return (suite, try form.owner.spi(fromIKERekey: payloads, isRequest: false, of: self))
        }
        guard owner == nil else {
            throw Refusal(.protocolViolation, "the peer answered in a form of a rekey that was not asked for")
        }
        guard let association = payloads.securityAssociation else {
            throw Refusal(.protocolViolation, "the peer's rekey response lacks SA")
        }
        let choice = try ProposalSelection.acceptedIKE(association.proposals, offered: connection.ikeProposals)
        guard let spi = Self.ikeSPI(choice.spi) else {
            throw Refusal(.protocolViolation, "the peer's rekey response has no SPI")
        }
        tell(.chosen, "by the peer: \(choice.suite)", origin: choice.origin)
        return (choice.suite, spi)
    }

    /// The peer has refused a rekey in another form than the regular one.
    ///
    /// - Returns: whether it is asked for in the regular form now.
    private func askRegularly(_ rekey: IKERekey, _ answer: NotifyType) -> Bool {
        guard let form = rekey.form, answer != .temporaryFailure, established?.peerReplacement == nil,
            form.owner.rekeyFailed(of: form.old, answer: answer, of: self)
        else { return false }
        endOutgoing()
        context.ikeSPIs.release(rekey.newSPI)
        finishNarrative(
            Refusal(
                .noProposal, by: .peer,
                "the peer answered \(answer) to a rekey of the IKE SA that changes nothing: the regular form follows",
                at: connection.map { [$0.origin] } ?? []))
        hasten(.rekeyIKE)
        return true
    }

    /// Goes on with the additional key exchanges, or makes the SA if there are none.
    private func followUpIKERekey(
        _ rekey: IKERekey, _ suite: IKESuite, _ secret: SecretOctets, responderNonce: [UInt8], responderSPI: UInt64,
        link: [UInt8]?
    ) {
        let methods = suite.additional.methods
        guard !methods.isEmpty else {
            return finishIKERekey(
                rekey, suite, [secret], responderNonce: responderNonce, responderSPI: responderSPI)
        }
        if let unfinished = established?.unfinished, case .ike = unfinished.subject,
            !prevails(own: (rekey.nonce, responderNonce), over: unfinished)
        {
            return failIKERekey(
                rekey,
                Refusal(
                    .refusedByPeer, by: .us, "the peer's simultaneous rekey prevails", notify: .temporaryFailure))
        }
        guard let link, let followUp = beginFollowUp(methods[...], link: link, secrets: [secret]) else {
            return failIKERekey(
                rekey, Refusal(.protocolViolation, "the peer's rekey response lacks ADDITIONAL_KEY_EXCHANGE"))
        }
        var next = rekey
        next.phase = .following(followUp, suite, responderNonce: responderNonce, responderSPI: responderSPI)
        _ = withEstablished { $0.outgoing = .rekeyIKE(next) }
    }

    private func follow(
        _ outcome: FollowUp.Outcome, _ rekey: IKERekey, _ suite: IKESuite, _ nonce: [UInt8], _ spi: UInt64
    ) {
        switch outcome {
        case .goesOn(let followUp):
            var next = rekey
            next.phase = .following(followUp, suite, responderNonce: nonce, responderSPI: spi)
            _ = withEstablished { $0.outgoing = .rekeyIKE(next) }
        case .done(let secrets): finishIKERekey(rekey, suite, secrets, responderNonce: nonce, responderSPI: spi)
        case .failed(let refusal): failIKERekey(rekey, refusal)
        case .spoilt(let refusal): close(refusal, tellPeer: true)
        case .unmoved: break
        }
    }

    func handleIKEFollowUpResponse(_ message: Authenticated, _ rekey: IKERekey) {
        guard case .following(let followUp, let suite, let nonce, let spi) = rekey.phase else { return }
        follow(receive(message, followUp), rekey, suite, nonce, spi)
    }

    private func retryIKERekey(_ rekey: IKERekey, _ error: NotifyPayload) -> Bool {
        guard error.data.count == 2,
            let method = KeyExchangeMethod(rawValue: UInt16(error.data[0]) << 8 | UInt16(error.data[1])),
            !rekey.triedMethods.contains(method), let connection,
            connection.ikeProposals.contains(where: { $0.keyExchange.contains(method) })
        else { return false }
        var next = rekey
        next.triedMethods.insert(method)
        next.phase = .makingKey(context.start(.makeKey(method, seeds: context.seeds(for: method)), for: localSPI))
        _ = withEstablished { $0.outgoing = .rekeyIKE(next) }
        return true
    }

    static func ikeSPI(_ octets: [UInt8]) -> UInt64? {
        guard octets.count == 8 else { return nil }
        let spi = octets.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return spi == 0 ? nil : spi
    }

    private func failIKERekey(_ rekey: IKERekey, _ refusal: Refusal) {
        endOutgoing()
        context.ikeSPIs.release(rekey.newSPI)
        finishNarrative(refusal)
        if let form = rekey.form, refusal.notify != .temporaryFailure {
            let answer = refusal.decidedBy == .peer ? refusal.notify : nil
            _ = form.owner.rekeyFailed(of: form.old, answer: answer, of: self)
        }
        if let peer = established?.peerReplacement {
            // The peer's own rekey, which crossed ours, is the one that holds.
            handOver(to: peer.sa)
            peer.sa.runNextTask()
        } else if !(established?.isReplaced ?? true) {
            let pause = context.jittered(.seconds(refusal.notify == .temporaryFailure ? 4 : 30), by: 0.5)
            _ = withEstablished { established in
                established.rekeyAt = context.now + context.within(pause, beforeEndAt: established.expiresAt)
            }
        }
        runNextTask()
    }

    private func finishIKERekey(
        _ rekey: IKERekey, _ suite: IKESuite, _ secrets: [SecretOctets], responderNonce: [UInt8], responderSPI: UInt64
    ) {
        guard let keys, let secret = secrets.first else { return }
        let new: IKESA
        do {
            new = try replacement(
                isInitiator: true, localSPI: rekey.newSPI, remoteSPI: responderSPI,
                keys: keys.rekeyed(
                    suite: suite, sharedSecret: secret, additional: Array(secrets.dropFirst()),
                    initiatorNonce: rekey.nonce, responderNonce: responderNonce, initiatorSPI: rekey.newSPI,
                    responderSPI: responderSPI))
        } catch {
            close(Refusal(.local, "cannot derive keys: \(error.reason)"), tellPeer: true)
            return
        }
        endOutgoing()
        finishNarrative(nil)
        context.signals.append(.replaced(old: self, new: new))
        let lowest = isLower(rekey.nonce, than: responderNonce) ? rekey.nonce : responderNonce
        let peer = established?.peerReplacement
        if established.map({ $0.isReplaced && $0.retireAt == nil }) ?? false {
            // The peer uses the SA of its own rekey already.
            _ = new.withEstablished { $0.tasks = [.deleteIKE(reason: "the peer's simultaneous rekey prevails")] }
            new.runNextTask()
            return
        }
        if let peer, isLower(lowest, than: peer.lowestNonce) {
            // Both sides rekeyed and ours has the lowest nonce: it goes (RFC 7296 section 2.8.2); the peer deletes the old.
            handOver(to: peer.sa)
            _ = new.withEstablished { $0.tasks = [.deleteIKE(reason: "the peer's simultaneous rekey prevails")] }
            new.runNextTask()
            peer.sa.runNextTask()
            return
        }
        // The peer deletes its own; should it never do so, that goes all the same.
        if let peer {
            _ = peer.sa.withEstablished { $0.expiresAt = context.now + context.configuration.halfOpenTimeout }
            context.signals.append(.changed(peer.sa))
        }
        handOver(to: new)
        _ = withEstablished { $0.tasks = [.deleteIKE(reason: "rekeyed")] }
        runNextTask()
        new.runNextTask()
    }

    // MARK: Responder

    /// - Parameter owner: whose form the request has; `nil` for the regular one.
    func handleIKERekeyRequest(_ message: Authenticated, _ owner: (any IKEExtension.Type)?) {
        guard let connection else { return }
        let payloads = message.payloads
        if let owner { return handleIKERekeyRequest(payloads, ofForm: owner) }
        guard let association = payloads.securityAssociation, let nonce = payloads.nonce,
            let exchange = payloads.keyExchange
        else {
            endForInvalidSyntax(.createChildSA, "the peer's request to rekey the IKE SA lacks SA, nonce or KE")
            return
        }
        for proposal in association.proposals { tell(.offered, proposal.summary) }
        for line in ProposalSelection.forbidden(in: association.proposals) { tell(.refused, line) }
        guard
            let choice = ProposalSelection.selectIKE(
                from: association.proposals, configured: connection.ikeProposals, preferring: exchange.method),
            let initiatorSPI = Self.ikeSPI(choice.spi)
        else {
            answer(.createChildSA, [.notify(NotifyPayload(type: .noProposalChosen))])
            finishNarrative(
                Refusal(.noProposal, "no IKE proposal in common for the rekey", at: [connection.origin(of: "ike")]))
            return
        }
        let method = choice.suite.keyExchange
        guard exchange.method == method.rawValue else {
            answer(
                .createChildSA,
                [.notify(NotifyPayload(type: .invalidKEPayload, data: method.rawValue.bigEndianOctets))])
            return
        }
        tell(.chosen, "\(choice.suite)", origin: choice.origin)
        beginIKERekeyAnswer(
            IKERekeyChoice(suite: choice.suite, number: choice.number, initiatorSPI: initiatorSPI), nonce, exchange)
    }

    private func handleIKERekeyRequest(_ payloads: [Payload], ofForm owner: any IKEExtension.Type) {
        do throws(Refusal) {
            guard let suite = keys?.suite, let nonce = payloads.nonce, let exchange = payloads.keyExchange else {
                throw Refusal(
                    .protocolViolation, "the peer's request to rekey the IKE SA lacks nonce or KE",
                    notify: .noProposalChosen)
            }
            let spi = try owner.spi(fromIKERekey: payloads, isRequest: true, of: self)
            beginIKERekeyAnswer(
                IKERekeyChoice(
                    suite: suite, number: 0, initiatorSPI: spi, form: RekeyForm(owner: owner, old: .ike)),
                nonce, exchange)
        } catch {
            answer(.createChildSA, [.notify(NotifyPayload(type: error.notify ?? .noProposalChosen))])
            finishNarrative(error)
        }
    }

    private func beginIKERekeyAnswer(_ choice: IKERekeyChoice, _ nonce: [UInt8], _ exchange: KeyExchangePayload) {
        let method = choice.suite.keyExchange
        let job = context.start(
            .makeKeyAndAgree(method, seeds: context.seeds(for: method), peerPublicValue: exchange.data), for: localSPI)
        _ = withEstablished {
            $0.incoming = .rekeyIKE(IKERekeyAnswer(job: job, choice: choice, initiatorNonce: nonce))
        }
    }

    func completeIKERekeyAnswer(_ job: Job.ID, _ result: JobResult, _ pending: IKERekeyAnswer) {
        guard pending.job == job, let established else { return }
        _ = withEstablished { $0.incoming = nil }
        guard case .agreement(let publicValue, let secret) = result.value else {
            if case .failure(let reason) = result.value, result.isPeersFault {
                endForInvalidSyntax(.createChildSA, "the peer's key exchange value: \(reason)")
            } else {
                answer(.createChildSA, [.notify(NotifyPayload(type: .temporaryFailure))])
                runNextTask()
            }
            return
        }
        if established.isReplaced {
            // Our own rekey has been completed meanwhile; the peer has it.
            answer(.createChildSA, [.notify(NotifyPayload(type: .temporaryFailure))])
            runNextTask()
            return
        }
        if case .rekeyIKE(let own) = established.outgoing, case .following = own.phase {
            // Ours went past CREATE_CHILD_SA meanwhile (RFC 9370 section 2.2.4).
            answer(.createChildSA, [.notify(NotifyPayload(type: .temporaryFailure))])
            runNextTask()
            return
        }
        if case .rekeyIKE(let own) = established.outgoing, case .makingKey = own.phase {
            // Nothing of our own rekey has been sent: there is no need for it any more.
            endOutgoing()
            context.ikeSPIs.release(own.newSPI)
        }
        let nonce = context.randomOctets(32)
        let suite = pending.choice.suite
        let newSPI = context.ikeSPIs.allocate(using: &context.random)
        let form = pending.choice.form
        var payloads =
            form?.owner.payloads(acceptingRekeyOf: .ike, spi: newSPI.bigEndianOctets, of: self)
            ?? [
                .securityAssociation(
                    SecurityAssociationPayload(proposals: [
                        suite.payload(number: pending.choice.number, spi: newSPI.bigEndianOctets)
                    ]))
            ]
        payloads += [
            .nonce(nonce), .keyExchange(KeyExchangePayload(method: suite.keyExchange.rawValue, data: publicValue)),
        ]
        let methods = suite.additional.methods
        guard methods.isEmpty else {
            let subject = UnfinishedAnswer.Subject.ike(pending.choice, newSPI: newSPI)
            payloads.append(keepUnfinished(unfinished(subject, methods, secret: secret, pending.initiatorNonce, nonce)))
            answer(.createChildSA, payloads)
            return
        }
        finishIKERekeyAnswer(
            pending.choice, newSPI: newSPI, [secret], pending.initiatorNonce, nonce, .createChildSA, payloads)
    }

    /// Makes the new IKE SA and gives the answer that tells the peer so.
    ///
    /// - Parameters:
    ///   - exchange: the last one of those that make it.
    ///   - payloads: the answer.
    func finishIKERekeyAnswer(
        _ choice: IKERekeyChoice, newSPI: UInt64, _ secrets: [SecretOctets], _ initiatorNonce: [UInt8],
        _ nonce: [UInt8], _ exchange: ExchangeType, _ payloads: [Payload]
    ) {
        guard let keys, let secret = secrets.first, let established else { return }
        if established.isReplaced {
            // Our own rekey has been completed since the peer began.
            context.ikeSPIs.release(newSPI)
            answer(exchange, [.notify(NotifyPayload(type: .temporaryFailure))])
            runNextTask()
            return
        }
        let new: IKESA
        do {
            new = try replacement(
                isInitiator: false, localSPI: newSPI, remoteSPI: choice.initiatorSPI,
                keys: keys.rekeyed(
                    suite: choice.suite, sharedSecret: secret, additional: Array(secrets.dropFirst()),
                    initiatorNonce: initiatorNonce, responderNonce: nonce, initiatorSPI: choice.initiatorSPI,
                    responderSPI: newSPI))
        } catch {
            context.ikeSPIs.release(newSPI)
            answer(exchange, [.notify(NotifyPayload(type: .noProposalChosen))])
            runNextTask()
            return
        }
        answer(exchange, payloads)
        finishNarrative(nil)
        context.signals.append(.replaced(old: self, new: new))
        let lowest = isLower(initiatorNonce, than: nonce) ? initiatorNonce : nonce
        if case .rekeyIKE = self.established?.outgoing {
            // Our own rekey has crossed this one: which holds is known when its answer is here.
            _ = withEstablished { $0.peerReplacement = (new, lowest) }
            new.predecessor = self
        } else {
            handOver(to: new)
            new.runNextTask()
        }
    }

    // MARK: Both

    private func replacement(
        isInitiator: Bool, localSPI: UInt64, remoteSPI: UInt64, keys: IKEKeys
    ) throws(CryptoError) -> IKESA {
        guard let established else { throw CryptoError(.libraryFailure, "the IKE SA is gone") }
        var next = Established(
            localIdentity: established.localIdentity, remoteIdentity: established.remoteIdentity, at: context.now)
        scheduleLifetime(&next)
        // Until it is handed what the old one has.
        next.isReplaced = true
        next.authenticatedAt = established.authenticatedAt
        let new = IKESA(
            context: context, isInitiator: isInitiator, localSPI: localSPI, remoteSPI: remoteSPI, path: path,
            state: .established(next), connection: connection, title: narrative.title)
        new.narrative.isFinished = true
        // What the peer can do holds at once; what changes until the new SA takes over is handed on then.
        new.slots = slots
        new.peerAuthentication = peerAuthentication
        new.founding = founding
        try new.secure(with: keys)
        new.claim(IdentityPairs.Pair(local: established.localIdentity, remote: established.remoteIdentity))
        new.enterInstance(established.remoteIdentity, inheriting: instance)
        return new
    }

    /// Gives children and what is to be done to the SA that replaces this one.
    func handOver(to new: IKESA) {
        dropUnfinishedAnswer()
        guard let old = established else { return }
        guard new.isEstablished else {
            // The peer has deleted the SA that prevails, and with it all that it was given.
            return close(nil, reason: "the IKE SA that was to replace it has ended", tellPeer: !new.isEndedByPeer)
        }
        _ = withEstablished { established in
            established.children = []
            established.lingering = []
            established.undone = []
            established.tasks = []
            established.peerReplacement = nil
            established.isReplaced = true
            established.rekeyAt = nil
            established.retireAt = nil
            // The side that began the rekey deletes the old SA; if it never does, this one goes all the same.
            established.expiresAt = context.now + context.configuration.halfOpenTimeout
        }
        _ = new.withEstablished {
            $0.children = old.children
            $0.lingering = old.lingering
            $0.undone = old.undone
            $0.activations = old.activations
            $0.takenDown = old.takenDown
            $0.tasks = old.tasks.filter(\.goesAlong) + $0.tasks
            // If another has been set up in place of the old one, this one is to go as that would have.
            $0.isReplaced = old.retireAt != nil
            $0.retireAt = old.retireAt
            if old.retireAt != nil { $0.rekeyAt = nil }
        }
        handExtensions(to: new)
        for child in old.children { context.childOwners.insert(child, of: new.localSPI) }
        context.signals.append(.changed(new))
        if let status = new.status() {
            context.emit(.ikeRekeyed(connection: connection?.name ?? "?", status))
        }
    }

    func scheduleLifetime(_ established: inout Established) {
        guard let rekeyAfter = timing.rekeyAfter else { return }
        established.rekeyAt = context.now + context.jittered(rekeyAfter, by: timing.jitter)
        established.expiresAt = context.now + .nanoseconds(Int64(rekeyAfter.inSeconds * (1 + timing.overtime) * 1e9))
    }
}
