/// The workers of one direction as one of them sees them.
///
/// An association belongs to one worker, the same in both directions, which its inbound SPI tells. The kernel gives a worker what
/// belongs to it, or nearly so; what belongs to another is copied over to that one.
struct Team: ~Copyable {
    /// Which of them this one is.
    let index: Int
    let count: Int
    /// What others hand to this one.
    let incoming: [Handover]
    /// By worker; `nil` for this one.
    private let outgoing: [Handover?]
    private let wakeups: [Wakeup]
    /// A bit for each worker that has been handed something since the last ``wake()``.
    private var given: UInt64 = 0
    /// Octets that others have been handed since then.
    private(set) var handedOctets = 0

    /// As many as have bits in a word.
    static let maximumCount = 64

    private init(_ index: Int, incoming: [Handover], outgoing: [Handover?], _ wakeups: [Wakeup]) {
        self.index = index
        count = outgoing.count
        self.incoming = incoming
        self.outgoing = outgoing
        self.wakeups = wakeups
    }

    /// - Parameters:
    ///   - wakeups: one of each worker.
    ///   - others: ways to each from a thread that is none of them.
    static func ways(_ wakeups: [Wakeup], from others: [Handover] = []) -> Ways {
        Ways(
            handovers: wakeups.indices.map { from in
                wakeups.indices.map { to in from == to ? nil : Handover() }
            }, others: others, wakeups: wakeups)
    }

    /// All ways from one worker to another, from which each takes its own.
    struct Ways: Sendable {
        fileprivate let handovers: [[Handover?]]
        fileprivate let others: [Handover]
        fileprivate let wakeups: [Wakeup]

        func team(_ index: Int) -> Team {
            Team(
                index,
                incoming: handovers.compactMap { $0[index] } + (others.indices.contains(index) ? [others[index]] : []),
                outgoing: handovers[index], wakeups)
        }
    }

    /// The worker of an association.
    @inline(__always)
    func owner(_ inboundSPI: UInt32) -> Int { Self.owner(inboundSPI, of: count) }

    @inline(__always)
    static func owner(_ inboundSPI: UInt32, of count: Int) -> Int {
        Int((inboundSPI & 0xffff) % UInt32(truncatingIfNeeded: count))
    }

    /// Hands over octets; see ``Handover/push(_:_:)``.
    mutating func hand(_ count: Int, to worker: Int, _ write: (UnsafeMutableRawPointer) -> Void) -> Bool {
        guard outgoing[worker]?.push(count, write) == true else { return false }
        handedOctets += count
        // It begins while there is more to come, so that there is room for that.
        if given >> UInt64(worker) & 1 == 0 { wakeups[worker].signal() }
        given |= 1 << UInt64(worker)
        return true
    }

    /// Wakes those that were handed something, in case that they have fallen asleep since.
    mutating func wake() {
        handedOctets = 0
        while given != 0 {
            wakeups[given.trailingZeroBitCount].signal()
            given &= given - 1
        }
    }
}
