// draft-ietf-ipsecme-ikev2-downgrade-prevention: both IKE_SA_INIT messages are in what both sides authenticate. Code point: notify
// 16447 (IKEMessage). The draft's body was not at hand: order and prefix of the signed octets are those that strongSwan and
// Libreswan made after its sections 6 and 7.1; that a resumed session has nothing of it is ours.
import IKEMessage

/// Whether both sides' AUTH payloads are to cover both IKE_SA_INIT messages.
public enum DowngradePreventionPolicy: String, CaseIterable, Sendable {
    /// Where the peer can do that too.
    case yes
    /// A peer that cannot is refused.
    case require
    case no
}

/// In RFC 7296 a side authenticates the IKE_SA_INIT message that it has sent. Somebody who has broken one side's weak method, or its
/// shared key, can so show each side another conversation. Here each side authenticates what it has received too.
///
/// Both announce it by an empty notification, the responder whether or not the initiator has; it holds where both have. Whoever takes
/// away or adds a notification makes the two compute over different octets, and IKE_AUTH fails.
enum DowngradePrevention: IKEExtension {
    /// Both have announced it.
    struct State {}

    /// What tells these octets from those of RFC 7296, which begin with an SPI that is not zero.
    private static let prefix = [UInt8](repeating: 0, count: 8)

    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload] {
        guard stage == .initRequest || stage == .initResponse, announces(sa) else { return [] }
        return [.notify(NotifyPayload(type: .ikeSAInitFullTranscriptAuth))]
    }

    /// By what is known when IKE_SA_INIT comes: a connection that wants nothing of it may be chosen later, and has it all the same.
    private static func announces(_ sa: IKESA) -> Bool {
        switch sa.state {
        case .initiating: sa.connection.map { $0.downgradePrevention != .no } ?? false
        case .answering(let initial):
            initial.session == nil && initial.candidates.contains { $0.downgradePrevention != .no }
        default: false
        }
    }

    static func receive(_ payloads: [Payload], at stage: MessageStage, of sa: IKESA) throws(Refusal) {
        guard stage == .initRequest || stage == .initResponse else { return }
        let isAgreed = payloads.notification(.ikeSAInitFullTranscriptAuth) != nil && announces(sa)
        sa.slots[Self.self] = isAgreed ? State() : nil
        if isAgreed { sa.tell(.note, "both IKE_SA_INIT messages are authenticated by both sides") }
        if stage == .initResponse, case .initiating = sa.state, let connection = sa.connection {
            try check(connection, sa)
        }
    }

    /// The octets begin `0 (8 octets) | message received | message sent`; what follows is as in RFC 7296 and RFC 9242.
    static func signedOctets(beforeMessageWith received: [UInt8], of sa: IKESA) throws(Refusal) -> [UInt8] {
        // A responder learns which connection is meant by the identity in IKE_AUTH.
        if let connection = sa.connection { try check(connection, sa) }
        return sa.slots[Self.self] == nil ? [] : prefix + received
    }

    private static func check(_ connection: ConnectionConfiguration, _ sa: IKESA) throws(Refusal) {
        guard connection.downgradePrevention == .require, sa.slots[Self.self] == nil else { return }
        throw Refusal(
            .authenticationFailed,
            "the peer does not authenticate both IKE_SA_INIT messages (IKE_SA_INIT_FULL_TRANSCRIPT_AUTH), which is required",
            at: [connection.origin(of: "downgrade-prevention")], notify: .authenticationFailed)
    }

    static func describe(_ status: inout IKESAStatus, of sa: IKESA) {
        status.preventsDowngrade = sa.slots[Self.self] != nil
    }
}
