import DequeModule
import Octets

/// The computations under way: whose each is, and when it is no longer waited for.
///
/// There is no other way to a ``Job/ID``, so a phase that waits for a job always has a deadline.
struct JobTable {
    private var counter: UInt64 = 0
    /// Which SA a job belongs to, by our SPI.
    private var owners: [Job.ID: UInt64] = [:]
    /// In the order in which they were begun, which is that of their deadlines; the first may have been completed.
    private var begun: Deque<(id: Job.ID, until: Instant)> = []

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
    var deadline: Instant? { begun.first?.until }

    /// The next job whose time is over.
    func overdue(at now: Instant) -> Job.ID? {
        guard let first = begun.first, first.until <= now else { return nil }
        return first.id
    }

    private mutating func dropCompleted() {
        while let first = begun.first, owners[first.id] == nil { begun.removeFirst() }
    }
}
