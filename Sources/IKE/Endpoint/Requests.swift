import IKEMessage
import IPPacket
import Octets

/// Why a request of a person could not be followed.
public enum ControlError: Error, Hashable, Sendable, CustomStringConvertible {
    case unknownConnection(String)
    case unknownChild(String, connection: String)
    case unknownInstance(Int, connection: String)
    case notUp(String)
    /// None of the connection's peers has said that it can be redirected.
    case noRedirection(String)
    /// The connection has no address of the peer to send to.
    case noRemoteAddress(String)

    public var description: String {
        switch self {
        case .unknownConnection(let name): "no connection is named \"\(name)\""
        case .unknownChild(let name, let connection): "connection \(connection) has no child named \"\(name)\""
        case .unknownInstance(let number, let name): "connection \(name) has no peer number \(number)"
        case .notUp(let name): "connection \(name) is not up"
        case .noRedirection(let name):
            "connection \(name) has no peer that has called us and can be redirected (RFC 5685)"
        case .noRemoteAddress(let name): "connection \(name) has no remote address to call; it can only be called"
        }
    }
}

// What people and configurations ask for.
extension Endpoint {
    /// Makes these the configured connections. Those whose fingerprint is unchanged keep running; others are ended and,
    /// where they are still configured, begun anew.
    public func apply(_ configurations: [ConnectionConfiguration], at now: Instant) {
        context.now = now
        isGivingTurns = true
        let unchanged = Set(
            configurations.filter { connections[$0.name]?.configuration.fingerprint == $0.fingerprint }.map(\.name))
        forgetBegun { !unchanged.contains($0.name) }
        let names = Set(configurations.map(\.name))
        for name in order where !names.contains(name) {
            end(name, reason: "no longer configured")
            connections[name] = nil
        }
        order = configurations.map(\.name)
        candidateIndex = nil
        for configuration in configurations {
            if let record = connections[configuration.name] {
                if record.configuration.fingerprint == configuration.fingerprint { continue }
                end(configuration.name, reason: "its configuration has changed")
            }
            connections[configuration.name] = ConnectionRecord(configuration, at: now)
            if configuration.isStartedAtBoot { attempt(configuration.name) }
        }
        // Who waits does not begin what is about to be ended.
        isGivingTurns = false
        settle(nil)
    }

    /// Ends what peers have begun under configurations that no longer hold: it belongs to no connection yet.
    private func forgetBegun(under isGone: (ConnectionConfiguration) -> Bool) {
        for sa in sas.values.sorted(by: { $0.localSPI < $1.localSPI }) {
            let concerned =
                switch sa.state {
                case .answering(let initial): initial.candidates.contains(where: isGone)
                case .admitting(let admitting): isGone(admitting.connection)
                default: false
                }
            guard concerned else { continue }
            sa.close(Refusal(.administrative, "the configuration has changed"), tellPeer: false)
            settle(sa)
        }
    }

    /// Gives a connection the addresses its peer's name has now; an SA that is up stays where it is.
    public func updateRemoteAddresses(of name: String, _ addresses: [IPAddress], at now: Instant) {
        context.now = now
        guard var record = connections[name], record.configuration.remoteAddresses != addresses else { return }
        record.configuration.remoteAddresses = addresses
        candidateIndex = nil
        record.addressIndex = 0
        let waits = record.isWanted && record.sas.isEmpty
        if record.refusal?.cause == .unresolvedName { record.refusal = nil }
        connections[name] = record
        if waits { attempt(name) }
        settle(nil)
    }

    /// Takes in the addresses this host has now, its own devices' excepted; routes may have changed as well. SAs whose peers
    /// take part go over to what there is (RFC 4555).
    public func updateOwnAddresses(_ addresses: [IPAddress], at now: Instant) {
        context.now = now
        context.ownAddresses = addresses
        for sa in sas.values.sorted(by: { $0.localSPI < $1.localSPI }) where sa.isEstablished {
            for owner in Extensions.all { owner.addressesChanged(of: sa) }
            settle(sa)
        }
    }

    /// Brings a connection, or one child of it, up.
    public func initiate(_ name: String, child: String? = nil, at now: Instant) throws(ControlError) {
        context.now = now
        guard var record = connections[name] else { throw .unknownConnection(name) }
        let configuration = record.configuration
        record.isHeldDown = false
        if let child {
            record.heldDownChildren.remove(child)
        } else {
            record.heldDownChildren = []
        }
        connections[name]?.isHeldDown = false
        connections[name]?.heldDownChildren = record.heldDownChildren
        if let child, !configuration.children.contains(where: { $0.name == child }) {
            throw .unknownChild(child, connection: name)
        }
        guard !configuration.remoteAddresses.isEmpty || !record.sas.isEmpty else { throw .noRemoteAddress(name) }
        let wanted = child.map { [$0] } ?? configuration.children.map(\.name)
        for spi in record.sas { sas[spi]?.stopTakingDown(children: wanted) }
        if let sa = establishedSA(record) {
            if sa.established?.children.isEmpty ?? true {
                enterConnecting(&record, "asking for \(wanted.joined(separator: ", "))")
                connections[name] = record
            }
            for wish in wanted {
                if let config = configuration.children.first(where: { $0.name == wish }) {
                    sa.enqueue(.createChild(config))
                }
            }
            settle(sa)
            return
        }
        record.requested.formUnion(wanted)
        record.attempt = 0
        let isTrying = hasLiveSA(record)
        if isTrying, record.phase.deadline == nil { enterConnecting(&record, "an attempt is under way") }
        connections[name] = record
        if !isTrying { attempt(name) }
        settle(nil)
    }

    /// Takes a connection, or one child of it, down and leaves it down.
    public func terminate(_ name: String, child: String? = nil, at now: Instant) throws(ControlError) {
        context.now = now
        guard var record = connections[name] else { throw .unknownConnection(name) }
        if let child {
            guard record.configuration.children.contains(where: { $0.name == child }) else {
                throw .unknownChild(child, connection: name)
            }
            record.missing[child] = nil
            record.requested.remove(child)
            record.heldDownChildren.insert(child)
            connections[name] = record
            for spi in record.sas {
                guard let sa = sas[spi], sa.isEstablished else { continue }
                sa.takeDown(child: child)
                settle(sa)
            }
            return
        }
        record.isWanted = false
        record.isHeldDown = true
        record.requested = []
        record.missing = [:]
        record.enter(record.restingPhase, "taken down", context)
        connections[name] = record
        for spi in record.sas {
            guard let sa = sas[spi] else { continue }
            if let established = sa.established {
                // One that has been replaced goes by itself.
                if !established.isReplaced { sa.enqueue(.deleteIKE(reason: "taken down")) }
            } else if case .proving = sa.state {
                // The peer may have set it up already: it is deleted when the peer says so.
                continue
            } else {
                sa.close(Refusal(.administrative, "taken down"), tellPeer: false)
            }
            settle(sa)
        }
        settle(nil)
    }

    /// Ends what there is with one of a connection's peers; it may come back.
    public func terminate(_ name: String, instance: Int, child: String? = nil, at now: Instant) throws(ControlError) {
        context.now = now
        guard let record = connections[name] else { throw .unknownConnection(name) }
        if let child, !record.configuration.children.contains(where: { $0.name == child }) {
            throw .unknownChild(child, connection: name)
        }
        let concerned = record.sas.compactMap { sas[$0] }.filter { $0.instance == instance && $0.isEstablished }
        guard !concerned.isEmpty else { throw .unknownInstance(instance, connection: name) }
        for sa in concerned {
            if let child {
                sa.takeDown(child: child)
            } else {
                sa.enqueue(.deleteIKE(reason: "taken down"))
            }
            settle(sa)
        }
    }

    /// Replaces the keys of a connection's IKE SA, or of one child.
    public func rekey(_ name: String, child: String? = nil, at now: Instant) throws(ControlError) {
        context.now = now
        guard let record = connections[name] else { throw .unknownConnection(name) }
        guard let sa = establishedSA(record), let established = sa.established else { throw .notUp(name) }
        if let child {
            let pairs = established.children.filter { $0.configuration.name == child && $0.state == .installed }
            guard let last = pairs.last else { throw .unknownChild(child, connection: name) }
            // Those for the same traffic are one child to a person.
            for pair in pairs where pair.inboundSPI == last.inboundSPI || pair.sharesTraffic(with: last) {
                sa.requestRekey(ofChild: pair.inboundSPI)
            }
            sa.runNextTask()
        } else {
            sa.enqueue(.rekeyIKE)
        }
        settle(sa)
    }

    /// Sends the peers that have called us for a connection to another gateway (RFC 5685).
    ///
    /// - Returns: how many are sent there.
    public func redirect(_ name: String, to gateway: GatewayIdentity, at now: Instant) throws(ControlError) -> Int {
        context.now = now
        guard let record = connections[name] else { throw .unknownConnection(name) }
        var count = 0
        for sa in record.sas.compactMap({ sas[$0] }) where Redirection.redirect(sa, to: gateway) {
            count += 1
            settle(sa)
        }
        guard count > 0 else { throw .noRedirection(name) }
        return count
    }

    /// Takes in the addresses of a name that an output asked for; none if it has none.
    public func resolved(_ name: String, _ addresses: [IPAddress], at now: Instant) {
        context.now = now
        for owner in Extensions.all { owner.resolved(name, addresses, context: context) }
        settle(nil)
    }

    /// Ends everything, telling peers once.
    public func shutDown(at now: Instant) {
        context.now = now
        isGivingTurns = true
        for name in order { end(name, reason: "shutting down") }
        isGivingTurns = false
        settle(nil)
    }

    private func end(_ name: String, reason: String) {
        guard var record = connections[name] else { return }
        record.isWanted = false
        record.requested = []
        record.enter(record.configuration.restingPhase, reason, context)
        connections[name] = record
        for spi in record.sas { sas[spi]?.close(nil, reason: reason, tellPeer: true) }
        // Now, and not with the next settlement, so that what follows finds no trace of the old SAs.
        settle(nil)
    }
}
