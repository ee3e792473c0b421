// RFC 7296 sections 2.19 and 3.15: configuration payloads. RFC 8598: split DNS. Code points: payload 47, notifications 36 and
// 37, attributes 1, 3, 8, 10, 13 to 15, 25, 26 (IKEMessage). Those of RFC 9464: EncryptedDNSCoding.swift.
import Credentials
import IKEMessage
import IPPacket
import IPsecPolicy
import Octets

/// Addresses and resolvers that the responder of a connection gives the initiator.
enum ConfigurationPayloads: IKEExtension {
    struct State {
        /// What we have given the peer, or it us.
        var assigned = AssignedConfiguration()
        /// Whom a pool's addresses are kept for; `nil` where none is given.
        var holder: LeaseTable.Holder?
        /// Our answer in IKE_AUTH.
        var reply: ConfigurationPayload?
    }

    struct Shared {
        var leases = LeaseTable()
        /// What peers have given us, by connection, with our SPI of the IKE SA that has it.
        var virtual: [String: (addresses: [IPAddress], owner: UInt64)] = [:]
        /// What we had last, to be asked for again.
        var remembered: [String: [IPAddress]] = [:]
    }

    // MARK: Messages

    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload] {
        switch stage {
        case .authRequest: request(of: sa).map { [.configuration($0)] } ?? []
        case .authResponse: sa.slots[Self.self]?.reply.map { [.configuration($0)] } ?? []
        case .initRequest, .initResponse: []
        }
    }

    static func receive(_ payloads: [Payload], at stage: MessageStage, of sa: IKESA) throws(Refusal) {
        switch stage {
        case .authRequest: try assign(to: sa, payloads)
        case .authResponse: try takeOver(payloads, sa)
        case .initRequest, .initResponse: break
        }
    }

    /// A question outside IKE_AUTH gets what does not depend on addresses (RFC 7296 section 3.15.4).
    static func answer(_ request: Authenticated, of sa: IKESA) -> [Payload] {
        guard let asked = request.payloads.configuration, asked.type == .request else { return [] }
        var known = sa.isInitiator ? AssignedConfiguration() : sa.slots[Self.self]?.assigned ?? AssignedConfiguration()
        known.addresses = []
        return [.configuration(known.reply(to: asked))]
    }

    // MARK: Children

    /// Puts assigned addresses in the place of what they were assigned from.
    static func adapt(_ child: inout ChildConfiguration, of sa: IKESA) {
        guard let connection = sa.connection else { return }
        let addresses = sa.slots[Self.self]?.assigned.addresses ?? []
        if sa.isInitiator, !connection.virtualAddresses.isEmpty { child.trigger?.local = nil }
        if sa.isInitiator, !connection.virtualAddresses.isEmpty, !addresses.isEmpty {
            let own = narrowed(child.localSelectors, to: addresses)
            if !own.isEmpty { child.localSelectors = own }
        } else if !connection.addressPools.isEmpty {
            child.remoteSelectors = child.remoteSelectors.flatMap { selector in
                isOfPools(selector, connection.addressPools) ? narrowed([selector], to: addresses) : [selector]
            }
        }
    }

    private static func narrowed(_ selectors: [TrafficSelector], to addresses: [IPAddress]) -> [TrafficSelector] {
        Narrowing.narrow(addresses.map { TrafficSelector(IPPrefix($0)) }, to: selectors)
    }

    private static func isOfPools(_ selector: TrafficSelector, _ pools: [AddressPool]) -> Bool {
        pools.contains { pool in
            pool.ranges.contains { range in
                TrafficSelector(first: range.first, last: range.last)?.intersection(selector) != nil
            }
        }
    }

    // MARK: Life

    static func replaced(_ old: IKESA, by new: IKESA) {
        guard let state = new.slots[Self.self] else { return }
        if let holder = state.holder { share(new) { $0.leases.handOver(holder, from: old.localSPI, to: new.localSPI) } }
        if let name = new.connection?.name {
            share(new) { shared in
                if shared.virtual[name]?.owner == old.localSPI { shared.virtual[name]?.owner = new.localSPI }
            }
        }
    }

    static func ended(_ sa: IKESA) {
        guard let state = sa.slots[Self.self], let name = sa.connection?.name else { return }
        let context = sa.context
        if let holder = state.holder {
            share(sa) { shared in
                shared.leases.release(holder, by: sa.localSPI, at: context.now) {
                    $0 != sa.localSPI && context.ikeSPIs.isInUse($0)
                }
            }
        }
        guard context.shared[Self.self]?.virtual[name]?.owner == sa.localSPI else { return }
        share(sa) { $0.virtual[name] = nil }
        context.emit(.assignAddresses(connection: name, []))
        context.emit(.setResolvers(connection: name, nil))
    }

    static func describe(_ status: inout IKESAStatus, of sa: IKESA) {
        guard let assigned = sa.slots[Self.self]?.assigned, assigned != AssignedConfiguration() else { return }
        if sa.isOurConfiguration { status.assignedToUs = assigned } else { status.assignedToPeer = assigned }
    }

    static func share(_ sa: IKESA, _ change: (inout Shared) -> Void) {
        // Taken out meanwhile, so that it is changed in place.
        var shared = sa.context.shared[Self.self] ?? Shared()
        sa.context.shared[Self.self] = nil
        change(&shared)
        sa.context.shared[Self.self] = shared
    }
}

extension IKESA {
    /// Whether what was assigned is ours: a pool's addresses are the peer's.
    fileprivate var isOurConfiguration: Bool { !(connection?.virtualAddresses.isEmpty ?? true) }
}

extension [Payload] {
    var configuration: ConfigurationPayload? {
        for case .configuration(let payload) in self { return payload }
        return nil
    }
}

extension Endpoint {
    /// The addresses of all pools that peers have, or had last, by pool and address.
    public func leases() -> [AddressLease] {
        context.shared[ConfigurationPayloads.self]?.leases.leases { context.ikeSPIs.isInUse($0) } ?? []
    }
}
