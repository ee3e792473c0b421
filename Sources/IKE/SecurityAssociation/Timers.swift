import Octets

// Everything an IKE SA does because time has passed. No state is without a deadline, except an established SA whose
// configuration wants none.
extension IKESA {
    /// When ``handleTimeout()`` has to be called next.
    var nextDeadline: Instant? {
        var deadlines: [Instant] = []
        if let outstanding = window.outstanding { deadlines.append(outstanding.resendAt) }
        if let pacedAt { deadlines.append(pacedAt) }
        if let until = state.until { deadlines.append(until) }
        switch state {
        case .initiating(let initial):
            if let doubt = initial.doubt { deadlines.append(doubt.until) }
            if let demand = initial.cookieDemand { deadlines.append(demand.until) }
        case .exchangingKeys, .resuming, .proving, .answering, .admitting, .closing: break
        case .closed: return nil
        case .established(let established): addDeadlines(of: established, to: &deadlines)
        }
        deadlines += Extensions.all.compactMap { $0.deadline(of: self) }
        return deadlines.min()
    }

    private func addDeadlines(of established: Established, to deadlines: inout [Instant]) {
        if let at = established.expiresAt { deadlines.append(at) }
        if let at = established.rekeyAt { deadlines.append(at) }
        if let at = established.retireAt { deadlines.append(at) }
        if let interval = livenessInterval(established) { deadlines.append(lastHeard + interval) }
        if path.needsKeepalives, !established.isReplaced { deadlines.append(lastSent + timing.natKeepalive) }
        for child in established.children {
            if let at = child.expiresAt { deadlines.append(at) }
            if let at = child.deleteAt { deadlines.append(at) }
            if child.state == .installed, let at = child.rekeyAt { deadlines.append(at) }
        }
        for old in established.lingering { deadlines.append(old.until) }
        if let unfinished = established.unfinished, unfinished.job == nil { deadlines.append(unfinished.until) }
    }

    /// The pause after which the peer must be asked for a sign of life; `nil` while something else asks it already.
    private func livenessInterval(_ established: Established) -> Duration? {
        guard established.outgoing == nil, established.tasks.allSatisfy(\.needsTurn), !established.isReplaced else {
            return nil
        }
        return timing.livenessInterval
    }

    /// Does what is due at the context's time.
    func handleTimeout() {
        let now = context.now
        sendPaced()
        if let outstanding = window.outstanding, outstanding.resendAt <= now { resend(outstanding) }
        if let until = state.until, until <= now { return endOverdueState() }
        switch state {
        case .initiating(let initial):
            if let demand = initial.cookieDemand, demand.until <= now {
                payCookie(initial, demand.cookie, demandedBy: demand.response)
            } else if let doubt = initial.doubt, doubt.until <= now {
                close(doubt.refusal, tellPeer: false)
            }
        case .established: handleEstablishedTimeout()
        case .exchangingKeys, .resuming, .proving, .answering, .admitting, .closing, .closed: break
        }
        if !isClosed { for owner in Extensions.all { owner.handleTimeout(of: self) } }
    }

    /// The state has lasted as long as it may.
    private func endOverdueState() {
        switch state {
        case .answering, .admitting:
            close(Refusal(.peerSilent, "the peer began an IKE SA and did not go on with it"), tellPeer: false)
        case .initiating, .exchangingKeys, .resuming, .proving:
            close(
                Refusal(.local, "the attempt was given up: it has taken as long as all its repetitions may"),
                tellPeer: false)
        case .closing: close(nil, reason: "closed", tellPeer: false)
        case .established, .closed: break
        }
    }

    private func resend(_ outstanding: RequestWindow.Outstanding) {
        let policy = timing.retransmission
        let tries = Extensions.all.compactMap { $0.patience(of: self) }.reduce(policy.tries, min)
        guard outstanding.attempt < tries else {
            if Extensions.all.contains(where: { $0.findOtherWay(for: self) }) { return relaunch() }
            if case .initiating(let initial) = state, let doubt = initial.doubt {
                close(doubt.refusal, tellPeer: false)
                return
            }
            if let established {
                if case .deleteIKE(let reason) = established.outgoing {
                    // It is gone here, whatever the peer thinks.
                    close(nil, reason: reason, tellPeer: false)
                    return
                }
                if !established.isReplaced { context.emit(.peerDead(connection: connection?.name ?? "?")) }
            }
            close(
                Refusal(
                    .peerSilent,
                    "no answer from \(path.remote) to \(outstanding.exchange), sent \(outstanding.attempt + 1) times: it is down, not reachable, or a firewall stops \(path.stream == nil ? "UDP" : "TCP") \(path.remote.port)",
                    at: connection.map { [$0.origin(of: "remote.address")] } ?? []),
                tellPeer: false)
            return
        }
        if case .initiating(let initial) = state, initial.doubt != nil {
            // The answer is most likely here already; only its time of doubt is waited for.
            window.outstanding?.resendAt = context.now + InitiatorInit.patience
            return
        }
        let attempt = outstanding.attempt + 1
        window.outstanding?.attempt = attempt
        window.outstanding?.resendAt =
            context.now + PacedSending.time(for: outstanding.datagrams.count, attempt: attempt)
            + policy.wait(afterAttempt: attempt)
        if path.stream == nil {
            tell(.sent, "\(outstanding.exchange) request \(outstanding.messageID) again (\(attempt) of \(tries))")
        }
        transmitRequest(outstanding.datagrams, attempt: attempt)
    }

    private func handleEstablishedTimeout() {
        let now = context.now
        guard let current = established else { return }
        if let expiry = current.expiresAt, expiry <= now {
            if current.isReplaced {
                close(nil, reason: "rekeyed", tellPeer: false)
            } else {
                close(Refusal(.local, "the IKE SA's lifetime ended before it could be rekeyed"), tellPeer: true)
            }
            return
        }
        if let rekeyAt = current.rekeyAt, rekeyAt <= now {
            _ = withEstablished { established in
                established.rekeyAt = nil
                established.tasks.append(.rekeyIKE)
            }
        }
        if let retireAt = current.retireAt, retireAt <= now {
            _ = withEstablished { established in
                established.retireAt = nil
                established.tasks = [.deleteIKE(reason: "the peers have authenticated each other anew")]
            }
        }
        for old in current.lingering where old.until <= now {
            context.emit(.removeInbound(spi: old.inboundSPI))
            context.childSPIs.release(old.inboundSPI)
        }
        _ = withEstablished { $0.lingering.removeAll { $0.until <= now } }
        if let unfinished = current.unfinished, unfinished.job == nil, unfinished.until <= now {
            dropUnfinishedAnswer()
        }
        for child in current.children { handleTimeout(of: child) }
        if path.needsKeepalives, !current.isReplaced, lastSent + timing.natKeepalive <= now {
            context.emit(.sendKeepalive(from: path.local, to: path.remote))
            lastSent = now
        }
        if let current = established, let interval = livenessInterval(current), lastHeard + interval <= now {
            _ = withEstablished { $0.tasks.append(.liveness) }
        }
        runNextTask()
    }

    private func handleTimeout(of child: ChildSA) {
        let now = context.now
        let spi = child.inboundSPI
        if let expiry = child.expiresAt, expiry <= now {
            // With a replacement there, packets for the old pair may still be on their way.
            removeChild(spi, reason: "its lifetime ended", lingers: child.peerReplacement != nil)
            // The peer may be about to use it for much longer.
            _ = withEstablished { $0.tasks.append(.deleteChild(inboundSPI: spi, reason: "its lifetime ended")) }
            return
        }
        if let deleteAt = child.deleteAt, deleteAt <= now {
            _ = withEstablished { established in
                guard let index = established.children.firstIndex(where: { $0.inboundSPI == spi }) else { return }
                established.children[index].deleteAt = nil
                established.children[index].state = .deleting
                established.tasks.append(.deleteChild(inboundSPI: spi, reason: "rekeyed"))
            }
        } else if child.state == .installed, let rekeyAt = child.rekeyAt, rekeyAt <= now {
            requestRekey(ofChild: spi)
        }
    }

    /// Queues the rekey of a child, once.
    func requestRekey(ofChild spi: UInt32) {
        _ = withEstablished { established in
            guard let index = established.children.firstIndex(where: { $0.inboundSPI == spi }),
                established.children[index].state == .installed
            else { return }
            established.children[index].rekeyAt = nil
            established.tasks.append(.rekeyChild(inboundSPI: spi))
        }
    }
}
