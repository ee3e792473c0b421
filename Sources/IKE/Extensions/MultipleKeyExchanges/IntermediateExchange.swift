// RFC 9242: Intermediate Exchange in IKEv2, and RFC 9370: Multiple Key Exchanges in IKEv2, for a new IKE SA. Code points:
// exchange 43, notify 16438, transform types 6 to 12 (IKEMessage).
import IKEMessage
import IPsecCrypto
import Octets

/// The exchanges between IKE_SA_INIT and IKE_AUTH, one for each additional key exchange, and more if other extensions need them. Each
/// key exchange makes new keys, which depend on all secrets so far; IKE_AUTH proves that nobody has changed any of it.
enum IntermediateExchange: IKEExtension {
    /// The peer has it as well.
    struct State {}

    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload] {
        let isWanted =
            switch stage {
            case .initRequest:
                sa.connection?.ikeProposals.contains { !$0.additional.isEmpty } ?? false || sa.usesIntermediate()
            case .initResponse:
                sa.slots[Self.self] != nil && (!sa.chosenAdditional.isEmpty || sa.usesIntermediate())
            case .authRequest, .authResponse: false
            }
        return isWanted ? [.notify(NotifyPayload(type: .intermediateExchangeSupported))] : []
    }

    static func receive(_ payloads: [Payload], at stage: MessageStage, of sa: IKESA) {
        switch stage {
        case .initRequest, .initResponse:
            sa.slots[Self.self] = payloads.notification(.intermediateExchangeSupported).map { _ in State() }
        case .authRequest, .authResponse: break
        }
    }
}

/// An IKE_INTERMEDIATE exchange of ours.
struct InitiatorIntermediate {
    enum Phase {
        case makingKey(Job.ID)
        /// Without a key if no key exchange takes place in it.
        case awaitingAnswer(KeyExchangeKey?)
        case agreeing(Job.ID)
    }

    let foundation: InitiatorAuth.Foundation
    /// The method of this exchange, and those of the exchanges after it.
    let methods: ArraySlice<KeyExchangeMethod>
    var phase: Phase

    func message(isRequest: Bool) -> IntermediateMessage {
        IntermediateMessage(
            isRequest: isRequest, isLast: methods.count <= 1, initiatorNonce: foundation.initiatorNonce,
            responderNonce: foundation.responderNonce)
    }
}

extension ResponderInit {
    fileprivate func message(isRequest: Bool) -> IntermediateMessage {
        IntermediateMessage(
            isRequest: isRequest, isLast: additionalCount + 1 >= awaitedMethods.count,
            initiatorNonce: initiatorNonce, responderNonce: responderNonce)
    }
}

extension IKESA {
    fileprivate var chosenAdditional: [KeyExchangeMethod] {
        if case .answering(let initial) = state { initial.awaitedMethods } else { [] }
    }

    // MARK: Initiator

    /// Goes on to the next of these key exchanges, to an exchange that extensions need, or to IKE_AUTH.
    func beginIntermediate(_ foundation: InitiatorAuth.Foundation, _ methods: ArraySlice<KeyExchangeMethod>) {
        guard let method = methods.first else {
            guard slots[IntermediateExchange.self] != nil, needsIntermediate() else {
                return beginAuthentication(foundation)
            }
            return requestIntermediate(
                InitiatorIntermediate(foundation: foundation, methods: [], phase: .awaitingAnswer(nil)), [])
        }
        let job = context.start(.makeKey(method, seeds: context.seeds(for: method)), for: localSPI)
        state = .exchangingKeys(
            InitiatorIntermediate(foundation: foundation, methods: methods, phase: .makingKey(job)))
    }

    private func requestIntermediate(_ current: InitiatorIntermediate, _ exchange: [Payload]) {
        state = .exchangingKeys(current)
        do throws(Refusal) {
            let payloads = exchange + (try extensionPayloads(for: current.message(isRequest: true)))
            let header = header(.ikeIntermediate, id: window.nextID, isResponse: false)
            guard record(try transcribed(header, payloads), ofInitiator: true) else { return }
            request(.ikeIntermediate, payloads)
        } catch {
            close(error, tellPeer: false)
        }
    }

    func completeIntermediate(_ job: Job.ID, _ result: JobResult, _ current: InitiatorIntermediate) {
        switch (current.phase, result.value) {
        case (.makingKey(job), .key(let key)):
            var next = current
            next.phase = .awaitingAnswer(key)
            requestIntermediate(
                next, [.keyExchange(KeyExchangePayload(method: key.method.rawValue, data: key.publicValue))])
        case (.agreeing(job), .secret(let secret)):
            guard advanceKeys(secret, current.message(isRequest: false)) else { return }
            beginIntermediate(current.foundation, current.methods.dropFirst())
        case (.makingKey(job), .failure(let reason)):
            close(Refusal(.local, "an additional key exchange failed: \(reason)"), tellPeer: false)
        case (.agreeing(job), .failure(let reason)):
            close(Refusal(.protocolViolation, "an additional key exchange failed: \(reason)"), tellPeer: false)
        default: break
        }
    }

    func handleIntermediateResponse(_ message: Authenticated, _ current: InitiatorIntermediate) {
        guard case .awaitingAnswer(let key) = current.phase else { return }
        if let error = message.payloads.errorNotification {
            return close(
                Refusal(.refusedByPeer, by: .peer, "the peer answered \(error.type) to IKE_INTERMEDIATE"),
                tellPeer: false)
        }
        let exchange = message.payloads.keyExchange
        guard exchange?.method == key?.method.rawValue else {
            let wanted = key.map { "no KE payload for \($0.method.name)" } ?? "a KE payload nobody asked for"
            return close(
                Refusal(.protocolViolation, "the peer's IKE_INTERMEDIATE response has \(wanted)"), tellPeer: false)
        }
        do throws(Refusal) {
            try letExtensionsReceive(message.payloads, in: current.message(isRequest: false))
        } catch {
            return close(error, tellPeer: false)
        }
        guard record(message.transcript, ofInitiator: false) else { return }
        guard let key, let exchange else {
            guard advanceKeys(nil, current.message(isRequest: false)) else { return }
            return beginIntermediate(current.foundation, [])
        }
        var next = current
        next.phase = .agreeing(context.start(.agree(key, peerPublicValue: exchange.data), for: localSPI))
        state = .exchangingKeys(next)
    }

    // MARK: Responder

    func handleIntermediateRequest(_ message: Authenticated, _ initial: ResponderInit) {
        guard case .awaitingAuth = initial.phase else { return }
        let methods = initial.awaitedMethods
        guard initial.additionalCount < methods.count else { return handleFurtherRequest(message, initial) }
        let method = methods[initial.additionalCount]
        guard let exchange = message.payloads.keyExchange, exchange.method == method.rawValue,
            exchange.data.count == method.publicValueLength
        else {
            return endForInvalidSyntax(
                .ikeIntermediate, "the peer's IKE_INTERMEDIATE request has no KE payload for \(method.name)")
        }
        guard takeIntermediateRequest(message, initial) else { return }
        var next = initial
        next.phase = .agreeingFurther(
            context.start(
                .makeKeyAndAgree(method, seeds: context.seeds(for: method), peerPublicValue: exchange.data),
                for: localSPI))
        state = .answering(next)
    }

    /// A request without a key exchange: as many as there are extensions that may need one.
    private func handleFurtherRequest(_ message: Authenticated, _ initial: ResponderInit) {
        guard initial.furtherCount < Extensions.all.count(where: { $0.usesIntermediate(self) }) else {
            return endForInvalidSyntax(
                .ikeIntermediate, "the peer sent more IKE_INTERMEDIATE requests than were agreed on")
        }
        guard message.payloads.keyExchange == nil else {
            return endForInvalidSyntax(
                .ikeIntermediate,
                "the peer's IKE_INTERMEDIATE request has a KE payload beyond those that were agreed on")
        }
        guard takeIntermediateRequest(message, initial), answerIntermediate([], initial) else { return }
        guard advanceKeys(nil, initial.message(isRequest: false)) else { return }
        var next = initial
        next.furtherCount += 1
        state = .answering(next)
    }

    private func takeIntermediateRequest(_ message: Authenticated, _ initial: ResponderInit) -> Bool {
        do throws(Refusal) {
            try letExtensionsReceive(message.payloads, in: initial.message(isRequest: true))
        } catch {
            refuseIntermediate(error)
            return false
        }
        return record(message.transcript, ofInitiator: true)
    }

    private func refuseIntermediate(_ refusal: Refusal) {
        answer(.ikeIntermediate, [.notify(NotifyPayload(type: refusal.notify ?? .invalidSyntax))])
        close(refusal, tellPeer: false, repeatsAnswer: true)
        context.emit(.callerRefused(connection: connection?.name, remote: path.remote, refusal))
    }

    private func answerIntermediate(_ exchange: [Payload], _ initial: ResponderInit) -> Bool {
        do throws(Refusal) {
            let payloads = exchange + (try extensionPayloads(for: initial.message(isRequest: false)))
            let header = header(.ikeIntermediate, id: window.expectedID, isResponse: true)
            guard record(try transcribed(header, payloads), ofInitiator: false) else { return false }
            answer(.ikeIntermediate, payloads)
            return true
        } catch {
            refuseIntermediate(error)
            return false
        }
    }

    func completeIntermediateAnswer(_ job: Job.ID, _ result: JobResult, _ initial: ResponderInit) {
        guard case .agreeingFurther(job) = initial.phase else { return }
        let method = initial.awaitedMethods[initial.additionalCount]
        guard case .agreement(let publicValue, let secret) = result.value else {
            guard case .failure(let reason) = result.value else { return }
            let what = "key exchange \(method.name) failed: \(reason)"
            if result.isPeersFault {
                endForInvalidSyntax(.ikeIntermediate, what)
            } else {
                close(Refusal(.local, what), tellPeer: false)
            }
            return
        }
        let exchange = Payload.keyExchange(KeyExchangePayload(method: method.rawValue, data: publicValue))
        guard answerIntermediate([exchange], initial), advanceKeys(secret, initial.message(isRequest: false)) else {
            return
        }
        var next = initial
        next.additionalCount += 1
        next.phase = .awaitingAuth
        state = .answering(next)
    }

    // MARK: Both

    /// What IKE_AUTH proves of a message of ours.
    private func transcribed(_ header: IKEHeader, _ payloads: [Payload]) throws(Refusal) -> [UInt8] {
        do throws(MessageError) {
            return try IntermediateTranscript.octets(of: header, payloads, format: contents.format)
        } catch {
            throw Refusal(.local, "a message of IKE_INTERMEDIATE cannot be written: \(error)")
        }
    }

    private func record(_ message: [UInt8], ofInitiator: Bool) -> Bool {
        guard let keys else { return false }
        do {
            try transcript.add(
                message, ofInitiator: ofInitiator, key: ofInitiator ? keys.skPi : keys.skPr, prf: keys.suite.prf)
            return true
        } catch {
            close(error, tellPeer: false)
            return false
        }
    }

    /// Goes over to the keys that an exchange makes, by its key exchange (RFC 9370 section 2.2.2) and then by extensions. A request
    /// under the earlier keys may still come again for its answer.
    private func advanceKeys(_ secret: SecretOctets?, _ message: IntermediateMessage) -> Bool {
        guard let keys else { return false }
        do {
            let agreed = try secret.map { secret throws(CryptoError) in
                try keys.rekeyed(
                    suite: keys.suite, sharedSecret: secret, initiatorNonce: message.initiatorNonce,
                    responderNonce: message.responderNonce, initiatorSPI: initiatorSPI, responderSPI: responderSPI)
            }
            guard let next = try mixed(into: agreed ?? keys, after: message) ?? agreed else { return true }
            earlierProtection = protection
            try secure(with: next)
            return true
        } catch let refusal as Refusal {
            close(refusal, tellPeer: false)
        } catch {
            close(Refusal(.local, "cannot derive keys: \(error)"), tellPeer: false)
        }
        return false
    }
}
