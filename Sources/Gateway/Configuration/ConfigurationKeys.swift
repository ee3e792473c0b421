// Every key a configuration may hold, by the mapping it stands in. `docs/configuration.md` describes each.
import IKEMessage

enum TopLevelKey: String, ConfigurationKey {
    case include, daemon, authorities, pools, defaults, connections, policies
    case codePoints = "code-points"
}

enum DaemonKey: String, ConfigurationKey {
    case ikePort = "ike-port"
    case natPort = "nat-port"
    case tcpPorts = "tcp-ports"
    case listen, device
    case control
    case logLevel = "log-level"
    case tls
    case state, limits, revocation, dataplane
}

/// Of the gateway that is called.
enum TLSListeningKey: String, ConfigurationKey {
    case ports, certificate
}

enum DataplaneKey: String, ConfigurationKey {
    case offloads, ciphers, workers
}

enum ControlKey: String, ConfigurationKey {
    case socket, group
}

enum LimitKey: String, ConfigurationKey {
    case halfOpen = "half-open"
    case halfOpenPerAddress = "half-open-per-address"
    case halfOpenTimeout = "half-open-timeout"
    case anonymous
    case peersPerConnection = "peers-per-connection"
    case cookieThreshold = "cookie-threshold"
    case puzzleThreshold = "puzzle-threshold"
    case puzzleThresholdPerNetwork = "puzzle-threshold-per-network"
    case puzzleDifficulty = "puzzle-difficulty"
    case negotiations
}

enum RevocationKey: String, ConfigurationKey {
    case files, fetch, timeout
    case privateAddresses = "private-addresses"
}

enum ConnectionKey: String, ConfigurationKey {
    case local, remote
    case auth, secret, certificate, authorities, revocation
    case ike, esp, pfs, esn, mode
    case postQuantum = "post-quantum"
    case announceAuth = "announce-auth"
    case downgradePrevention = "downgrade-prevention"
    case ppk
    case ppkRequired = "ppk-required"
    case ppkExchange = "ppk-exchange"
    case ppkInRekeys = "ppk-in-rekeys"
    case children, childless, resumption, mobike
    case optimizedRekey = "optimized-rekey"
    case mtuNotification = "mtu-notification"
    case linkMTU = "link-mtu"
    case largestPacket = "largest-packet"
    case returnRoutability = "return-routability"
    case redirect
    case followRedirect = "follow-redirect"
    case dns
    case start, lifetimes
    case deadPeer = "dead-peer"
    case retry, retransmission
    case encapsulation, tcp, fragmentation
    case fragmentSize = "fragment-size"
    case extendedPayloads = "extended-payloads"
    case extendedPayloadsMaximum = "extended-payloads-maximum"
    case initialContact = "initial-contact"
    case natKeepalive = "nat-keepalive"
    case replayWindow = "replay-window"
    case antiReplaySubspaces = "anti-replay-subspaces"
    case subspaceCount = "subspace-count"
    case tfc
    case copyDSCP = "copy-dscp"
    case label
    case labelRequired = "label-required"
    case dscp
    case dscpForm = "dscp-form"
    case dscpRequired = "dscp-required"
    case perResource = "per-resource"
}

enum LocalKey: String, ConfigurationKey {
    case address, id, auth, secret, certificate, subnets
    case virtualAddresses = "virtual-addresses"
}

enum RemoteKey: String, ConfigurationKey {
    case address, id, auth, secret, secrets, authorities, subnets, pool, port
    case natPort = "nat-port"
}

enum PPKKey: String, ConfigurationKey {
    case id, secret
}

enum SecretKey: String, ConfigurationKey {
    case file, encoding
}

enum CertificateKey: String, ConfigurationKey {
    case file, key, intermediates
}

enum ChildKey: String, ConfigurationKey {
    case local, remote, esp, pfs, esn, mode, start, lifetimes
    case replayWindow = "replay-window"
    case antiReplaySubspaces = "anti-replay-subspaces"
    case subspaceCount = "subspace-count"
    case tfc
    case copyDSCP = "copy-dscp"
    case label
    case labelRequired = "label-required"
    case dscp
    case dscpForm = "dscp-form"
    case dscpRequired = "dscp-required"
    case perResource = "per-resource"
}

enum LifetimeKey: String, ConfigurationKey {
    case ike, child, reauthentication, ticket
    case childOctets = "child-octets"
    case childPackets = "child-packets"
    case jitter, overtime
}

enum DeadPeerKey: String, ConfigurationKey {
    case interval, action
}

enum TCPKey: String, ConfigurationKey {
    case use, ports, tls, probe
}

/// Of the peer that calls.
enum TLSKey: String, ConfigurationKey {
    case ports, name, authorities
}

enum RetryKey: String, ConfigurationKey {
    case first, limit
}

enum RetransmissionKey: String, ConfigurationKey {
    case first, factor, limit, tries
}

enum PolicyKey: String, ConfigurationKey {
    case action, local, remote, place
}

/// What a configuration may hold, for those who document or complete it.
package enum ConfigurationReference {
    /// The keys of each mapping.
    package static let keys: [String: [String]] = [
        "the top level": TopLevelKey.words, "daemon": DaemonKey.words, "control": ControlKey.words,
        "limits": LimitKey.words, "code-points": OpenCodePoint.words, "revocation": RevocationKey.words,
        "a connection": ConnectionKey.words,
        "local": LocalKey.words,
        "remote": RemoteKey.words, "secret": SecretKey.words, "a ppk": PPKKey.words,
        "certificate": CertificateKey.words,
        "a child": ChildKey.words, "lifetimes": LifetimeKey.words, "dead-peer": DeadPeerKey.words,
        "tcp": TCPKey.words, "daemon.tls": TLSListeningKey.words, "tcp.tls": TLSKey.words, "retry": RetryKey.words,
        "retransmission": RetransmissionKey.words,
        "policies": PolicyKey.words,
        "a pool": PoolKey.words, "a domain of a pool": DomainKey.words,
        "encrypted-dns": EncryptedDNSKey.words, "dns": DNSKey.words,
    ]

    /// The words of proposals.
    package static var algorithms: [String] { ProposalSyntax.allWords }
}
