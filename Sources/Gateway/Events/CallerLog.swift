import Octets

/// How many refused callers are told of: anybody can call, as often as he likes.
package struct CallerLog {
    /// Those told of in each ``window``.
    package static let limit = 5
    package static let window: Duration = .seconds(10)

    private var began: Instant?
    private var told = 0
    private var passedOver: UInt64 = 0

    package init() {}

    /// Whether the next one is told of; and how many were not since the last that was.
    package mutating func admit(at now: Instant) -> (isTold: Bool, passedOver: UInt64) {
        if began.map({ now - $0 >= Self.window }) ?? true {
            began = now
            told = 0
        }
        guard told < Self.limit else {
            passedOver += 1
            return (false, 0)
        }
        told += 1
        defer { passedOver = 0 }
        return (true, passedOver)
    }
}
