/// What the daemon is doing: what `cygnet status --json` prints. Fields are only ever added.
public struct GatewayStatus: Codable, Hashable, Sendable {
    public var version: String
    /// Seconds since the daemon began.
    public var uptime: Int
    public var configuration: String
    public var logLevel: String
    /// Directory to which keys are written, if they are.
    public var savesKeysTo: String?
    /// Other things a person should know of.
    public var warnings: [String] = []
    public var connections: [ConnectionReport] = []
    /// IKE messages that had no effect on any IKE SA, by reason; those of which there were none are left out.
    public var ignoredMessages: [String: UInt64] = [:]
    public var dataplane = TrafficReport()

    public init(version: String, uptime: Int, configuration: String, logLevel: String) {
        self.version = version
        self.uptime = uptime
        self.configuration = configuration
        self.logLevel = logLevel
    }

    /// `success` if every connection that ought to be up is.
    public var outcome: Outcome {
        connections.allSatisfy { !$0.isWanted || $0.isUp } ? .success : .down
    }
}

/// A configured connection.
public struct ConnectionReport: Codable, Hashable, Sendable {
    public var name: String
    /// Whether it is configured to be up at all times: `start: boot`.
    public var isWanted: Bool
    /// Whether all children that are wanted are there, and at least one.
    public var isUp: Bool
    /// `idle`, `waiting`, `connecting`, `up`, `retrying` or `failed`.
    public var state: String
    public var reason: String
    /// Seconds in this state, and until the next attempt.
    public var since: Int
    public var nextAttemptIn: Int?
    public var lastError: String?
    /// Whether a person has taken it down, and neither a packet nor time brings it up again.
    public var isTakenDown: Bool
    public var localIdentity: String
    public var remoteIdentity: String
    public var remoteHosts: [String]
    public var securityAssociations: [IKESAReport]
    public var children: [ChildReport]
    /// What of the peer's resolvers is used; absent where it has given none.
    public var resolvers: ResolverReport?
}

/// An established IKE SA.
public struct IKESAReport: Codable, Hashable, Sendable {
    public var initiatorSPI: String
    public var responderSPI: String
    public var isInitiator: Bool
    /// Always `established`: SAs on their way are not listed.
    public var state = "established"
    public var local: String
    public var remote: String
    public var localIdentity: String
    public var remoteIdentity: String
    public var suite: String
    public var isBehindNAT: Bool
    public var isPeerBehindNAT: Bool
    /// `udp`, `tcp`, or `tls` for TCP with TLS around it.
    public var transport: String
    /// Whether both sides have authenticated both IKE_SA_INIT messages (draft-ietf-ipsecme-ikev2-downgrade-prevention).
    public var downgradePrevention: Bool?
    /// Whether both sides can do optimized rekeys (draft-ietf-ipsecme-ikev2-sa-ts-payloads-opt).
    public var optimizedRekey: Bool?
    /// Whether both sides tell of packets that come in fragments or are too large (draft-liu-ipsecme-ikev2-mtu-dect).
    public var mtuNotification: Bool?
    /// Octets of the largest outer packet, as the peer has told of it.
    public var outerLimit: Int?
    /// Where payload headers are extended (draft-smyslov-ipsecme-ikev2-extended-pld), octets of the longest message that the peer
    /// takes.
    public var extendedPayloads: Int?
    /// Seconds since it was established, and until it is rekeyed.
    public var age: Int
    public var rekeyIn: Int?
    /// Which of the connection's peers it is, as in `roadwarrior[3]`; absent where there can be only one.
    public var instance: String?
    /// What the peer has given us, and what we have given it (RFC 7296 section 2.19).
    public var assignedToUs: AssignmentReport?
    public var assignedToPeer: AssignmentReport?
}

/// Addresses, and what goes along with them.
public struct AssignmentReport: Codable, Hashable, Sendable {
    public var addresses: [String]
    public var dnsServers: [String]
    public var domains: [String]
    public var subnets: [String]
    /// Resolvers by DNS over TLS, HTTPS or QUIC (RFC 9464), the one to ask first at first.
    public var encryptedResolvers: [EncryptedResolverReport] = []
}

/// A resolver by DNS over TLS, HTTPS or QUIC.
public struct EncryptedResolverReport: Codable, Hashable, Sendable {
    public var priority: Int
    public var name: String
    public var addresses: [String]
    /// As in a zone file: `alpn=dot port=853`.
    public var parameters: String
    /// Hash algorithms with hashes of the public keys that are right.
    public var digests: [String]
}

/// What of a peer's resolvers this host uses, or would use.
public struct ResolverReport: Codable, Hashable, Sendable {
    /// `set`, `shown`, `waiting`, `failed`, or `nothing`: there is nothing to set.
    public var state: String
    /// Why it is `waiting` or `failed`.
    public var reason: String?
    /// `address:port#name`, the port only where it is not the usual one, the name only with TLS.
    public var servers: [String]
    public var usesTLS: Bool
    /// `.`: every name.
    public var domains: [String]
    /// Domains with the data of DS records, as far as `dns.trust-anchors` allows them.
    public var trustAnchors: [String]
    /// What of the peer's is not used, and why.
    public var remarks: [String]
}

/// An address of a pool that a peer has, or had: what `cygnet leases --json` prints.
public struct LeaseReport: Codable, Hashable, Sendable {
    public var pool: String
    public var address: String
    /// Absent for a peer without authentication.
    public var identity: String?
    /// `online` or `offline`: kept for the peer until another has to have it.
    public var state: String
    /// Seconds since it was given, or given back.
    public var since: Int
}

/// A configured child.
public struct ChildReport: Codable, Hashable, Sendable {
    public var name: String
    public var isWanted: Bool
    public var isUp: Bool
    /// Whether a person has taken it down, alone or with its connection.
    public var isTakenDown: Bool
    public var localSelectors: [String]
    public var remoteSelectors: [String]
    /// The security labels it may have, escaped.
    public var securityLabels: [String] = []
    /// The classes of packets (DSCP) it is for; absent: all.
    public var dscp: [UInt8]?
    public var securityAssociations: [ChildSAReport]
}

/// A pair of ESP SAs.
public struct ChildSAReport: Codable, Hashable, Sendable {
    public var inboundSPI: String
    public var outboundSPI: String
    /// `installed`, `rekeying`, `rekeyed` or `deleting`.
    public var state: String
    public var suite: String
    /// `esp`, `udp` or `tcp`.
    public var encapsulation: String
    /// `tunnel` or `transport`.
    public var mode: String
    /// The traffic agreed upon.
    public var localSelectors: String
    public var remoteSelectors: String
    /// The security label of all packets (RFC 9478), escaped.
    public var securityLabel: String?
    /// The classes (DSCP) that packets may have in both directions, those that we send, and those that the peer says it sends.
    public var dscp: [UInt8]?
    public var dscpSent: [UInt8]?
    public var dscpOfPeer: [UInt8]?
    /// What tells the traffic apart beside its addresses, in words.
    public var distinctions: [String] = []
    /// Sequence number subspaces; absent: there are none.
    public var subspaces: SubspacesReport?
    /// Its place among SAs for the same traffic (RFC 9611).
    public var resource: ResourceReport?
    public var packetsIn: UInt64 = 0
    public var packetsOut: UInt64 = 0
    public var octetsIn: UInt64 = 0
    public var octetsOut: UInt64 = 0
    /// Packets refused, by reason.
    public var drops: [String: UInt64] = [:]
    public var age: Int
    public var rekeyIn: Int?
    /// As in ``IKESAReport/instance``.
    public var instance: String?
}

/// The sequence number subspaces of a pair of ESP SAs.
public struct SubspacesReport: Codable, Hashable, Sendable {
    /// What went by one of them.
    public struct Use: Codable, Hashable, Sendable {
        public var id: UInt16
        public var packets: UInt64
        /// The highest number of it.
        public var highest: UInt64
        /// Received packets that were dropped as replayed or too old.
        public var replays: UInt64
    }

    /// How many the peer may send with, and we.
    public var countIn: Int
    public var countOut: Int
    /// Those in use, by ID.
    public var received: [Use] = []
    public var sent: [Use] = []
}

/// The place of a pair of ESP SAs among those for the same traffic (RFC 9611).
public struct ResourceReport: Codable, Hashable, Sendable {
    /// Equal for those that belong together.
    public var group: UInt32
    /// The worker of the data plane that it belongs to, as in the names of workers.
    public var worker: Int?
    /// Whether workers that have none of their own use it.
    public var isFallback: Bool
    /// What each side has called the resource, in hexadecimal: for comparison with the peer's logs, and of no other use.
    public var identifier: String?
    public var identifierOfPeer: String?
}

/// What the data plane as a whole has done.
public struct TrafficReport: Codable, Hashable, Sendable {
    public var packetsIn: UInt64 = 0
    public var packetsOut: UInt64 = 0
    public var drops: [String: UInt64] = [:]
    public var eventsDropped: UInt64 = 0

    /// Directions in which packets go, each with a worker of its own, or several.
    public var workers: [WorkerReport] = []
    public var queues: [QueueReport] = []
    public var offloads: [OffloadStateReport] = []
    /// TCP connections that carry IKE and ESP (RFC 9329).
    public var streams = StreamsReport()
    /// Libraries that encrypt packets, the first for what it has.
    public var ciphers: [String] = []
    /// Milliseconds since the daemon began, at which all this was read: for rates.
    public var readAt: UInt64 = 0

    public init() {}
}

/// TCP connections that carry IKE and ESP, now and since the daemon began.
public struct StreamsReport: Codable, Hashable, Sendable {
    public var open = 0
    /// Opened by peers, and from here.
    public var accepted: UInt64 = 0
    public var opened: UInt64 = 0
    /// Turned away or closed, as too many peers had not proved who they were; as one did not in time; as what came could not be read.
    public var refused: UInt64 = 0
    public var expired: UInt64 = 0
    public var malformed: UInt64 = 0
    /// With TLS around TCP; resumed an earlier session of TLS; closed, as TLS could not be agreed upon, or was broken.
    public var secured: UInt64 = 0
    public var resumed: UInt64 = 0
    public var unsecured: UInt64 = 0
    /// Packets of ESP, and octets of everything.
    public var packetsIn: UInt64 = 0
    public var packetsOut: UInt64 = 0
    public var octetsIn: UInt64 = 0
    public var octetsOut: UInt64 = 0

    public init() {}
}

/// What one worker of the data plane has done since the daemon began.
public struct WorkerReport: Codable, Hashable, Sendable {
    /// `in` or `out`, with a number if there are several: `out 1`.
    public var name: String
    /// Calls that brought packets and that passed some on, each perhaps many as one.
    public var reads: UInt64
    public var writes: UInt64
    public var packetsIn: UInt64
    public var packetsOut: UInt64
    public var octetsIn: UInt64
    public var octetsOut: UInt64
    /// Packets of other workers' that the kernel gave it, and that it copied over to them.
    public var handedOver: UInt64
    /// Time of a processor, in microseconds.
    public var processorTime: UInt64
}

/// Where packets wait for a worker.
public struct QueueReport: Codable, Hashable, Sendable {
    public var name: String
    /// Octets of memory that wait there; absent where the kernel does not tell.
    public var waiting: UInt64?
    /// Packets lost because there was no room.
    public var dropped: UInt64
}

/// Something the kernel may do for many packets at once.
public struct OffloadStateReport: Codable, Hashable, Sendable {
    public var name: String
    public var isOn: Bool
    public var detail: String
}
