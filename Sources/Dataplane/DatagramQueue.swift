import IPPacket
import Synchronization

/// Looks at datagrams of IKE on the thread that receives them, so that what comes in masses need not go further.
public protocol DatagramScreen: Sendable {
    /// Says what becomes of a datagram, and returns at once: packets wait meanwhile.
    ///
    /// - Parameter message: without the non-ESP marker. An answer, which is no longer, takes its place.
    func screen(_ message: inout [UInt8], from remote: SocketAddress) -> DatagramVerdict
}

/// What becomes of a datagram of IKE.
public enum DatagramVerdict: Hashable, Sendable {
    case pass(ReceivedDatagram.Rank)
    /// What has taken its place goes back to where it came from.
    case answer
    case drop
}

/// A datagram of IKE that came in.
public struct ReceivedDatagram: Hashable, Sendable {
    /// What a ``DatagramScreen`` has found.
    public enum Rank: Hashable, Sendable {
        /// Of an IKE SA there is.
        case known
        /// Begins an IKE SA, and may.
        case admitted
        case unchecked
    }

    /// Without the non-ESP marker.
    public let octets: [UInt8]
    public let local: SocketAddress
    public let remote: SocketAddress
    /// Whether it came with the non-ESP marker (RFC 3948, section 2.2).
    public let nonESPMarker: Bool
    public let rank: Rank
}

/// Datagrams of IKE on their way from a worker to the control side: those of IKE SAs before all others, whatever came first.
/// Each of the two has a bound of its own, so that strangers displace nothing that is known.
public final class DatagramQueue: Sendable {
    /// Comes when there is something to take; ends with the data plane.
    public let arrivals: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation
    private let state: Mutex<State>

    private struct State {
        var known: BoundedQueue<ReceivedDatagram>
        var others: BoundedQueue<ReceivedDatagram>
        var lost: UInt64 = 0
    }

    init(capacity: Int) {
        (arrivals, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        state = Mutex(State(known: BoundedQueue(capacity: capacity), others: BoundedQueue(capacity: capacity)))
    }

    /// The next one; `nil` if there is none.
    public func take() -> ReceivedDatagram? {
        state.withLock { $0.known.take() ?? $0.others.take() }
    }

    func put(_ datagram: ReceivedDatagram) {
        let isFirst = state.withLock { state in
            let wasEmpty = state.known.isEmpty && state.others.isEmpty
            let isTaken = datagram.rank == .known ? state.known.put(datagram) : state.others.put(datagram)
            if !isTaken { state.lost &+= 1 }
            return wasEmpty && isTaken
        }
        if isFirst { continuation.yield() }
    }

    /// Those for which there was no room.
    var dropped: UInt64 { state.withLock { $0.lost } }

    func finish() { continuation.finish() }
}

/// First in, first out, within memory that is made once, or grows with what waits.
struct BoundedQueue<Element> {
    private var slots: [Element?]
    private var first = 0
    private var count = 0
    private let isGrowing: Bool

    /// - Parameter isGrowing: whether there is always room, as something else bounds what is put in.
    init(capacity: Int, growing isGrowing: Bool = false) {
        slots = Array(repeating: nil, count: max(1, capacity))
        self.isGrowing = isGrowing
    }

    var isEmpty: Bool { count == 0 }

    /// - Returns: whether there was room.
    mutating func put(_ element: Element) -> Bool {
        if count == slots.count {
            guard isGrowing else { return false }
            slots = Array(slots[first...] + slots[..<first]) + Array(repeating: nil, count: count)
            first = 0
        }
        slots[(first + count) % slots.count] = element
        count += 1
        return true
    }

    mutating func take() -> Element? {
        guard count > 0 else { return nil }
        let element = slots[first]
        slots[first] = nil
        first = (first + 1) % slots.count
        count -= 1
        return element
    }
}
