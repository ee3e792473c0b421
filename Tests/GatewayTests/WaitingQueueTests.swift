import Gateway
import Testing

@Suite("The queue of computations")
struct WaitingQueueTests {
    private final class Burden {
        let number: Int
        init(_ number: Int) { self.number = number }
    }

    @Test("What has waited longest comes first")
    func order() {
        var queue = WaitingQueue<Int>()
        var next = 0, taken: [Int] = []
        for _ in 0..<300 {
            for _ in 0..<3 {
                queue.append(next)
                next += 1
            }
            taken += [queue.popFirst(), queue.popFirst()].compactMap(\.self)
        }
        while let last = queue.popFirst() { taken.append(last) }
        #expect(taken == Array(0..<next))
        #expect(queue.popFirst() == nil)
    }

    @Test("What has been taken is gone at once, though others wait")
    func released() {
        var queue = WaitingQueue<Burden>()
        var burden: Burden? = Burden(1)
        weak let witness = burden
        if let burden { queue.append(burden) }
        queue.append(Burden(2))
        burden = nil
        #expect(queue.popFirst()?.number == 1)
        #expect(witness == nil)
    }

    @Test("A queue that is never empty does not grow with what passes through it")
    func bounded() {
        var queue = WaitingQueue<Int>()
        queue.append(0)
        for number in 1...100_000 {
            queue.append(number)
            #expect(queue.popFirst() == number - 1)
        }
        #expect(queue.storedCount <= 128)
    }
}
