import CLinux
import Glibc
import Synchronization

/// A bounded ring from one producer to one consumer, each a thread of its own or guarded by a lock.
///
/// Invariant behind `@unchecked Sendable`: a slot between `taken` and `put` is touched by the consumer only, every other by
/// the producer only; `put` is written by the producer with release after the slot, `taken` by the consumer with release
/// after it is done with the element. So `taken` also acknowledges: what an element retired is out of use once it is counted.
final class CommandRing<Element>: @unchecked Sendable {
    private let slots: UnsafeMutablePointer<Element>
    private let mask: UInt64
    private let put = Atomic<UInt64>(0)
    private let taken = Atomic<UInt64>(0)
    private let wakeup: Wakeup
    private let isAbandoned = Atomic<Bool>(false)

    /// - Parameter capacity: a power of two.
    init(capacity: Int, wakeup: Wakeup) {
        precondition(capacity.nonzeroBitCount == 1)
        slots = .allocate(capacity: capacity)
        mask = UInt64(capacity - 1)
        self.wakeup = wakeup
    }

    deinit {
        drain { _ in }
        slots.deallocate()
    }

    /// Adds an element and wakes the consumer.
    ///
    /// - Returns: the number of the element, to compare with ``acknowledged``; `nil` if the ring is full.
    func push(_ element: Element) -> UInt64? {
        let next = put.load(ordering: .relaxed)
        guard next - taken.load(ordering: .acquiring) <= mask else { return nil }
        (slots + Int(next & mask)).initialize(to: element)
        put.store(next + 1, ordering: .releasing)
        wakeup.signal()
        return next + 1
    }

    /// Whether the consumer has ended: then nothing is handled any more, and nothing of what it had is in use.
    var isClosed: Bool { isAbandoned.load(ordering: .acquiring) }

    /// Called by the consumer at its end.
    func close() { isAbandoned.store(true, ordering: .releasing) }

    /// Whether there is nothing for the consumer to handle.
    var isEmpty: Bool { taken.load(ordering: .relaxed) == put.load(ordering: .acquiring) }

    /// How many elements the consumer is done with.
    var acknowledged: UInt64 { taken.load(ordering: .acquiring) }

    /// Handles everything that is in the ring; called by the consumer.
    @inline(__always)
    func drain(_ handle: (Element) -> Void) {
        var next = taken.load(ordering: .relaxed)
        while next != put.load(ordering: .acquiring) {
            handle((slots + Int(next & mask)).move())
            next += 1
            taken.store(next, ordering: .releasing)
        }
    }
}

/// What a sleeping worker waits on besides its packets: an eventfd.
struct Wakeup: Sendable {
    let descriptor: Int32

    init() throws(DataplaneError) {
        descriptor = cygnet_make_event()
        guard descriptor >= 0 else { throw .system(-descriptor, "make an eventfd") }
    }

    func signal() {
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    func clear() {
        var count: UInt64 = 0
        _ = read(descriptor, &count, 8)
    }

    func close() { _ = Glibc.close(descriptor) }
}
