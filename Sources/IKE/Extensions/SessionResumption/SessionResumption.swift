// RFC 5723: IKEv2 session resumption. Code points: exchange 38, notify 16409 to 16413 (IKEMessage).
import Credentials
import IKEMessage
import IPPacket
import IPsecCrypto
import Octets

/// Tickets: asked for and given in an IKE SA, kept by the client, and used once to set up the next SA without a key
/// exchange and without certificates.
///
/// A responder gives tickets if ``EndpointConfiguration/ticketSecret`` is there and the connection allows it.
enum SessionResumption: IKEExtension {
    /// The peer has asked for a ticket, which goes into the next answer.
    struct State {}

    /// Tickets we hold, by connection.
    typealias Shared = [String: HeldTicket]

    /// A ticket of a peer's, and what we need to use it.
    struct HeldTicket {
        let octets: [UInt8]
        let expires: Instant
        let fingerprint: String
        let suite: IKESuite
        let skD: SecretOctets
        let remoteIdentity: Identity
        let authentication: PeerAuthentication
    }

    /// An SA that goes on from a ticket: its peer is that of the SA before (RFC 5723 section 4.3.3).
    struct Session {
        let remoteIdentity: Identity
        let authentication: PeerAuthentication
    }

    private enum Subject: Int {
        case requestTicket
    }

    /// Longer tickets are not kept: those of known makers have some hundred octets.
    private static let ticketLimit = 4096

    /// Whether sessions of the connection go on, at either side. A ticket does not tell whether its keys depend on a post-quantum
    /// preshared key, or how they were authenticated; where either is required, all of that takes place anew.
    static func mayResume(_ connection: ConnectionConfiguration) -> Bool {
        connection.resumption && !connection.requiresPPK && connection.downgradePrevention != .require
    }

    // MARK: Asking and giving

    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload] {
        switch stage {
        case .initRequest, .initResponse: []
        case .authRequest: request(of: sa)
        case .authResponse: grant(to: sa)
        }
    }

    static func receive(_ payloads: [Payload], at stage: MessageStage, of sa: IKESA) {
        switch stage {
        case .initRequest, .initResponse: break
        case .authRequest: noteRequest(payloads, of: sa)
        case .authResponse: keepTicket(in: payloads, of: sa)
        }
    }

    private static func request(of sa: IKESA) -> [Payload] {
        guard sa.connection.map(mayResume) ?? false else { return [] }
        return [.notify(NotifyPayload(type: .ticketRequest))]
    }

    private static func noteRequest(_ payloads: [Payload], of sa: IKESA) {
        sa.slots[Self.self] = payloads.notification(.ticketRequest).map { _ in State() }
    }

    /// The answer to a request: a ticket, or that there is none.
    private static func grant(to sa: IKESA) -> [Payload] {
        guard sa.slots[Self.self] != nil else { return [] }
        sa.slots[Self.self] = nil
        guard let ticket = ticket(for: sa) else { return [.notify(NotifyPayload(type: .ticketNack))] }
        return [.notify(NotifyPayload(type: .ticketLTOpaque, data: ticket))]
    }

    /// `lifetime in seconds | ticket` (RFC 5723 section 7.2).
    private static func ticket(for sa: IKESA) -> [UInt8]? {
        guard let connection = sa.connection, mayResume(connection), let keys = sa.keys,
            let secret = sa.context.configuration.ticketSecret, let established = sa.established,
            let digest = connection.remoteAuthentication.credentialDigest(secret),
            let authentication = sa.peerAuthentication
        else { return nil }
        let now = sa.context.wallClock()
        let expiry = authentication.expiry(
            at: now, lifetime: connection.timing.ticketLifetime.components.seconds,
            reauthentication: connection.timing.reauthenticateAfter?.components.seconds)
        let seconds = UInt32(clamping: expiry - now)
        guard seconds > 0 else { return nil }
        let ticket = Ticket(
            connection: connection.name, suite: keys.suite, skD: keys.skD,
            initiatorIdentity: established.remoteIdentity, responderIdentity: established.localIdentity,
            expiry: expiry, authenticatedAt: authentication.time, certificateExpiry: authentication.certificateExpiry,
            credentialDigest: digest)
        guard let sealed = try? ticket.sealed(with: secret, salt: Ticket.newSalt(sa.context)) else { return nil }
        sa.tell(.note, "the peer gets a ticket for \(seconds) s")
        return seconds.bigEndianOctets + sealed
    }

    private static func keepTicket(in payloads: [Payload], of sa: IKESA) {
        guard let connection = sa.connection, mayResume(connection), let keys = sa.keys,
            let established = sa.established,
            let data = payloads.notification(.ticketLTOpaque)?.data, (5...ticketLimit).contains(data.count),
            var authentication = sa.peerAuthentication
        else { return }
        // What the peer has proved to us lasts no longer either.
        let now = sa.context.wallClock()
        let expiry = authentication.expiry(
            at: now, lifetime: Int64(data.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }),
            reauthentication: connection.timing.reauthenticateAfter?.components.seconds)
        let seconds = UInt32(clamping: expiry - now)
        guard seconds > 0 else { return }
        authentication.ticketExpiry = expiry
        var held = sa.context.shared[Self.self] ?? [:]
        held[connection.name] = HeldTicket(
            octets: Array(data.dropFirst(4)), expires: sa.context.now + .seconds(seconds),
            fingerprint: connection.fingerprint, suite: keys.suite, skD: keys.skD,
            remoteIdentity: established.remoteIdentity, authentication: authentication)
        sa.context.shared[Self.self] = held
        sa.tell(.note, "the peer gave us a ticket, which we use within \(seconds) s")
    }

    // MARK: Later

    static func begin(_ notice: ExtensionNotice, of sa: IKESA) -> [Payload]? {
        let payloads = request(of: sa)
        return payloads.isEmpty ? nil : payloads
    }

    static func finish(_ notice: ExtensionNotice, with answer: Authenticated, of sa: IKESA) {
        keepTicket(in: answer.payloads, of: sa)
    }

    static func answer(_ request: Authenticated, of sa: IKESA) -> [Payload] {
        keepTicket(in: request.payloads, of: sa)
        noteRequest(request.payloads, of: sa)
        return grant(to: sa)
    }

    /// A ticket belongs to the keys it was given under: the new SA needs one of its own.
    static func replaced(_ old: IKESA, by new: IKESA) {
        guard let name = new.connection?.name, new.context.shared[Self.self]?[name] != nil else { return }
        new.context.shared[Self.self]?[name] = nil
        _ = new.withEstablished { $0.tasks.append(.notice(ExtensionNotice(Self.self, Subject.requestTicket))) }
    }

    /// What is ended on purpose is not to be gone on with.
    static func ended(_ sa: IKESA) {
        guard sa.isEstablished, let name = sa.connection?.name,
            sa.established?.isEnding ?? false || sa.isEndedByPeer
        else { return }
        sa.context.shared[Self.self]?[name] = nil
    }

    // MARK: Proofs

    /// `prf(SK_px, IKE_SESSION_RESUME message)`, under the number of the shared key method (RFC 5723 section 6.2).
    static func proof(
        key: SecretOctets, message: [UInt8], prf: PRF
    ) throws(Refusal) -> AuthenticationPayload {
        AuthenticationPayload(
            method: .sharedKey, data: try AuthenticationOctets.code(prf, key, message).unprotected)
    }

    static func check(
        _ session: Session, _ identity: Identity, _ authentication: AuthenticationPayload, key: SecretOctets,
        message: [UInt8], prf: PRF
    ) throws(Refusal) {
        guard session.remoteIdentity == identity else {
            throw Refusal(
                .authenticationFailed,
                "the peer says it is \(identity); the session was with \(session.remoteIdentity)",
                notify: .authenticationFailed)
        }
        let wanted = try proof(key: key, message: message, prf: prf)
        guard authentication.method == .sharedKey,
            SecretOctets(wanted.data) == SecretOctets(authentication.data)
        else {
            throw Refusal(
                .authenticationFailed, "the peer that resumes a session does not know its keys",
                notify: .authenticationFailed)
        }
    }
}
