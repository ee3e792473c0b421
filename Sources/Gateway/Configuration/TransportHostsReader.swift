import IKE
import IPPacket
import IPsecPolicy

/// Reads what a child in transport mode protects: traffic between this host and the peer themselves.
struct TransportHostsReader {
    let connection: ConnectionReader
    let origin: Origin

    private var diagnostics: Diagnostics { connection.diagnostics }

    /// Our side: what is written, else the addresses we use towards the peer.
    func local(_ node: ConfigurationNode?) -> [TrafficSelector]? {
        guard let node else {
            let addresses =
                connection.local[.address]?.elements.compactMap { $0.element }.compactMap { IPAddress($0) } ?? []
            guard addresses.isEmpty else { return addresses.map { TrafficSelector(IPPrefix($0)) } }
            guard !connection.local.isMisspelt(.address, .subnets), !connection.settings.isMisspelt(.local) else {
                return nil
            }
            diagnostics.error(
                "transport mode protects what this host itself sends; give its address as \"local: { address: 192.0.2.1 }\"",
                at: origin)
            return nil
        }
        guard let selectors = SelectorSyntax.list(node) else { return nil }
        if let wide = selectors.first(where: { $0.first != $0.last }) {
            node.error(
                "transport mode protects what this host itself sends, and \(wide) is more than one host; expected its address"
            )
            return nil
        }
        return selectors
    }

    /// The peer's side: what is written, else the addresses it is sought at.
    func remote(_ node: ConfigurationNode?) -> [TrafficSelector]? {
        let elements = connection.remote[.address]?.elements.compactMap(\.element) ?? []
        let addresses = elements.compactMap { IPAddress($0) }
        guard let node else {
            guard addresses.isEmpty || addresses.count < elements.count else {
                return addresses.map { TrafficSelector(IPPrefix($0)) }
            }
            guard !connection.remote.isMisspelt(.address, .subnets), !connection.settings.isMisspelt(.remote) else {
                return nil
            }
            diagnostics.error(
                "transport mode needs the peer's address; give it as \"remote: { address: 198.51.100.2 }\", or the networks that peers are in as \"subnets\"",
                at: origin)
            return nil
        }
        guard let selectors = SelectorSyntax.list(node) else { return nil }
        // Where the peer may be elsewhere too, selectors say where.
        guard !addresses.isEmpty, addresses.count == elements.count else { return selectors }
        if let other = selectors.first(where: { selector in
            !addresses.contains { selector == Self.only($0, of: selector) }
        }) {
            node.error(
                "transport mode protects what goes to the peer itself, and \(other) is not just \(addresses.map(\.description).joined(separator: " or ")); expected its address"
            )
            return nil
        }
        return selectors
    }

    /// A selector for one address, with protocol and ports of another.
    private static func only(_ address: IPAddress, of selector: TrafficSelector) -> TrafficSelector? {
        TrafficSelector(
            ipProtocol: selector.ipProtocol, firstPort: selector.firstPort, lastPort: selector.lastPort, first: address,
            last: address)
    }
}

extension ConfigurationNode {
    /// Its text, without a complaint where there is none.
    fileprivate var element: String? { node.scalar?.string }
}
