import ESP
import Testing

/// The window of RFC 4303 in the plainest form: a set of what came, and appendix A2.2 written down case by case.
private struct ModelWindow {
    let size: UInt64
    let isExtended: Bool
    var highest: UInt64 = 0
    var received: Set<UInt64> = []

    func infer(_ low: UInt32) -> UInt64? {
        guard isExtended else { return UInt64(low) }
        let th = UInt32(truncatingIfNeeded: highest >> 32)
        let tl = UInt32(truncatingIfNeeded: highest)
        let w = UInt32(size)
        var high = th
        if tl >= w - 1 {
            // Case A: the window is within one subspace.
            if low < tl - (w - 1) {
                guard th < .max else { return nil }
                high = th + 1
            }
        } else {
            // Case B: it spans two.
            if low >= tl &- w &+ 1, th > 0 { high = th - 1 }
        }
        return UInt64(high) << 32 | UInt64(low)
    }

    func check(_ low: UInt32) -> ReplayWindow.Verdict {
        guard let number = infer(low), number > 0 else { return .stale }
        if number > highest { return .fresh(number) }
        if highest - number >= size { return .stale }
        return received.contains(number) ? .replayed : .fresh(number)
    }

    mutating func accept(_ number: UInt64) {
        received.insert(number)
        highest = max(highest, number)
    }
}

struct ReplayWindowTests {
    /// Where a stream of packets begins.
    enum Start: CaseIterable, Sendable {
        case first, beforeSubspaceEnd, laterSubspace, beforeLastSubspaceEnd

        func highest(_ size: Int, extended: Bool) -> UInt64 {
            switch self {
            case .first: 0
            case .beforeSubspaceEnd: extended ? (1 << 32) - 4 * UInt64(size) - 700 : (1 << 32) - 20_000 * 3
            case .laterSubspace: extended ? (7 << 32) - 2500 : 1 << 31
            case .beforeLastSubspaceEnd: extended ? .max - 12_000 : (1 << 31) - 777
            }
        }
    }

    @Test(
        "Under reordering, loss, repetition and forgery the window says what the model of RFC 4303, appendix A, says",
        arguments: [32, 33, 64, 100, 1024, 4096], [true, false])
    func againstModel(size: Int, extended: Bool) {
        for (seed, start) in Start.allCases.enumerated() {
            var generator = SeededGenerator(seed: UInt64(seed * 10_000 + size))
            let base = start.highest(size, extended: extended)
            var window = ReplayWindow(size: size, extended: extended, highest: base)
            var model = ModelWindow(size: UInt64(size), isExtended: extended, highest: base)
            var sent: [(key: UInt64, number: UInt64)] = []
            var number = base
            while sent.count < max(5000, 5 * size) {
                // Single packets are lost often, whole windows now and then.
                let isGap = Int.random(in: 0..<4 * size, using: &generator) == 0
                let step = UInt64(isGap ? Int.random(in: 1...3 * size, using: &generator) : 1)
                let isLost = Int.random(in: 0..<20, using: &generator) == 0
                let (next, overflow) = number.addingReportingOverflow(isLost ? step + 1 : step)
                guard !overflow, extended || next <= UInt32.max else { break }
                number = next
                let copies = Int.random(in: 0..<10, using: &generator) == 0 ? 2 : 1
                for _ in 0..<copies {
                    // Most come a little out of order; some so late that they fall out of the window.
                    let isLate = Int.random(in: 0..<10, using: &generator) == 0
                    let delay = Int.random(in: 0..<(isLate ? size + size / 2 : size / 4), using: &generator)
                    sent.append((UInt64(sent.count + delay), number))
                }
            }
            sent.sort { $0.key < $1.key }
            var verdicts: [String: Int] = [:]
            for packet in sent {
                let low = UInt32(truncatingIfNeeded: packet.number)
                let verdict = window.check(low)
                guard verdict == model.check(low) else {
                    Issue.record(
                        "\(start) \(packet.number) after \(model.highest): \(verdict), not \(model.check(low))")
                    return
                }
                switch verdict {
                case .fresh(packet.number):
                    // Authentic; a wrong guess would not have been.
                    #expect((window.accept(packet.number) == .newest) == (packet.number > model.highest))
                    model.accept(packet.number)
                    verdicts["fresh", default: 0] += 1
                case .fresh: verdicts["guessed", default: 0] += 1
                case .replayed: verdicts["replayed", default: 0] += 1
                case .stale: verdicts["stale", default: 0] += 1
                }
                // A forged packet is looked up and never accepted.
                let forged = UInt32.random(in: 0...(.max), using: &generator)
                #expect(window.check(forged) == model.check(forged))
                #expect(window.highest == model.highest)
            }
            #expect(verdicts["fresh", default: 0] > sent.count / 2)
            #expect(verdicts["replayed", default: 0] > 0)
            #expect(verdicts["stale", default: 0] + verdicts["guessed", default: 0] > 0)
        }
    }

    @Test("A whole window of packets in reverse is accepted, one more is not", arguments: [1, 32, 64, 1024, 4096])
    func edges(size: Int) {
        var window = ReplayWindow(size: size, extended: true, highest: 10_000)
        let top: UInt64 = 20_000
        for back in 0..<UInt64(size) {
            #expect(window.check(UInt32(top - back)) == .fresh(top - back))
            window.accept(top - back)
        }
        for back in 0..<UInt64(size) { #expect(window.check(UInt32(top - back)) == .replayed) }
        // With extension a number left of the window means the next subspace, which the integrity check refutes.
        #expect(window.check(UInt32(top - UInt64(size))) == .fresh(1 << 32 + top - UInt64(size)))
        var plain = ReplayWindow(size: size, extended: false)
        plain.accept(top)
        #expect(plain.check(UInt32(top - UInt64(size))) == .stale)
    }

    @Test("A window of 32 across a subspace's end knows the old packets from the new")
    func crossing() {
        var window = ReplayWindow(size: 32, extended: true, highest: (1 << 32) - 2)
        #expect(window.check(0) == .fresh(1 << 32))
        window.accept(1 << 32)
        #expect(window.check(0xffff_ffff) == .fresh(0xffff_ffff))
        window.accept(0xffff_ffff)
        #expect(window.check(0xffff_ffff) == .replayed)
        #expect(window.check(0) == .replayed)
        #expect(window.check(5) == .fresh(1 << 32 + 5))
    }

    @Test("Number 0 is never accepted: a sender begins with 1 (RFC 4303, section 3.3.3)", arguments: [true, false])
    func zero(extended: Bool) {
        for size in [0, 32, 4096] {
            let window = ReplayWindow(size: size, extended: extended)
            #expect(window.check(0) == .stale)
        }
    }

    @Test("Past the very last sequence number there is none")
    func end() {
        var window = ReplayWindow(size: 64, extended: true, highest: .max - 1)
        #expect(window.check(.max) == .fresh(.max))
        window.accept(.max)
        #expect(window.check(0) == .stale)
        #expect(window.check(.max) == .replayed)
    }

    @Test("A jump by nearly a subspace clears what was received before")
    func jump() {
        var window = ReplayWindow(size: 4096, extended: true)
        for number in 1...UInt64(5000) { window.accept(number) }
        let far: UInt64 = 5000 + (1 << 32) - 4096
        #expect(window.check(UInt32(truncatingIfNeeded: far)) == .fresh(far))
        window.accept(far)
        for back in 1..<UInt64(4096) {
            #expect(window.check(UInt32(truncatingIfNeeded: far - back)) == .fresh(far - back))
        }
    }

    @Test("What was accepted since a number was looked up decides once more")
    func overtaken() {
        var window = ReplayWindow(size: 64, extended: true)
        #expect(window.check(5) == .fresh(5))
        #expect(window.accept(5) == .newest)
        #expect(window.accept(5) == .replayed)
        #expect(window.check(4) == .fresh(4))
        #expect(window.accept(100) == .newest)
        #expect(window.accept(4) == .stale)
        #expect(window.accept(99) == .late)
    }

    @Test("Without a window repetition passes, and high bits are inferred all the same")
    func off() {
        var window = ReplayWindow(size: 0, extended: true, highest: (1 << 32) - 1)
        window.accept((1 << 32) + 3)
        #expect(window.check(3) == .fresh((1 << 32) + 3))
        #expect(window.check(0xffff_fff0) == .fresh(0xffff_fff0))
        #expect(window.highest == (1 << 32) + 3)
    }

    @Test("Sizes outside what is possible become the nearest that is")
    func sizes() {
        #expect(ReplayWindow(size: -1, extended: true).size == 0)
        #expect(ReplayWindow(size: 1 << 20, extended: true).size == 4096)
    }
}
