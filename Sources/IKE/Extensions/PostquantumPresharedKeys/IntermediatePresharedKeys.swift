// RFC 9867: Mixing Preshared Keys in the IKE_INTERMEDIATE and CREATE_CHILD_SA Exchanges of IKEv2. Code points: notifies 16445 and 16446
// (IKEMessage). The rules of IKE_INTERMEDIATE, and the formulas, are those that deployed implementations follow: the text itself was
// not at hand, nor is there anybody to ask about CREATE_CHILD_SA, which is therefore left out.
import IKEMessage
import IPsecCrypto
import Octets

/// Where post-quantum preshared keys are mixed in.
public enum PPKExchange: String, CaseIterable, Sendable {
    /// In IKE_INTERMEDIATE if the peer can, else in IKE_AUTH.
    case any
    /// In IKE_AUTH (RFC 8784): what the first IKE SA carries is protected without them.
    case auth
    /// In IKE_INTERMEDIATE (RFC 9867): the identities are protected by them too.
    case intermediate
}

/// Post-quantum preshared keys that are mixed in before IKE_AUTH, so that nothing but the first exchanges is protected without them. It is
/// settled there which one it is, too: the initiator shows, by a code, that it has those it names.
enum IntermediatePresharedKeys: IKEExtension {
    /// Both sides have announced it.
    struct State {
        /// As an initiator: keys have been offered.
        var isOffered = false
        /// What both have.
        var chosen: PostquantumPresharedKey?
        /// It is in the keys.
        var isMixed = false
    }

    /// As many offers are looked at, and as many keys tried for them.
    private static let offerLimit = 16
    /// Octets of a PPK Confirmation.
    private static let confirmationLength = 8
    /// PPK_ID_FIXED (RFC 8784 section 5.1).
    private static let fixed: UInt8 = 2

    // MARK: IKE_SA_INIT

    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload] {
        let isWanted =
            switch stage {
            case .initRequest: sa.connection.map(offers) ?? false
            case .initResponse: sa.slots[Self.self] != nil
            case .authRequest, .authResponse: false
            }
        return isWanted ? [.notify(NotifyPayload(type: .usePPKInt))] : []
    }

    static func receive(_ payloads: [Payload], at stage: MessageStage, of sa: IKESA) throws(Refusal) {
        guard stage == .initRequest || stage == .initResponse else { return }
        let isOffered =
            payloads.notification(.usePPKInt) != nil && payloads.notification(.intermediateExchangeSupported) != nil
        if case .answering(let initial) = sa.state {
            sa.slots[Self.self] = isOffered && initial.candidates.contains(where: offers) ? State() : nil
            return
        }
        guard let connection = sa.connection, offers(connection), isOffered else {
            sa.slots[Self.self] = nil
            return
        }
        guard payloads.notification(.usePPK) == nil else {
            throw Refusal(
                .protocolViolation, "the peer chose both ways of using a post-quantum preshared key",
                at: [connection.origin(of: "ppk")])
        }
        sa.slots[Self.self] = State()
    }

    private static func offers(_ connection: ConnectionConfiguration) -> Bool {
        !connection.ppks.isEmpty && connection.ppkExchange != .auth
    }

    // MARK: IKE_INTERMEDIATE

    static func usesIntermediate(_ sa: IKESA) -> Bool {
        if case .answering = sa.state { return sa.slots[Self.self] != nil }
        return sa.connection.map(offers) ?? false
    }

    static func needsIntermediate(_ sa: IKESA) -> Bool { sa.slots[Self.self].map { !$0.isOffered } ?? false }

    static func payloads(for message: IntermediateMessage, of sa: IKESA) throws(Refusal) -> [Payload] {
        guard message.isLast, let state = sa.slots[Self.self] else { return [] }
        guard message.isRequest else {
            let chosen = state.isMixed ? nil : state.chosen
            return chosen.map { [.notify(NotifyPayload(type: .ppkIdentity, data: [fixed] + $0.identifier))] } ?? []
        }
        guard !state.isOffered, let connection = sa.connection else { return [] }
        sa.slots[Self.self]?.isOffered = true
        var payloads: [Payload] = []
        for key in connection.ppks {
            let data = [fixed] + key.identifier + (try confirmation(of: key, message, sa))
            payloads.append(.notify(NotifyPayload(type: .ppkIdentityKey, data: data)))
        }
        return payloads
    }

    static func receive(_ payloads: [Payload], in message: IntermediateMessage, of sa: IKESA) throws(Refusal) {
        guard message.isLast, let state = sa.slots[Self.self], state.chosen == nil else { return }
        if message.isRequest {
            try choose(from: payloads.notifications(.ppkIdentityKey), message, sa)
        } else {
            try accept(payloads.notification(.ppkIdentity), sa)
        }
    }

    /// As a responder: takes a key that is known here and that the peer has shown to have, the first of ours.
    private static func choose(from offers: [NotifyPayload], _ message: IntermediateMessage, _ sa: IKESA)
        throws(Refusal)
    {
        guard case .answering(let initial) = sa.state, !offers.isEmpty else { return }
        // The peer has proved nothing yet: each key is tried once, whatever is offered how often.
        var wanted: [[UInt8]: [UInt8]] = [:]
        for offer in offers.prefix(offerLimit) {
            guard offer.data.count > 1 + confirmationLength else {
                throw Refusal(
                    .protocolViolation,
                    "the peer's PPK_IDENTITY_KEY has \(offer.data.count) octets; at least 10 are expected",
                    notify: .invalidSyntax)
            }
            let name = Array(offer.data.dropLast(confirmationLength))
            if wanted[name] == nil { wanted[name] = Array(offer.data.suffix(confirmationLength)) }
        }
        var tried: [PostquantumPresharedKey] = []
        for candidate in initial.candidates where Self.offers(candidate) {
            for key in candidate.ppks {
                guard let shown = wanted[[fixed] + key.identifier], tried.count < offerLimit,
                    !tried.contains(where: { $0.identifier == key.identifier && $0.secret == key.secret })
                else { continue }
                tried.append(key)
                guard constantTimeEqual(try confirmation(of: key, message, sa), shown) else { continue }
                sa.slots[Self.self]?.chosen = key
                sa.tell(
                    .chosen,
                    "the post-quantum preshared key \(PostquantumPresharedKeys.name(key.identifier)), before IKE_AUTH",
                    origin: candidate.origin(of: "ppk"))
                return
            }
        }
        let names = offers.prefix(4).map {
            PostquantumPresharedKeys.name($0.data.dropFirst().dropLast(confirmationLength))
        }
        let what =
            "none of the peer's post-quantum preshared keys (\(names.joined(separator: ", "))) is known here with its secret"
        guard !initial.candidates.allSatisfy(\.requiresPPK) else {
            throw Refusal(
                .authenticationFailed, what, at: initial.candidates.prefix(1).map { $0.origin(of: "ppk") },
                notify: .authenticationFailed)
        }
        sa.tell(.note, "\(what): without one")
    }

    /// As an initiator: goes by the peer's choice.
    private static func accept(_ choice: NotifyPayload?, _ sa: IKESA) throws(Refusal) {
        guard let connection = sa.connection, sa.slots[Self.self]?.isOffered ?? false else { return }
        let origin = connection.origin(of: "ppk")
        guard let choice else {
            guard !connection.requiresPPK else {
                throw Refusal(
                    .authenticationFailed,
                    "the peer has none of our post-quantum preshared keys, or other secrets for them",
                    at: [origin])
            }
            return sa.tell(.note, "the peer has none of our post-quantum preshared keys: without one", origin: origin)
        }
        guard let key = connection.ppks.first(where: { [fixed] + $0.identifier == choice.data }) else {
            throw Refusal(
                .protocolViolation,
                "the peer chose a post-quantum preshared key that we have not offered: \(PostquantumPresharedKeys.name(choice.data.dropFirst()))",
                at: [origin])
        }
        sa.slots[Self.self]?.chosen = key
        sa.tell(
            .chosen, "the post-quantum preshared key \(PostquantumPresharedKeys.name(key.identifier)), before IKE_AUTH",
            origin: origin)
    }

    /// The first octets of `prf(PPK, Ni | Nr | SPIi | SPIr)`.
    private static func confirmation(
        of key: PostquantumPresharedKey, _ message: IntermediateMessage, _ sa: IKESA
    ) throws(Refusal) -> [UInt8] {
        guard let prf = sa.keys?.suite.prf else { throw Refusal(.local, "there are no keys yet") }
        let seed =
            message.initiatorNonce + message.responderNonce + sa.initiatorSPI.bigEndianOctets
            + sa.responderSPI.bigEndianOctets
        return Array(try AuthenticationOctets.code(prf, key.secret, seed).unprotected.prefix(confirmationLength))
    }

    // MARK: Keys

    static func mixed(into keys: IKEKeys, after message: IntermediateMessage, of sa: IKESA) throws(Refusal) -> IKEKeys?
    {
        guard let state = sa.slots[Self.self], let key = state.chosen, !state.isMixed else { return nil }
        sa.slots[Self.self]?.isMixed = true
        do throws(CryptoError) {
            return try keys.mixed(
                intermediate: key.secret, initiatorNonce: message.initiatorNonce,
                responderNonce: message.responderNonce,
                initiatorSPI: sa.initiatorSPI, responderSPI: sa.responderSPI)
        } catch {
            throw Refusal(.local, "cannot mix in the post-quantum preshared key: \(error.reason)")
        }
    }

    /// Whether a key is mixed in.
    static func isUsed(by sa: IKESA) -> Bool { sa.slots[Self.self]?.isMixed ?? false }

    /// As a responder that now knows who the peer is: whether a key is mixed in.
    ///
    /// - Throws: if it is not one of the connection's.
    static func isSettled(for connection: ConnectionConfiguration, of sa: IKESA) throws(Refusal) -> Bool {
        guard let state = sa.slots[Self.self], state.isMixed, let key = state.chosen else { return false }
        guard offers(connection),
            connection.ppks.contains(where: { $0.identifier == key.identifier && $0.secret == key.secret })
        else {
            throw Refusal(
                .authenticationFailed,
                "the post-quantum preshared key \(PostquantumPresharedKeys.name(key.identifier)) is not for this peer",
                at: [connection.origin(of: "ppk")], notify: .authenticationFailed)
        }
        return true
    }
}
