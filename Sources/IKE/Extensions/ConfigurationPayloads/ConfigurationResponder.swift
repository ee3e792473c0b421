import IKEMessage
import IPPacket
import IPsecPolicy
import Octets

// Giving addresses.
extension ConfigurationPayloads {
    /// Gives the peer what its CFG_REQUEST asks for, out of the connection's pools.
    ///
    /// - Throws: INTERNAL_ADDRESS_FAILURE if there is no address left, FAILED_CP_REQUIRED if the peer asks for none, although
    ///   it can have no traffic without.
    static func assign(to sa: IKESA, _ payloads: [Payload]) throws(Refusal) {
        guard let connection = sa.connection, let established = sa.established, !connection.addressPools.isEmpty else {
            return
        }
        let origin = connection.origin(of: "remote.pool")
        guard let request = payloads.configuration, request.type == .request else {
            throw Refusal(
                .refusedByPeer,
                "the peer asks for no address, and \(connection.name) has traffic only for those it gives",
                at: [origin], notify: .failedCPRequired)
        }
        let holder: LeaseTable.Holder =
            established.remoteIdentity == .anonymous ? .association(sa.localSPI) : .identity(established.remoteIdentity)
        var assigned = AssignedConfiguration()
        var wanted: [IPFamily] = []
        for attribute in request.attributes
        where attribute.type == .internalIP4Address || attribute.type == .internalIP6Address {
            let family: IPFamily = attribute.type == .internalIP4Address ? .v4 : .v6
            // One address of a family is what anybody gets.
            guard !wanted.contains(family) else { continue }
            wanted.append(family)
            if let address = lease(family, wanted: attribute.leadingAddress, for: sa, holder, connection.addressPools) {
                assigned.addresses.append(address)
            }
        }
        sa.slots[Self.self] = State(assigned: assigned, holder: holder)
        guard !assigned.addresses.isEmpty else {
            let families = wanted.map(\.description).joined(separator: " or ")
            let pools = connection.addressPools.map(\.name).joined(separator: ", ")
            throw Refusal(
                .refusedByPeer,
                wanted.isEmpty
                    ? "the peer's configuration request asks for no address"
                    : "no \(families) address is left in \(pools)",
                at: [origin], notify: wanted.isEmpty ? .failedCPRequired : .internalAddressFailure)
        }
        let families = Set(assigned.addresses.map(\.family))
        assigned.dnsServers = connection.addressPools.flatMap(\.dnsServers)
        assigned.domains = connection.addressPools.flatMap(\.domains)
        assigned.encryptedResolvers = connection.addressPools.flatMap(\.encryptedResolvers)
        assigned.subnets = connection.children.flatMap(\.localSelectors)
            .filter { families.contains($0.family) && $0.ipProtocol == 0 }.flatMap(\.prefixes)
            .reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
        // Who may send everything here is told of no networks; a list cut short would be a wrong one.
        if assigned.subnets.contains(where: { $0.length == 0 })
            || assigned.subnets.count > AssignedConfiguration.subnetLimit
        {
            assigned.subnets = []
        }
        sa.slots[Self.self] = State(assigned: assigned, holder: holder, reply: assigned.reply(to: request))
        sa.tell(.chosen, "we give the peer \(assigned.summary)", origin: origin)
    }

    private static func lease(
        _ family: IPFamily, wanted: IPAddress?, for sa: IKESA, _ holder: LeaseTable.Holder, _ pools: [AddressPool]
    ) -> IPAddress? {
        let context = sa.context
        var address: IPAddress?
        share(sa) { shared in
            for pool in pools where address == nil {
                address = shared.leases.assign(
                    from: pool, family, to: holder, wanted: wanted, owner: sa.localSPI, at: context.now
                ) { context.ikeSPIs.isInUse($0) }
            }
        }
        return address
    }
}
