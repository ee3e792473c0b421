import IKEMessage
import IPPacket
import Octets

// Setting connections up, and up again.
extension Endpoint {
    // MARK: Attempts

    func establishedSA(_ record: ConnectionRecord) -> IKESA? {
        record.sas.lazy.compactMap { self.sas[$0] }.last {
            guard let established = $0.established else { return false }
            return !established.isReplaced && !established.isEnding
        }
    }

    /// Whether an SA is up or being set up; those that have been replaced, or are on their way out, do not count.
    func hasLiveSA(_ record: ConnectionRecord) -> Bool {
        record.sas.contains { spi in
            sas[spi].map { !($0.established.map { $0.isReplaced || $0.isEnding } ?? false) } ?? false
        }
    }

    /// Notes that something is under way which ends at its limit, if nothing ends it before.
    func enterConnecting(_ record: inout ConnectionRecord, _ reason: String) {
        let until = context.attemptLimit(record.configuration.timing)
        record.enter(.connecting(until: until), reason, context)
        deadlines.insert(.connection(record.configuration.name), at: until)
    }

    private func enterRetrying(_ record: inout ConnectionRecord, at next: Instant, _ reason: String) {
        record.enter(.retrying(at: next), reason, context)
        deadlines.insert(.connection(record.configuration.name), at: next)
    }

    /// - Parameter packet: what asked for the connection, if that was a packet.
    func attempt(_ name: String, askedForBy packet: String? = nil) {
        guard var record = connections[name] else { return }
        let configuration = record.configuration
        guard !configuration.remoteAddresses.isEmpty else {
            if configuration.acceptsAnyRemoteAddress {
                record.enter(.idle, "waits for the peer", context)
            } else {
                // Whoever resolves the peer's name tells the outcome; this is for the case that nobody does.
                enterRetrying(
                    &record, at: context.now + configuration.timing.retryLimit, "the peer's name is being looked up")
            }
            connections[name] = record
            return
        }
        let remote = configuration.remoteAddresses[record.addressIndex % configuration.remoteAddresses.count]
        guard let local = sourceAddress(configuration, towards: remote) else {
            connections[name] = record
            failed(name, lackOfSource(configuration, towards: remote))
            return
        }
        guard context.turns.isFree else {
            if !record.awaitsTurn { context.turns.wait(.call(connection: name, askedForBy: packet)) }
            record.awaitsTurn = true
            enterConnecting(
                &record, "waits for its turn to call \(remote): \(context.turns.holderCount) others are being called")
            connections[name] = record
            return
        }
        record.awaitsTurn = false
        let children = configuration.children.filter {
            record.requested.contains($0.name)
                || configuration.start(of: $0) == .boot && !record.heldDownChildren.contains($0.name)
        }.map { $0.triggered(by: record.triggers[$0.name]) }
        enterConnecting(&record, "calling \(remote)" + (packet.map { ", asked for by \($0)" } ?? ""))
        connections[name] = record
        call(name, at: remote, from: local, for: children.isEmpty ? configuration.children : children, mayResume: true)
    }

    /// The address of ours from which a connection's peer is called; `nil` if there is none.
    func sourceAddress(_ configuration: ConnectionConfiguration, towards remote: IPAddress) -> IPAddress? {
        configuration.localAddresses.isEmpty
            ? context.configuration.sourceAddress(remote)
            : configuration.localAddresses.first {
                $0.family == remote.family && context.configuration.isLocalAddress($0)
            }
    }

    /// Why there is no address of ours from which to call the peer.
    private func lackOfSource(_ configuration: ConnectionConfiguration, towards remote: IPAddress) -> Refusal {
        let configured = configuration.localAddresses.filter { $0.family == remote.family }
        let reason =
            if configuration.localAddresses.isEmpty {
                "there is no route to \(remote)"
            } else if configured.isEmpty {
                "no local address is configured from which \(remote) can be called, which needs one of its family"
            } else {
                "this host does not have the address \(configured.map(\.description).joined(separator: " or ")), from which \(remote) is to be called"
            }
        return Refusal(.local, reason, at: configured.isEmpty ? [] : [configuration.origin(of: "local.address")])
    }

    /// Begins an IKE SA.
    private func call(
        _ name: String, at remote: IPAddress, from local: IPAddress, for children: [ChildConfiguration], mayResume: Bool
    ) {
        guard let configuration = connections[name]?.configuration else { return }
        let spi = context.ikeSPIs.allocate(using: &context.random)
        let other = Extensions.wayOfCall(configuration, to: remote, from: local, localSPI: spi, context)
        let path =
            other
            ?? Path(
                local: SocketAddress(local, port: context.configuration.ikePort),
                remote: SocketAddress(remote, port: configuration.remotePort), usesNATPort: false)
        guard
            let sa = IKESA.initiate(
                configuration, children: children, path: path, localSPI: spi, mayResume: mayResume && other == nil,
                context: context)
        else {
            context.ikeSPIs.release(spi)
            context.streams.forget(spi)
            failed(name, Refusal(.local, "no IKE proposal has a key exchange", at: [configuration.origin(of: "ike")]))
            return
        }
        register(sa)
        connections[name]?.sas.append(spi)
        connections[name]?.asked = Set(children.map(\.name))
        settle(sa)
    }

    /// An attempt failed, or an SA was lost: plan the next attempt, if there is to be one.
    private func failed(_ name: String, _ refusal: Refusal, at once: Bool = false) {
        guard var record = connections[name] else { return }
        record.refusal = refusal
        if refusal.cause == .peerSilent { record.addressIndex += 1 }
        if record.isWanted {
            let pause = ConnectionRecord.pause(record.configuration.timing, attempt: record.attempt)
            let next = once ? context.now : context.now + context.jittered(pause, by: 0.2)
            record.attempt += 1
            enterRetrying(&record, at: next, refusal.reason)
        } else {
            record.requested = []
            record.enter(.failed, refusal.reason, context)
        }
        connections[name] = record
        context.emit(.failed(connection: name, child: nil, refusal, nextAttempt: record.nextAttempt))
    }

    func handleTimeout(ofConnection name: String) {
        guard let due = connections[name] else { return }
        if let deadline = due.phase.deadline, deadline > context.now {
            deadlines.insert(.connection(name), at: deadline)
        } else if case .connecting = due.phase, due.awaitsTurn {
            var record = due
            enterConnecting(&record, due.reason)
            connections[name] = record
        } else if case .connecting = due.phase {
            giveUpAttempt(name)
        } else if case .retrying = due.phase, establishedSA(due) == nil {
            attempt(name)
        }
        guard let record = connections[name], let sa = establishedSA(record) else { return }
        let limit = context.attemptLimit(record.configuration.timing)
        for (child, plan) in record.missing.sorted(by: { $0.key < $1.key }) {
            guard plan.at <= context.now else {
                deadlines.insert(.connection(name), at: plan.at)
                continue
            }
            // Asked for again by then, should there be no outcome.
            connections[name]?.missing[child]?.at = limit
            deadlines.insert(.connection(name), at: limit)
            if case .retrying = record.phase {
                connections[name]?.enter(.connecting(until: limit), "asking for \(child)", context)
            }
            if let configuration = record.configuration.children.first(where: { $0.name == child }) {
                sa.enqueue(.createChild(configuration))
            }
        }
        settle(sa)
        planNext(name)
    }

    /// Finds the next time for a connection whose plan has been overtaken: its missing children may have come, or been given up.
    private func planNext(_ name: String) {
        guard var record = connections[name], case .retrying(let at) = record.phase, at <= context.now else { return }
        if let next = record.missing.values.map(\.at).min() {
            enterRetrying(&record, at: next, record.reason)
        } else {
            let isUp = establishedSA(record).map { !($0.established?.children.isEmpty ?? true) } ?? false
            record.enter(isUp ? .up : record.configuration.restingPhase, "nothing is left to be asked for", context)
        }
        connections[name] = record
    }

    /// An attempt has taken as long as one may: whatever it still waits for is given up.
    private func giveUpAttempt(_ name: String) {
        let refusal = Refusal(.local, "the attempt was given up: it has taken as long as all its repetitions may")
        for spi in connections[name]?.sas ?? [] {
            guard let sa = sas[spi], !sa.isEstablished else { continue }
            sa.close(refusal, tellPeer: false)
            settle(sa)
        }
        // What was closed has put the connection into another phase, unless nothing was.
        guard var record = connections[name], case .connecting = record.phase else { return }
        if let sa = establishedSA(record) {
            // The IKE SA is there and its exchanges have limits of their own; what it lacks is asked for once more.
            let next = context.now + ConnectionRecord.pause(record.configuration.timing, attempt: record.attempt)
            record.attempt += 1
            for child in record.configuration.children
            where record.keepsUp(child)
                && sa.established?.children.contains(where: {
                    $0.configuration.name == child.name
                }) == false
            {
                record.missing[child.name] = (record.attempt, next)
            }
            if record.missing.isEmpty {
                record.enter(.failed, refusal.reason, context)
            } else {
                enterRetrying(&record, at: next, refusal.reason)
            }
            connections[name] = record
        } else {
            failed(name, refusal)
        }
    }

    /// Takes in that no address of a connection's peer is known, as its name cannot be resolved.
    ///
    /// - Parameter next: when the name is looked up again.
    public func remoteAddressUnknown(of name: String, _ reason: String, lookedUpAgainAt next: Instant, at now: Instant)
    {
        context.now = now
        guard var record = connections[name], record.sas.isEmpty, record.configuration.remoteAddresses.isEmpty,
            !record.configuration.acceptsAnyRemoteAddress, record.isWanted || record.reason != reason
        else { return }
        let refusal = Refusal(.unresolvedName, reason, at: [record.configuration.origin(of: "remote.address")])
        let isNews = record.refusal != refusal
        record.refusal = refusal
        if record.isWanted {
            enterRetrying(&record, at: next, reason)
        } else {
            record.enter(record.restingPhase, reason, context)
        }
        connections[name] = record
        if isNews { context.emit(.failed(connection: name, child: nil, refusal, nextAttempt: record.nextAttempt)) }
        settle(nil)
    }

    // MARK: What SAs tell

    /// Handles a signal; returns the SAs it concerned.
    func handle(_ signal: EndpointContext.Signal) -> [IKESA] {
        switch signal {
        case .established(let sa):
            established(sa)
            return [sa]
        case .replaced(let old, let new):
            register(new)
            if let name = new.connection?.name { connections[name]?.sas.append(new.localSPI) }
            return [old, new]
        case .childUp(let sa, let child):
            guard let name = sa.connection?.name else { return [sa] }
            connections[name]?.missing[child] = nil
            connections[name]?.attempt = 0
            connections[name]?.refusal = nil
            connections[name]?.enter(.up, "established", context)
            sa.deleteTakenDown(child)
            return [sa]
        case .childLost(let sa, let child, let refusal):
            childLost(sa, child, refusal)
            return [sa]
        case .closed(let sa, let refusal, let reason):
            closed(sa, refusal, reason)
            return [sa]
        case .changed(let sa):
            return [sa]
        case .reauthenticate(let sa):
            reauthenticate(sa)
            return [sa]
        case .callElsewhere(let sa, let address, let children):
            callElsewhere(sa, address, children)
            return [sa]
        case .forgotten(let sa):
            forget(sa)
            return [sa]
        }
    }

    /// Lets a connection's peers authenticate each other again now: for simulations, which cannot wait for the lifetime's end.
    package func reauthenticate(_ name: String, at now: Instant) {
        context.now = now
        guard let sa = connections[name].flatMap({ establishedSA($0) }) else { return }
        reauthenticate(sa)
        settle(nil)
    }

    /// Sets up an IKE SA with the children of `sa`, which it will replace (RFC 4478).
    private func reauthenticate(_ sa: IKESA) {
        guard let name = sa.connection?.name, let record = connections[name], !record.isHeldDown,
            !record.sas.contains(where: { sas[$0]?.isBeingSetUp ?? false })
        else { return }
        var names = Set(sa.established?.children.map(\.configuration.name) ?? [])
        if case .child(let creation) = sa.established?.outgoing { names.insert(creation.configuration.name) }
        names.formUnion(record.missing.keys)
        let children = record.configuration.children.filter { names.contains($0.name) }
        call(name, at: sa.path.remote.address, from: sa.path.local.address, for: children, mayResume: false)
    }

    /// Sets up an IKE SA with another gateway for the connection of `sa`.
    private func callElsewhere(_ sa: IKESA, _ address: IPAddress, _ children: [ChildConfiguration]) {
        guard let name = sa.connection?.name, let record = connections[name], !record.isHeldDown,
            !record.sas.contains(where: { $0 != sa.localSPI && sas[$0]?.isBeingSetUp ?? false }),
            let local = sourceAddress(record.configuration, towards: address)
        else { return }
        call(name, at: address, from: local, for: children, mayResume: false)
    }

    private func established(_ sa: IKESA) {
        guard let name = sa.connection?.name, var record = connections[name],
            record.configuration.fingerprint == sa.connection?.fingerprint
        else {
            sa.close(Refusal(.administrative, "its configuration no longer holds"), tellPeer: true)
            return
        }
        if !record.sas.contains(sa.localSPI) { record.sas.append(sa.localSPI) }
        if record.isHeldDown, sa.isInitiator {
            connections[name] = record
            return sa.enqueue(.deleteIKE(reason: "taken down"))
        }
        record.isHeldDown = false
        // What was asked for after the attempt had begun; if the peer has brought it along, nothing comes of this.
        let late = sa.isInitiator ? record.requested.subtracting(record.asked) : record.requested
        for child in record.configuration.children where late.contains(child.name) {
            sa.enqueue(.createChild(child.triggered(by: record.triggers[child.name])))
        }
        record.requested = []
        record.triggers = [:]
        record.asked = []
        record.refusal = nil
        if record.configuration.deadPeerAction == .restart, !record.configuration.remoteAddresses.isEmpty,
            sa.isInitiator || record.configuration.isStartedAtBoot
        {
            record.isWanted = true
        }
        record.enter(.up, "established", context)
        if !sa.isInitiator { abandonAttempts(&record) }
        connections[name] = record
        if !sa.isInitiator { askForLackingChildren(record) }
        settleDuplicates(of: sa, record)
    }

    /// The peer was faster: a call of ours that it has not answered need not be. What it would have brought is asked for if
    /// the peer does not bring it soon.
    private func abandonAttempts(_ record: inout ConnectionRecord) {
        for spi in record.sas {
            guard let attempt = sas[spi], case .initiating(let initial) = attempt.state else { continue }
            attempt.narrative.isFinished = true
            attempt.close(nil, reason: "the peer called first", tellPeer: false)
            let at = context.now + .seconds(2)
            for child in initial.children { record.missing[child.name] = (0, at) }
            deadlines.insert(.connection(record.configuration.name), at: at)
        }
    }

    /// Two SAs with one peer: the older is a left-over of a peer that lost it, unless both sides called at once.
    private func settleDuplicates(of sa: IKESA, _ record: ConnectionRecord) {
        // Of two anonymous peers nobody can say that they are the same.
        guard let identity = sa.established?.remoteIdentity, identity != .anonymous else { return }
        for spi in record.sas where spi != sa.localSPI {
            guard let other = sas[spi], let state = other.established, !state.isReplaced,
                state.remoteIdentity == identity
            else { continue }
            if other.founding.isOurs == sa.founding.isOurs || sa.createdAt > state.authenticatedAt {
                if sa.receivedInitialContact {
                    other.close(nil, reason: "the peer has lost this IKE SA and set up another", tellPeer: false)
                } else {
                    // The side that has set up the new one deletes the old one, when it needs it no more.
                    other.retire(after: sa.isInitiator ? Established.handoverTime : Established.retirementTime)
                }
            } else {
                // Both sides know all SPIs, so both choose the same loser; the side that began it deletes it.
                let loser = sa.founding.initiatorSPI < other.founding.initiatorSPI ? other : sa
                guard loser.founding.isOurs else { continue }
                loser.enqueue(.deleteIKE(reason: "both sides called at once"))
                context.signals.append(.changed(loser))
            }
        }
    }

    private func forget(_ sa: IKESA) {
        sas[sa.localSPI] = nil
        admission.end(sa.localSPI)
        context.streams.forget(sa.localSPI)
        context.ikeSPIs.release(sa.localSPI)
    }

    private func childLost(_ sa: IKESA, _ child: String, _ refusal: Refusal?) {
        guard let name = sa.connection?.name, var record = connections[name], sa.isEstablished,
            let configuration = record.configuration.children.first(where: { $0.name == child })
        else { return }
        if let refusal { record.refusal = refusal }
        let hasChildren = record.sas.contains { spi in
            sas[spi]?.established.map { !$0.children.isEmpty && !$0.isReplaced } ?? false
        }
        let isTemporary = refusal?.notify == .temporaryFailure && !record.heldDownChildren.contains(child)
        let isKept = record.isWanted && record.keepsUp(configuration)
        if isKept || isTemporary {
            let attempt = (record.missing[child]?.attempt ?? -1) + 1
            let at = context.now + ConnectionRecord.pause(record.configuration.timing, attempt: attempt)
            record.missing[child] = (attempt, at)
            deadlines.insert(.connection(name), at: at)
            if !hasChildren { enterRetrying(&record, at: at, refusal?.reason ?? "child \(child) was lost") }
        } else if !hasChildren {
            record.enter(
                refusal == nil ? record.configuration.restingPhase : .failed,
                refusal?.reason ?? "child \(child) was deleted", context)
        }
        connections[name] = record
        if let refusal {
            context.emit(.failed(connection: name, child: child, refusal, nextAttempt: record.missing[child]?.at))
        }
    }

    private func closed(_ sa: IKESA, _ refusal: Refusal?, _ reason: String) {
        if sa.isClosed { forget(sa) }
        guard let name = sa.connection?.name, var record = connections[name],
            let index = record.sas.firstIndex(of: sa.localSPI)
        else { return }
        record.sas.remove(at: index)
        connections[name] = record
        guard !hasLiveSA(record) else { return askForLackingChildren(record) }
        record.missing = [:]
        connections[name] = record
        // That the last of several peers is gone, for whatever reason, is no failure of ours.
        let isOneOfMany = record.configuration.takesSeveralPeers && record.phase == .up
        let isUnwanted = !record.isWanted && (refusal == nil || record.isHeldDown)
        if refusal?.cause == .administrative || isUnwanted || isOneOfMany {
            record.enter(record.restingPhase, reason, context)
            connections[name] = record
            return
        }
        let isPeerGone = refusal?.cause == .peerSilent || refusal?.cause == .peerRestarted
        if record.phase == .up, isPeerGone, record.configuration.deadPeerAction == .clear,
            !record.configuration.isStartedAtBoot
        {
            record.isWanted = false
            record.enter(record.restingPhase, reason, context)
            connections[name] = record
            return
        }
        failed(
            name, refusal ?? Refusal(.refusedByPeer, by: .peer, reason),
            at: record.phase == .up && isPeerGone)
    }

    /// Plans for the children that are to be up and that the IKE SA lacks which goes on: the peer has set it up without them, or
    /// only another had them, which has ended.
    private func askForLackingChildren(_ record: ConnectionRecord) {
        let name = record.configuration.name
        guard record.isWanted, !record.configuration.takesSeveralPeers, let sa = establishedSA(record) else { return }
        // Both sides may find this out; one is to be first.
        let attempt = sa.isInitiator ? 0 : 1
        for child in record.configuration.children
        where record.keepsUp(child) && record.missing[child.name] == nil && sa.lacks(child, for: nil) {
            let at = context.now + ConnectionRecord.pause(record.configuration.timing, attempt: attempt)
            connections[name]?.missing[child.name] = (attempt, at)
            deadlines.insert(.connection(name), at: at)
        }
    }
}
