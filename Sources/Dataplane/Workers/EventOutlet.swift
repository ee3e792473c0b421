import Synchronization

/// Where workers put events: a bounded stream that never makes them wait.
///
/// Datagrams of IKE, which anybody can send, have a queue of their own: a flood of them displaces nothing that is told once.
final class EventOutlet: Sendable {
    let events: AsyncStream<DataplaneEvent>
    let datagrams: DatagramQueue
    private let continuation: AsyncStream<DataplaneEvent>.Continuation
    private let lost = Atomic<UInt64>(0)

    /// - Parameter capacity: of the events, and of datagrams of each rank.
    init(capacity: Int) {
        (events, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(capacity))
        datagrams = DatagramQueue(capacity: capacity)
    }

    func emit(_ event: DataplaneEvent) {
        if case .dropped = continuation.yield(event) { lost.wrappingAdd(1, ordering: .relaxed) }
    }

    var dropped: UInt64 { lost.load(ordering: .relaxed) &+ datagrams.dropped }

    func finish() {
        continuation.finish()
        datagrams.finish()
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
