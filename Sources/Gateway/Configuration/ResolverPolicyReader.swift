import IKE

enum DNSKey: String, ConfigurationKey {
    case use, domains
    case trustAnchors = "trust-anchors"
    case digests
}

extension ResolverUse: ConfigurationKey {}

/// Reads a connection's `dns`: what becomes of the resolvers that its peer gives us.
struct ResolverPolicyReader {
    private let dns: LayeredMapping<DNSKey>
    /// Where the connection itself, not the defaults, says something.
    private let own: ConfigurationNode?

    init(_ settings: LayeredMapping<ConnectionKey>) {
        dns = settings.nested(.dns, as: DNSKey.self)
        own = settings.mappings.first?[.dns]
    }

    /// - Parameters:
    ///   - asksForAddresses: the connection has `virtual-addresses`, without which the peer is asked for nothing.
    ///   - peerIsAnonymous: the peer is accepted without proof of who it is.
    func policy(asksForAddresses: Bool, peerIsAnonymous: Bool) -> ResolverPolicy {
        var policy = ResolverPolicy()
        if let use = dns[.use]?.word(ResolverUse.self, what: "use of resolvers") { policy.use = use }
        policy.domains = dns[.domains]?.elements.compactMap { Self.domain($0, mayBeRoot: true) } ?? []
        policy.trustAnchors = dns[.trustAnchors]?.elements.compactMap { Self.domain($0, mayBeRoot: false) } ?? []
        if let node = dns[.digests] {
            let isNone = node.node.sequence?.isEmpty == true
            policy.digestHashes =
                isNone ? [] : node.elements.compactMap { $0.word(DigestHash.self, what: "hash algorithm")?.algorithm }
        }
        if let own, !asksForAddresses {
            own.error("the peer is asked for resolvers along with addresses; give \"local.virtual-addresses\"")
        }
        guard policy.use == .resolved, let useNode = dns[.use] else { return policy }
        if dns[.domains]?.elements.isEmpty ?? true {
            useNode.error(
                "systemd-resolved needs \"domains\": those that the peer's resolvers may be asked for, as in corp.example, or \".\" for every name"
            )
        }
        if peerIsAnonymous {
            useNode.warning(
                "nothing is set: of a peer without proof of who it is no resolvers are taken (RFC 8598 section 9)")
        }
        return policy
    }

    /// A domain, or the root as `.`.
    private static func domain(_ node: ConfigurationNode, mayBeRoot: Bool) -> String? {
        guard let text = node.text(expected: "a domain such as corp.example") else { return nil }
        if text == "." {
            if mayBeRoot { return text }
            node.error("trust anchors of the root are nobody's to give (RFC 8598 section 6)")
            return nil
        }
        let name = text.hasSuffix(".") ? String(text.dropLast()) : text
        guard DomainName.isDomain(name) else {
            node.error(
                "\(quoted(text)) is not a domain; expected letters, digits and hyphens as in corp.example (xn-- for others)"
            )
            return nil
        }
        if !name.contains(".") {
            node.warning("\(name) is a whole top-level domain: the peer may answer for everything in it")
        }
        return name
    }
}
