// RFC 5685: redirection as the client sees it.
import IKEMessage
import IPPacket
import Octets

extension Redirection {
    /// What is known of clients' redirections, by connection.
    struct Shared {
        /// When a connection was redirected.
        var history: [String: [Instant]] = [:]
        /// The call elsewhere that is about to be begun.
        var detours: [String: Detour] = [:]
        /// SAs that wait for the address of a name.
        var waiting: [Waiting] = []
    }

    struct Detour {
        let from: GatewayIdentity
        weak var predecessor: IKESA?
    }

    struct Waiting {
        let name: String
        weak var sa: IKESA?
    }

    /// A REDIRECT that has been taken and not yet followed.
    struct Pending {
        let target: GatewayIdentity
        /// What is asked for at the other gateway.
        let children: [ChildConfiguration]
        /// When the call is made; `nil` once its name is being looked up.
        var due: Instant?
    }

    /// More than so many redirections of a connection within this time are a circle (RFC 5685 section 7).
    private static let limit = 5
    private static let period: Duration = .seconds(300)
    /// How long a REDIRECT that nothing protects is held back for a better answer.
    private static let caution: Duration = .milliseconds(100)

    /// That we can be redirected, or that we have been (RFC 5685 sections 3 and 5).
    static func announcement(of sa: IKESA) -> [Payload] {
        guard let connection = sa.connection, connection.followsRedirects else { return [] }
        var state = sa.slots[Self.self] ?? State(isClient: true)
        if let detour = sa.context.shared[Self.self]?.detours.removeValue(forKey: connection.name) {
            state.from = detour.from
            state.predecessor = detour.predecessor
        }
        sa.slots[Self.self] = state
        return [
            state.from.map { notify(.redirectedFrom, $0) } ?? .notify(NotifyPayload(type: .redirectSupported))
        ]
    }

    // MARK: Taking a REDIRECT

    /// In IKE_SA_INIT: the nonce must be ours.
    static func divert(initial response: Message, of sa: IKESA) -> Bool {
        guard case .initiating(let initial) = sa.state, sa.slots[Self.self]?.isClient ?? false,
            let data = response.payloads.notification(.redirect)?.data
        else { return false }
        guard let (gateway, nonce) = GatewayIdentity.read(data), nonce == initial.nonce else {
            sa.tell(.refused, "a REDIRECT that does not return our nonce, or names no gateway")
            return true
        }
        take(gateway, children: initial.children, due: sa.context.now + caution, of: sa)
        return true
    }

    /// In IKE_AUTH, in place of the first child.
    static func divert(
        authenticated answer: [Payload], children: [ChildConfiguration], of sa: IKESA
    ) -> Bool {
        guard sa.slots[Self.self]?.isClient ?? false, answer.securityAssociation == nil,
            let data = answer.notification(.redirect)?.data, let (gateway, _) = GatewayIdentity.read(data)
        else { return false }
        take(gateway, children: children, of: sa)
        go(from: sa)
        sa.enqueue(.deleteIKE(reason: "the peer has sent us to \(gateway)"))
        return true
    }

    /// Later: only the gateway that was called sends its client elsewhere.
    static func answer(_ request: Authenticated, of sa: IKESA) -> [Payload] {
        guard sa.slots[Self.self]?.isClient ?? false, sa.established?.isReplaced == false,
            let data = request.payloads.notification(.redirect)?.data
        else { return [] }
        guard let (gateway, _) = GatewayIdentity.read(data) else {
            sa.tell(.refused, "a REDIRECT that names no gateway")
            return []
        }
        let names = Set(sa.established?.children.map(\.configuration.name) ?? [])
        let children = (sa.connection?.children ?? []).filter { names.contains($0.name) }
        guard take(gateway, children: children, of: sa) else { return [] }
        go(from: sa)
        return []
    }

    /// False if one is being followed already.
    @discardableResult
    private static func take(
        _ gateway: GatewayIdentity, children: [ChildConfiguration], due: Instant? = nil, of sa: IKESA
    ) -> Bool {
        guard sa.slots[Self.self]?.pending == nil else { return false }
        sa.tell(.received, "REDIRECT to \(gateway)")
        sa.slots[Self.self]?.pending = Pending(target: gateway, children: children, due: due)
        return true
    }

    // MARK: Following it

    /// Calls the other gateway, or looks up its name first.
    static func go(from sa: IKESA) {
        guard let pending = sa.slots[Self.self]?.pending, let connection = sa.connection else { return }
        sa.slots[Self.self]?.pending?.due = nil
        let context = sa.context
        var shared = context.shared[Self.self] ?? Shared()
        let recent = (shared.history[connection.name] ?? []).filter { context.now - $0 < period }
        guard recent.count < limit else {
            let time = "\(Int(period.inSeconds / 60)) minutes"
            return stay(sa, "redirected more than \(limit) times in \(time): gateways send us round in circles")
        }
        shared.history[connection.name] = recent + [context.now]
        if case .name(let name) = pending.target {
            shared.waiting.removeAll { $0.sa == nil || $0.sa === sa }
            shared.waiting.append(Waiting(name: name, sa: sa))
        }
        context.shared[Self.self] = shared
        switch pending.target {
        case .address(let address): call(address, from: sa, pending)
        case .name(let name): context.emit(.resolve(name))
        }
    }

    /// The addresses of a name that was looked up; none if it has none.
    static func resolved(_ name: String, _ addresses: [IPAddress], context: EndpointContext) {
        guard var shared = context.shared[Self.self] else { return }
        let waiting = shared.waiting.filter { $0.name == name }.compactMap(\.sa)
        shared.waiting.removeAll { $0.name == name || $0.sa == nil }
        context.shared[Self.self] = shared
        for sa in waiting {
            guard let pending = sa.slots[Self.self]?.pending else { continue }
            if let address = addresses.first(where: { context.configuration.sourceAddress($0) != nil }) {
                call(address, from: sa, pending)
            } else {
                stay(sa, "redirected to \(name), of which no address is known that a route leads to")
            }
            context.signals.append(.changed(sa))
        }
    }

    private static func call(_ address: IPAddress, from sa: IKESA, _ pending: Pending) {
        guard let connection = sa.connection else { return }
        guard address != sa.path.remote.address else { return stay(sa, "redirected to where we are, \(address)") }
        guard sa.context.configuration.sourceAddress(address) != nil else {
            return stay(sa, "redirected to \(address), where no route leads")
        }
        sa.slots[Self.self]?.pending = nil
        let detour = Detour(from: .address(sa.path.remote.address), predecessor: sa.isEstablished ? sa : nil)
        sa.context.shared[Self.self]?.detours[connection.name] = detour
        sa.context.emit(.redirected(connection: connection.name, from: sa.path.remote, to: pending.target))
        sa.context.signals.append(.callElsewhere(sa, at: address, pending.children))
        // An attempt comes to its end here; what is established serves until the next is.
        if !sa.isEstablished { sa.close(nil, reason: "redirected to \(pending.target)", tellPeer: false) }
    }

    /// A REDIRECT that cannot be followed.
    private static func stay(_ sa: IKESA, _ reason: String) {
        sa.slots[Self.self]?.pending = nil
        if sa.isEstablished {
            sa.context.emit(.warning(connection: sa.connection?.name, reason))
        } else {
            sa.close(
                Refusal(
                    .refusedByPeer, by: .peer, reason,
                    at: sa.connection.map { [$0.origin(of: "follow-redirect")] } ?? []),
                tellPeer: false)
        }
    }

    /// The other gateway has taken us: the one that sent us there is left (RFC 5685 section 4).
    static func established(_ sa: IKESA) {
        guard let old = sa.slots[Self.self]?.predecessor, old.isEstablished else { return }
        sa.slots[Self.self]?.predecessor = nil
        old.retire(after: Established.handoverTime)
    }
}
