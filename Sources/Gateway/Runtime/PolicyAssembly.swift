import Dataplane
import IKE
import IPPacket
import IPsecPolicy

extension GatewayConfiguration {
    /// The security policy database in order: policies placed before, the children of all connections, policies placed after.
    ///
    /// - Parameter virtual: the addresses that peers have given us, by connection.
    func installedPolicies(virtual: [String: [IPAddress]]) -> [InstalledPolicy] {
        var number: UInt32 = 0
        func entries(_ place: ConfiguredPolicy.Place) -> [InstalledPolicy] {
            policies.filter { $0.place == place }.map { policy in
                number += 1
                return InstalledPolicy(
                    SecurityPolicy(
                        id: number, action: policy.action == .bypass ? .bypass : .discard, local: policy.local,
                        remote: policy.remote))
            }
        }
        let protected = connections.flatMap { connection in
            connection.configuration.children.sortedByClasses.map { child, dscp in
                InstalledPolicy(
                    SecurityPolicy(
                        id: child.policyID, action: .protect, local: child.localSelectors,
                        remote: child.remoteSelectors, dscp: dscp),
                    preferredSources: virtual[connection.name] ?? [])
            }
        }
        return entries(.before) + protected + entries(.after)
    }
}

extension [ChildConfiguration] {
    /// The children in the order of their policies, each with the classes of packets that its policy is for: of those for the same
    /// addresses, the ones for fewer classes first, and last the one for all others.
    var sortedByClasses: [(child: ChildConfiguration, dscp: DSCPSet?)] {
        var result = map { (child: $0, dscp: $0.classes?.values) }
        guard contains(where: { $0.classes != nil }) else { return result }
        for places in Dictionary(grouping: indices, by: { [self[$0].localSelectors, self[$0].remoteSelectors] }).values
        {
            let members = places.map { result[$0] }.sorted { ($0.dscp?.count ?? 64) < ($1.dscp?.count ?? 64) }
            for (place, member) in zip(places, members) { result[place] = member }
            // Classes that the peer is not bound to leave nothing without protection.
            if let last = places.last, result[last].child.takesRemainder { result[last].dscp = nil }
        }
        return result
    }
}

extension ChildConfiguration {
    /// Whether packets of other classes go with it, where no other child for the same addresses takes them.
    var takesRemainder: Bool { classes.map { $0.form == .notify || $0.form == .local } ?? true }
}
