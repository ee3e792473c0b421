import Octets

/// When which SA or connection wants to be looked at, earliest first.
///
/// An entry that has become untrue is harmless: its owner finds that nothing is due and enters its next deadline.
package struct DeadlineQueue<Key: Hashable> {
    private var heap: [(at: Instant, key: Key)] = []
    /// The earliest entry of each key, so that the same one is not entered twice.
    private var earliest: [Key: Instant] = [:]

    package init() {}

    package var next: Instant? { heap.first?.at }

    package mutating func insert(_ key: Key, at: Instant) {
        if let known = earliest[key], known <= at { return }
        earliest[key] = at
        heap.append((at, key))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].at < heap[parent].at else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// The next key that is due at `now`.
    package mutating func popDue(at now: Instant) -> Key? {
        guard let first = heap.first, first.at <= now else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            siftDown()
        }
        if earliest[first.key] == first.at { earliest[first.key] = nil }
        return first.key
    }

    private mutating func siftDown() {
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].at < heap[least].at {
                least = child
            }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
