/// Where workers put events and datagrams of IKE: queues that never make them wait.
///
/// What is told once comes first and is never lost. What a peer, or anybody, can cause again and again has a bound and
/// displaces nothing else; so have datagrams of IKE.
final class EventOutlet: Sendable {
    /// Ends when all has been taken after ``finish()``.
    let events: AsyncStream<DataplaneEvent>
    let datagrams: RankedQueue<ReceivedDatagram>
    private let queue: RankedQueue<DataplaneEvent>

    /// - Parameter capacity: of the events that may be lost, and of datagrams of each rank.
    init(capacity: Int) {
        let queue = RankedQueue<DataplaneEvent>(preferredCapacity: nil, capacity: capacity)
        self.queue = queue
        events = AsyncStream(unfolding: {
            while true {
                if let event = queue.take() { return event }
                var arrivals = queue.arrivals.makeAsyncIterator()
                guard await arrivals.next() != nil else { return queue.take() }
            }
        })
        datagrams = RankedQueue(preferredCapacity: capacity, capacity: capacity)
    }

    /// - Returns: whether there was room.
    @discardableResult
    func emit(_ event: DataplaneEvent) -> Bool { queue.put(event, isPreferred: event.isToldOnce) }

    func emit(_ datagram: ReceivedDatagram) { datagrams.put(datagram, isPreferred: datagram.rank == .known) }

    var dropped: UInt64 { queue.dropped &+ datagrams.dropped }

    func finish() {
        queue.finish()
        datagrams.finish()
    }
}

extension DataplaneEvent {
    /// Whether nothing would tell it again. Of these each association, and each TCP connection of a peer that is known, has a few in its
    /// whole life, so that no more can wait than there are of those.
    fileprivate var isToldOnce: Bool {
        switch self {
        case .inboundSeen, .softLimit, .hardLimit, .failed, .streamOpened, .streamLost: true
        case .acquire, .lacksOwn, .peerMoved, .arrivals, .unknownSPI, .streamRefused, .warning: false
        }
    }
}

/// Lets through so many a second, and no more at once.
struct RateLimit {
    private let interval: Int64
    private let burst: Int64
    /// When the last of those let through would be due if they came evenly.
    private var due: Int64 = 0

    init(perSecond: Int64, burst: Int64) {
        interval = 1_000_000_000 / perSecond
        self.burst = burst
    }

    /// - Parameter now: the monotonic clock in nanoseconds.
    mutating func allows(at now: Int64) -> Bool {
        let next = max(due, now - interval * burst) + interval
        guard next <= now else { return false }
        due = next
        return true
    }
}
