import Credentials
import IKEMessage
import Octets

/// What an IKE SA has once both sides are authenticated.
struct Established {
    /// Something to be done by an exchange of ours, when the one under way has ended.
    enum Task {
        case createChild(ChildConfiguration)
        case rekeyChild(inboundSPI: UInt32)
        case rekeyIKE
        case deleteChild(inboundSPI: UInt32, reason: String)
        case deleteIKE(reason: String)
        case liveness
        case notice(ExtensionNotice)

        /// Whether the task waits where many negotiations are under way.
        var needsTurn: Bool {
            switch self {
            case .createChild, .rekeyChild, .rekeyIKE: true
            case .deleteChild, .deleteIKE, .liveness, .notice: false
            }
        }

        /// Whether the task goes along to the SA that replaces this one.
        var goesAlong: Bool {
            switch self {
            case .createChild, .rekeyChild, .deleteChild, .deleteIKE, .notice: true
            case .rekeyIKE, .liveness: false
            }
        }
    }

    /// The exchange of ours that is under way.
    enum Outgoing {
        case child(ChildCreation)
        case rekeyIKE(IKERekey)
        case deleteChild(inboundSPI: UInt32, reason: String)
        case deleteIKE(reason: String)
        case liveness
        case notice(ExtensionNotice)
    }

    /// The peer's exchange whose answer waits for a computation.
    enum Incoming {
        case child(ChildAnswer)
        case rekeyIKE(IKERekeyAnswer)
    }

    let localIdentity: Identity
    let remoteIdentity: Identity
    let establishedAt: Instant
    /// When the peers have authenticated each other; the IKE SA may be a later one, made by rekeying.
    var authenticatedAt: Instant
    var rekeyAt: Instant?
    var expiresAt: Instant?
    var children: [ChildSA] = []
    var tasks: [Task] = []
    var outgoing: Outgoing?
    var incoming: Incoming?
    /// What the peer has begun by CREATE_CHILD_SA and goes on with by IKE_FOLLOWUP_KE.
    var unfinished: UnfinishedAnswer?
    /// How often in a row the peer has forgotten what we were to go on with by IKE_FOLLOWUP_KE.
    var forgottenChains = 0
    /// Inbound SPIs of pairs that the peer has made and we have not taken on, until the peer has deleted them.
    var undone: Set<UInt32> = []
    /// Names of children that are being taken down, for as long as there is one, or one in the making.
    var takenDown: Set<String> = []
    /// How often packets have been sent another way: see ``ChildSA/outboundRank``.
    var activations: UInt64 = 0
    /// Inbound SAs of deleted children that packets on their way may still need, and when they go.
    var lingering: [(inboundSPI: UInt32, until: Instant)] = []
    /// The IKE SA the peer made to replace this one, and the lower nonce of its exchange.
    var peerReplacement: (sa: IKESA, lowestNonce: [UInt8])?
    /// This SA has been replaced, or does not replace another yet: it takes no new exchanges but its deletion.
    var isReplaced = false
    /// When this SA, in whose place another has been set up, is deleted.
    var retireAt: Instant?
    /// It is being deleted by us.
    var isEnding: Bool {
        if case .deleteIKE = outgoing { return true }
        return tasks.contains { if case .deleteIKE = $0 { true } else { false } }
    }

    init(localIdentity: Identity, remoteIdentity: Identity, at now: Instant) {
        self.localIdentity = localIdentity
        self.remoteIdentity = remoteIdentity
        establishedAt = now
        authenticatedAt = now
    }

    func child(inboundSPI: UInt32) -> ChildSA? { children.first { $0.inboundSPI == inboundSPI } }
    func child(outboundSPI: UInt32) -> ChildSA? { children.first { $0.outboundSPI == outboundSPI } }

    /// How long a deleted child's inbound SA is kept for packets that are still on their way.
    static let lingeringTime: Duration = .seconds(3)
    /// How long the old pair is kept after our rekey, so that what is on its way in both directions arrives.
    static let handoverTime: Duration = .seconds(1)
    /// How long the peer that set up a new IKE SA is given to delete the old one.
    static let retirementTime: Duration = .seconds(10)
}

extension IKESA {
    /// Changes what belongs to an established SA; nothing happens in any other state.
    func withEstablished<R>(_ change: (inout Established) -> R) -> R? {
        guard case .established(var established) = state else { return nil }
        // Leaves the only reference to the arrays in `established`, so that they are changed in place.
        state = .closed
        defer { state = .established(established) }
        return change(&established)
    }

    var established: Established? {
        if case .established(let established) = state { established } else { nil }
    }
}
