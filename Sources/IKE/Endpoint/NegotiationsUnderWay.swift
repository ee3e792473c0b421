import Octets

/// A negotiation that has not ended: its course so far, and what it waits for.
public struct NegotiationUnderWay: Sendable {
    public var narrative: Narrative
    public var waitsFor: String
    /// When what it waits for is no longer waited for; `nil` for a computation, which has a limit of its own.
    public var until: Instant?
}

extension Endpoint {
    /// What is being negotiated for a connection at this moment, oldest first: our own calls, and what is done on its
    /// IKE SAs. A caller that has not proved its identity is not among them.
    public func negotiationsUnderWay(of connection: String) -> [NegotiationUnderWay] {
        (connections[connection]?.sas ?? []).compactMap { sas[$0]?.negotiationUnderWay }
    }
}

extension IKESA {
    fileprivate var negotiationUnderWay: NegotiationUnderWay? {
        guard !narrative.isFinished, let (waitsFor, until) = whatIsWaitedFor else { return nil }
        return NegotiationUnderWay(narrative: narrative, waitsFor: waitsFor, until: until)
    }

    private var whatIsWaitedFor: (String, Instant?)? {
        switch state {
        case .initiating(let initial):
            switch initial.phase {
            case .makingKey: return ("our \(initial.method.name) key to be made", nil)
            case .awaitingStream: return ("a TCP connection to \(path.remote)", initial.until)
            case .agreeing: return ("the shared secret to be computed", nil)
            case .earningCookie: return ("what was demanded beside the cookie to be computed", nil)
            case .awaitingAnswer: break
            }
            if let doubt = initial.doubt { return ("a better answer than \"\(doubt.refusal.reason)\"", doubt.until) }
            if let demand = initial.cookieDemand { return ("a moment, before the cookie is returned", demand.until) }
            return answerWaitedFor
        case .exchangingKeys(let current):
            switch current.phase {
            case .makingKey: return ("our key for an additional key exchange to be made", nil)
            case .agreeing: return ("the secret of an additional key exchange to be computed", nil)
            case .awaitingAnswer: return answerWaitedFor
            }
        case .resuming: return answerWaitedFor
        case .proving(let proving):
            switch proving.phase {
            case .signing, .signingWithoutPPK: return ("our signature to be computed", nil)
            case .verifying: return ("the peer's certificate and signature to be checked", nil)
            case .awaitingAnswer: return answerWaitedFor
            }
        case .established(let established):
            guard established.outgoing != nil || established.incoming != nil else { return nil }
            return answerWaitedFor ?? ("a computation", nil)
        case .answering, .admitting, .closing, .closed: return nil
        }
    }

    private var answerWaitedFor: (String, Instant?)? {
        guard let outstanding = window.outstanding else { return nil }
        let tries = timing.retransmission.tries
        let sent = outstanding.attempt == 0 ? "sent once" : "sent \(outstanding.attempt + 1) times of \(tries + 1)"
        return ("the peer's answer to \(outstanding.exchange), \(sent)", outstanding.resendAt)
    }
}
