import DequeModule
import Octets

/// Who may begin a negotiation, where more are due at once than peers and processors answer in time: after a start, an outage or
/// with like lifetimes, thousands of them. Without turns most requests would be sent again before they can be answered, and each
/// time all of them.
///
/// A turn ends with the negotiation, or when its request is repeated for the first time, so that peers that are silent hold up
/// nobody. It is derived from the state of an IKE SA after each call, not taken and given back: none can be lost. Every SA that has
/// one has a deadline, so whoever waits comes to its turn.
struct NegotiationTurns {
    /// What waits.
    enum Waiting: Hashable {
        /// A connection's peer is to be called.
        case call(connection: String, askedForBy: String?)
        /// An IKE SA has an exchange of its own to begin.
        case exchange(localSPI: UInt64)
    }

    private let limit: Int
    private var holders: Set<UInt64> = []
    private var line: Deque<Waiting> = []
    /// IKE SAs in the line; a connection's record says so itself.
    private var standing: Set<UInt64> = []

    /// - Parameter limit: turns there are at the same time, at least 1.
    init(limit: Int) { self.limit = max(1, limit) }

    var isFree: Bool { holders.count < limit }
    var holderCount: Int { holders.count }
    var waitingCount: Int { line.count }

    func isHeld(by localSPI: UInt64) -> Bool { holders.contains(localSPI) }

    /// Takes in what an IKE SA does now.
    mutating func update(_ localSPI: UInt64, holds: Bool) {
        if holds { holders.insert(localSPI) } else { holders.remove(localSPI) }
    }

    mutating func wait(_ waiting: Waiting) {
        if case .exchange(let spi) = waiting, !standing.insert(spi).inserted { return }
        line.append(waiting)
    }

    /// Who is next, if a turn is free.
    mutating func next() -> Waiting? {
        guard isFree, let next = line.popFirst() else { return nil }
        if case .exchange(let spi) = next { standing.remove(spi) }
        return next
    }
}

extension IKESA {
    /// Whether it has begun a negotiation whose answers are not overdue.
    var holdsTurn: Bool {
        guard window.outstanding.map({ $0.attempt == 0 }) ?? true else { return false }
        switch state {
        case .initiating, .resuming, .proving: return true
        case .established(let established):
            switch established.outgoing {
            case .child, .rekeyIKE: return true
            case .deleteChild, .deleteIKE, .liveness, .notice, nil: return false
            }
        case .answering, .admitting, .closing, .closed: return false
        }
    }
}

extension Endpoint {
    /// Lets those begin who are next, as far as turns are free.
    func giveTurns() {
        // What begins settles too, and must not begin the next one from within.
        guard !isGivingTurns else { return }
        isGivingTurns = true
        defer { isGivingTurns = false }
        while let next = context.turns.next() {
            switch next {
            case .call(let name, let packet):
                guard let record = connections[name], record.awaitsTurn else { continue }
                connections[name]?.awaitsTurn = false
                // Its time may be over, or the peer may have been faster.
                guard case .connecting = record.phase, !hasLiveSA(record) else { continue }
                attempt(name, askedForBy: packet)
            case .exchange(let spi):
                guard let sa = sas[spi] else { continue }
                sa.runNextTask()
                settle(sa)
            }
        }
    }
}
