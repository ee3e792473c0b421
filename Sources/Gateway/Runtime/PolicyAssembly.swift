import Dataplane
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
            connection.configuration.children.map { child in
                InstalledPolicy(
                    SecurityPolicy(
                        id: child.policyID, action: .protect, local: child.localSelectors, remote: child.remoteSelectors
                    ),
                    preferredSources: virtual[connection.name] ?? [])
            }
        }
        return entries(.before) + protected + entries(.after)
    }
}
