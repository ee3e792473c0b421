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

/// Limits how often one answer is sent again: the request that asks for it may be far shorter, and anybody can send a copy of it from
/// an address that is not his.
struct AnswerRepetition {
    /// More than any peer asks for in the short life of a half-open SA.
    private static let limit = 16
    /// What somebody gets whose NAT has just given him another address; no more, as it may be another's.
    private static let limitElsewhere = 3

    private var pace = TokenBucket(perSecond: 2, burst: 8)
    private var count = 0
    private var countElsewhere = 0

    /// - Parameters:
    ///   - isProved: the peer has proved who it is. It may ask for as long as it likes.
    ///   - isElsewhere: to another address than the peer's own.
    mutating func allows(isProved: Bool, isElsewhere: Bool, at now: Instant) -> Bool {
        guard isProved || count < Self.limit && (!isElsewhere || countElsewhere < Self.limitElsewhere),
            pace.takes(at: now)
        else { return false }
        count = min(count + 1, Self.limit)
        if isElsewhere { countElsewhere = min(countElsewhere + 1, Self.limitElsewhere) }
        return true
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
