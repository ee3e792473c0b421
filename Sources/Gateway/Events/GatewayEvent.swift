/// Something that has happened, for those who follow the daemon: a line of `cygnet events`, and of the log.
///
/// `docs/events.md` describes every name with its fields. Names and fields are only ever added.
public struct GatewayEvent: Codable, Hashable, Sendable {
    public enum Name: String, Hashable, Sendable, CaseIterable {
        case started, stopping, reloaded
        case reloadRefused = "reload-refused"
        case connectionState = "connection-state"
        case ikeEstablished = "ike-established"
        case ikeRekeyed = "ike-rekeyed"
        case ikeClosed = "ike-closed"
        case childEstablished = "child-established"
        case childRekeyed = "child-rekeyed"
        case childClosed = "child-closed"
        case negotiationFailed = "negotiation-failed"
        case callerRefused = "caller-refused"
        case streamRefused = "stream-refused"
        case configurationReceived = "configuration-received"
        case resolversSet = "resolvers-set"
        case resolversUnset = "resolvers-unset"
        case resolversShown = "resolvers-shown"
        case resolversFailed = "resolvers-failed"
        case peerDead = "peer-dead"
        case pathChanged = "path-changed"
        case redirecting, redirected
        case resolved, unresolved
        case ikeWarning = "ike-warning"
        case attention
        case dataplaneFailed = "dataplane-failed"
        case installationFailed = "installation-failed"
        /// Told to one reader alone: it was too slow.
        case lost
    }

    /// Counted from 1 since the daemon began, so that a reader sees what it has missed; 0 for ``Name/lost``.
    public let number: UInt64
    /// In UTC, as RFC 3339 has it, with milliseconds.
    public let time: String
    /// A ``Name``, or one that a newer daemon has.
    public let name: String
    /// The connection it is about, if it is about one.
    public let connection: String?
    public let fields: [String: String]

    public init(number: UInt64, time: String, name: Name, connection: String?, fields: [String: String]) {
        self.number = number
        self.time = time
        self.name = name.rawValue
        self.connection = connection
        self.fields = fields
    }

    /// One line for a person: time, name, connection, then `key=value` as in the log.
    public var line: String {
        var all = fields
        if let connection { all["connection"] = connection }
        return "\(time) \(name)" + CompactLogHandler.text(of: all)
    }
}
