/// What a worker has found in what came by TCP connections, counted where it is found, and told once for each batch.
///
/// Nothing here takes a lock or memory: whoever floods a worker with packets of no association costs it an addition for each.
struct StreamComplaints: ~Copyable {
    /// Of one connection, in one batch.
    struct Complaint: Sendable {
        let stream: UInt64
        /// Packets of no association. Few of them mean nothing: the two sides may not have heard of a change at the same time (RFC 9329
        /// section 6.1).
        var unknownSPI: Int32 = 0
        /// Packets of an association that are not authentic: TCP would not let damage by, so that somebody has written into the
        /// stream or its messages are cut in the wrong places.
        var notAuthentic: Int32 = 0
    }

    private let ring: CommandRing<Complaint>
    private let entries: UnsafeMutablePointer<Complaint>
    private var count = 0

    /// Connections that are told apart in one batch.
    private static let capacity = 64

    /// - Parameter ring: the way to the thread that has the connections.
    init(_ ring: CommandRing<Complaint>) {
        self.ring = ring
        entries = .allocate(capacity: Self.capacity)
    }

    deinit { entries.deallocate() }

    /// A ring from one worker to the thread.
    static func ring(wakeup: Wakeup) -> CommandRing<Complaint> { CommandRing(capacity: 256, wakeup: wakeup) }

    mutating func noteUnknownSPI(_ stream: UInt64) {
        guard stream != 0, let entry = entry(of: stream) else { return }
        entry.pointee.unknownSPI &+= 1
    }

    mutating func noteNotAuthentic(_ stream: UInt64) {
        guard stream != 0, let entry = entry(of: stream) else { return }
        entry.pointee.notAuthentic &+= 1
    }

    private mutating func entry(of stream: UInt64) -> UnsafeMutablePointer<Complaint>? {
        for index in stride(from: count - 1, through: 0, by: -1) where entries[index].stream == stream {
            return entries + index
        }
        // Whoever finds no room here is heard of with the next packets.
        guard count < Self.capacity else { return nil }
        (entries + count).initialize(to: Complaint(stream: stream))
        count += 1
        return entries + count - 1
    }

    /// Tells of what was counted since the last time. What finds no room in the ring is lost: who causes that much goes on causing it.
    mutating func tell() {
        for index in 0..<count { _ = ring.push(entries[index]) }
        count = 0
    }
}
