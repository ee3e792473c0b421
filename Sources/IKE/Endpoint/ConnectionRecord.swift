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
    /// Children that a person has taken down: likewise.
    var heldDownChildren: Set<String> = []
    private(set) var phase: ConnectionPhase
    private(set) var since: Instant
    private(set) var reason: String
    var refusal: Refusal?
    var attempt = 0
    /// Which of the remote addresses is tried.
    var addressIndex = 0
    /// Its peer is called as soon as fewer others are being called.
    var awaitsTurn = false
    /// Children that are missing from an established SA, and when they are asked for again.
    var missing: [String: (attempt: Int, at: Instant)] = [:]
    /// Children that a person or a packet asked for while the connection was being set up.
    var requested: Set<String> = []
    /// The packets that asked, by child.
    var triggers: [String: TriggerPacket] = [:]
    /// Those among them that the attempt under way asks for itself.
    var asked: Set<String> = []

    init(_ configuration: ConnectionConfiguration, at now: Instant) {
        self.configuration = configuration
        isWanted = configuration.isStartedAtBoot
        phase = configuration.restingPhase
        since = now
        reason = "configured"
    }

    mutating func enter(_ phase: ConnectionPhase, _ reason: String, _ context: EndpointContext) {
        let isNews = self.phase.state != phase.state
        if isNews { since = context.now }
        guard isNews || self.reason != reason || self.phase != phase else { return }
        self.phase = phase
        self.reason = reason
        context.emit(
            .connectionChanged(
                connection: configuration.name, phase.state, reason: reason, deadline: phase.deadline))
    }

    /// The state when nobody wants the connection up: what a person has taken down waits for no packet.
    var restingPhase: ConnectionPhase { isHeldDown ? .idle : configuration.restingPhase }

    /// Whether the child is asked for again when it is lost, as long as the connection is wanted.
    func keepsUp(_ child: ChildConfiguration) -> Bool {
        configuration.start(of: child) == .boot && !heldDownChildren.contains(child.name)
    }

    /// When the next attempt is due, if one is planned.
    var nextAttempt: Instant? { if case .retrying(let at) = phase { at } else { nil } }

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
    var restingPhase: ConnectionPhase {
        start == .demand || children.contains { $0.start == .demand } ? .waiting : .idle
    }
}
