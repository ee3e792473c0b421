// RFC 4806: OCSP extensions to IKEv2. Code point: certificate encoding 14, in CERTREQ and CERT payloads (IKEMessage).
import Credentials
import IKEMessage

/// OCSP responses that come with the certificates they are about, so that the peer need not fetch them.
enum StapledStatus: IKEExtension {
    /// The peer asks for OCSP responses.
    struct State {}

    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload] {
        switch stage {
        case .initRequest: []
        case .initResponse: request(for: sa.candidates)
        // A session that is resumed proves its peers by itself.
        case .authRequest where sa.isResumption: []
        case .authRequest: request(for: sa.candidates) + responses(of: sa)
        case .authResponse: responses(of: sa)
        }
    }

    static func receive(_ payloads: [Payload], at stage: MessageStage, of sa: IKESA) {
        guard stage == .initResponse || stage == .authRequest else { return }
        let isAsked = payloads.contains {
            if case .certificateRequest(let request) = $0 { request.encoding == .ocspContent } else { false }
        }
        if isAsked { sa.slots[Self.self] = State() }
    }

    /// An empty list of responders: any that the authority of a certificate has named is believed (section 3.1).
    private static func request(for connections: [ConnectionConfiguration]) -> [Payload] {
        let wantsStatus = connections.contains {
            if case .certificate = $0.remoteAuthentication { $0.revocation != .off } else { false }
        }
        return wantsStatus
            ? [.certificateRequest(CertificateRequestPayload(encoding: .ocspContent, authorities: []))] : []
    }

    private static func responses(of sa: IKESA) -> [Payload] {
        guard sa.slots[Self.self] != nil, case .certificate(let own) = sa.connection?.localAuthentication else {
            return []
        }
        return sa.context.statusStore.responses(on: [own.leafDER] + own.intermediatesDER, at: sa.context.wallClock())
            .map {
                .certificate(CertificatePayload(encoding: .ocspContent, data: $0))
            }
    }
}

extension IKESA {
    fileprivate var isResumption: Bool {
        if case .proving(let proving) = state { proving.foundation.session != nil } else { false }
    }
}
