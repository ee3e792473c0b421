import IPPacket

/// What a security association protects of a packet (RFC 4301, section 4.1; RFC 4303, section 3.1).
public enum SAMode: Hashable, Sendable {
    /// The whole packet, which travels in another one between the ends of the association.
    case tunnel
    /// What stands behind the IP header of packets between the ends themselves.
    case transport(TransportHosts)

    @inlinable
    public var isTransport: Bool {
        switch self {
        case .tunnel: false
        case .transport: true
        }
    }

    /// `tunnel` or `transport`.
    public var name: String { isTransport ? "transport" : "tunnel" }
}

/// The two ends of an association in transport mode: by their addresses in packets as this host sends and expects them, which
/// its selectors have too, and as the peer does. All of one family.
///
/// With a NAT between them, the ends see each other at other addresses than their own. Checksums of TCP and UDP cover the
/// addresses, so the receiver has to know which ones the sender saw (RFC 7296, section 2.23.1; RFC 3948, section 3.1.2).
public struct TransportHosts: Hashable, Sendable {
    /// This host and the peer, in packets as this host sends and expects them.
    public var local: IPAddress
    public var remote: IPAddress
    /// The same two in packets as the peer sends and expects them.
    public var localAtPeer: IPAddress
    public var remoteAtPeer: IPAddress
    /// Whether it is not known what addresses the peer's packets have, because it names an end by an address that it cannot see
    /// it at: then received TCP and UDP get new checksums.
    public var isTranslationUnknown: Bool

    public init(
        local: IPAddress, remote: IPAddress, localAtPeer: IPAddress? = nil, remoteAtPeer: IPAddress? = nil,
        isTranslationUnknown: Bool = false
    ) {
        self.local = local
        self.remote = remote
        self.localAtPeer = localAtPeer ?? local
        self.remoteAtPeer = remoteAtPeer ?? remote
        self.isTranslationUnknown = isTranslationUnknown
    }
}
