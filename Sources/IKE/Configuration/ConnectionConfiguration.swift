import Credentials
import IPPacket
import IPsecCrypto
import Octets

/// When a connection or child SA is brought up.
public enum StartPolicy: String, Sendable, CaseIterable {
    /// At once, and again whenever it is lost.
    case boot
    /// By the first packet that its policy protects.
    case demand
    /// Only by the peer or by a person.
    case none
}

/// What follows when the peer no longer answers.
public enum DeadPeerAction: String, Sendable, CaseIterable {
    /// Set the connection up again, for ever.
    case restart
    /// Forget it; the next protected packet sets it up again where `start` is `boot` or `demand`.
    case clear
}

/// How ESP travels: in IP directly, or in UDP (RFC 3948).
public enum EncapsulationPolicy: String, Sendable, CaseIterable {
    /// UDP when a NAT is seen, else protocol 50.
    case automatic = "auto"
    /// Always UDP, by announcing a NAT that is not there.
    case udp
}

/// Whether TCP carries IKE and ESP (RFC 9329), and when.
public struct TCPPolicy: Sendable, Hashable {
    public enum Use: String, Sendable, CaseIterable {
        /// Never: callers that come by TCP are not taken either.
        case no
        /// We call by UDP, and by TCP where UDP brings no answer. Callers may come by either.
        case fallback
        /// We call by TCP. Callers may come by either.
        case always
    }

    public var use = Use.no
    /// The peer's ports, tried in this order.
    public var ports: [UInt16] = [4500]
    /// TLS around the stream, on further ports, which are tried after those; `nil`: on none.
    public var tls: TLSPolicy?
    /// How long TCP is used before UDP is tried again; `nil`: as long as there is need for it.
    public var probeAfter: Duration? = .seconds(600)

    public init() {}

    /// All ports of the peer's, in the order in which they are tried.
    public var allPorts: [UInt16] { ports + (tls?.ports ?? []) }

    /// What is said of TLS on a port of the peer's; `nil`: there is none around the stream.
    public func tls(at port: UInt16) -> TLSPolicy? { tls.flatMap { $0.ports.contains(port) ? $0 : nil } }
}

/// TLS around the stream that we open to a peer (RFC 9329 appendix A).
public struct TLSPolicy: Sendable, Hashable {
    /// The peer's ports on which there is TLS: none that are without.
    public var ports: [UInt16] = [443]
    /// The name that the peer is called by, and that its certificate is to have; `nil`: its address.
    public var name: String?
    /// Authorities in PEM form that its certificate is to come from; `nil`: the certificate is not looked at. Who the peer is, IKE finds
    /// out, either way.
    public var authorities: [String]?

    public init() {}
}

/// One peer and what may be agreed with it: everything IKE needs to know of a configured connection.
public struct ConnectionConfiguration: Sendable {
    public var name: String
    public var origin: Origin
    /// Addresses of ours that the connection may use; empty for any.
    public var localAddresses: [IPAddress] = []
    /// The peer's addresses in order of preference, names already resolved; tried one after the other.
    public var remoteAddresses: [IPAddress] = []
    /// The peer may come from any address. With no `remoteAddresses` the connection can only be answered.
    public var acceptsAnyRemoteAddress = false
    /// The peer's IKE port for IKE_SA_INIT and its port for NAT traversal.
    public var remotePort: UInt16 = 500
    public var remoteNATPort: UInt16 = 4500
    public var localIdentity: Identity
    /// The identity the peer must prove; `nil` accepts any identity that its authentication allows.
    public var remoteIdentity: Identity?
    /// Where no single identity is named: what those that are accepted have in common; `nil`: nothing.
    public var remotePattern: IdentityPattern?
    public var localAuthentication: LocalAuthentication
    /// Other certificates that name ``localIdentity``, for peers that do not accept the first; where that is a certificate.
    public var alternativeCertificates: [CertificateIdentity] = []
    /// Whether, and where, peers are told by which methods they can prove themselves (RFC 9593).
    public var announcements: AnnouncementPolicy = .auto
    public var remoteAuthentication: RemoteAuthentication
    /// Whether the peer's certificates may be revoked, or unknown to be so.
    public var revocation: RevocationPolicy = .ifAvailable
    /// Whether both sides authenticate both IKE_SA_INIT messages (draft-ietf-ipsecme-ikev2-downgrade-prevention).
    public var downgradePrevention: DowngradePreventionPolicy = .yes
    /// Pre-shared keys of peers that come to us, each with its identity. Where there are any, only these peers are accepted,
    /// and each proves itself, and we to it, by its own key; the keys of both ways of authentication are not used.
    public var peerSecrets: [PeerSecret] = []
    public var ikeProposals: [IKEProposal] = IKEProposal.defaults
    /// Post-quantum preshared keys: as an initiator the first is used in IKE_AUTH (RFC 8784), and all are offered in
    /// IKE_INTERMEDIATE (RFC 9867); as a responder the one that the peer names.
    public var ppks: [PostquantumPresharedKey] = []
    /// Where they are mixed in.
    public var ppkExchange: PPKExchange = .any
    /// Whether a peer that uses none of them is refused.
    public var requiresPPK = false
    public var children: [ChildConfiguration] = []
    public var start: StartPolicy = .none
    public var timing = ConnectionTiming()
    public var deadPeerAction: DeadPeerAction = .restart
    public var encapsulation: EncapsulationPolicy = .automatic
    /// TCP in place of UDP (RFC 9329).
    public var tcp = TCPPolicy()
    /// Whether IKE fragmentation (RFC 7383) is offered.
    public var fragmentation = true
    /// Largest IP datagram of a fragment, in octets.
    public var fragmentSize = 1280
    /// Whether protected messages are written with extended payload headers (draft-smyslov-ipsecme-ikev2-extended-pld).
    public var extendedPayloads = ExtendedPayloadPolicy()
    /// Whether INITIAL_CONTACT goes with an IKE_AUTH of ours when no other IKE SA between the two identities is known here:
    /// the peer then drops what it has left of such.
    public var sendsInitialContact = true
    /// Pools that the peer is given addresses from, tried in this order. It has to ask for one; the selectors of children that
    /// lie in a pool become its address.
    public var addressPools: [AddressPool] = []
    /// Addresses that we ask the peer for, at most one of each family. The local selectors of children become what it gives.
    public var virtualAddresses: [VirtualAddress] = []
    /// What becomes of resolvers that the peer gives us along with addresses.
    public var resolvers = ResolverPolicy()
    /// Whether tickets are asked for, given and used (RFC 5723).
    public var resumption = false
    /// Whether rekeys that change nothing are asked for in few octets, if the peer can do that too
    /// (draft-ietf-ipsecme-ikev2-sa-ts-payloads-opt).
    public var optimizedRekey = false
    /// What is told of packets that come in fragments or are too large (draft-liu-ipsecme-ikev2-mtu-dect); `nil` for nothing.
    public var linkMTUNotification: LinkMTUPolicy?
    /// Whether addresses may change while the SA is up (RFC 4555).
    public var mobility = true
    /// Whether a peer that says it has moved must answer at its new address before packets are sent there (RFC 4555
    /// section 3.7).
    public var checksReturnRoutability = true
    /// Where callers are sent in place of being served, if they can be redirected (RFC 5685).
    public var redirect: GatewayIdentity?
    /// Whether we go where the peer sends us (RFC 5685).
    public var followsRedirects = true
    /// Whether the first child SA comes with IKE_AUTH (RFC 6023).
    public var childless: ChildlessPolicy = .accept
    /// Equal for two configurations exactly when nothing in them differs: whoever reads the configuration makes it. A
    /// connection whose fingerprint is unchanged keeps running when the configuration is applied again.
    public var fingerprint = ""
    /// Where each setting was written, by key path below the connection (`"ike"`, `"remote.id"`, …).
    public var origins: [String: Origin] = [:]

    public init(
        name: String, origin: Origin, localIdentity: Identity, remoteIdentity: Identity?,
        localAuthentication: LocalAuthentication, remoteAuthentication: RemoteAuthentication
    ) {
        self.name = name
        self.origin = origin
        self.localIdentity = localIdentity
        self.remoteIdentity = remoteIdentity
        self.localAuthentication = localAuthentication
        self.remoteAuthentication = remoteAuthentication
    }

    /// Where `key` was written, or where the connection begins if it has its default.
    public func origin(of key: String) -> Origin { origins[key] ?? origin }

    /// Whether a peer may be this, once it has proved it.
    func accepts(_ identity: Identity) -> Bool {
        guard NullAuthentication.allows(identity, for: self) else { return false }
        guard peerSecrets.isEmpty || secret(of: identity) != nil else { return false }
        return remoteIdentity.map { $0.matches(identity) } ?? remotePattern.map { $0.matches(identity) } ?? true
    }

    private func secret(of identity: Identity) -> SecretOctets? {
        peerSecrets.first { $0.identity.matches(identity) }?.secret
    }

    /// The connection as it is with one peer: with the key that the two share.
    func resolved(for identity: Identity) -> ConnectionConfiguration {
        guard let secret = secret(of: identity) else { return self }
        var result = self
        if case .preSharedKey = remoteAuthentication { result.remoteAuthentication = .preSharedKey(secret) }
        if case .preSharedKey = localAuthentication { result.localAuthentication = .preSharedKey(secret) }
        return result
    }

    /// Who the peer may be, in words.
    public var wantedPeer: String {
        remoteIdentity?.description ?? remotePattern?.description ?? (peerSecrets.isEmpty ? "any" : "one with a secret")
    }

    /// Peers come to us from anywhere, and there may be several of them at once.
    public var takesSeveralPeers: Bool { acceptsAnyRemoteAddress && remoteIdentity == nil }
}

/// The pre-shared key of one peer.
public struct PeerSecret: Sendable {
    public var identity: Identity
    public var secret: SecretOctets

    public init(_ identity: Identity, _ secret: SecretOctets) {
        self.identity = identity
        self.secret = secret
    }
}

/// How we prove our identity.
public enum LocalAuthentication: Sendable {
    case preSharedKey(SecretOctets)
    case certificate(CertificateIdentity)
    /// By nothing (RFC 7619).
    case anonymous
}

/// How the peer must prove its identity.
public enum RemoteAuthentication: Sendable {
    case preSharedKey(SecretOctets)
    case certificate(TrustAnchors)
    /// By nothing: every peer is accepted, whoever it is (RFC 7619).
    case anonymous
}

/// Durations of a connection.
public struct ConnectionTiming: Sendable, Hashable {
    /// The IKE SA is rekeyed after this long, less a random part of up to ``jitter``; `nil` for never.
    public var rekeyAfter: Duration? = .seconds(4 * 3600)
    /// The largest fraction of a lifetime that is taken off at random, 0 to 0.5.
    public var jitter = 0.1
    /// An SA that could not be rekeyed is closed after this fraction of its lifetime beyond the rekey time.
    public var overtime = 0.1
    /// The peers authenticate each other again after this long (RFC 4478); `nil` for never, unless the peer wants it.
    public var reauthenticateAfter: Duration?
    /// How long a ticket that we give is good for.
    public var ticketLifetime: Duration = .seconds(3600)
    /// Quiet time after which the peer is asked for a sign of life; `nil` for never.
    public var livenessInterval: Duration? = .seconds(30)
    public var retransmission = RetransmissionPolicy()
    /// First pause before another attempt to set the connection up; doubled each time up to ``retryLimit``.
    public var retryInitial: Duration = .seconds(1)
    public var retryLimit: Duration = .seconds(60)
    /// Interval of NAT keepalives (RFC 3948 section 4) while we are behind a NAT.
    public var natKeepalive: Duration = .seconds(20)

    public init() {}
}

/// When an unanswered request is sent again, and when the peer is given up (RFC 7296 section 2.4).
public struct RetransmissionPolicy: Sendable, Hashable {
    /// Time from the first sending to the second.
    public var initial: Duration = .milliseconds(500)
    /// Each wait is this many times the one before.
    public var factor = 1.8
    /// The longest wait.
    public var limit: Duration = .seconds(30)
    /// How often a request is sent again before the peer counts as dead.
    public var tries = 8

    public init() {}

    /// The wait after sending number `attempt`, counted from 0.
    func wait(afterAttempt attempt: Int) -> Duration {
        var seconds = initial.inSeconds
        for _ in 0..<min(attempt, 64) { seconds = min(seconds * factor, limit.inSeconds) }
        return .nanoseconds(Int64(seconds * 1e9))
    }

    /// From the first sending of a request to the time when its answer is no longer waited for.
    package var total: Duration {
        (0...max(0, min(tries, 1000))).reduce(.zero) { $0 + wait(afterAttempt: $1) }
    }
}
