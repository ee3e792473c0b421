import Octets

// Who keeps what when both sides rekey one child at once (RFC 7296 sections 2.8.1 and 2.25.1): of the two replacements,
// the one made in the exchange that has the lowest of the four nonces is deleted by the side that began that exchange; the
// other side, the winner, deletes the old pair.
extension IKESA {
    /// Our replacement for `old` is installed.
    func ownReplacementIsReady(old: UInt32, _ own: ChildSA.Replacement) {
        let peer = withEstablished { established -> ChildSA.Replacement? in
            guard let index = established.children.firstIndex(where: { $0.inboundSPI == old }) else { return nil }
            established.children[index].state = .rekeyed
            established.children[index].ownReplacement = own
            return established.children[index].peerReplacement
        }
        if case .some(.some(let peer)) = peer {
            decide(old: old, own, peer)
        } else {
            activateOutbound(own.inboundSPI)
            deleteLater(old)
        }
    }

    /// The peer's replacement for `old` is installed; ours may be on its way, or there already.
    func peerReplacementIsReady(old: UInt32, _ peer: ChildSA.Replacement) {
        let own = withEstablished { established -> ChildSA.Replacement? in
            guard let index = established.children.firstIndex(where: { $0.inboundSPI == old }) else { return nil }
            established.children[index].peerReplacement = peer
            let own = established.children[index].ownReplacement
            if own == nil, established.children[index].state == .installed {
                established.children[index].state = .rekeyed
                established.children[index].rekeyAt = nil
            }
            return own
        }
        if case .some(.some(let own)) = own { decide(old: old, own, peer) }
    }

    /// Both replacements for `old` are installed here, though not yet at the peer perhaps. The loser goes on sending as it
    /// did until it hears from the pair that stays, or loses the one it sends through.
    func decide(old: UInt32?, _ own: ChildSA.Replacement, _ peer: ChildSA.Replacement) {
        if isLower(own.lowestNonce, than: peer.lowestNonce) {
            deleteLater(own.inboundSPI)
            _ = withEstablished { established in
                if let index = established.children.firstIndex(where: { $0.inboundSPI == old }) {
                    established.children[index].deleteAt = nil
                }
            }
        } else {
            activateOutbound(own.inboundSPI)
            setChildState(peer.inboundSPI, .rekeyed)
            if let old { deleteLater(old) }
        }
    }

    /// Gives packets that are on their way through the pair time to arrive.
    private func deleteLater(_ inboundSPI: UInt32) {
        _ = withEstablished { established in
            if let index = established.children.firstIndex(where: { $0.inboundSPI == inboundSPI }),
                established.children[index].deleteAt == nil
            {
                established.children[index].state = .rekeyed
                established.children[index].deleteAt = context.now + Established.handoverTime
                // It is not used for sending any more; its end must not come before the Delete has been answered.
                established.children[index].expiresAt = nil
            }
        }
    }
}
