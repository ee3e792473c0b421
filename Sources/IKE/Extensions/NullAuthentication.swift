// RFC 7619: the NULL authentication method. Code points: authentication method 13, identification type 13 (IKEMessage).
import Credentials
import IKEMessage
import Octets

extension Identity {
    /// ID_NULL: no identity (RFC 7619 section 2.2).
    public static let anonymous = Identity.other(type: IdentificationType.null.rawValue, data: [])
}

/// One side, or both, prove nothing but that they are who began the exchange: protection against those who only listen.
///
/// Nothing may follow from who an anonymous peer says it is (RFC 7619 section 2.2), and none may take another's place.
enum NullAuthentication: IKEExtension {
    /// How many anonymous peers each connection has.
    typealias Shared = [String: Int]

    /// Stands in the slot of an SA that ``Shared`` counts.
    struct State {}

    /// The proof: as for a pre-shared key, with SK_pi or SK_pr in its place (RFC 7619 section 2.1).
    static func proof(
        key: SecretOctets, octets: [UInt8], keys: IKEKeys
    ) throws(Refusal) -> AuthenticationPayload {
        AuthenticationPayload(
            method: .null,
            data: try AuthenticationOctets.sharedKeyProof(key, octets: octets, prf: keys.suite.prf).unprotected)
    }

    /// Checks a peer's AUTH payload of this method.
    static func check(
        _ authentication: AuthenticationPayload, key: SecretOctets, octets: [UInt8], keys: IKEKeys, origin: Origin
    ) throws(Refusal) {
        guard authentication.method == .null else {
            throw Refusal(
                .authenticationFailed,
                "the peer authenticated by \(authentication.method); it is to be anonymous", at: [origin],
                notify: .authenticationFailed)
        }
        let wanted = try proof(key: key, octets: octets, keys: keys)
        guard SecretOctets(wanted.data) == SecretOctets(authentication.data) else {
            throw Refusal(
                .authenticationFailed, "the anonymous peer's AUTH payload does not fit the exchange", at: [origin],
                notify: .authenticationFailed)
        }
    }

    /// Whether this peer may be one without identity: where others prove themselves, nothing that follows from who a
    /// peer is, such as that it has only one IKE SA, would hold for it.
    static func allows(_ identity: Identity, for connection: ConnectionConfiguration) -> Bool {
        if case .anonymous = connection.remoteAuthentication { return true }
        return identity.type != IdentificationType.null.rawValue
    }

    /// Whoever need not prove anything can come as often as it likes: a connection takes only so many.
    static func admit(to connection: ConnectionConfiguration, context: EndpointContext) throws(Refusal) {
        guard case .anonymous = connection.remoteAuthentication else { return }
        let count = context.shared[Self.self]?[connection.name] ?? 0
        guard count < context.configuration.anonymousLimit else {
            throw Refusal(
                .refusedByPeer, "\(connection.name) has \(count) anonymous peers already", at: [connection.origin],
                notify: .authenticationFailed)
        }
    }

    static func established(_ sa: IKESA) {
        guard !sa.isInitiator, let connection = sa.connection, case .anonymous = connection.remoteAuthentication
        else { return }
        sa.slots[Self.self] = State()
        count(sa, by: 1)
    }

    static func ended(_ sa: IKESA) {
        guard sa.slots[Self.self] != nil else { return }
        sa.slots[Self.self] = nil
        count(sa, by: -1)
    }

    private static func count(_ sa: IKESA, by change: Int) {
        guard let name = sa.connection?.name else { return }
        var counts = sa.context.shared[Self.self] ?? [:]
        let new = (counts[name] ?? 0) + change
        counts[name] = new > 0 ? new : nil
        sa.context.shared[Self.self] = counts
    }
}
