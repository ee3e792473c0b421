// RFC 4301 section 4.4.1: what a policy that several peers fill in asks of each. No code points.
import Credentials
import IKEMessage
import IPPacket
import IPsecPolicy

/// Of several peers that one connection takes, none gets traffic that another has: each keeps what it was first to have.
///
/// A peer is who it has proved to be. One without identity is known by nothing but its IKE SA, and those that replace
/// it: its address is no proof, as others may have it too, behind the same NAT.
enum DistinctPeers: IKEExtension {
    fileprivate struct Peer: Hashable {
        let identity: Identity
        /// Of one without identity.
        let instance: Int?
    }

    struct Shared {
        fileprivate var claims: [UInt32: [UInt32: Claim]] = [:]
    }

    fileprivate struct Claim {
        let peer: Peer
        let name: String
        let selectors: [TrafficSelector]
    }

    private static func peer(of sa: IKESA) -> Peer? {
        guard sa.connection?.takesSeveralPeers == true, let identity = sa.established?.remoteIdentity else {
            return nil
        }
        return Peer(identity: identity, instance: identity == .anonymous ? sa.instance : nil)
    }

    static func settle(
        _ terms: inout ChildTerms, of child: ChildConfiguration, by payloads: [Payload], isOffer: Bool, of sa: IKESA
    ) throws(Refusal) {
        guard let peer = peer(of: sa), let claims = sa.context.shared[Self.self]?.claims[child.policyID] else { return }
        for claim in claims.values where claim.peer != peer {
            for selector in terms.remoteSelectors {
                guard let common = claim.selectors.lazy.compactMap({ selector.intersection($0) }).first else {
                    continue
                }
                throw Refusal(
                    .unacceptableSelectors, "the peer wants \(common), which is that of another peer, \(claim.name)",
                    at: [child.origin(of: "remote")], notify: .tsUnacceptable)
            }
        }
    }

    static func added(_ child: ChildSA, to sa: IKESA) {
        guard let peer = peer(of: sa) else { return }
        change(sa) {
            $0.claims[child.configuration.policyID, default: [:]][child.inboundSPI] = Claim(
                peer: peer, name: peer.identity == .anonymous ? "at \(sa.path.remote.address)" : "\(peer.identity)",
                selectors: child.description.remoteSelectors)
        }
    }

    static func removed(_ child: ChildSA, from sa: IKESA) {
        let policy = child.configuration.policyID
        guard sa.context.shared[Self.self]?.claims[policy]?[child.inboundSPI] != nil else { return }
        change(sa) {
            $0.claims[policy]?[child.inboundSPI] = nil
            if $0.claims[policy]?.isEmpty == true { $0.claims[policy] = nil }
        }
    }

    private static func change(_ sa: IKESA, _ body: (inout Shared) -> Void) {
        // Taken out meanwhile, so that it is changed in place.
        var shared = sa.context.shared[Self.self] ?? Shared()
        sa.context.shared[Self.self] = nil
        body(&shared)
        sa.context.shared[Self.self] = shared
    }
}
