// RFC 5685: the redirect mechanism. Code points: notify 16406 to 16408 (IKEMessage).
import IKEMessage
import IPPacket
import Octets

/// A gateway sends a client to another gateway: before there are keys, in place of the first child SA, or later.
///
/// What the gateway does is here, what the client does in `RedirectionClient.swift`.
enum Redirection: IKEExtension {
    struct State {
        /// We began the first of the IKE SAs that this one goes back to, and can be sent elsewhere; otherwise the peer can.
        let isClient: Bool
        /// The gateway that sent the client here.
        var from: GatewayIdentity?
        /// As a gateway: where the peer is to be sent.
        var target: GatewayIdentity?
        /// As a gateway: when a peer that was sent away, and has not deleted the SA, is done without.
        var end: Instant?
        /// As a client: where the SA stands between a REDIRECT and the call elsewhere.
        var pending: Pending?
        /// As a client: the SA that sent us here, which goes when this one stands.
        weak var predecessor: IKESA?
    }

    enum Subject: Int {
        case redirect
    }

    /// How long a client is given to leave by itself.
    private static let patience: Duration = .seconds(30)

    static func notify(_ type: NotifyType, _ gateway: GatewayIdentity, nonce: [UInt8] = []) -> Payload {
        .notify(NotifyPayload(type: type, data: gateway.octets + nonce))
    }

    // MARK: Messages

    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload] {
        switch stage {
        case .initRequest: announcement(of: sa)
        case .initResponse, .authRequest, .authResponse: []
        }
    }

    static func receive(_ payloads: [Payload], at stage: MessageStage, of sa: IKESA) {
        switch stage {
        case .initRequest where canBeRedirected(payloads):
            let origin = payloads.notification(.redirectedFrom).flatMap { GatewayIdentity.read($0.data)?.gateway }
            sa.slots[Self.self] = State(isClient: false, from: origin)
        // A good answer shows that a REDIRECT which came before it was forged.
        case .initResponse: sa.slots[Self.self]?.pending = nil
        case .initRequest, .authRequest, .authResponse: break
        }
    }

    /// Whether the sender of an IKE_SA_INIT request can be sent elsewhere. REDIRECTED_FROM says so as well (RFC 5685 section 5).
    private static func canBeRedirected(_ payloads: [Payload]) -> Bool {
        payloads.notification(.redirectSupported) != nil || payloads.notification(.redirectedFrom) != nil
    }

    // MARK: The gateway, before there are keys

    /// Where every connection that fits is redirected to the same gateway, nothing else need be known of the caller. Who was
    /// sent here from there is not sent back.
    static func answer(
        initial request: Message, _ datagram: IKEDatagram, candidates: [ConnectionConfiguration],
        context: EndpointContext
    ) -> [Payload]? {
        guard request.header.exchangeType == .ikeSAInit, let target = candidates.first?.redirect,
            candidates.allSatisfy({ $0.redirect == target }), canBeRedirected(request.payloads),
            let nonce = request.payloads.nonce
        else { return nil }
        if let origin = request.payloads.notification(.redirectedFrom)?.data, origin == target.octets { return nil }
        // It has arrived.
        guard target != .address(datagram.local.address) else { return nil }
        context.emit(.redirecting(connection: nil, remote: datagram.remote, to: target))
        // The nonce shows the client that whoever answers has seen its request (RFC 5685 section 3).
        return [notify(.redirect, target, nonce: nonce)]
    }

    // MARK: The gateway, in IKE_AUTH

    /// The connection is known only now (RFC 5685 section 6).
    static func payloadsInPlaceOfChild(of sa: IKESA) -> [Payload]? {
        guard var state = sa.slots[Self.self], !state.isClient, let connection = sa.connection,
            let target = connection.redirect, target != .address(sa.path.local.address), target != state.from
        else { return nil }
        state.end = sa.context.now + patience
        sa.slots[Self.self] = state
        sa.tell(.note, "the peer is sent to \(target)", origin: connection.origin(of: "redirect"))
        sa.context.emit(.redirecting(connection: connection.name, remote: sa.path.remote, to: target))
        return [notify(.redirect, target)]
    }

    // MARK: The gateway, later

    /// Sends the peer of an established SA elsewhere; false if it cannot be (RFC 5685 section 4).
    static func redirect(_ sa: IKESA, to target: GatewayIdentity) -> Bool {
        guard sa.slots[Self.self]?.isClient == false, sa.established?.isReplaced == false else { return false }
        sa.slots[Self.self]?.target = target
        sa.enqueue(.notice(ExtensionNotice(Self.self, Subject.redirect)))
        return true
    }

    static func begin(_ notice: ExtensionNotice, of sa: IKESA) -> [Payload]? {
        guard let target = sa.slots[Self.self]?.target, let connection = sa.connection else { return nil }
        sa.context.emit(.redirecting(connection: connection.name, remote: sa.path.remote, to: target))
        return [notify(.redirect, target)]
    }

    static func finish(_ notice: ExtensionNotice, with answer: Authenticated, of sa: IKESA) {
        sa.slots[Self.self]?.end = sa.context.now + patience
    }

    // MARK: Life

    static func deadline(of sa: IKESA) -> Instant? {
        guard let state = sa.slots[Self.self], !(sa.established.map { $0.isReplaced || $0.isEnding } ?? false) else {
            return nil
        }
        return [state.end, state.pending?.due].compactMap(\.self).min()
    }

    static func handleTimeout(of sa: IKESA) {
        guard let state = sa.slots[Self.self], !(sa.established.map { $0.isReplaced || $0.isEnding } ?? false) else {
            return
        }
        if let due = state.pending?.due, due <= sa.context.now { return go(from: sa) }
        guard let end = state.end, end <= sa.context.now else { return }
        sa.slots[Self.self]?.end = nil
        sa.enqueue(.deleteIKE(reason: "the peer was sent to another gateway"))
    }
}

/// A gateway as RFC 5685 names it.
public enum GatewayIdentity: Hashable, Sendable, CustomStringConvertible {
    case address(IPAddress)
    /// A fully qualified domain name.
    case name(String)

    /// An address, or a fully qualified name; `nil` for anything else, and for addresses that nobody can be at.
    public init?(configured text: String) {
        if let address = IPAddress(text) {
            guard !address.isUnspecified, !address.isMulticast else { return nil }
            self = .address(address)
        } else {
            guard Self.isDomainName(text) else { return nil }
            self = .name(text)
        }
    }

    public var description: String {
        switch self {
        case .address(let address): "\(address)"
        case .name(let name): name
        }
    }

    /// `type | length | identity` (RFC 5685 section 8.2), the type being 1 for IPv4, 2 for IPv6 and 3 for a name.
    var octets: [UInt8] {
        let (type, identity): (UInt8, [UInt8]) =
            switch self {
            case .address(let address): (address.family == .v4 ? 1 : 2, address.octets)
            case .name(let name): (3, Array(name.utf8))
            }
        // Names are at most 253 octets long.
        return [type, UInt8(clamping: identity.count)] + identity
    }

    /// Reads an identity and what follows it; `nil` if it is none that can be called.
    static func read(_ octets: [UInt8]) -> (gateway: GatewayIdentity, rest: [UInt8])? {
        guard octets.count >= 2, octets.count >= 2 + Int(octets[1]) else { return nil }
        let identity = octets[2..<2 + Int(octets[1])]
        let rest = Array(octets[(2 + Int(octets[1]))...])
        switch octets[0] {
        case 1, 2:
            guard let address = IPAddress(octets: identity), address.family == (octets[0] == 1 ? .v4 : .v6),
                !address.isUnspecified, !address.isMulticast
            else { return nil }
            return (.address(address), rest)
        case 3:
            let name = String(decoding: identity, as: UTF8.self)
            return isDomainName(name) ? (.name(name), rest) : nil
        default: return nil
        }
    }

    /// Labels of letters, digits, hyphens and underscores, at least two of them: nothing that a resolver could take for
    /// something else.
    static func isDomainName(_ text: String) -> Bool {
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        guard text.utf8.count <= 253, labels.count >= 2, let last = labels.last, !last.allSatisfy(\.isNumber)
        else { return false }
        return labels.allSatisfy { label in
            (1...63).contains(label.utf8.count) && !label.hasPrefix("-")
                && label.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
        }
    }
}
