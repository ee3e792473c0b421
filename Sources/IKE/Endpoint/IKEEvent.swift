import IPPacket
import IPsecPolicy
import Octets

/// What happened, for logs, status and explanations.
public enum IKEEvent: Sendable {
    case ikeEstablished(connection: String, IKESAStatus)
    case ikeRekeyed(connection: String, IKESAStatus)
    case ikeClosed(connection: String, localSPI: UInt64, reason: String)
    case childEstablished(connection: String, ChildSAStatus)
    case childRekeyed(connection: String, old: UInt32, ChildSAStatus)
    case childClosed(connection: String, child: String, inboundSPI: UInt32, reason: String)
    /// A connection is in another state, or in the same for another reason. `deadline`: when that ends at the latest, if it is
    /// not to last.
    case connectionChanged(connection: String, ConnectionStatus.State, reason: String, deadline: Instant?)
    /// An attempt of ours failed. `child`: if only that of one child did; `nextAttempt`: when it is made again, if it is.
    case failed(connection: String?, child: String?, Refusal, nextAttempt: Instant?)
    /// A peer that has proved its identity asked for something and was refused.
    case peerRefused(connection: String?, Refusal)
    /// Somebody who has not proved an identity called and was refused. `connection`: the one it asked for, if that is known.
    case callerRefused(connection: String?, remote: SocketAddress, Refusal)
    /// A negotiation ended, well or badly. `connection` is `nil` where no configured connection fitted.
    case negotiated(connection: String?, Narrative)
    /// The peer has given us addresses and what goes along with them.
    case configurationReceived(connection: String, AssignedConfiguration)
    /// The peer did not answer and counts as dead.
    case peerDead(connection: String)
    /// An IKE SA goes on between these addresses: this host, the peer, or a NAT between them is elsewhere.
    case pathChanged(connection: String, localSPI: UInt64, local: SocketAddress, remote: SocketAddress)
    /// A peer that called us is sent to another gateway. `connection`: `nil` before it is known.
    case redirecting(connection: String?, remote: SocketAddress, to: GatewayIdentity)
    /// The gateway at `from` has sent us to another.
    case redirected(connection: String, from: SocketAddress, to: GatewayIdentity)
    /// Something was ignored that an operator may want to know of.
    case warning(connection: String?, String)
    /// Keys, for an analyser of captures; only if the configuration exports them.
    case keys(ExportedKeys)
}

/// The keys of one SA, in the terms of an analyser.
public enum ExportedKeys: Sendable {
    case ike(
        initiatorSPI: UInt64, responderSPI: UInt64, suite: IKESuite, skEi: SecretOctets, skEr: SecretOctets,
        skAi: SecretOctets, skAr: SecretOctets)
    case child(ChildSADescription)
}

/// An IKE SA as a person sees it.
public struct IKESAStatus: Sendable {
    public var localSPI: UInt64
    public var remoteSPI: UInt64
    public var isInitiator: Bool
    public var local: String
    public var remote: String
    public var localIdentity: String
    public var remoteIdentity: String
    public var suite: IKESuite
    public var isBehindNAT: Bool
    public var isPeerBehindNAT: Bool
    /// IKE and ESP go by a TCP connection (RFC 9329).
    public var isOverTCP: Bool
    /// The port at which that was called, and whether we have called it.
    public var streamPort: UInt16?
    public var isStreamOurs = false
    public var establishedAt: Instant
    public var rekeyAt: Instant?
    public var expiresAt: Instant?
    /// Whether both sides have authenticated both IKE_SA_INIT messages (draft-ietf-ipsecme-ikev2-downgrade-prevention).
    public var preventsDowngrade = false
    /// Whether both sides can do optimized rekeys (draft-ietf-ipsecme-ikev2-sa-ts-payloads-opt).
    public var optimizedRekey = false
    /// Whether both sides tell of packets that come in fragments or are too large (draft-liu-ipsecme-ikev2-mtu-dect).
    public var notifiesLinkMTU = false
    /// Octets of the largest outer packet, as the peer has told of it.
    public var outerLimit: Int?
    /// Where payload headers are extended (draft-smyslov-ipsecme-ikev2-extended-pld), octets of the longest message that the peer
    /// takes.
    public var extendedPayloads: Int?
    /// Which of the connection's peers it is, where the connection may have several: a number from 1 on that stays the same for
    /// as long as the peer is there.
    public var instance: Int?
    /// What the peer has given us, or we the peer, by configuration payloads.
    public var assignedToUs: AssignedConfiguration?
    public var assignedToPeer: AssignedConfiguration?
}

/// A child SA as a person sees it.
public struct ChildSAStatus: Sendable {
    public var name: String
    public var inboundSPI: UInt32
    public var outboundSPI: UInt32
    public var suite: ChildSuite
    public var mode: SAMode
    public var localSelectors: String
    public var remoteSelectors: String
    /// What tells the traffic apart beside its addresses, in words; empty if nothing does.
    public var distinctions: [String]
    public var securityLabel: SecurityLabel?
    /// As in ``ChildSADescription``.
    public var dscp: DSCPSet?
    public var sentDSCP: DSCPSet?
    public var peerDSCP: DSCPSet?
    public var subspaces: SubspaceCounts?
    public var place: ResourcePlace?
    /// Of an SA that has a ``place``: the worker of the data plane that it belongs to.
    public var worker: Int?
    public var isEncapsulatedInUDP: Bool
    /// ESP goes by a TCP connection (RFC 9329).
    public var isInTCP: Bool
    /// The port at which that was called, and whether we have called it.
    public var streamPort: UInt16?
    public var isStreamOurs = false
    public var establishedAt: Instant
    public var rekeyAt: Instant?
    public var expiresAt: Instant?
    /// `"installed"`, `"rekeying"`, `"rekeyed"` or `"deleting"`.
    public var state: String
    /// As in ``IKESAStatus/instance``.
    public var instance: Int?
}

/// The state of a configured connection: one of a few, since when, and why.
public struct ConnectionStatus: Sendable {
    public enum State: String, Sendable, CaseIterable {
        /// Not up, and nothing is to be done about it but by the peer or a person.
        case idle
        /// Waits for the first packet.
        case waiting
        case connecting
        case up
        /// The last attempt failed; another follows.
        case retrying
        /// The last attempt failed and none follows.
        case failed
    }

    public var name: String
    public var state: State
    public var since: Instant
    public var reason: String
    /// When the state ends at the latest: set for `connecting` and `retrying`, and for no other.
    public var deadline: Instant?
    public var refusal: Refusal?
    /// A person has taken it down, or these children of it.
    public var isHeldDown: Bool
    public var heldDownChildren: Set<String>
    public var ikeSAs: [IKESAStatus]
    public var children: [ChildSAStatus]

    /// When the next attempt is made, if one is planned.
    public var nextAttempt: Instant? { state == .retrying ? deadline : nil }
}
