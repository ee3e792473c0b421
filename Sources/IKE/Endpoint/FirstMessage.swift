import IKEMessage
import Octets

/// A request that would begin an SA, looked at just far enough to demand a cookie of it or to check one: no payload is copied,
/// and nothing of it is believed.
///
/// Under a flood this is all that is done for each datagram.
struct FirstMessage {
    let header: IKEHeader
    let octets: [UInt8]
    /// What follows the generic payload header of the nonce, of the SA payload and of a puzzle's solution.
    private(set) var nonce: Range<Int>?
    private(set) var securityAssociation: Range<Int>?
    private(set) var puzzleSolution: Range<Int>?
    /// The data of the COOKIE notification.
    private(set) var cookie: Range<Int>?

    /// `nil` for what is no chain of payloads with one nonce (RFC 7296 sections 2.6 and 3.9).
    init?(_ header: IKEHeader, _ octets: [UInt8]) {
        self.header = header
        self.octets = octets
        var type = header.nextPayload
        var at = IKEHeader.octetCount
        var count = 0
        while type != .none {
            count += 1
            guard count <= Message.payloadLimit, octets.count - at >= 4 else { return nil }
            let length = Int(octets[at + 2]) << 8 | Int(octets[at + 3])
            guard length >= 4, length <= octets.count - at else { return nil }
            let body = at + 4..<at + length
            switch type {
            case .nonce: nonce = body
            case .securityAssociation: securityAssociation = body
            case .puzzleSolution: puzzleSolution = body
            case .notify: if cookie == nil { cookie = Self.cookie(octets, body) }
            default: break
            }
            type = PayloadType(rawValue: octets[at])
            at += length
        }
        guard let nonce, (16...256).contains(nonce.count) else { return nil }
    }

    /// The answer that demands a cookie, with what is demanded beside it.
    func answer(cookie: [UInt8], beside notification: NotifyPayload?) -> [UInt8] {
        let notifications = [NotifyPayload(type: .cookie, data: cookie)] + (notification.map { [$0] } ?? [])
        return Message(
            header: IKEHeader(
                initiatorSPI: header.initiatorSPI, responderSPI: 0, exchangeType: header.exchangeType, flags: .response,
                messageID: 0),
            payloads: notifications.map { .notify($0) }
        ).serialized()
    }

    private static func cookie(_ octets: [UInt8], _ body: Range<Int>) -> Range<Int>? {
        let at = body.lowerBound
        guard body.count >= 4, UInt16(octets[at + 2]) << 8 | UInt16(octets[at + 3]) == NotifyType.cookie.rawValue,
            body.count >= 4 + Int(octets[at + 1])
        else { return nil }
        return at + 4 + Int(octets[at + 1])..<body.upperBound
    }
}
