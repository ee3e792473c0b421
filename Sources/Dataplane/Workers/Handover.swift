import Synchronization

/// Packets on their way from one worker to another of the same direction: a ring of octets from one thread to one other.
///
/// Invariant behind `@unchecked Sendable`: what lies between `taken` and `put` is touched by the consumer only, all else by the
/// producer only; each of the two numbers is written with release by its side after the octets are.
package final class Handover: @unchecked Sendable {
    private let memory: UnsafeMutableRawPointer
    /// Octets put in and taken out since the beginning.
    private let put = Atomic<Int>(0)
    private let taken = Atomic<Int>(0)

    package static let capacity = 1 << 20
    /// The number of octets of a record stands before them; records begin at multiples of this.
    private static let alignment = 16
    /// In place of a number of octets: the next record stands at the beginning of the memory.
    private static let wrapped = -1

    package init() { memory = .allocate(byteCount: Self.capacity, alignment: 64) }

    deinit { memory.deallocate() }

    // MARK: The producer's

    /// Octets that are free, at the end of the memory and at its beginning: a record takes more than it has.
    package var room: Int { Self.capacity - (put.load(ordering: .relaxed) - taken.load(ordering: .acquiring)) }

    /// Hands over a record. The consumer is not woken by it.
    ///
    /// - Parameter write: fills its octets, which begin at a multiple of 16.
    /// - Returns: whether there was room.
    @inline(__always)
    package func push(_ count: Int, _ write: (UnsafeMutableRawPointer) -> Void) -> Bool {
        let size = (Self.alignment + count + Self.alignment - 1) & ~(Self.alignment - 1)
        var end = put.load(ordering: .relaxed)
        let isFree = Self.capacity - (end - taken.load(ordering: .acquiring))
        let straight = Self.capacity - end % Self.capacity
        guard size <= straight ? size <= isFree : straight + size <= isFree else { return false }
        if size > straight {
            (memory + end % Self.capacity).storeBytes(of: Self.wrapped, as: Int.self)
            end += straight
        }
        let record = memory + end % Self.capacity
        record.storeBytes(of: count, as: Int.self)
        write(record + Self.alignment)
        put.store(end + size, ordering: .releasing)
        return true
    }

    // MARK: The consumer's

    /// Takes records while there are any and fewer than so many.
    ///
    /// - Parameter take: is done with the octets when it returns.
    /// - Returns: how many.
    @inline(__always)
    package func drain(atMost limit: Int, _ take: (UnsafeMutableRawBufferPointer) -> Void) -> Int {
        var start = taken.load(ordering: .relaxed)
        var count = 0
        while count < limit, start != put.load(ordering: .acquiring) {
            var record = memory + start % Self.capacity
            var octets = record.load(as: Int.self)
            if octets == Self.wrapped {
                start += Self.capacity - start % Self.capacity
                record = memory
                octets = record.load(as: Int.self)
            }
            take(UnsafeMutableRawBufferPointer(start: record + Self.alignment, count: octets))
            start += (Self.alignment + octets + Self.alignment - 1) & ~(Self.alignment - 1)
            taken.store(start, ordering: .releasing)
            count += 1
        }
        return count
    }
}
