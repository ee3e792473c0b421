import Dataplane
import Testing

@Suite("Octets that wait to be sent")
struct OctetQueueTests {
    @Test("Octets come out as they went in, whatever is put in and taken out in between")
    func order() {
        var queue = OctetQueue()
        var (written, read) = (0, 0)
        var state: UInt64 = 3
        for _ in 0..<20_000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1
            if state >> 63 == 0, written - read < 100_000 {
                let count = Int(state >> 33) % 3000
                queue.append((written..<written + count).map { UInt8(truncatingIfNeeded: $0 &* 31) })
                written += count
            } else if !queue.isEmpty {
                let count = min(1 + Int(state >> 33) % 4000, queue.front.count)
                for index in 0..<count where queue.front[index] != UInt8(truncatingIfNeeded: (read + index) &* 31) {
                    Issue.record("octet \(read + index) is another")
                    return
                }
                queue.consume(count)
                read += count
            }
            let (count, isEmpty, hasFront) = (queue.count, queue.isEmpty, !queue.front.isEmpty)
            #expect(count == written - read && isEmpty == !hasFront)
        }
        #expect(read > 1_000_000)
    }

    @Test("Its memory follows what waits, and goes when nothing does")
    func memory() {
        var queue = OctetQueue()
        var capacities = [queue.capacity]
        for _ in 0..<100 { queue.append([UInt8](repeating: 1, count: 10_000)) }
        capacities.append(queue.capacity)
        while !queue.isEmpty { queue.consume(queue.front.count) }
        capacities.append(queue.capacity)
        // What is used again and again is kept.
        queue.append([1, 2, 3])
        queue.consume(3)
        capacities.append(queue.capacity)
        #expect(capacities == [0, 1 << 20, 0, 4096])
    }

    @Test("More taken than there is takes all, and nothing put in changes nothing")
    func edges() {
        var queue = OctetQueue()
        queue.append([])
        queue.consume(5)
        var counts = [queue.count]
        queue.append([1])
        counts.append(queue.front.count)
        queue.consume(9)
        counts.append(queue.count)
        #expect(counts == [0, 1, 0])
    }
}
