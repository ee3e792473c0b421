import Octets

/// Datagrams that wait for their turn: a message of many fragments that leaves at once fills queues on its way, and loses in each
/// what does not fit.
struct PacedSending {
    /// What leaves at once.
    static let burst = 64
    /// What leaves after each pause.
    private static let portion = 32

    private struct Train {
        /// The message the datagrams are of.
        let message: [UInt8]
        var datagrams: ArraySlice<[UInt8]>
        let way: Path
        let pause: Duration
        var nextAt: Instant
    }

    private var trains: [Train] = []

    /// When ``next(at:)`` has something.
    var dueAt: Instant? { trains.map(\.nextAt).min() }
    var isEmpty: Bool { trains.isEmpty }

    /// Between two portions; twice as long with each time that a message is sent again, as what is on its way may be too much.
    private static func pause(attempt: Int) -> Duration { .milliseconds(10 << min(max(attempt, 0), 4)) }

    /// How long it takes until so many datagrams have left.
    static func time(for count: Int, attempt: Int) -> Duration {
        pause(attempt: attempt) * max(0, (count - burst + portion - 1) / portion)
    }

    /// Takes the datagrams of a message.
    ///
    /// - Returns: those that leave at once; none if the rest of the same message is still waiting to go the same way.
    mutating func put(_ datagrams: [[UInt8]], along way: Path, attempt: Int, at now: Instant) -> ArraySlice<[UInt8]> {
        let message = Self.message(of: datagrams.first ?? [])
        if let index = trains.firstIndex(where: { $0.message == message }) {
            guard !trains[index].way.hasSameEnds(as: way) else { return [] }
            // It goes another way now.
            trains.remove(at: index)
        }
        guard datagrams.count > Self.burst else { return datagrams[...] }
        let pause = Self.pause(attempt: attempt)
        trains.append(
            Train(
                message: message, datagrams: datagrams[Self.burst...], way: way, pause: pause, nextAt: now + pause))
        return datagrams[..<Self.burst]
    }

    /// What leaves now.
    mutating func next(at now: Instant) -> [(datagrams: ArraySlice<[UInt8]>, way: Path)] {
        var leaving: [(ArraySlice<[UInt8]>, Path)] = []
        for index in trains.indices where trains[index].nextAt <= now {
            leaving.append((trains[index].datagrams.prefix(Self.portion), trains[index].way))
            trains[index].datagrams = trains[index].datagrams.dropFirst(Self.portion)
            trains[index].nextAt = now + trains[index].pause
        }
        trains.removeAll(where: \.datagrams.isEmpty)
        return leaving
    }

    /// A message that need not be sent any more.
    mutating func drop(messageOf datagram: [UInt8]) {
        let message = Self.message(of: datagram)
        trains.removeAll { $0.message == message }
    }

    /// Exchange type, flags and message ID: different for each message that one side sends in an IKE SA.
    private static func message(of datagram: [UInt8]) -> [UInt8] { Array(datagram.prefix(24).dropFirst(18)) }
}
