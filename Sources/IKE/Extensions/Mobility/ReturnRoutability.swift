// RFC 4555 section 3.7: the responder sends nothing to an address that has not answered.
import IKEMessage
import IPPacket
import Octets

extension Mobility {
    /// An address of the peer's that has to be proved.
    struct Check {
        let way: Path
        /// After this many sendings the address is given up; `nil`: after all that the connection allows.
        let patience: Int?
        /// What was sent there, once it was.
        var sent: Sent?

        struct Sent {
            let way: Path
            let cookie: [UInt8]
        }
    }

    /// How often an address is tried of which only packets tell: about six seconds.
    private static let patienceForPackets = 4

    /// Goes over to `way` when the peer has answered there. Until then packets take the way they took.
    static func check(_ way: Path, patience: Int?, of sa: IKESA) {
        let sent = sa.slots[Self.self]?.check?.sent
        sa.slots[Self.self]?.check = Check(way: way, patience: patience, sent: sent)
        sa.relaunch()
        guard !isQueued(.check, of: sa) else { return }
        // Begun when the answer to the request at hand has been sent.
        _ = sa.withEstablished { $0.tasks.insert(notice(.check), at: 0) }
    }

    static func beginCheck(of sa: IKESA) -> [Payload]? {
        guard var state = sa.slots[Self.self], var check = state.check else { return nil }
        let cookie = newCookie(sa.context)
        check.sent = Check.Sent(way: check.way, cookie: cookie)
        state.check = check
        sa.slots[Self.self] = state
        return [.notify(NotifyPayload(type: .cookie2, data: cookie))]
    }

    static func finishCheck(with answer: Authenticated, of sa: IKESA) {
        guard let check = sa.slots[Self.self]?.check, let sent = check.sent,
            returns(sent.cookie, answer, of: sa)
        else { return }
        // The peer has moved again meanwhile; what is known now is of no use.
        guard sent.way.hasSameEnds(as: check.way) else { return }
        sa.slots[Self.self]?.check = nil
        sa.tell(.note, "the peer has answered at \(check.way.remote)")
        var way = check.way
        way.believe()
        sa.changePath(to: way)
    }

    /// The check itself goes where it is to prove something, until that is given up; anything else that waits for an answer
    /// meanwhile goes both ways, in turn.
    static func wayOfRequest(attempt: Int, during check: Check, of sa: IKESA) -> Path? {
        guard case .notice(let notice) = sa.established?.outgoing, notice.owner == Self.self,
            notice.subject == Subject.check.rawValue
        else { return attempt.isMultiple(of: 2) ? check.way : nil }
        if let patience = check.patience, attempt >= patience {
            sa.slots[Self.self]?.check = nil
            return nil
        }
        return check.way
    }

    /// The peer does not answer where it says it is. The request must be answered before there can be another, so it goes to
    /// where the peer was; as an answer from there it proves nothing.
    static func findOtherWay(for sa: IKESA) -> Bool {
        guard let check = sa.slots[Self.self]?.check else { return false }
        sa.slots[Self.self]?.check = nil
        sa.tell(.note, "the peer does not answer at \(check.way.remote)")
        return true
    }

    /// Behind a NAT, packets from another port are followed at once, as RFC 7296 section 2.23 wants; from another
    /// address, when the peer has answered there. The side that decides follows no packets: the peer tells its addresses.
    static func follow(espFrom remote: SocketAddress, by stream: StreamID?, of sa: IKESA) -> Bool {
        guard stream == nil, let state = sa.slots[Self.self], remote.address != sa.path.remote.address else {
            return false
        }
        guard !state.decides else { return true }
        guard sa.connection?.checksReturnRoutability ?? true else { return false }
        guard state.check?.way.remote != remote else { return true }
        // What the peer itself has said counts for more.
        if let check = state.check, check.patience == nil { return true }
        var way = sa.path
        way.remote = remote
        check(way, patience: patienceForPackets, of: sa)
        sa.runNextTask()
        return true
    }
}
