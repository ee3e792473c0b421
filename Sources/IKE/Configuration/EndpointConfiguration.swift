import IKEMessage
import IPPacket
import Octets

/// What holds for the whole endpoint, whatever the connection.
public struct EndpointConfiguration: Sendable {
    /// Our ports for IKE and for NAT traversal.
    public var ikePort: UInt16 = 500
    public var natPort: UInt16 = 4500
    /// With this many half-open SAs, an initiator must return a cookie first (RFC 7296 section 2.6).
    public var cookieThreshold = 64
    /// With more first messages than this in a second, likewise: also those cost work that begin no SA.
    public var arrivalThreshold: Int { 4 * cookieThreshold }
    /// With this many half-open SAs, or ``puzzleThresholdPerNetwork`` of them from one neighbourhood (24 bits of an IPv4 address, 48
    /// of an IPv6 address), an initiator is asked to solve a puzzle as well (RFC 8019).
    public var puzzleThreshold = 512
    public var puzzleThresholdPerNetwork = 128
    /// Zero bits wanted of a puzzle when there is no room for more half-open SAs; each doubles the work. 0: no puzzles.
    public var puzzleDifficulty = 17
    /// Workers of the data plane, which find the child SAs that are theirs by the inbound SPIs; all of one IKE SA have one.
    public var packetWorkers = 1
    /// Half-open SAs allowed in all, and from one IPv4 address or 64 bits of an IPv6 address.
    public var halfOpenLimit = 1024
    public var halfOpenLimitPerAddress = 32
    /// Octets that half-open SAs may have us keep of messages in fragments beyond 64 KiB each, all of them together.
    public var fragmentBudget = 16 << 20
    /// A half-open SA that has not been authenticated by then is forgotten.
    public var halfOpenTimeout: Duration = .seconds(30)
    /// A computation that has not ended by then counts as failed.
    public var computationLimit: Duration = .seconds(60)
    /// Negotiations of ours whose answers are not overdue, at most: further ones wait for their turn. 128 are as many as two cores
    /// bring to an end within the time after which requests are repeated.
    public var negotiationLimit = 128
    /// Anonymous peers (RFC 7619) that each connection takes at most.
    public var anonymousLimit = 256
    /// Peers with an identity that each connection takes at most, if it takes several.
    public var peerLimit = 10_000
    /// What crash detection tokens (RFC 6290) are made from: the same after a restart, or they prove nothing. `nil`: none are
    /// made.
    public var crashDetectionSecret: SecretOctets?
    /// What tickets (RFC 5723) are sealed with: the same after a restart, or they are worth nothing. `nil`: none are given.
    public var ticketSecret: SecretOctets?
    /// What they were sealed with before: with it they are still opened. See ``Endpoint/setTicketSecrets(_:former:)``.
    public var formerTicketSecret: SecretOctets?
    /// The address of ours that packets to a peer leave from, where a connection names none; `nil`: no route.
    public var sourceAddress: @Sendable (IPAddress) -> IPAddress? = { _ in nil }
    /// Whether packets can be sent from an address that a connection names as ours.
    public var isLocalAddress: @Sendable (IPAddress) -> Bool = { _ in true }
    /// The wall clock's reading, as time since 1970, at ``Instant/origin``; used to judge certificates. See
    /// ``Endpoint/setUnixTime(atOrigin:)``.
    public var unixTimeAtOrigin: Duration = .zero
    /// Whether the driver fetches what tells the status of certificates.
    public var fetchesStatus = true
    /// The numbers for what drafts leave open.
    public var codePoints = CodePoints()
    /// Whether keys are reported in events, for an analyser of captures. Off unless the operator asks.
    public var exportsKeys = false

    public init() {}
}
