// RFC 6023: an IKE SA without a child SA. Code point: notify 16418 (IKEMessage).
import IKEMessage

/// Whether IKE_AUTH makes the first child SA, or leaves it to CREATE_CHILD_SA, where it has a key exchange of its own.
public enum ChildlessPolicy: String, Sendable, CaseIterable {
    /// Not announced, and an initiator that brings no child is told so.
    case never
    /// Announced and accepted; as an initiator we bring the first child all the same.
    case accept
    /// The first child comes by CREATE_CHILD_SA where the peer announces that it may.
    case prefer
    /// The first child never comes by IKE_AUTH: a peer that cannot do without is refused.
    case require
}

/// The announcement, which only a responder makes (RFC 6023 section 3), and what follows from it.
enum ChildlessInitiation: IKEExtension {
    /// The responder has announced it.
    struct State {}

    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload] {
        guard case .initResponse = stage, sa.likelyConnection?.childless != .never else { return [] }
        return [
            .notify(NotifyPayload(protocolID: .ike, spi: [], type: .childlessIKEv2Supported, data: []))
        ]
    }

    static func receive(_ payloads: [Payload], at stage: MessageStage, of sa: IKESA) throws(Refusal) {
        switch stage {
        case .initResponse:
            sa.slots[Self.self] = payloads.notification(.childlessIKEv2Supported).map { _ in State() }
        case .authRequest:
            guard let connection = sa.connection else { return }
            let isChildless = payloads.securityAssociation == nil
            if isChildless, connection.childless == .never {
                throw Refusal(
                    .protocolViolation,
                    "the peer's IKE_AUTH request has no child SA, which \(connection.name) does not allow",
                    at: [connection.origin(of: "childless")], notify: .invalidSyntax)
            }
            if !isChildless, connection.childless == .require {
                throw Refusal(
                    .refusedByPeer, "the peer's IKE_AUTH request brings a child SA; it is to come by CREATE_CHILD_SA",
                    at: [connection.origin(of: "childless")], notify: .noAdditionalSAs)
            }
        case .initRequest, .authResponse: break
        }
    }

    static func omitsFirstChild(of sa: IKESA) throws(Refusal) -> Bool {
        guard let connection = sa.connection else { return false }
        switch connection.childless {
        case .never, .accept: return false
        case .prefer: return sa.slots[Self.self] != nil
        case .require:
            guard sa.slots[Self.self] != nil else {
                throw Refusal(
                    .refusedByPeer, by: .us,
                    "the peer does not announce that an IKE SA may begin without a child SA (RFC 6023), which is required",
                    at: [connection.origin(of: "childless")])
            }
            return true
        }
    }
}
