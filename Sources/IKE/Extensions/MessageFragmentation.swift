// RFC 7383: IKEv2 message fragmentation. Code points: notify 16430, payload 53 (IKEMessage).
import IKEMessage

/// Whether fragments may be sent to the peer (RFC 7383 section 2.3). Putting them together is ``FragmentReassembly``.
enum MessageFragmentation: IKEExtension {
    struct State {}

    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload] {
        switch stage {
        case .initRequest, .initResponse:
            guard sa.likelyConnection?.fragmentation ?? true else { return [] }
            return [.notify(NotifyPayload(type: .ikev2FragmentationSupported))]
        case .authRequest, .authResponse: return []
        }
    }

    static func receive(_ payloads: [Payload], at stage: MessageStage, of sa: IKESA) {
        switch stage {
        case .initRequest, .initResponse:
            sa.slots[Self.self] = payloads.notification(.ikev2FragmentationSupported).map { _ in State() }
        case .authRequest, .authResponse: break
        }
    }
}
