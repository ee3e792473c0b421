import Octets

/// The computations under way: whose each is, and when it is no longer waited for.
///
/// There is no other way to a ``Job/ID``, so a phase that waits for a job always has a deadline.
struct JobTable {
    private var counter: UInt64 = 0
    /// Which SA a job belongs to, by our SPI.
    private var owners: [Job.ID: UInt64] = [:]
    /// In the order in which they were begun, which is that of their deadlines; the first may have been completed.
    private var begun: [(id: Job.ID, until: Instant)] = []
    private var first = 0

    /// How many are under way.
    var count: Int { owners.count }

    /// Enters a job of the SA with this SPI of ours.
    mutating func begin(for localSPI: UInt64, until: Instant) -> Job.ID {
        counter += 1
        let id = Job.ID(number: counter)
        owners[id] = localSPI
        begun.append((id, until))
        return id
    }

    /// Whose job that was; forgotten with this call.
    mutating func end(_ job: Job.ID) -> UInt64? {
        let owner = owners.removeValue(forKey: job)
        dropCompleted()
        return owner
    }

    /// When the job that has been under way for longest is given up.
    var deadline: Instant? { first < begun.count ? begun[first].until : nil }

    /// The next job whose time is over.
    func overdue(at now: Instant) -> Job.ID? {
        guard first < begun.count, begun[first].until <= now else { return nil }
        return begun[first].id
    }

    private mutating func dropCompleted() {
        while first < begun.count, owners[begun[first].id] == nil { first += 1 }
        if first == begun.count {
            begun.removeAll(keepingCapacity: true)
            first = 0
        } else if first > 1024 {
            begun.removeFirst(first)
            first = 0
        }
    }
}
