import IPPacket
import Octets

// What the data plane reports.
extension Endpoint {
    /// Takes in what the data plane has seen.
    public func handle(_ report: DataplaneReport, at now: Instant) {
        context.now = now
        switch report {
        case .acquire(let policyID, let description, let packet): acquire(policyID, description, packet)
        case .lacksOwn(let worker, let spi):
            withOwner(ofInbound: spi) { sa, child in
                guard let name = sa.connection?.name, let record = self.connections[name], !record.isHeldDown,
                    !record.heldDownChildren.contains(child.configuration.name), child.isCurrent
                else { return }
                for owner in Extensions.all { owner.lacks(worker: worker, beside: child, of: sa) }
            }
        case .inboundSeen(let spi):
            withOwner(ofInbound: spi) { sa, child in
                sa.lastHeard = now
                if child.isCurrent { sa.activateOutbound(spi) }
            }
        case .inboundActivity(let spi): withOwner(ofInbound: spi) { sa, _ in sa.lastHeard = now }
        case .softLimit(let spi):
            withOwner(ofInbound: spi) { sa, child in
                sa.requestRekey(ofChild: child.inboundSPI)
                sa.runNextTask()
            }
        case .hardLimit(let spi):
            withOwner(ofInbound: spi) { sa, child in
                sa.enqueue(.deleteChild(inboundSPI: child.inboundSPI, reason: "its volume limit is reached"))
            }
        case .installationFailed(let spi, let reason):
            withOwner(ofInbound: spi) { sa, child in
                self.context.emit(
                    .warning(
                        connection: sa.connection?.name,
                        "child \(child.configuration.name) could not be installed: \(reason)"))
                sa.enqueue(.deleteChild(inboundSPI: child.inboundSPI, reason: reason))
            }
        case .arrivals(let spi, let arrivals):
            withOwner(ofInbound: spi) { sa, _ in
                for owner in Extensions.all { owner.sighted(arrivals, of: sa) }
            }
        case .peerMoved(let spi, let remote, let stream):
            withOwner(ofInbound: spi) { sa, child in
                guard child.description.isEncapsulatedInUDP || stream != nil else { return }
                sa.follow(espFrom: remote, by: stream, isNewestOfAll: child.description.subspaces == nil)
            }
        case .streamOpened(let stream, let local):
            withSA(awaiting: stream) { sa in
                for owner in Extensions.all { owner.opened(stream, local: local, of: sa) }
            }
        case .streamLost(let stream, let reason):
            for spi in context.streams.lose(stream) {
                guard let sa = sas[spi] else { continue }
                for owner in Extensions.all { owner.lost(stream, reason, of: sa) }
                settle(sa)
            }
        }
    }

    /// The child that receives with this SPI, and its IKE SA.
    private func withOwner(ofInbound spi: UInt32, _ body: (IKESA, ChildSA) -> Void) {
        guard let owner = context.childOwners.owner(ofInbound: spi), let sa = sas[owner],
            let child = sa.established?.child(inboundSPI: spi)
        else { return }
        body(sa, child)
        settle(sa)
    }

    /// The IKE SA that has asked for a TCP connection; one that nobody waits for any more is closed.
    private func withSA(awaiting stream: StreamID, _ body: (IKESA) -> Void) {
        guard let owner = context.streams.owner(of: stream), let sa = sas[owner], !sa.isClosed else {
            context.streams.abandon(stream)
            return settle(nil)
        }
        body(sa)
        settle(sa)
    }

    private func acquire(_ policyID: UInt32, _ description: String, _ packet: TriggerPacket?) {
        for name in order {
            guard let record = connections[name],
                let child = record.configuration.children.first(where: { $0.policyID == policyID })
            else { continue }
            // Of several peers each brings its own children; no packet says which is meant.
            guard record.configuration.start(of: child) != .none, !record.isHeldDown,
                !record.heldDownChildren.contains(child.name), !record.configuration.takesSeveralPeers
            else { return }
            if let sa = establishedSA(record) {
                guard record.missing[child.name] == nil, sa.lacks(child, for: packet) else { return }
                sa.enqueue(.createChild(child.triggered(by: packet)))
                settle(sa)
            } else if !record.configuration.remoteAddresses.isEmpty {
                connections[name]?.requested.insert(child.name)
                connections[name]?.triggers[child.name] = packet
                // An attempt that is under way, or will be, brings it along.
                guard record.sas.isEmpty, record.nextAttempt == nil, !record.awaitsTurn else { return }
                attempt(name, askedForBy: description)
                settle(nil)
            }
            return
        }
    }
}
