import IKEMessage

/// Why something was not agreed, in terms a person can act on.
public struct Refusal: Error, Hashable, Sendable {
    /// The kind of failure: what a program tells apart, for example by an exit status.
    public enum Cause: String, Hashable, Sendable, CaseIterable {
        /// No answer within the retransmissions.
        case peerSilent
        /// The peer has lost the SA and proved it.
        case peerRestarted
        case authenticationFailed
        /// No proposal, key exchange method or algorithm in common.
        case noProposal
        case unacceptableSelectors
        /// A certificate: not trusted, expired, or for another name.
        case certificate
        /// The answer breaks the protocol.
        case protocolViolation
        /// The peer refused for a reason of another kind.
        case refusedByPeer
        /// A person, or a new configuration, ended it.
        case administrative
        /// The peer's name cannot be resolved to an address.
        case unresolvedName
        /// No configured connection fits.
        case noConnection
        /// Something of ours failed: no address, no memory, the data plane.
        case local
    }

    public enum Side: Hashable, Sendable {
        /// We decided, and know why.
        case us
        /// The peer decided; all we know is the notify.
        case peer
    }

    public var cause: Cause
    public var decidedBy: Side
    /// One sentence: what was received, and what would have been acceptable.
    public var reason: String
    /// The configuration lines that decided it, or that should be compared with the peer's.
    public var origins: [Origin]
    /// What the wire says of it.
    var notify: NotifyType?

    init(
        _ cause: Cause, by side: Side = .us, _ reason: String, at origins: [Origin] = [], notify: NotifyType? = nil
    ) {
        self.cause = cause
        self.decidedBy = side
        self.reason = reason.bounded
        self.origins = origins
        self.notify = notify
    }
}

extension Refusal: CustomStringConvertible {
    public var description: String {
        origins.isEmpty ? reason : "\(reason) [\(origins.map(\.description).joined(separator: "; "))]"
    }
}
