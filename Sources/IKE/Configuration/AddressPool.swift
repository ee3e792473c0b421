import IPPacket
import Octets

/// Addresses that are given to peers, and what they are told along with them (RFC 7296 section 2.19).
public struct AddressPool: Sendable, Hashable {
    /// The addresses from `first` to `last`, both of one family.
    public struct Range: Sendable, Hashable {
        public let first: IPAddress
        public let last: IPAddress

        /// `nil` if the addresses are of two families or in the wrong order.
        public init?(_ first: IPAddress, _ last: IPAddress) {
            guard first.family == last.family, first <= last else { return nil }
            self.first = first
            self.last = last
        }

        public func contains(_ address: IPAddress) -> Bool {
            address.family == first.family && first <= address && address <= last
        }

        /// How many addresses there are; held at the largest number where that is one less than they are.
        var count: UInt128 {
            let (count, overflow) = (last.value - first.value).addingReportingOverflow(1)
            return overflow ? .max : count
        }
    }

    public var name: String
    public var ranges: [Range]
    /// Resolvers behind us (INTERNAL_IP4_DNS, INTERNAL_IP6_DNS).
    public var dnsServers: [IPAddress] = []
    /// Domains whose names are to be asked of ``dnsServers`` and ``encryptedResolvers`` only (RFC 8598), in ASCII without a dot at the end.
    public var domains: [SplitDNSDomain] = []
    /// Resolvers behind us that are asked by DNS over TLS, HTTPS or QUIC (RFC 9464).
    public var encryptedResolvers: [EncryptedResolver] = []

    public init(name: String, ranges: [Range]) {
        self.name = name
        self.ranges = ranges
    }

    public func contains(_ address: IPAddress) -> Bool { ranges.contains { $0.contains(address) } }
}

/// A domain that has resolvers of its own (RFC 8598 section 4.1), and the keys that its zone is signed with.
public struct SplitDNSDomain: Sendable, Hashable {
    public var name: String
    public var trustAnchors: [DNSSECTrustAnchor]

    public init(_ name: String, trustAnchors: [DNSSECTrustAnchor] = []) {
        self.name = name
        self.trustAnchors = trustAnchors
    }
}

/// What a DS record says of a zone's key: the content of INTERNAL_DNSSEC_TA (RFC 8598 section 4.2).
public struct DNSSECTrustAnchor: Sendable, Hashable, CustomStringConvertible {
    public var keyTag: UInt16
    /// IANA's number of the DNSSEC algorithm, and that of the digest.
    public var algorithm: UInt8
    public var digestType: UInt8
    public var digest: [UInt8]

    public init(keyTag: UInt16, algorithm: UInt8, digestType: UInt8, digest: [UInt8]) {
        self.keyTag = keyTag
        self.algorithm = algorithm
        self.digestType = digestType
        self.digest = digest
    }

    /// As in a zone file: key tag, algorithm, digest type, digest.
    public var description: String { "\(keyTag) \(algorithm) \(digestType) \(digest.hexadecimal)" }
}

/// An address that we ask the peer for.
public enum VirtualAddress: Sendable, Hashable {
    case any(IPFamily)
    /// This one, if the peer will; else another.
    case preferred(IPAddress)

    public var family: IPFamily {
        switch self {
        case .any(let family): family
        case .preferred(let address): address.family
        }
    }
}

/// What one side has given the other by a CFG_REPLY.
public struct AssignedConfiguration: Sendable, Hashable {
    public var addresses: [IPAddress] = []
    public var dnsServers: [IPAddress] = []
    public var domains: [SplitDNSDomain] = []
    /// Resolvers by DNS over TLS, HTTPS or QUIC, the one to ask first at first (RFC 9464).
    public var encryptedResolvers: [EncryptedResolver] = []
    /// Networks behind the side that gave it; empty: it names none.
    public var subnets: [IPPrefix] = []

    public init() {}
}

/// An address of a pool that a peer has, or had.
public struct AddressLease: Sendable, Hashable {
    public var pool: String
    public var address: IPAddress
    /// Whom it is kept for; `nil` for a peer that is nobody in particular.
    public var identity: String?
    /// Whether an IKE SA has it now.
    public var isOnline: Bool
    /// When it was given, or given back.
    public var since: Instant
}
