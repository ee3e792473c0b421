import IKEMessage
import Octets

// INFORMATIONAL exchanges (RFC 7296 section 1.4): deletions, signs of life, errors.
extension IKESA {
    // MARK: Ours

    func beginDeletion(ofChild inboundSPI: UInt32, reason: String) {
        setChildState(inboundSPI, .deleting)
        _ = withEstablished { $0.outgoing = .deleteChild(inboundSPI: inboundSPI, reason: reason) }
        request(
            .informational,
            [.delete(DeletePayload(protocolID: .esp, spis: [inboundSPI.bigEndianOctets]))])
    }

    func beginDeletion(reason: String) {
        _ = withEstablished { $0.outgoing = .deleteIKE(reason: reason) }
        request(.informational, [.delete(DeletePayload(protocolID: .ike, spis: []))])
    }

    private func begin(_ notice: ExtensionNotice) {
        guard let payloads = notice.owner.begin(notice, of: self) else { return }
        _ = withEstablished { $0.outgoing = .notice(notice) }
        request(.informational, payloads)
    }

    func beginLivenessCheck() {
        _ = withEstablished { $0.outgoing = .liveness }
        request(.informational, Extensions.all.flatMap { $0.payloads(askingForLifeOf: self) })
    }

    /// The answer to our exchange, whichever is under way.
    func handleExchangeResponse(_ message: Authenticated) {
        guard let outgoing = established?.outgoing else { return }
        if message.payloads.errorNotification?.type == .invalidSyntax {
            // Fatal to both sides; the peer has ended the SA already (RFC 7296 section 2.21.3).
            close(
                Refusal(
                    .protocolViolation, by: .peer,
                    "the peer answered INVALID_SYNTAX to \(message.header.exchangeType): it cannot read what we sent"),
                tellPeer: false)
            return
        }
        switch (outgoing, message.header.exchangeType) {
        case (.child(let creation), .createChildSA):
            handleChildCreationResponse(message, creation)
        case (.rekeyIKE(let rekey), .createChildSA):
            handleIKERekeyResponse(message, rekey)
        case (.child(let creation), .ikeFollowupKE):
            handleChildFollowUpResponse(message, creation)
        case (.rekeyIKE(let rekey), .ikeFollowupKE):
            handleIKEFollowUpResponse(message, rekey)
        case (.deleteChild(let spi, let reason), .informational):
            endOutgoing()
            if established?.child(inboundSPI: spi) != nil {
                removeChild(spi, reason: reason, lingers: true)
            } else if withEstablished({ $0.undone.remove(spi) != nil }) ?? false {
                context.childSPIs.release(spi)
            }
            runNextTask()
        case (.deleteIKE(let reason), .informational):
            close(nil, reason: reason, tellPeer: false)
        case (.liveness, .informational):
            endOutgoing()
            for owner in Extensions.all { owner.receive(signOfLife: message, of: self) }
            runNextTask()
        case (.notice(let notice), .informational):
            endOutgoing()
            notice.owner.finish(notice, with: message, of: self)
            runNextTask()
        default: break
        }
    }

    // MARK: The peer's

    func handleInformationalRequest(_ message: Authenticated) {
        let payloads = message.payloads
        if payloads.deletions.contains(where: { $0.protocolID == .ike }) {
            isEndedByPeer = true
            answer(.informational, [])
            // Our rekey crossed the peer's, and the peer has found that its own holds (RFC 7296 section 2.25.2).
            let heir = established?.peerReplacement?.sa
            if let heir, heir.isEstablished { handOver(to: heir) }
            let isReplaced = established?.isReplaced ?? false
            close(nil, reason: isReplaced ? "rekeyed" : "deleted by the peer", tellPeer: false, repeatsAnswer: true)
            heir?.runNextTask()
            return
        }
        if let error = payloads.errorNotification, error.type == .authenticationFailed {
            answer(.informational, [])
            close(
                Refusal(
                    .authenticationFailed, by: .peer,
                    "the peer answered AUTHENTICATION_FAILED: it does not accept our identity, secret or certificate",
                    at: connection.map { [$0.origin(of: "local.id"), $0.origin(of: "local.auth")] } ?? []),
                tellPeer: false, repeatsAnswer: true)
            return
        }
        // Effects are collected first and applied once, however often an SPI is named.
        var doomed: [UInt32] = []
        for deletion in payloads.deletions where deletion.protocolID == .esp {
            for octets in deletion.spis {
                guard let spi = Self.spi(octets) else { continue }
                guard let child = established?.child(outboundSPI: spi) else {
                    noteDeletionOfUnknown(outboundSPI: spi)
                    continue
                }
                if !doomed.contains(child.inboundSPI) { doomed.append(child.inboundSPI) }
            }
        }
        // Of a pair that both sides delete at once, each has already named its own SPI (RFC 7296 section 1.4.1).
        let named = doomed.filter { spi in
            if case .deleteChild(spi, _) = established?.outgoing { return false }
            return true
        }
        let deletion: [Payload] =
            named.isEmpty ? [] : [.delete(DeletePayload(protocolID: .esp, spis: named.map(\.bigEndianOctets)))]
        answer(.informational, deletion + extensionAnswers(to: message))
        for spi in doomed { removeChild(spi, reason: "deleted by the peer", lingers: true) }
        runNextTask()
    }

    /// The peer may have made the child that we are asking for, and deleted it before its answer has come.
    private func noteDeletionOfUnknown(outboundSPI: UInt32) {
        _ = withEstablished { established in
            guard case .child(var creation) = established.outgoing, creation.deletedByPeer.count < 8 else { return }
            creation.deletedByPeer.insert(outboundSPI)
            established.outgoing = .child(creation)
        }
    }

    /// Takes a child away; its replacement, if there is one, takes over the sending.
    ///
    /// - Parameter lingers: whether packets on their way may still come in for a moment.
    func removeChild(_ inboundSPI: UInt32, reason: String, lingers: Bool) {
        guard let child = established?.child(inboundSPI: inboundSPI) else { return }
        if isSending(child), let heir = heir(of: child) { activateOutbound(heir) }
        _ = withEstablished { established in
            established.children.removeAll { $0.inboundSPI == inboundSPI }
            // What is gone need not be deleted.
            established.tasks.removeAll { if case .deleteChild(inboundSPI, _) = $0 { true } else { false } }
            if case .child(var creation) = established.outgoing, creation.replaces == inboundSPI {
                creation.peerReplacement = child.peerReplacement
                established.outgoing = .child(creation)
            }
            for index in established.children.indices where established.children[index].replaces == inboundSPI {
                established.children[index].replaces = nil
            }
            // A replacement that the peer made and has given up again: the old pair is what there is.
            for index in established.children.indices
            where established.children[index].peerReplacement?.inboundSPI == inboundSPI {
                established.children[index].peerReplacement = nil
                guard established.children[index].state == .rekeyed, established.children[index].ownReplacement == nil,
                    established.children[index].deleteAt == nil
                else { continue }
                established.children[index].state = .installed
                established.children[index].rekeyAt =
                    context.now
                    + context.within(
                        context.jittered(.seconds(30), by: 0.5), beforeEndAt: established.children[index].expiresAt)
            }
            if lingers {
                established.lingering.append((inboundSPI, context.now + Established.lingeringTime))
            }
        }
        if lingers {
            context.childOwners.remove(child)
            for owner in Extensions.all { owner.removed(child, from: self) }
            context.emit(.removeOutbound(inboundSPI: child.inboundSPI))
            context.emit(
                .childClosed(
                    connection: connection?.name ?? "?", child: child.configuration.name, inboundSPI: inboundSPI,
                    reason: reason))
        } else {
            discard(child, reason: reason)
        }
        let name = child.configuration.name
        guard let established, !established.children.contains(where: { $0.configuration.name == name }) else { return }
        context.signals.append(.childLost(self, child: name, refusal: nil))
    }

    /// Whether packets leave through it that would leave through no other.
    private func isSending(_ child: ChildSA) -> Bool {
        guard let rank = child.outboundRank, let established else { return false }
        return !established.children.contains { carriesSame($0, as: child) && $0.outboundRank ?? 0 > rank }
    }

    /// Whether two pairs have the same packets: those of the same selectors, label and classes or, in a group of which each worker has
    /// its own, of one worker.
    private func carriesSame(_ one: ChildSA, as other: ChildSA) -> Bool {
        guard one.configuration.policyID == other.configuration.policyID, one.terms.carriesSame(as: other.terms) else {
            return false
        }
        guard let group = one.configuration.place?.group, group == other.configuration.place?.group else { return true }
        return context.childSPIs.worker(of: one.inboundSPI) == context.childSPIs.worker(of: other.inboundSPI)
    }

    /// The child through which packets go on when `child` is no longer there.
    private func heir(of child: ChildSA) -> UInt32? {
        let replacements = [child.ownReplacement, child.peerReplacement].compactMap { $0?.inboundSPI }
        let all = (established?.children ?? []).filter { $0.inboundSPI != child.inboundSPI }
        if let next = all.last(where: { replacements.contains($0.inboundSPI) && $0.isCurrent }) {
            return next.inboundSPI
        }
        let others = all.filter { carriesSame($0, as: child) }
        return (others.last { $0.isCurrent } ?? others.last { $0.state == .rekeyed })?.inboundSPI
    }

    // MARK: What to do next

    func endOutgoing() { _ = withEstablished { $0.outgoing = nil } }

    /// Begins the next exchange of ours, if none is under way. While an answer of ours is being computed there is none
    /// either: it may change what is to be done, or where.
    func runNextTask() {
        forgetTakenDown()
        let task = withEstablished { established -> Established.Task? in
            guard established.outgoing == nil, established.incoming == nil, !established.tasks.isEmpty else {
                return nil
            }
            if established.unfinished != nil {
                // What the peer has begun may concern the same SAs.
                return established.tasks.firstIndex { !$0.needsTurn }.map { established.tasks.remove(at: $0) }
            }
            // What needs no turn does not wait behind what does.
            let next = established.tasks.firstIndex { context.turns.isFree || !$0.needsTurn }
            if next != 0 { context.turns.wait(.exchange(localSPI: localSPI)) }
            return next.map { established.tasks.remove(at: $0) }
        }
        guard case .some(.some(let task)) = task, let established else { return }
        switch task {
        case .createChild(let child):
            guard lacks(child, for: child.trigger) else { break }
            beginChildCreation(child, replaces: nil)
        case .rekeyChild(let spi):
            guard let child = established.child(inboundSPI: spi), child.state == .installed else { break }
            beginChildCreation(child.configuration, replaces: spi)
        case .rekeyIKE:
            guard !established.isReplaced else { break }
            beginIKERekey()
        case .deleteChild(let spi, let reason): beginDeletion(ofChild: spi, reason: reason)
        case .deleteIKE(let reason): beginDeletion(reason: reason)
        case .liveness: beginLivenessCheck()
        case .notice(let notice): begin(notice)
        }
        if self.established?.outgoing == nil { runNextTask() }
    }

    /// Puts something to be done before all else that waits.
    func hasten(_ task: Established.Task) {
        _ = withEstablished { $0.tasks.insert(task, at: 0) }
        runNextTask()
    }

    /// Puts something to be done behind what is under way.
    func enqueue(_ task: Established.Task) {
        _ = withEstablished { $0.tasks.append(task) }
        runNextTask()
    }
}
