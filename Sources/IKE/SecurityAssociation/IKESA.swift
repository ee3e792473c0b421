import Credentials
import IKEMessage
import IPPacket
import IPsecCrypto
import Octets

/// One IKE SA: its state, its requests and answers, its children.
///
/// The exchanges are in files of their own, as extensions. A value of this class is used only inside the endpoint that
/// made it.
final class IKESA {
    /// Who called, and with which SPI.
    struct Founding {
        let initiatorSPI: UInt64
        let isOurs: Bool
    }

    /// What the SA is doing; what belongs to a phase is in its case.
    enum State {
        case initiating(InitiatorInit)
        case exchangingKeys(InitiatorIntermediate)
        case resuming(InitiatorResumption)
        case proving(InitiatorAuth)
        case answering(ResponderInit)
        case admitting(ResponderAuth)
        case established(Established)
        /// Gone but for its last answer, which may have to be repeated until `until`.
        case closing(until: Instant)
        case closed

        /// When the state ends, whatever else happens. Only an established SA may last, within its own limits; for every other
        /// state there is a time to give here.
        var until: Instant? {
            switch self {
            case .initiating(let initial): initial.until
            case .exchangingKeys(let current): current.foundation.until
            case .resuming(let resumption): resumption.until
            case .proving(let proving): proving.foundation.until
            case .answering(let initial): initial.until
            case .admitting(let admitting): admitting.initial.until
            case .closing(let until): until
            case .established, .closed: nil
            }
        }
    }

    let context: EndpointContext
    /// Whether we sent the first message of this SA: the I flag of RFC 7296 section 3.1.
    let isInitiator: Bool
    let localSPI: UInt64
    var remoteSPI: UInt64
    var path: Path {
        didSet { context.streams.move(localSPI, from: oldValue.stream, to: path.stream) }
    }
    var state: State
    var window = RequestWindow()
    /// What is left to be sent of messages in many fragments.
    private var paced = PacedSending()
    /// The connection; a responder knows it from IKE_AUTH on.
    var connection: ConnectionConfiguration?
    var narrative: Narrative
    var keys: IKEKeys?
    var protection: MessageProtection?
    /// By the keys before the present ones, while the SA is being set up.
    var earlierProtection: MessageProtection?
    /// Of the exchanges between IKE_SA_INIT and IKE_AUTH.
    var transcript = IntermediateTranscript()
    var slots = ExtensionSlots()
    /// What the first message has in place of our address's hash where a NAT is pretended. One for all of an SA's attempts: a
    /// message that returns a cookie differs in nothing else (RFC 7296 section 2.6).
    private(set) lazy var pretendedAddressHash = context.randomOctets(20)
    /// The peer has lost, or never had, other SAs with us (RFC 7296 section 2.4).
    var receivedInitialContact = false
    /// The SA that the peer has made this one to replace, while it is not decided whether it does.
    weak var predecessor: IKESA?
    /// The IKE SA that a call has set up, of which this one is the last successor by rekeying: what it was to the two sides stays,
    /// whichever of them rekeys.
    var founding: Founding
    /// The peer has deleted the SA.
    var isEndedByPeer = false
    /// When the first of the peer's certificates expires, in seconds since 1970, once they have been found good.
    var certificateExpiry: Int64?
    /// How the peer has proved who it is; `nil` before that.
    var peerAuthentication: PeerAuthentication?
    /// Which of the connection's peers it is with; `nil` where there is only one. Known once the peer is.
    private(set) var instance: Int?
    /// The identities under which ``IdentityPairs`` knows this SA.
    private var identities: IdentityPairs.Pair?
    let createdAt: Instant
    /// The last time something authentic came from the peer, by IKE or ESP.
    var lastHeard: Instant
    var lastSent: Instant

    init(
        context: EndpointContext, isInitiator: Bool, localSPI: UInt64, remoteSPI: UInt64, path: Path, state: State,
        connection: ConnectionConfiguration?, title: String
    ) {
        self.context = context
        self.isInitiator = isInitiator
        self.localSPI = localSPI
        self.remoteSPI = remoteSPI
        self.path = path
        self.state = state
        self.connection = connection
        founding = Founding(initiatorSPI: isInitiator ? localSPI : remoteSPI, isOurs: isInitiator)
        createdAt = context.now
        lastHeard = context.now
        lastSent = context.now
        narrative = Narrative(title: title, at: context.now)
    }

    var initiatorSPI: UInt64 { isInitiator ? localSPI : remoteSPI }
    var responderSPI: UInt64 { isInitiator ? remoteSPI : localSPI }
    /// The connection, or, while only the addresses of an initiator are known, the one it most likely means.
    var likelyConnection: ConnectionConfiguration? {
        if case .answering(let initial) = state, connection == nil { return initial.candidates.first }
        return connection
    }
    /// The connections that may turn out to be meant by the initiator.
    var candidates: [ConnectionConfiguration] {
        guard connection == nil, case .answering(let initial) = state else { return connection.map { [$0] } ?? [] }
        return initial.candidates
    }
    var timing: ConnectionTiming { connection?.timing ?? ConnectionTiming() }
    /// The numbers for what drafts leave open.
    var codePoints: CodePoints { context.configuration.codePoints }

    var isClosed: Bool {
        if case .closed = state { true } else { false }
    }

    var isEstablished: Bool {
        if case .established = state { true } else { false }
    }

    /// An attempt of ours that is under way.
    var isBeingSetUp: Bool {
        switch state {
        case .initiating, .exchangingKeys, .resuming, .proving: true
        default: false
        }
    }

    /// Enters the SA among those between two identities; `nil` takes it out.
    func claim(_ pair: IdentityPairs.Pair?) {
        if let identities { context.identityPairs.remove(identities) }
        identities = pair
        if let pair { context.identityPairs.insert(pair) }
    }

    /// Gives the SA the number of its peer.
    func enterInstance(_ identity: Identity, inheriting old: Int? = nil) {
        guard let connection, connection.takesSeveralPeers else { return }
        instance = identity == .anonymous && old != nil ? old : context.instances.enter(identity, of: connection.name)
    }

    func tell(_ kind: Narrative.Kind, _ text: String, origin: Origin? = nil) {
        narrative.add(kind, text, at: context.now, origin: origin)
    }

    // MARK: Sending

    func header(_ exchange: ExchangeType, id: UInt32, isResponse: Bool) -> IKEHeader {
        var flags: IKEHeader.Flags = []
        if isInitiator { flags.insert(.initiator) }
        if isResponse { flags.insert(.response) }
        return IKEHeader(
            initiatorSPI: initiatorSPI, responderSPI: responderSPI, exchangeType: exchange, flags: flags, messageID: id)
    }

    /// - Parameters:
    ///   - way: the addresses, if they are not those of the SA.
    ///   - attempt: how often it has been sent before, if it is a request.
    func transmit(_ datagrams: [[UInt8]], along way: Path? = nil, attempt: Int = 0) {
        let way = way ?? path
        // TCP has a pace of its own.
        let first =
            way.stream == nil
            ? paced.put(datagrams, along: way, attempt: attempt, at: context.now) : datagrams[...]
        emit(first, along: way)
    }

    /// When more of a message in many fragments is to be sent.
    var pacedAt: Instant? { paced.dueAt }

    func sendPaced() {
        for (datagrams, way) in paced.next(at: context.now) { emit(datagrams, along: way) }
    }

    private func emit(_ datagrams: ArraySlice<[UInt8]>, along way: Path) {
        for octets in datagrams {
            context.emit(
                .send(
                    IKEDatagram(
                        octets: octets, local: way.local, remote: way.remote, nonESPMarker: way.usesNATPort,
                        stream: way.stream)))
        }
        lastSent = context.now
    }

    /// The largest IKE message that one datagram takes, if the peer can put fragments together. Over TCP nothing needs to be in
    /// fragments (RFC 9329 section 7.5) but what a length of 16 bits cannot tell of.
    ///
    /// - Parameter way: which the message goes.
    private func fragmentLimit(_ way: Path) -> Int? {
        guard slots[MessageFragmentation.self] != nil, let connection = likelyConnection, connection.fragmentation
        else { return nil }
        guard way.stream == nil else { return way.longestMessage }
        let overhead = (path.remote.address.family == .v4 ? 20 : 40) + 8 + (path.usesNATPort ? 4 : 0)
        return connection.fragmentSize - overhead
    }

    /// Sends a request under the SA's protection and waits for its answer.
    func request(_ exchange: ExchangeType, _ payloads: [Payload]) {
        guard !window.isExhausted else { return endForExhaustion() }
        let id = window.nextID
        let datagrams: [[UInt8]]
        do throws(CryptoError) {
            datagrams = try sealed(exchange, payloads, id: id, isResponse: false)
        } catch {
            // Nothing would ever answer what cannot be sent.
            complain(of: error)
            close(
                Refusal(.local, "our \(exchange) request cannot be protected or sent: \(error.reason)"),
                tellPeer: error.code == .limitExceeded && isEstablished)
            return
        }
        window.nextID &+= 1
        launch(exchange, id: id, datagrams)
        tell(.sent, "\(exchange) request \(id): \(payloads.summary(codePoints))")
    }

    /// Sends datagrams that are a request, and starts its timer.
    func launch(_ exchange: ExchangeType, id: UInt32, _ datagrams: [[UInt8]]) {
        window.outstanding = RequestWindow.Outstanding(
            messageID: id, exchange: exchange, datagrams: datagrams,
            resendAt: context.now + PacedSending.time(for: datagrams.count, attempt: 0)
                + timing.retransmission.wait(afterAttempt: 0))
        transmitRequest(datagrams, attempt: 0)
    }

    /// Answers the request that is being processed, to where that came from (RFC 7296 section 2.11).
    ///
    /// - Returns: whether the answer has been sent. The SA is gone if there is no way to send it to this peer.
    @discardableResult
    func answer(_ exchange: ExchangeType, _ payloads: [Payload]) -> Bool {
        let id = window.expectedID
        let datagrams: [[UInt8]]
        do throws(CryptoError) {
            datagrams = try sealed(exchange, payloads, id: id, isResponse: true)
        } catch {
            complain(of: error)
            if error.code == .limitExceeded { endForLength(exchange, error) }
            return false
        }
        let way = window.answering
        window.answered(with: datagrams)
        transmit(datagrams, along: way)
        tell(.sent, "\(exchange) response \(id): \(payloads.isEmpty ? "empty" : payloads.summary(codePoints))")
        return true
    }

    private func sealed(
        _ exchange: ExchangeType, _ payloads: [Payload], id: UInt32, isResponse: Bool
    ) throws(CryptoError) -> [[UInt8]] {
        let way = isResponse ? window.answering ?? path : path
        let datagrams = try protection?.seal(
            header(exchange, id: id, isResponse: isResponse), payloads, fragmentLimit: fragmentLimit(way),
            longest: way.longestMessage, contents: contents, context: context)
        guard let datagrams else { throw CryptoError(.unusableKey, "there are no keys yet") }
        return datagrams
    }

    private func complain(of error: CryptoError) {
        context.emit(.warning(connection: connection?.name, "cannot protect a message: \(error.reason)"))
    }

    /// Our answer is longer than what can be sent to the peer: the SA comes to nothing.
    private func endForLength(_ exchange: ExchangeType, _ error: CryptoError) {
        let refusal = Refusal(.local, "our answer to the peer's \(exchange) cannot be sent: \(error.reason)")
        let notify = NotifyPayload(type: exchange == .ikeAuth ? .authenticationFailed : .invalidSyntax)
        answer(exchange, [.notify(notify)])
        if !narrative.isFinished { finishNarrative(refusal) }
        close(refusal, tellPeer: false, repeatsAnswer: true)
    }

    private func endForExhaustion() {
        close(Refusal(.local, "the IKE SA has used all of its message IDs"), tellPeer: true)
    }

    // MARK: Receiving

    /// A message of this SA that is not IKE_SA_INIT.
    func receive(_ message: Message, _ datagram: IKEDatagram) {
        guard protection != nil, message.header.flags.contains(.initiator) != isInitiator else {
            return context.counters.count(.unexpected)
        }
        guard message.isProtected else {
            for owner in Extensions.all { owner.receive(unprotected: message, of: self) }
            return
        }
        let isResponse = message.header.flags.contains(.response)
        if isResponse {
            guard let outstanding = window.outstanding, outstanding.messageID == message.header.messageID,
                outstanding.exchange == message.header.exchangeType
            else { return context.counters.count(.unexpected) }
        } else {
            switch window.classify(request: message.header.messageID) {
            case .new where takesRequests: break
            case .repeated:
                // The answer goes where the request came from (RFC 7296 section 2.11); nothing else follows from it, as
                // anybody on the way can repeat a message.
                guard
                    [protection, earlierProtection].contains(where: {
                        $0?.asksAgain(message, octets: datagram.octets) ?? false
                    })
                else { return }
                // Who has a TCP connection is where it says it is.
                let isElsewhere = datagram.stream == nil && datagram.remote.address != path.remote.address
                guard
                    window.repetition.allows(isProved: isEstablished, isElsewhere: isElsewhere, at: context.now)
                else { return context.counters.count(.answerWithheld) }
                transmit(window.lastAnswer, along: datagram.way)
                return
            case .exhausted: return endForExhaustion()
            case .new, .outside: return context.counters.count(.unexpected)
            }
        }
        // Of one that is gone nothing in fragments is of any use.
        if case .closing = state, case .encryptedFragment = message.payloads.last {
            return context.counters.count(.unexpected)
        }
        let opened: MessageProtection.Opened
        do {
            guard
                let result = try protection?.open(message, datagram, at: context.now, contents: contents)
            else { return }
            opened = result
        } catch let error as MessageError {
            malformed(error, datagram, isResponse: isResponse, exchange: message.header.exchangeType)
            return
        } catch {
            // Not authentic: it is nobody's business but the counter's.
            return context.counters.count(.notAuthentic)
        }
        guard hasRoomForFragments() else { return context.counters.count(.fragmentBudget) }
        guard case .message(let authenticated) = opened else { return }
        // New, whole and authentic: only such a message tells where the peer is, and that it is alive.
        lastHeard = context.now
        if isResponse, let outstanding = window.outstanding {
            if message.header.exchangeType != .informational {
                context.turns.answered(late: outstanding.attempt > 0, at: context.now)
            }
            if let first = outstanding.datagrams.first { paced.drop(messageOf: first) }
            window.outstanding = nil
        }
        let before = path
        follow(datagram, isResponse: isResponse)
        if isResponse {
            tell(
                .received,
                "\(message.header.exchangeType) response \(message.header.messageID): \(authenticated.payloads.summary(codePoints))"
            )
            handleResponse(authenticated)
        } else {
            window.answering = datagram.way
            tell(
                .received,
                "\(message.header.exchangeType) request \(message.header.messageID): \(authenticated.payloads.summary(codePoints))"
            )
            handleRequest(authenticated)
        }
        // The way may have taken children with it.
        if !path.hasSameEnds(as: before) { runNextTask() }
    }

    /// Enters what is kept of the peer's unfinished messages; drops it if strangers have too much together.
    private func hasRoomForFragments() -> Bool {
        guard !isEstablished, !isInitiator, let protection else { return true }
        guard !context.fragmentBudget.hold(protection.pendingOctetCount, for: localSPI) else { return true }
        self.protection?.dropFragments()
        context.fragmentBudget.forget(localSPI)
        return false
    }

    /// Whether the state has an answer to requests. An initiator that has not finished IKE_AUTH has none yet: what the
    /// peer sends in haste is not taken, and comes again.
    private var takesRequests: Bool {
        switch state {
        case .answering, .established, .closing: true
        case .initiating, .exchangingKeys, .resuming, .proving, .admitting, .closed: false
        }
    }

    /// The peer is authentic but its message cannot be read.
    private func malformed(
        _ error: MessageError, _ datagram: IKEDatagram, isResponse: Bool, exchange: ExchangeType
    ) {
        context.counters.count(.malformed)
        tell(.refused, "\(exchange): \(error)")
        context.emit(.warning(connection: connection?.name, "malformed \(exchange) from \(path.remote): \(error)"))
        guard !isResponse else {
            window.outstanding = nil
            close(
                Refusal(.protocolViolation, "the peer's \(exchange) response cannot be read: \(error)"), tellPeer: true)
            return
        }
        window.answering = datagram.way
        switch error.code {
        case .unsupportedCriticalPayload(let type):
            answer(exchange, [.notify(NotifyPayload(type: .unsupportedCriticalPayload, data: [type.rawValue]))])
        default:
            endForInvalidSyntax(exchange, "the peer's \(exchange) request cannot be read: \(error)")
        }
    }

    /// Answers INVALID_SYNTAX, which ends the IKE SA at both sides without a Delete (RFC 7296 section 2.21.3).
    func endForInvalidSyntax(_ exchange: ExchangeType, _ reason: String) {
        answer(exchange, [.notify(NotifyPayload(type: .invalidSyntax))])
        close(Refusal(.protocolViolation, reason), tellPeer: false, repeatsAnswer: true)
    }

    private func handleRequest(_ message: Authenticated) {
        // The peer uses this SA, which it would not if our own rekey, which it crossed, prevailed.
        if isEstablished, let old = undecidedPredecessor,
            !message.payloads.deletions.contains(where: { $0.protocolID == .ike })
        {
            old.handOver(to: self)
            context.signals.append(.changed(old))
        }
        switch (message.header.exchangeType, state) {
        case (.ikeIntermediate, .answering(let answering)): handleIntermediateRequest(message, answering)
        case (.ikeAuth, .answering(let answering)): admit(message, answering)
        case (.createChildSA, .established): handleCreateChildSARequest(message)
        case (.ikeFollowupKE, .established): handleFollowUpRequest(message)
        case (.informational, .established): handleInformationalRequest(message)
        case (.informational, .closing): answer(.informational, [])
        case (_, .closing): window.answering = nil
        case (let exchange, _):
            endForInvalidSyntax(exchange, "the peer sent \(exchange) out of place")
        }
    }

    private func handleResponse(_ message: Authenticated) {
        switch (message.header.exchangeType, state) {
        case (.ikeIntermediate, .exchangingKeys(let current)): handleIntermediateResponse(message, current)
        case (.ikeAuth, .proving(let proving)): handleAuthResponse(message, proving)
        case (_, .established): handleExchangeResponse(message)
        default: break
        }
    }

    // MARK: Closing

    /// Ends the SA and all its children.
    ///
    /// - Parameters:
    ///   - refusal: why, if that is a failure.
    ///   - tellPeer: whether a Delete is sent, once and without waiting for an answer.
    ///   - repeatsAnswer: whether the last answer is kept for a peer that does not get it.
    func close(_ refusal: Refusal?, reason: String? = nil, tellPeer: Bool, repeatsAnswer: Bool = false) {
        switch state {
        case .closed: return
        case .closing:
            state = .closed
            context.signals.append(.forgotten(self))
            return
        default: break
        }
        let why = refusal?.reason ?? reason ?? "closed"
        if tellPeer, protection != nil, keys != nil {
            let payload = Payload.delete(DeletePayload(protocolID: .ike, spis: []))
            do throws(CryptoError) {
                transmit(try sealed(.informational, [payload], id: window.nextID, isResponse: false))
            } catch {
                complain(of: error)
            }
        }
        releasePending()
        context.fragmentBudget.forget(localSPI)
        paced = PacedSending()
        if !(established?.isReplaced ?? false) { for owner in Extensions.all { owner.ended(self) } }
        claim(nil)
        if instance != nil, let name = connection?.name, let identity = established?.remoteIdentity {
            context.instances.leave(identity, of: name)
        }
        if case .established(let established) = state {
            for child in established.children { discard(child, reason: why) }
            for old in established.lingering {
                context.emit(.removeInbound(spi: old.inboundSPI))
                context.childSPIs.release(old.inboundSPI)
            }
            // Not decided on, and never will be.
            if let heir = established.peerReplacement?.sa, heir.isEstablished {
                heir.close(nil, reason: why, tellPeer: false)
            }
        }
        let wasEstablished = isEstablished
        state = repeatsAnswer ? .closing(until: context.now + context.configuration.halfOpenTimeout) : .closed
        window.outstanding = nil
        protection?.dropFragments()
        earlierProtection?.dropFragments()
        // To repeat an answer, and to answer a Delete, the ciphers are enough.
        keys = nil
        if !narrative.isFinished, !wasEstablished { finishNarrative(refusal) }
        // It has been told; what stays only to repeat an answer keeps no story.
        narrative = Narrative(title: "", at: context.now)
        narrative.isFinished = true
        if wasEstablished {
            context.emit(.ikeClosed(connection: connection?.name ?? "?", localSPI: localSPI, reason: why))
        }
        context.signals.append(.closed(self, refusal: refusal, reason: why))
    }

    private var undecidedPredecessor: IKESA? {
        predecessor.flatMap { $0.established?.peerReplacement?.sa === self ? $0 : nil }
    }

    /// Another IKE SA has been set up with the peer: this one carries what is on its way for a while, and goes.
    func retire(after pause: Duration) {
        _ = withEstablished { established in
            established.isReplaced = true
            established.rekeyAt = nil
            established.tasks = []
            established.retireAt = context.now + pause
            for index in established.children.indices { established.children[index].rekeyAt = nil }
        }
        context.signals.append(.changed(self))
    }

    /// Gives back the SPIs of exchanges that will not end.
    private func releasePending() {
        dropUnfinishedAnswer()
        switch state {
        case .proving(let proving):
            if let child = proving.child { context.childSPIs.release(child.inboundSPI) }
        case .established(let established):
            for spi in established.undone { context.childSPIs.release(spi) }
            switch established.outgoing {
            case .child(let creation): context.childSPIs.release(creation.inboundSPI)
            case .rekeyIKE(let rekey): context.ikeSPIs.release(rekey.newSPI)
            case .deleteChild, .deleteIKE, .liveness, .notice, nil: break
            }
        default: break
        }
    }

    /// Takes a child's SAs out of the data plane.
    func discard(_ child: ChildSA, reason: String) {
        context.emit(.removeInbound(spi: child.inboundSPI))
        context.emit(.removeOutbound(inboundSPI: child.inboundSPI))
        context.childSPIs.release(child.inboundSPI)
        context.childOwners.remove(child)
        for owner in Extensions.all { owner.removed(child, from: self) }
        context.emit(
            .childClosed(
                connection: connection?.name ?? "?", child: child.configuration.name, inboundSPI: child.inboundSPI,
                reason: reason))
    }

    func finishNarrative(_ refusal: Refusal?) {
        narrative.refusal = refusal
        narrative.isFinished = true
        narrative.isFromStranger = !isInitiator && !isEstablished
        if let refusal {
            tell(.refused, refusal.reason, origin: refusal.origins.first)
            for origin in refusal.origins.dropFirst() { tell(.note, "see also", origin: origin) }
        }
        context.emit(.negotiated(connection: connection?.name, narrative))
        // Whoever wants to tell it keeps it: an SA that is up for days does not.
        narrative.clear()
    }

    func status() -> IKESAStatus? {
        guard let suite = keys?.suite, case .established(let established) = state else { return nil }
        var result = IKESAStatus(
            localSPI: localSPI, remoteSPI: remoteSPI, isInitiator: isInitiator, local: path.local.description,
            remote: path.remote.description, localIdentity: established.localIdentity.description,
            remoteIdentity: established.remoteIdentity.description, suite: suite, isBehindNAT: path.isBehindNAT,
            isPeerBehindNAT: path.isPeerBehindNAT, isOverTCP: path.stream != nil,
            establishedAt: established.establishedAt,
            rekeyAt: established.rekeyAt, expiresAt: established.expiresAt, instance: instance)
        for owner in Extensions.all { owner.describe(&result, of: self) }
        return result
    }
}
