import DequeModule
import Synchronization

/// What workers hand to the control side without ever waiting for it: the preferred before all others, whatever came first, and
/// each of the two within a bound of its own, so that neither displaces the other.
public final class RankedQueue<Element: Sendable>: Sendable {
    /// Comes when there is something to take; ends when nothing more will come.
    public let arrivals: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation
    private let state: Mutex<State>
    private let preferredCapacity: Int?
    private let capacity: Int

    private struct State {
        var preferred: Deque<Element> = []
        var others: Deque<Element> = []
        var lost: UInt64 = 0
    }

    /// - Parameters:
    ///   - preferredCapacity: `nil`: there is always room, as something else bounds what is put in.
    ///   - capacity: of the others.
    init(preferredCapacity: Int?, capacity: Int) {
        (arrivals, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        self.preferredCapacity = preferredCapacity
        self.capacity = capacity
        state = Mutex(State())
    }

    /// The next one; `nil` if there is none at the moment.
    public func take() -> Element? {
        state.withLock { $0.preferred.popFirst() ?? $0.others.popFirst() }
    }

    /// - Returns: whether there was room.
    @discardableResult
    func put(_ element: Element, isPreferred: Bool) -> Bool {
        let (isTaken, isFirst) = state.withLock { state in
            let isFirst = state.preferred.isEmpty && state.others.isEmpty
            if isPreferred, state.preferred.count < preferredCapacity ?? .max {
                state.preferred.append(element)
            } else if !isPreferred, state.others.count < capacity {
                state.others.append(element)
            } else {
                state.lost &+= 1
                return (false, false)
            }
            return (true, isFirst)
        }
        if isFirst { continuation.yield() }
        return isTaken
    }

    /// Those for which there was no room.
    var dropped: UInt64 { state.withLock { $0.lost } }

    func finish() { continuation.finish() }
}
