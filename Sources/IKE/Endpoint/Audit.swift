import IKEMessage
import Octets

// What must hold between any two calls, whatever a peer, a network or a driver has done: for tests and simulations.
extension Endpoint {
    /// What does not hold, one line each: SPIs and tables that do not match the SAs that are there, SAs without a deadline.
    package func audit() -> [String] {
        var faults: [String] = []
        var ikeSPIs = Set(sas.keys)
        var childSPIs: Set<UInt32> = []
        var owned = 0
        for (spi, sa) in sas {
            if sa.localSPI != spi { faults.append("IKE SA \(sa.localSPI) is filed under \(spi)") }
            if sa.isClosed { faults.append("IKE SA \(spi) is closed and still there") }
            switch sa.state {
            case .proving(let proving):
                if let child = proving.child { childSPIs.insert(child.inboundSPI) }
            case .established(let established):
                owned += established.children.count
                childSPIs.formUnion(established.children.map(\.inboundSPI))
                childSPIs.formUnion(established.lingering.map(\.inboundSPI))
                for child in established.children where context.childOwners.owner(ofInbound: child.inboundSPI) != spi {
                    faults.append("child \(child.inboundSPI) of IKE SA \(spi) has another owner")
                }
                switch established.outgoing {
                case .child(let creation): childSPIs.insert(creation.inboundSPI)
                case .rekeyIKE(let rekey): ikeSPIs.insert(rekey.newSPI)
                default: break
                }
                childSPIs.formUnion(established.undone)
                switch established.unfinished?.subject {
                case .child(_, _, let spi): childSPIs.insert(spi)
                case .ike(_, let spi): ikeSPIs.insert(spi)
                case nil: break
                }
            case .initiating, .exchangingKeys, .resuming, .answering, .admitting, .closing, .closed: break
            }
            if sa.holdsTurn != context.turns.isHeld(by: spi) {
                faults.append("the turn of IKE SA \(spi) is not as it should be")
            }
            guard let deadline = sa.nextDeadline else {
                faults.append("IKE SA \(spi) waits for nothing: \(sa.phase)")
                continue
            }
            if nextDeadline.map({ $0 > deadline }) ?? true {
                faults.append("the deadline of IKE SA \(spi) is not entered")
            }
        }
        if self.ikeSPICount != ikeSPIs.count {
            faults.append("\(ikeSPICount) IKE SPIs are in use for \(ikeSPIs.count)")
        }
        if self.childSPICount != childSPIs.count {
            faults.append("\(childSPICount) child SPIs are in use for \(childSPIs.count)")
        }
        for spi in childSPIs where !context.childSPIs.isInUse(spi) {
            faults.append("child SPI \(spi) is free and used")
        }
        if context.childOwners.count != owned {
            faults.append("\(context.childOwners.count) owners of \(owned) children")
        }
        if sas.isEmpty, context.streams.count > 0 { faults.append("TCP connections of SAs that are gone are kept") }
        if sas.isEmpty, !context.identityPairs.isEmpty { faults.append("identities of SAs that are gone are kept") }
        if sas.isEmpty, context.fragmentBudget.total > 0 { faults.append("fragments of SAs that are gone are counted") }
        if context.turns.isFree, context.turns.waitingCount > 0 {
            faults.append("turns are free, and somebody waits for one")
        }
        if sas.isEmpty, context.turns.holderCount > 0 { faults.append("turns are held by SAs that are gone") }
        for (name, record) in connections {
            for spi in record.sas where sas[spi] == nil { faults.append("\(name) has IKE SA \(spi), which is gone") }
            if Set(record.sas).count != record.sas.count { faults.append("\(name) has an IKE SA twice") }
        }
        return faults
    }

    /// Begins an INFORMATIONAL exchange with these payloads on the connection's IKE SA, unless it has another under way.
    package func inform(_ connection: String, _ payloads: [Payload], at now: Instant) {
        context.now = now
        guard let record = connections[connection], let sa = establishedSA(record), sa.established?.outgoing == nil
        else { return }
        _ = sa.withEstablished { $0.outgoing = .liveness }
        sa.request(.informational, payloads)
        settle(sa)
    }

    /// Octets that strangers have us keep of messages in fragments, as far as they are counted.
    package var countedFragmentOctets: Int { context.fragmentBudget.total }

    /// The IKE SAs of a connection with their children, oldest first: ``status()`` without what is for people.
    package func survey(_ connection: String) -> [IKESASurvey] {
        (connections[connection]?.sas ?? []).compactMap { sas[$0]?.survey }
    }

    /// The inbound SAs that the data plane must have, those of deleted children that still linger among them.
    package var inboundSPIs: Set<UInt32> {
        var spis: Set<UInt32> = []
        for case let established? in sas.values.map(\.established) {
            spis.formUnion(established.children.map(\.inboundSPI))
            spis.formUnion(established.lingering.map(\.inboundSPI))
        }
        return spis
    }
}

/// One IKE SA in numbers.
package struct IKESASurvey: Hashable {
    package struct Child: Hashable {
        package let name: String
        package let inboundSPI: UInt32
        package let outboundSPI: UInt32
    }

    package let localSPI: UInt64
    package let remoteSPI: UInt64
    package let isEstablished: Bool
    package let children: [Child]
}

extension IKESA {
    fileprivate var survey: IKESASurvey {
        IKESASurvey(
            localSPI: localSPI, remoteSPI: remoteSPI, isEstablished: isEstablished,
            children: (established?.children ?? []).map {
                .init(name: $0.configuration.name, inboundSPI: $0.inboundSPI, outboundSPI: $0.outboundSPI)
            })
    }

    fileprivate var phase: String {
        switch state {
        case .initiating: "initiating"
        case .exchangingKeys: "exchanging keys"
        case .resuming: "resuming"
        case .proving: "proving"
        case .answering: "answering"
        case .admitting: "admitting"
        case .established(let established): "established, \(established.outgoing == nil ? "idle" : "in an exchange")"
        case .closing: "closing"
        case .closed: "closed"
        }
    }
}
