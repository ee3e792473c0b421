// RFC 9593: Announcing Supported Authentication Methods in IKEv2. Code point: notify 16443 (IKEMessage). The rules about
// IKE_INTERMEDIATE, and what is done with lists that cannot be read, are recalled and from an implementation: the text was not at hand.
import Credentials
import IKEMessage
import IPsecCrypto
import Octets

/// Where the ways of authentication that we accept are announced.
public enum AnnouncementPolicy: String, CaseIterable, Sendable {
    /// In IKE_INTERMEDIATE if there is one, else by a responder in IKE_SA_INIT, where everybody can read it.
    case auto
    /// Only where nobody else can read it.
    case protected
    case no
}

/// Each side tells by which methods it can be convinced, so that a peer with several certificates takes one that will be accepted. A list
/// is advice: it never makes us use what configuration does not name, and without a match the first certificate is used.
enum AuthenticationAnnouncements: IKEExtension {
    struct State {
        /// What the peer accepts, in its order; `nil` if it has not said so.
        var list: [Announcement]?
        /// Hashes of the authorities' keys that the peer named last.
        var authorities: [[UInt8]] = []
        /// Those that it named in the message with the list, to which its links refer.
        var linked: [[UInt8]] = []
        /// As an initiator: the list is to come in IKE_INTERMEDIATE.
        var isAwaited = false
        /// As a responder: it goes into IKE_INTERMEDIATE.
        var isDeferred = false
    }

    // MARK: Ours

    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload] {
        switch stage {
        case .initResponse:
            guard case .answering(let initial) = sa.state else { return [] }
            let data = announced(to: initial.candidates)
            guard !data.isEmpty else { return [] }
            if sa.slots[IntermediateExchange.self] != nil {
                sa.slots[Self.self, default: State()].isDeferred = true
                return [notification([])]
            }
            return initial.candidates.contains { $0.announcements == .auto } ? [notification(data)] : []
        case .authRequest:
            // Whoever resumes a session has authenticated already.
            guard let connection = sa.connection, case .proving(let proving) = sa.state,
                proving.foundation.session == nil
            else { return [] }
            let data = announced(to: [connection])
            return data.isEmpty ? [] : [notification(data)]
        case .initRequest, .authResponse: return []
        }
    }

    private static func notification(_ data: [UInt8]) -> Payload {
        .notify(NotifyPayload(type: .supportedAuthMethods, data: data))
    }

    /// By what peers of these connections can convince us; nothing where there is no choice for them to make.
    private static func announced(to connections: [ConnectionConfiguration]) -> [UInt8] {
        // Once over all of them: there may be thousands, and whoever asks is a stranger.
        var (hasCertificates, hasSecrets, hasNothing) = (false, false, false)
        for connection in connections where connection.announcements != .no {
            switch connection.remoteAuthentication {
            case .certificate: hasCertificates = true
            case .preSharedKey: hasSecrets = true
            case .anonymous: hasNothing = true
            }
        }
        guard hasCertificates else { return [] }
        return signatures + (hasSecrets ? Announcement(.sharedKey).octets : [])
            + (hasNothing ? Announcement(.null).octets : [])
    }

    /// Every signature that we can verify, the strongest first; after them the methods that stand for one each; as octets.
    private static let signatures: [UInt8] = {
        let hashes: [HashAlgorithm] = [.sha2_256, .sha2_384, .sha2_512]
        let algorithms: [SignatureAlgorithm] =
            [.mlDSA87, .mlDSA65, .ed25519, .ed448] + hashes.map { .ecdsa($0) } + hashes.map { .rsaPSS($0) }
            + hashes.map { .rsaPKCS1($0) }
        let legacy: [AuthenticationMethod] = [.ecdsaP256, .ecdsaP384, .ecdsaP521]
        return algorithms.flatMap {
            Announcement(.digitalSignature, link: 0, algorithmIdentifier: $0.algorithmIdentifier).octets
        } + legacy.flatMap { Announcement($0, link: 0).octets }
    }()

    // MARK: The peer's

    static func receive(_ payloads: [Payload], at stage: MessageStage, of sa: IKESA) {
        guard stage == .initResponse, let connection = sa.connection, connection.announcements != .no else { return }
        // What an earlier answer said, which somebody else may have sent, does not count.
        sa.slots[Self.self] = nil
        take(payloads, of: sa)
        guard payloads.notification(.supportedAuthMethods)?.data.isEmpty ?? false,
            sa.slots[IntermediateExchange.self] != nil
        else { return }
        sa.slots[Self.self, default: State()].isAwaited = !connection.alternativeCertificates.isEmpty
    }

    /// Reads the list in a message, and the certificate requests beside it.
    private static func take(_ payloads: [Payload], of sa: IKESA) {
        let authorities = payloads.flatMap { payload -> [[UInt8]] in
            guard case .certificateRequest(let request) = payload, request.encoding == .x509Signature else { return [] }
            let count = CertificateRequestPayload.keyHashOctetCount
            return stride(from: 0, through: request.authorities.count - count, by: count).map {
                Array(request.authorities[$0..<$0 + count])
            }
        }
        if !authorities.isEmpty { sa.slots[Self.self, default: State()].authorities = authorities }
        let data = payloads.notifications(.supportedAuthMethods).flatMap(\.data)
        guard !data.isEmpty else { return }
        guard let list = Announcement.list(data) else {
            return sa.tell(.note, "the peer's SUPPORTED_AUTH_METHODS cannot be read and is ignored")
        }
        sa.slots[Self.self, default: State()].list = list
        sa.slots[Self.self]?.linked = authorities
        sa.slots[Self.self]?.isAwaited = false
    }

    // MARK: IKE_INTERMEDIATE

    static func usesIntermediate(_ sa: IKESA) -> Bool {
        if case .answering(let initial) = sa.state {
            // It is not worth an exchange unless the peer would use one anyway.
            return sa.slots[IntermediateExchange.self] != nil && !announced(to: initial.candidates).isEmpty
        }
        guard let connection = sa.connection else { return false }
        return connection.announcements != .no && !connection.alternativeCertificates.isEmpty
    }

    static func needsIntermediate(_ sa: IKESA) -> Bool { sa.slots[Self.self]?.isAwaited ?? false }

    static func payloads(for message: IntermediateMessage, of sa: IKESA) -> [Payload] {
        guard !message.isRequest, message.isLast, sa.slots[Self.self]?.isDeferred ?? false,
            case .answering(let initial) = sa.state
        else { return [] }
        return [notification(announced(to: initial.candidates))]
    }

    static func receive(_ payloads: [Payload], in message: IntermediateMessage, of sa: IKESA) {
        guard !message.isRequest, let connection = sa.connection, connection.announcements != .no else { return }
        take(payloads, of: sa)
        // One exchange is enough to find out that nothing comes.
        if message.isLast { sa.slots[Self.self]?.isAwaited = false }
    }

    // MARK: The choice

    /// The certificate by which we prove ourselves, and how we sign.
    ///
    /// - Parameter request: as a responder, the IKE_AUTH request.
    static func choose(
        _ first: CertificateIdentity, of connection: ConnectionConfiguration, request: [Payload] = [], sa: IKESA
    ) throws(Refusal) -> (certificate: CertificateIdentity, method: AuthenticationMethod, algorithm: SignatureAlgorithm)
    {
        if connection.announcements != .no { take(request, of: sa) }
        let certificates = [first] + connection.alternativeCertificates
        let hashes = sa.slots[SignatureAuthentication.self]
        let state = sa.slots[Self.self] ?? State()
        for announcement in state.list ?? [] {
            for certificate in certificates {
                guard let algorithm = announcement.algorithm,
                    isUsable(announcement, algorithm, with: certificate, hashes, state.linked)
                else { continue }
                sa.tell(
                    .chosen, "our certificate \(certificate.subject), as the peer accepts \(algorithm)",
                    origin: connection.origin(of: "local.auth"))
                return (certificate, announcement.method, algorithm)
            }
        }
        if state.list != nil {
            sa.tell(
                .note, "the peer announces no method for which we have a certificate: going by configuration alone",
                origin: connection.origin(of: "local.auth"))
        }
        return try chooseWithoutList(certificates, hashes, Set(state.authorities))
    }

    private static func isUsable(
        _ announcement: Announcement, _ algorithm: SignatureAlgorithm, with certificate: CertificateIdentity,
        _ hashes: [HashAlgorithm]?, _ authorities: [[UInt8]]
    ) -> Bool {
        if announcement.method == .digitalSignature {
            guard let hashes, certificate.signingKey.algorithms(acceptedHashes: hashes).contains(algorithm) else {
                return false
            }
        } else {
            guard
                let legacy = try? SignatureAuthentication.choose(for: certificate.signingKey, peerHashes: nil),
                legacy.method == announcement.method
            else { return false }
        }
        // Without certificate requests a link says nothing.
        guard let link = announcement.link, link > 0, !authorities.isEmpty else { return true }
        guard Int(link) <= authorities.count else { return false }
        return certificate.issuedBy(authorities: [authorities[Int(link) - 1]])
    }

    /// One of an authority that the peer named, if there is such, else the first with which we can sign for it.
    private static func chooseWithoutList(
        _ certificates: [CertificateIdentity], _ hashes: [HashAlgorithm]?, _ authorities: Set<[UInt8]>
    ) throws(Refusal) -> (certificate: CertificateIdentity, method: AuthenticationMethod, algorithm: SignatureAlgorithm)
    {
        var failure: Refusal?
        let fitting = certificates.filter { $0.issuedBy(authorities: authorities) }
        for certificate in fitting + certificates {
            do throws(Refusal) {
                let (method, algorithm) = try SignatureAuthentication.choose(
                    for: certificate.signingKey, peerHashes: hashes)
                return (certificate, method, algorithm)
            } catch {
                failure = failure ?? error
            }
        }
        throw failure ?? Refusal(.local, "there is no certificate")
    }
}
