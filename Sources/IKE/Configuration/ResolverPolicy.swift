import IKEMessage
import IPPacket

/// What becomes of the resolvers that a peer gives us.
public enum ResolverUse: String, Sendable, CaseIterable {
    /// They are asked for and shown.
    case show
    /// systemd-resolved is told to use them, as far as the policy allows.
    case resolved
    /// They are not asked for.
    case ignore
}

/// How far a peer may say which resolvers this host asks for what: what RFC 8598 sections 6 and 9 call local policy.
public struct ResolverPolicy: Sendable, Hashable {
    public var use: ResolverUse = .show
    /// Domains that the peer's resolvers may be asked for, each with all below it; `"."`: every name there is.
    public var domains: [String] = []
    /// Domains whose DNSSEC trust anchors may come from the peer, each with all below it.
    public var trustAnchors: [String] = []
    /// Hash algorithms of certificate digests to ask for, the best first; `nil`: all that are known where resolvers are shown, and
    /// none where systemd-resolved is to use them, which cannot check a digest.
    public var digestHashes: [HashAlgorithmID]?

    public init() {}

    /// What is asked for in ENCDNS_DIGEST_INFO.
    var wantedHashes: [HashAlgorithmID] {
        digestHashes ?? (use == .show ? [.sha2_256, .sha2_384, .sha2_512] : [])
    }
}

/// What of a peer's resolvers this host would use, and for which names.
public struct ResolverPlan: Sendable, Hashable {
    /// A resolver at one address.
    public struct Server: Sendable, Hashable, CustomStringConvertible {
        public var address: IPAddress
        /// `nil`: the protocol's own.
        public var port: UInt16?
        /// The name that a resolver proves by DNS over TLS; `nil` for one that is asked in clear, inside the tunnel.
        public var name: String?

        public init(_ address: IPAddress, port: UInt16? = nil, name: String? = nil) {
            self.address = address
            self.port = port
            self.name = name
        }

        /// As systemd-resolved writes it: `address:port#name`, IPv6 with a port in brackets.
        public var description: String {
            let place = port.map { address.family == .v6 ? "[\(address)]:\($0)" : "\(address):\($0)" } ?? "\(address)"
            return place + (name.map { "#\($0)" } ?? "")
        }
    }

    public var use: ResolverUse
    /// Either all by DNS over TLS or all in clear.
    public var servers: [Server] = []
    /// Domains they are asked for, without a dot at the end; `"."`: every name.
    public var domains: [String] = []
    /// Trust anchors that the policy allows.
    public var trustAnchors: [SplitDNSDomain] = []
    /// What of the peer's is not used, and why.
    public var remarks: [String] = []

    public init(use: ResolverUse) { self.use = use }

    public var usesTLS: Bool { servers.contains { $0.name != nil } }
    /// Whether there is anything to set: servers without a domain are asked for nothing.
    public var isUseful: Bool { !servers.isEmpty && !domains.isEmpty }

    /// What is set, in a few words.
    public var summary: String {
        guard isUseful else { return "nothing" }
        let names = domains.map { $0 == "." ? "every name" : $0 }.joined(separator: ", ")
        return "\(servers.map(\.description).joined(separator: " "))\(usesTLS ? " by TLS" : "") for \(names)"
    }
}
