// RFC 9242: Intermediate Exchange in IKEv2, and RFC 9370: Multiple Key Exchanges in IKEv2, for a new IKE SA. Code points:
// exchange 43, notify 16438, transform types 6 to 12 (IKEMessage).
import IKEMessage
import IPsecCrypto
import Octets

/// The exchanges between IKE_SA_INIT and IKE_AUTH, one for each additional key exchange. Each makes new keys, which depend on all
/// secrets so far; IKE_AUTH proves that nobody has changed any of it.
enum IntermediateExchange: IKEExtension {
    /// The peer has it as well.
    struct State {}

    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload] {
        let isWanted =
            switch stage {
            case .initRequest: sa.connection?.ikeProposals.contains { !$0.additional.isEmpty } ?? false
            case .initResponse: sa.slots[Self.self] != nil && !sa.chosenAdditional.isEmpty
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
        case awaitingAnswer(KeyExchangeKey)
        case agreeing(Job.ID)
    }

    let foundation: InitiatorAuth.Foundation
    /// The method of this exchange, and those of the exchanges after it.
    let methods: ArraySlice<KeyExchangeMethod>
    var phase: Phase
}

extension IKESA {
    fileprivate var chosenAdditional: [KeyExchangeMethod] {
        if case .answering(let initial) = state { initial.suite.additional.methods } else { [] }
    }

    // MARK: Initiator

    /// Goes on to the next of these key exchanges, or to IKE_AUTH if there is none.
    func beginIntermediate(_ foundation: InitiatorAuth.Foundation, _ methods: ArraySlice<KeyExchangeMethod>) {
        guard let method = methods.first else { return beginAuthentication(foundation) }
        let job = context.start(.makeKey(method, seeds: context.seeds(for: method)), for: localSPI)
        state = .exchangingKeys(
            InitiatorIntermediate(foundation: foundation, methods: methods, phase: .makingKey(job)))
    }

    func completeIntermediate(_ job: Job.ID, _ result: JobResult, _ current: InitiatorIntermediate) {
        var next = current
        switch (current.phase, result.value) {
        case (.makingKey(job), .key(let key)):
            next.phase = .awaitingAnswer(key)
            state = .exchangingKeys(next)
            let payloads = [Payload.keyExchange(KeyExchangePayload(method: key.method.rawValue, data: key.publicValue))]
            let header = header(.ikeIntermediate, id: window.nextID, isResponse: false)
            guard record(IntermediateTranscript.octets(of: header, payloads), ofInitiator: true) else { return }
            request(.ikeIntermediate, payloads)
        case (.agreeing(job), .secret(let secret)):
            guard advanceKeys(secret, current.foundation.initiatorNonce, current.foundation.responderNonce) else {
                return
            }
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
        guard let exchange = message.payloads.keyExchange, exchange.method == key.method.rawValue else {
            return close(
                Refusal(
                    .protocolViolation, "the peer's IKE_INTERMEDIATE response has no KE payload for \(key.method.name)"),
                tellPeer: false)
        }
        guard record(message.transcript, ofInitiator: false) else { return }
        var next = current
        next.phase = .agreeing(context.start(.agree(key, peerPublicValue: exchange.data), for: localSPI))
        state = .exchangingKeys(next)
    }

    // MARK: Responder

    func handleIntermediateRequest(_ message: Authenticated, _ initial: ResponderInit) {
        guard case .awaitingAuth = initial.phase else { return }
        let methods = initial.suite.additional.methods
        guard initial.additionalCount < methods.count else {
            return endForInvalidSyntax(
                .ikeIntermediate, "the peer sent more IKE_INTERMEDIATE requests than were agreed on")
        }
        let method = methods[initial.additionalCount]
        guard let exchange = message.payloads.keyExchange, exchange.method == method.rawValue,
            exchange.data.count == method.publicValueLength
        else {
            return endForInvalidSyntax(
                .ikeIntermediate, "the peer's IKE_INTERMEDIATE request has no KE payload for \(method.name)")
        }
        guard record(message.transcript, ofInitiator: true) else { return }
        var next = initial
        next.phase = .agreeingFurther(
            context.start(
                .makeKeyAndAgree(method, seeds: context.seeds(for: method), peerPublicValue: exchange.data),
                for: localSPI))
        state = .answering(next)
    }

    func completeIntermediateAnswer(_ job: Job.ID, _ result: JobResult, _ initial: ResponderInit) {
        guard case .agreeingFurther(job) = initial.phase else { return }
        let method = initial.suite.additional.methods[initial.additionalCount]
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
        let payloads = [Payload.keyExchange(KeyExchangePayload(method: method.rawValue, data: publicValue))]
        let header = header(.ikeIntermediate, id: window.expectedID, isResponse: true)
        guard record(IntermediateTranscript.octets(of: header, payloads), ofInitiator: false) else { return }
        answer(.ikeIntermediate, payloads)
        guard advanceKeys(secret, initial.initiatorNonce, initial.responderNonce) else { return }
        var next = initial
        next.additionalCount += 1
        next.phase = .awaitingAuth
        state = .answering(next)
    }

    // MARK: Both

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

    /// Goes over to keys that depend on one more secret (RFC 9370 section 2.2.2). A request under the earlier keys may still come
    /// again for its answer.
    private func advanceKeys(_ secret: SecretOctets, _ initiatorNonce: [UInt8], _ responderNonce: [UInt8]) -> Bool {
        guard let keys else { return false }
        do {
            let next = try keys.rekeyed(
                suite: keys.suite, sharedSecret: secret, initiatorNonce: initiatorNonce, responderNonce: responderNonce,
                initiatorSPI: initiatorSPI, responderSPI: responderSPI)
            earlierProtection = protection
            try secure(with: next)
            return true
        } catch {
            close(Refusal(.local, "cannot derive keys: \(error.reason)"), tellPeer: false)
            return false
        }
    }
}
