import Octets

/// What the endpoint keeps of a configured connection.
struct ConnectionRecord {
    var configuration: ConnectionConfiguration
    /// SAs of this connection by our SPI, oldest first, being set up or established.
    var sas: [UInt64] = []
    /// It is to be kept up: configured so, or a person asked for it and it has been up.
    var isWanted = false
    /// A person has taken it down: no packet brings it up again, only a person or the peer.
    var isHeldDown = false
    var state: ConnectionStatus.State
    var since: Instant
    var reason: String
    var refusal: Refusal?
    var attempt = 0
    var nextAttempt: Instant?
    /// Which of the remote addresses is tried.
    var addressIndex = 0
    /// Children that are missing from an established SA, and when they are asked for again.
    var missing: [String: (attempt: Int, at: Instant)] = [:]
    /// Children that a person or a packet asked for while the connection was being set up.
    var requested: Set<String> = []
    /// Those among them that the attempt under way asks for itself.
    var asked: Set<String> = []

    init(_ configuration: ConnectionConfiguration, at now: Instant) {
        self.configuration = configuration
        isWanted = configuration.isStartedAtBoot
        state = configuration.restingState
        since = now
        reason = "configured"
    }

    mutating func enter(_ state: ConnectionStatus.State, _ reason: String, at now: Instant) {
        if self.state != state { since = now }
        self.state = state
        self.reason = reason
    }

    /// The pause before attempt number `attempt`, counted from 0: doubled each time up to the limit.
    static func pause(_ timing: ConnectionTiming, attempt: Int) -> Duration {
        var seconds = timing.retryInitial.inSeconds
        for _ in 0..<min(attempt, 32) { seconds = min(seconds * 2, timing.retryLimit.inSeconds) }
        return .nanoseconds(Int64(seconds * 1e9))
    }
}

extension ConnectionConfiguration {
    func start(of child: ChildConfiguration) -> StartPolicy { child.start ?? start }

    var isStartedAtBoot: Bool {
        start == .boot || children.contains { $0.start == .boot }
    }

    /// The state of the connection when nobody wants it up.
    var restingState: ConnectionStatus.State {
        start == .demand || children.contains { $0.start == .demand } ? .waiting : .idle
    }
}
