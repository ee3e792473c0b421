import IKEMessage
import IPPacket
import Octets

/// Message IDs, the request we wait for an answer to, and the answer we may have to repeat (RFC 7296 sections 2.1 to 2.3).
///
/// The window is one request in each direction: SET_WINDOW_SIZE is neither sent nor taken.
package struct RequestWindow {
    struct Outstanding {
        var messageID: UInt32
        var exchange: ExchangeType
        var datagrams: [[UInt8]]
        var attempt = 0
        var resendAt: Instant
        /// The TCP connections it has gone by.
        var streams: Set<StreamID> = []
    }

    /// The ID of the next request of ours.
    package var nextID: UInt32 = 0
    /// The ID of the peer's next request.
    package var expectedID: UInt32 = 0
    var outstanding: Outstanding?
    /// What we answered to the request before ``expectedID``.
    private(set) var lastAnswer: [[UInt8]] = []
    /// How often that may still be sent again.
    var repetition = AnswerRepetition()
    /// Where the answer to the request with ``expectedID`` goes, while it is being computed.
    var answering: Path?

    package init() {}

    /// No request of ours may follow but the Delete of the SA: there is one message ID left, and none may come twice (RFC
    /// 7296 section 2.2).
    package var isExhausted: Bool { nextID == .max }

    package enum Arrival {
        case new
        case repeated
        case outside
        /// It has the last message ID there is, so that the SA has to end.
        case exhausted
    }

    /// What a request with this ID is to us.
    package func classify(request id: UInt32) -> Arrival {
        if id == .max, id == expectedID { return .exhausted }
        if id == expectedID { return answering == nil ? .new : .outside }
        if expectedID > 0, id == expectedID - 1, !lastAnswer.isEmpty { return .repeated }
        return .outside
    }

    package mutating func answered(with datagrams: [[UInt8]]) {
        lastAnswer = datagrams
        repetition = AnswerRepetition()
        expectedID &+= 1
        answering = nil
    }
}
