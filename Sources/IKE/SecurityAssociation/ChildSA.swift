import IKEMessage
import IPsecPolicy
import Octets

/// A pair of ESP SAs, as the IKE SA that made it keeps it.
struct ChildSA {
    enum State: String {
        case installed
        /// We have asked the peer to replace it.
        case rekeying
        /// A replacement is there; the old pair awaits its deletion.
        case rekeyed
        /// We have sent, or are about to send, its deletion.
        case deleting
    }

    /// A replacement that the peer made for this child.
    struct Replacement {
        var inboundSPI: UInt32
        /// The lower of the two nonces of the exchange (RFC 7296 section 2.8.1).
        var lowestNonce: [UInt8]
    }

    var configuration: ChildConfiguration
    var description: ChildSADescription
    /// What was agreed on, in whichever rekey before this pair: what a rekey that changes nothing passes on.
    let terms: ChildTerms
    /// The exchange that made it. In IKE_AUTH it is left open whether a rekey has a key exchange of its own.
    let exchange: ExchangeType
    var establishedAt: Instant
    var rekeyAt: Instant?
    var expiresAt: Instant?
    var state: State = .installed
    /// Set when packets began to leave through this pair: of all pairs of a policy they take the one with the highest.
    var outboundRank: UInt64?
    /// Made by the peer's rekey of this child, while it was not decided whose replacement stays.
    var peerReplacement: Replacement?
    /// Made by our own rekey of this child.
    var ownReplacement: Replacement?
    /// The child this one replaces, for as long as that is there.
    var replaces: UInt32?
    /// When the old pair is to be deleted, once its replacement has taken over.
    var deleteAt: Instant?

    var inboundSPI: UInt32 { description.inboundSPI }
    var outboundSPI: UInt32 { description.outboundSPI }
    /// Whether this pair is there to stay, as far as is known.
    var isCurrent: Bool { state == .installed || state == .rekeying }

    /// Whether this pair carries none of the classes of packets (DSCP) that a child is asked for.
    func isForOtherClasses(than wanted: ChildConfiguration) -> Bool {
        guard let own = terms.classes, let others = wanted.classes?.values else { return false }
        return own.intersection(others).isEmpty
    }

    /// Whether both are of one group for the same traffic.
    func sharesTraffic(with other: ChildSA) -> Bool {
        configuration.place != nil && configuration.place?.group == other.configuration.place?.group
    }

    func status() -> ChildSAStatus {
        ChildSAStatus(
            name: configuration.name, inboundSPI: inboundSPI, outboundSPI: outboundSPI, suite: description.suite,
            mode: description.mode, localSelectors: description.localSelectors.summary,
            remoteSelectors: description.remoteSelectors.summary, distinctions: description.distinctions,
            securityLabel: description.securityLabel, dscp: description.dscp, sentDSCP: description.sentDSCP,
            peerDSCP: description.peerDSCP, subspaces: description.subspaces, place: description.place,
            isEncapsulatedInUDP: description.isEncapsulatedInUDP, isInTCP: description.stream != nil,
            establishedAt: establishedAt, rekeyAt: rekeyAt,
            expiresAt: expiresAt, state: state.rawValue)
    }
}

/// Whether `left` is the lower nonce: octet by octet, a prefix being lower (RFC 7296 section 2.8.1).
func isLower(_ left: [UInt8], than right: [UInt8]) -> Bool { left.lexicographicallyPrecedes(right) }
