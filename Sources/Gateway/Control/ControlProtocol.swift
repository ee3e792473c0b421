/// A request on the control socket: one line of JSON. Nothing in it names a file.
public struct ControlRequest: Codable, Hashable, Sendable {
    public enum Command: String, Codable, Hashable, Sendable {
        case status, watch, events, up, down, rekey, redirect, reload, explain, leases
        case logLevel = "log-level"
        case shutdown
    }

    public var command: Command
    public var connection: String?
    public var child: String?
    /// Whether `rekey` means all children rather than the IKE SA.
    public var children: Bool?
    /// Where `redirect` sends a connection's peers: an address or a name.
    public var gateway: String?
    /// The level to set; absent to ask for the present one.
    public var level: String?
    /// Seconds between reports of `watch`; the most that `up` waits.
    public var seconds: Double?

    public init(
        _ command: Command, connection: String? = nil, child: String? = nil, children: Bool? = nil,
        gateway: String? = nil, level: String? = nil, seconds: Double? = nil
    ) {
        self.command = command
        self.connection = connection
        self.child = child
        self.children = children
        self.gateway = gateway
        self.level = level
        self.seconds = seconds
    }
}

/// An answer: one line of JSON. A request is answered by lines with ``isLast`` false as they come, then by one with it
/// true.
public struct ControlReply: Codable, Sendable {
    public var isLast = true
    public var outcome = Outcome.success
    /// What happened, for a person: each one line.
    public var lines: [String] = []
    public var status: GatewayStatus?
    public var leases: [LeaseReport]?
    public var event: GatewayEvent?

    public init(
        _ outcome: Outcome = .success, lines: [String] = [], status: GatewayStatus? = nil, event: GatewayEvent? = nil,
        isLast: Bool = true
    ) {
        self.outcome = outcome
        self.lines = lines
        self.status = status
        self.event = event
        self.isLast = isLast
    }
}

/// How a request ended, with the exit status by which scripts tell it.
public enum Outcome: String, Codable, Hashable, Sendable, CaseIterable {
    case success
    /// Anything not named below.
    case failed
    /// The configuration has errors, or names no such connection.
    case configuration
    /// No daemon answers on the control socket.
    case notRunning = "not-running"
    /// A right is missing.
    case notPermitted = "not-permitted"
    case peerSilent = "peer-silent"
    case authenticationFailed = "authentication-failed"
    case noProposal = "no-proposal"
    case unacceptableSelectors = "unacceptable-selectors"
    case certificate
    /// The peer refused for a reason of another kind, or broke the protocol.
    case refused
    /// The peer's name cannot be resolved to an address.
    case unresolved
    /// For `status`: a connection that should be up is not.
    case down

    /// The exit status of the command line. 64 is for mistakes in the command itself.
    public var exitStatus: Int32 {
        switch self {
        case .success: 0
        case .failed: 1
        case .down: 2
        case .configuration: 3
        case .notRunning: 4
        case .notPermitted: 5
        case .peerSilent: 10
        case .authenticationFailed: 11
        case .noProposal: 12
        case .unacceptableSelectors: 13
        case .certificate: 14
        case .refused: 15
        case .unresolved: 16
        }
    }
}
