import IKE
import Octets
import Simulation
import Testing

@Suite("SPIs and deadlines")
struct AllocatorTests {
    @Test("Child SPIs are never below 256 and never in use twice")
    func distinct() {
        var random: any RandomNumberGenerator = SeededGenerator(seed: 1)
        var allocator = ChildSPIAllocator()
        var inUse: Set<UInt32> = []
        for round in 0..<20_000 {
            guard let spi = allocator.allocate(using: &random) else {
                Issue.record("no SPI in round \(round)")
                return
            }
            #expect(spi >= 256)
            #expect(inUse.insert(spi).inserted)
            if round % 3 != 0, let other = inUse.first {
                inUse.remove(other)
                allocator.release(other)
            }
        }
        #expect(allocator.count == inUse.count)
    }

    @Test("An index that is used again gets another generation")
    func generations() {
        var random: any RandomNumberGenerator = SeededGenerator(seed: 2)
        var allocator = ChildSPIAllocator()
        var last: [UInt32: UInt32] = [:]
        for _ in 0..<5_000 {
            guard let spi = allocator.allocate(using: &random) else { return }
            #expect(last.updateValue(spi, forKey: spi & 0xffff) != spi)
            allocator.release(spi)
        }
    }

    @Test("Releasing twice, or what was never handed out, does nothing")
    func releases() {
        var random: any RandomNumberGenerator = SeededGenerator(seed: 3)
        var allocator = ChildSPIAllocator()
        let first = allocator.allocate(using: &random) ?? 0
        allocator.release(first)
        allocator.release(first)
        allocator.release(0xffff_ffff)
        allocator.release(5)
        #expect(allocator.count == 0)
    }

    @Test("An SPI for a certain worker has its index, and there is none when that worker's are taken")
    func certainWorker() {
        var random: any RandomNumberGenerator = SeededGenerator(seed: 5)
        var allocator = ChildSPIAllocator(workers: 7)
        for worker in [0, 3, 6, 6] {
            let spi = allocator.allocate(of: worker, using: &random) ?? 0
            #expect(Int(spi & 0xffff) % 7 == worker && allocator.worker(of: spi) == worker)
        }
        while allocator.allocate(of: 5, using: &random) != nil {}
        #expect(allocator.allocate(of: 4, using: &random) != nil)
    }

    @Test("When every index is taken there is no SPI, and one release gives one back")
    func exhaustion() {
        var random: any RandomNumberGenerator = SeededGenerator(seed: 4)
        var allocator = ChildSPIAllocator()
        var last: UInt32 = 0
        for _ in 0..<ChildSPIAllocator.capacity { last = allocator.allocate(using: &random) ?? 0 }
        #expect(last != 0)
        #expect(allocator.allocate(using: &random) == nil)
        allocator.release(last)
        #expect(allocator.allocate(using: &random) != nil)
    }

    @Test("Packet workers get equally many child SPIs, and who replaces an SA gets an SPI of the same worker")
    func workers() {
        var random: any RandomNumberGenerator = SeededGenerator(seed: 5)
        var allocator = ChildSPIAllocator(workers: 3)
        func worker(_ spi: UInt32) -> UInt32 { (spi & 0xffff) % 3 }
        let spis = (0..<300).compactMap { _ in allocator.allocate(using: &random) }
        for index in 0..<3 as Range<UInt32> { #expect(spis.filter { worker($0) == index }.count == 100) }
        for old in spis {
            let new = allocator.allocate(beside: old, using: &random)
            #expect(new.map(worker) == worker(old))
            allocator.release(old)
        }
    }

    @Test("When a worker's SPIs are all taken, another's are given")
    func workersExhausted() {
        var random: any RandomNumberGenerator = SeededGenerator(seed: 6)
        var allocator = ChildSPIAllocator(workers: 2)
        let all = (0..<ChildSPIAllocator.capacity).compactMap { _ in
            allocator.allocate(beside: 0x1_0001, using: &random)
        }
        #expect(Set(all).count == ChildSPIAllocator.capacity)
        #expect(allocator.allocate(beside: 0x1_0001, using: &random) == nil)
    }

    @Test("An IKE SPI is neither zero nor in use")
    func ikeSPIs() {
        var random: any RandomNumberGenerator = Sequence64([0, 7, 7, 7, 9])
        var allocator = SPIAllocator()
        #expect(allocator.allocate(using: &random) == 7)
        #expect(allocator.allocate(using: &random) == 9)
        allocator.release(7)
        #expect(allocator.count == 1)
    }

    @Test("Deadlines come out in order, whatever order they went in")
    func deadlines() {
        var random = SeededGenerator(seed: 5)
        var queue = DeadlineQueue<Int>()
        for key in 0..<500 { queue.insert(key, at: Instant(nanoseconds: Int64.random(in: 0..<1000, using: &random))) }
        var last = Int64.min
        var count = 0
        while let next = queue.next {
            #expect(next.nanoseconds >= last)
            last = next.nanoseconds
            #expect(queue.popDue(at: next) != nil)
            count += 1
        }
        #expect(count == 500)
    }

    @Test("Nothing is due before its time")
    func notYet() {
        var queue = DeadlineQueue<String>()
        queue.insert("a", at: Instant(nanoseconds: 10))
        #expect(queue.popDue(at: Instant(nanoseconds: 9)) == nil)
        #expect(queue.popDue(at: Instant(nanoseconds: 10)) == "a")
        #expect(queue.next == nil)
    }

    @Test("A key that is entered again for a later time comes out once, for an earlier time at that")
    func sameKey() {
        var queue = DeadlineQueue<String>()
        queue.insert("a", at: Instant(nanoseconds: 10))
        queue.insert("a", at: Instant(nanoseconds: 20))
        #expect(queue.popDue(at: Instant(nanoseconds: 30)) == "a")
        #expect(queue.popDue(at: Instant(nanoseconds: 30)) == nil)
        queue.insert("b", at: Instant(nanoseconds: 20))
        queue.insert("b", at: Instant(nanoseconds: 10))
        #expect(queue.next == Instant(nanoseconds: 10))
    }
}

/// A generator that gives what it was told.
private struct Sequence64: RandomNumberGenerator {
    private var values: [UInt64]
    init(_ values: [UInt64]) { self.values = values.reversed() }
    mutating func next() -> UInt64 { values.popLast() ?? 1 }
}
