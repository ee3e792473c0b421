import IKEMessage
import IPPacket
import IPsecPolicy
import Octets

// Asking for addresses.
extension ConfigurationPayloads {
    /// Our CFG_REQUEST: the addresses that the connection wants, those we had last by name, and whatever goes along with them.
    static func request(of sa: IKESA) -> ConfigurationPayload? {
        guard let connection = sa.connection, !connection.virtualAddresses.isEmpty else { return nil }
        let last = sa.context.shared[Self.self]?.remembered[connection.name] ?? []
        var attributes: [ConfigurationAttribute] = []
        for wanted in connection.virtualAddresses {
            switch wanted {
            case .preferred(let address): attributes.append(.address(address))
            case .any(let family):
                let known = last.first { $0.family == family }
                attributes.append(
                    known.map { .address($0) }
                        ?? ConfigurationAttribute(family == .v4 ? .internalIP4Address : .internalIP6Address))
            }
        }
        let families = Set(connection.virtualAddresses.map(\.family))
        if families.contains(.v4) { attributes.append(.init(.internalIP4Subnet)) }
        if families.contains(.v6) { attributes.append(.init(.internalIP6Subnet)) }
        attributes += resolverAttributes(of: connection)
        sa.tell(
            .wanted, "addresses: \(connection.virtualAddresses.map(\.summary).joined(separator: ", "))",
            origin: connection.origin(of: "local.virtual-addresses"))
        return ConfigurationPayload(type: .request, attributes: attributes)
    }

    /// What asks for resolvers: empty where nothing in particular is wanted (RFC 8598 section 3.1, RFC 9464 section 4).
    private static func resolverAttributes(of connection: ConnectionConfiguration) -> [ConfigurationAttribute] {
        guard connection.resolvers.use != .ignore else { return [] }
        var attributes: [ConfigurationAttribute] = []
        let families = Set(connection.virtualAddresses.map(\.family))
        if families.contains(.v4) { attributes += [.init(.internalIP4DNS), .init(.encdnsIP4)] }
        if families.contains(.v6) { attributes += [.init(.internalIP6DNS), .init(.encdnsIP6)] }
        let hashes = connection.resolvers.wantedHashes
        if !hashes.isEmpty { attributes.append(.wantedDigests(hashes)) }
        return attributes + [.init(.internalDNSDomain), .init(.internalDNSSECTA)]
    }

    private static func read(_ reply: ConfigurationPayload, of sa: IKESA, _ connection: ConnectionConfiguration)
        -> AssignedConfiguration
    {
        let reader = ReplyReader(
            reply, asked: Set(resolverAttributes(of: connection).map(\.type)),
            hashes: connection.resolvers.wantedHashes,
            isTrusted: connection.peerProvesItself)
        for complaint in reader.complaints { sa.tell(.refused, complaint) }
        return reader.assigned
    }

    /// What of the peer's resolvers is to be used, and for what.
    private static func plan(
        _ assigned: AssignedConfiguration, _ payloads: [Payload], of sa: IKESA, _ connection: ConnectionConfiguration
    ) {
        guard assigned.concernsResolvers else {
            return sa.context.emit(.setResolvers(connection: connection.name, nil))
        }
        // What the peer has left of the first child's traffic; of further children it is not known yet.
        let configured = connection.children.flatMap(\.remoteSelectors)
        let agreed = payloads.trafficSelectors(ofInitiator: false).map {
            Narrowing.narrow($0.policySelectors, to: configured)
        }
        let reach = connection.children.count == 1 ? agreed ?? configured : configured
        let plan = assigned.plan(by: connection.resolvers, reach: reach, isTrusted: connection.peerProvesItself)
        sa.tell(
            .chosen,
            "resolvers \(plan.use == .resolved ? "for systemd-resolved" : "that would be used"): \(plan.summary)",
            origin: connection.origin(of: "dns"))
        for remark in plan.remarks { sa.tell(.chosen, remark, origin: connection.origin(of: "dns")) }
        sa.context.emit(.setResolvers(connection: connection.name, plan))
    }

    private static func missingAddress(_ payloads: [Payload], at origin: Origin) -> Refusal {
        if payloads.notification(.internalAddressFailure) != nil {
            return Refusal(
                .refusedByPeer, by: .peer,
                "the peer answered INTERNAL_ADDRESS_FAILURE: it has no address left for us, or gives none; compare its pools",
                at: [origin])
        }
        if let error = payloads.errorNotification {
            return Refusal(
                .refusedByPeer, by: .peer, "the peer answered \(error.type) and gave no address", at: [origin])
        }
        return Refusal(.refusedByPeer, "we asked for an address, and the peer has given none", at: [origin])
    }

    /// Takes in the peer's CFG_REPLY.
    static func takeOver(_ payloads: [Payload], _ sa: IKESA) throws(Refusal) {
        guard let connection = sa.connection, !connection.virtualAddresses.isEmpty else { return }
        let origin = connection.origin(of: "local.virtual-addresses")
        let assigned = payloads.configuration.flatMap { $0.type == .reply ? read($0, of: sa, connection) : nil }
        let families = Set(connection.virtualAddresses.map(\.family))
        let addresses = (assigned?.addresses ?? []).filter { families.contains($0.family) }
        guard var assigned, !addresses.isEmpty else {
            // Nothing can come of an IKE SA without the addresses: it is set up anew later.
            let refusal = missingAddress(payloads, at: origin)
            _ = sa.withEstablished { $0.tasks.append(.deleteIKE(reason: refusal.reason)) }
            throw refusal
        }
        assigned.addresses = addresses
        sa.slots[Self.self] = State(assigned: assigned)
        sa.tell(.chosen, "the peer gives us \(assigned.summary)", origin: origin)
        share(sa) { shared in
            shared.virtual[connection.name] = (addresses, sa.localSPI)
            shared.remembered[connection.name] = addresses
        }
        sa.context.emit(.assignAddresses(connection: connection.name, addresses))
        sa.context.emit(.configurationReceived(connection: connection.name, assigned))
        plan(assigned, payloads, of: sa, connection)
    }
}

extension ConnectionConfiguration {
    fileprivate var peerProvesItself: Bool {
        if case .anonymous = remoteAuthentication { false } else { true }
    }
}

extension VirtualAddress {
    var summary: String {
        switch self {
        case .any(let family): "any of \(family)"
        case .preferred(let address): "\(address)"
        }
    }
}

extension AssignedConfiguration {
    /// Everything in one line.
    public var summary: String {
        var parts = [addresses.isEmpty ? "no address" : addresses.map(\.description).joined(separator: ", ")]
        if !dnsServers.isEmpty { parts.append("DNS \(dnsServers.map(\.description).joined(separator: ", "))") }
        if !encryptedResolvers.isEmpty {
            parts.append("encrypted DNS \(encryptedResolvers.map(\.summary).joined(separator: ", "))")
        }
        if !domains.isEmpty { parts.append("domains \(domains.map(\.name).joined(separator: ", "))") }
        if !subnets.isEmpty { parts.append("subnets \(subnets.map(\.description).joined(separator: ", "))") }
        return parts.joined(separator: "; ")
    }
}
