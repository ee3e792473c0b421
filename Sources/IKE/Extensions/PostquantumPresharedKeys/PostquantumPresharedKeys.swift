// RFC 8784: Mixing Preshared Keys in IKEv2 for Post-quantum Security. Code points: notifies 16435 to 16437 (IKEMessage); types of PPK_ID
// (section 5.1) here.
import IKEMessage
import IPsecCrypto
import Octets

/// A post-quantum preshared key, and the identifier by which both sides know it.
public struct PostquantumPresharedKey: Sendable {
    public var identifier: [UInt8]
    public var secret: SecretOctets

    public init(identifier: [UInt8], secret: SecretOctets) {
        self.identifier = identifier
        self.secret = secret
    }
}

/// A secret besides the key exchange, mixed into the keys of children and the proofs of IKE_AUTH: who breaks the key exchange some day does
/// not have it. The identities are protected without it.
enum PostquantumPresharedKeys: IKEExtension {
    /// The peer has announced that it uses such keys, and so have we.
    struct State {
        /// The keys of the SA depend on one.
        var isUsed = false
    }

    /// A PPK_ID of this type has an identifier that was agreed on beforehand.
    private static let fixed: UInt8 = 2

    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload] {
        let isWanted =
            switch stage {
            case .initRequest: sa.connection.map(offers) ?? false
            case .initResponse: sa.slots[Self.self] != nil
            // What an initiator adds belongs to its proof.
            case .authRequest: false
            case .authResponse: sa.slots[Self.self]?.isUsed ?? false
            }
        let type: NotifyType = stage == .authResponse ? .ppkIdentity : .usePPK
        return isWanted ? [.notify(NotifyPayload(type: type))] : []
    }

    static func receive(_ payloads: [Payload], at stage: MessageStage, of sa: IKESA) throws(Refusal) {
        guard stage == .initRequest || stage == .initResponse else { return }
        // What comes before IKE_AUTH protects more.
        let isOffered = payloads.notification(.usePPK) != nil && sa.slots[IntermediatePresharedKeys.self] == nil
        if case .answering(let initial) = sa.state {
            sa.slots[Self.self] = isOffered && initial.candidates.contains(where: offers) ? State() : nil
            return
        }
        guard let connection = sa.connection else { return }
        sa.slots[Self.self] = isOffered && offers(connection) ? State() : nil
        // Not so where an earlier session goes on, which had it or had not.
        if stage == .initResponse, case .initiating = sa.state, connection.requiresPPK, sa.slots[Self.self] == nil,
            sa.slots[IntermediatePresharedKeys.self] == nil
        {
            throw Refusal(
                .authenticationFailed,
                "the peer uses no post-quantum preshared keys, or not in the exchange that we want",
                at: [connection.origin(of: "ppk")])
        }
    }

    private static func offers(_ connection: ConnectionConfiguration) -> Bool {
        !connection.ppks.isEmpty && connection.ppkExchange != .intermediate
    }

    /// What an initiator adds to IKE_AUTH.
    ///
    /// - Parameter proof: the authentication data without the PPK, if the peer may do without it.
    static func payloads(offering key: PostquantumPresharedKey, withoutIt proof: [UInt8]?) -> [Payload] {
        [.notify(NotifyPayload(type: .ppkIdentity, data: [fixed] + key.identifier))]
            + (proof.map { [.notify(NotifyPayload(type: .noPPKAuth, data: $0))] } ?? [])
    }

    /// What a responder does (section 3, the table of the responder's behaviour).
    ///
    /// - Returns: the keys by which the peer's proof is checked, and the proof that goes with them.
    static func settle(
        _ authentication: AuthenticationPayload, _ payloads: [Payload], _ connection: ConnectionConfiguration,
        _ keys: IKEKeys, of sa: IKESA
    ) throws(Refusal) -> (keys: IKEKeys, authentication: AuthenticationPayload) {
        let origin = connection.origin(of: "ppk")
        func refuse(_ reason: String) -> Refusal {
            Refusal(.authenticationFailed, reason, at: [origin], notify: .authenticationFailed)
        }
        guard sa.slots[Self.self] != nil else {
            let isSettled = try IntermediatePresharedKeys.isSettled(for: connection, of: sa)
            guard isSettled || !connection.requiresPPK else {
                throw refuse("the peer uses no post-quantum preshared key")
            }
            return (keys, authentication)
        }
        guard let offered = payloads.notification(.ppkIdentity)?.data else {
            throw refuse("the peer announced a post-quantum preshared key and names none")
        }
        if let key = connection.ppks.first(where: { [fixed] + $0.identifier == offered }) {
            sa.slots[Self.self]?.isUsed = true
            sa.tell(.chosen, "the post-quantum preshared key \(name(key.identifier))", origin: origin)
            return (try mixed(keys, with: key), authentication)
        }
        guard let plain = payloads.notification(.noPPKAuth)?.data, !connection.requiresPPK else {
            throw refuse("the peer's post-quantum preshared key \(name(Array(offered.dropFirst()))) is not known here")
        }
        sa.tell(.note, "the peer's post-quantum preshared key is not known here: it does without")
        return (keys, AuthenticationPayload(method: authentication.method, data: plain))
    }

    static func mixed(_ keys: IKEKeys, with key: PostquantumPresharedKey) throws(Refusal) -> IKEKeys {
        do throws(CryptoError) {
            return try keys.mixed(with: key.secret)
        } catch {
            throw Refusal(.local, "cannot mix in the post-quantum preshared key: \(error.reason)")
        }
    }

    /// An identifier as people read it, or its beginning: that of a peer may be as long as a message.
    static func name(_ identifier: some Collection<UInt8>) -> String {
        let shown = Array(identifier.prefix(64))
        let isText = shown.allSatisfy { (0x21...0x7e).contains($0) }
        return (isText ? String(decoding: shown, as: UTF8.self) : "0x" + shown.hexadecimal)
            + (identifier.count > shown.count ? "…" : "")
    }
}
