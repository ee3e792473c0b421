import Octets

/// Counts what comes: in the present second, or in the one before if that was more.
struct ArrivalRate {
    private var second: Int64 = -1
    private var current = 0
    private var previous = 0

    mutating func count(at now: Instant) -> Int {
        let present = now.nanoseconds / 1_000_000_000
        if present != second {
            previous = present == second + 1 ? current : 0
            current = 0
            second = present
        }
        current += 1
        return max(current, previous)
    }
}

/// Allows an action so many times a second and no more: for answers to what nobody has authenticated.
struct RateLimit {
    private let perSecond: Int
    private var second: Int64 = -1
    private var used = 0

    init(perSecond: Int) { self.perSecond = perSecond }

    mutating func allows(at now: Instant) -> Bool {
        let current = now.nanoseconds / 1_000_000_000
        if current != second {
            second = current
            used = 0
        }
        guard used < perSecond else { return false }
        used += 1
        return true
    }
}
