import DequeModule
import Octets

/// Who may begin a negotiation, where more are due at once than peers and processors answer in time: after a start, an outage or
/// with like lifetimes, thousands of them. Without turns most requests would be sent again before they can be answered, and each
/// time all of them.
///
/// How many there are follows from how answers come: one that comes only after its request has been repeated shows that there is
/// more under way than is dealt with in time. Silence shows nothing of the kind.
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

    /// Turns there are at most, and now.
    private let most: Int
    private var limit: Double
    /// The last time that there were made fewer.
    private var reducedAt = Instant.origin
    private var holders: Set<UInt64> = []
    private var line: Deque<Waiting> = []
    /// IKE SAs in the line; a connection's record says so itself.
    private var standing: Set<UInt64> = []

    /// - Parameter limit: turns there are at the same time, at least 1.
    init(limit: Int) {
        most = max(1, limit)
        self.limit = Double(most)
    }

    /// Turns there are now.
    var count: Int { Int(limit) }
    var isFree: Bool { holders.count < count }
    var holderCount: Int { holders.count }
    var waitingCount: Int { line.count }

    func isHeld(by localSPI: UInt64) -> Bool { holders.contains(localSPI) }

    /// Takes in what an IKE SA does now.
    mutating func update(_ localSPI: UInt64, holds: Bool) {
        if holds { holders.insert(localSPI) } else { holders.remove(localSPI) }
    }

    /// Takes in that a request was answered.
    ///
    /// - Parameter isLate: whether it had been repeated by then.
    mutating func answered(late isLate: Bool, at now: Instant) {
        guard isLate else { return limit = min(Double(most), limit + 0.25) }
        guard now - reducedAt >= .milliseconds(500) else { return }
        reducedAt = now
        limit = max(Double(min(8, most)), limit * 0.7)
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
        case .initiating, .exchangingKeys, .resuming, .proving: return true
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
