import IKEMessage
import Octets

/// The numbers of an ``EndpointConfiguration`` that decide on admission.
struct AdmissionLimits: Sendable {
    let cookieThreshold: Int
    let arrivalThreshold: Int
    let puzzleThreshold: Int
    let puzzleThresholdPerNetwork: Int
    let puzzleDifficulty: Int
    let halfOpen: Int
    let halfOpenPerAddress: Int
    let halfOpenTimeout: Duration

    init(_ configuration: EndpointConfiguration) {
        cookieThreshold = configuration.cookieThreshold
        arrivalThreshold = configuration.arrivalThreshold
        puzzleThreshold = configuration.puzzleThreshold
        puzzleThresholdPerNetwork = configuration.puzzleThresholdPerNetwork
        puzzleDifficulty = configuration.puzzleDifficulty
        halfOpen = configuration.halfOpenLimit
        halfOpenPerAddress = configuration.halfOpenLimitPerAddress
        halfOpenTimeout = configuration.halfOpenTimeout
    }
}

/// How many half-open SAs there are when a request asks for one more.
struct AdmissionLoad {
    /// First messages of this second, or the one before: forged ones cost work even where none begins an SA.
    let arrivals: Int
    let halfOpen: Int
    /// Those from the request's source, with what was refused to it lately, and those from its neighbourhood; see ``HalfOpenTable``
    /// and ``RefusalTable``.
    let fromSource: Int
    let fromNetwork: Int
    let limits: AdmissionLimits

    /// Nothing is demanded. A source has to show that it is there long before its share is used up, so that nobody uses it up in
    /// its name.
    var isFree: Bool {
        halfOpen < limits.cookieThreshold && arrivals <= limits.arrivalThreshold
            && fromSource < limits.halfOpenPerAddress / 4
    }

    var isFull: Bool {
        halfOpen >= limits.halfOpen || fromSource >= limits.halfOpenPerAddress
    }
}

/// What is demanded of a request beside the cookie.
struct CookieToll {
    /// Two octets that come back in the cookie, and that nobody can change there.
    let mark: [UInt8]
    let notification: NotifyPayload
}

/// Lets through a steady number a second, and some at once: what is rare is never refused.
struct TokenBucket {
    private let interval: Duration
    private let burst: Int
    private var tokens: Int
    private var filledAt: Instant = .origin

    init(perSecond: Double, burst: Int) {
        interval = .nanoseconds(Int64(1e9 / max(perSecond, 0.001)))
        self.burst = burst
        tokens = burst
    }

    mutating func takes(at now: Instant) -> Bool {
        let gained = (now - filledAt).wholeNanoseconds / max(1, interval.wholeNanoseconds)
        if gained > 0 {
            tokens = min(burst, tokens + Int(min(gained, Int64(burst))))
            filledAt = tokens == burst ? now : filledAt + .nanoseconds(gained * interval.wholeNanoseconds)
        }
        guard tokens > 0 else { return false }
        tokens -= 1
        return true
    }
}
