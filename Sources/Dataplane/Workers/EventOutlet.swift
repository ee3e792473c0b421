import Synchronization

/// Where workers put events: queues that never make them wait.
///
/// What is told once comes first and is never lost. What a peer, or anybody, can cause again and again has a bound and
/// displaces nothing else; so have datagrams of IKE.
final class EventOutlet: Sendable {
    /// Ends when all has been taken after ``finish()``.
    let events: AsyncStream<DataplaneEvent>
    let datagrams: DatagramQueue
    private let queue: EventQueue

    /// - Parameter capacity: of the events that may be lost, and of datagrams of each rank.
    init(capacity: Int) {
        let queue = EventQueue(capacity: capacity)
        self.queue = queue
        events = AsyncStream(unfolding: { await queue.next() })
        datagrams = DatagramQueue(capacity: capacity)
    }

    /// - Returns: whether there was room.
    @discardableResult
    func emit(_ event: DataplaneEvent) -> Bool { queue.put(event) }

    var dropped: UInt64 { queue.dropped &+ datagrams.dropped }

    func finish() {
        queue.finish()
        datagrams.finish()
    }
}

/// Events on their way from the workers to their one consumer.
private final class EventQueue: Sendable {
    private struct State {
        var toldOnce = BoundedQueue<DataplaneEvent>(capacity: 1, growing: true)
        var others: BoundedQueue<DataplaneEvent>
        var lost: UInt64 = 0
    }

    private let state: Mutex<State>
    /// Comes when there is something to take.
    private let arrivals: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init(capacity: Int) {
        (arrivals, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        state = Mutex(State(others: BoundedQueue(capacity: capacity)))
    }

    func put(_ event: DataplaneEvent) -> Bool {
        let isTaken = state.withLock { state in
            let isTaken = event.isToldOnce ? state.toldOnce.put(event) : state.others.put(event)
            if !isTaken { state.lost &+= 1 }
            return isTaken
        }
        if isTaken { continuation.yield() }
        return isTaken
    }

    /// Waits for the next one; `nil` when there is none and there will be none.
    func next() async -> DataplaneEvent? {
        while true {
            if let event = take() { return event }
            var iterator = arrivals.makeAsyncIterator()
            guard await iterator.next() != nil else { return take() }
        }
    }

    private func take() -> DataplaneEvent? { state.withLock { $0.toldOnce.take() ?? $0.others.take() } }

    var dropped: UInt64 { state.withLock { $0.lost } }

    func finish() { continuation.finish() }
}

extension DataplaneEvent {
    /// Whether nothing would tell it again. Of these each association has a few in its whole life, so that no more can
    /// wait than there are associations.
    fileprivate var isToldOnce: Bool {
        switch self {
        case .inboundSeen, .softLimit, .hardLimit, .failed: true
        case .acquire, .peerMoved, .unknownSPI, .warning: false
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
