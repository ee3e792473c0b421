import Foundation
import IPPacket

/// Which end of the scenario something belongs to.
package enum Side: String, Sendable, CaseIterable {
    case left
    case right

    package var other: Side { self == .left ? .right : .left }
}

/// Two protected networks, their gateways, and a router between them that knows neither network:
///
///     left-host ───── left gateway ───── router ───── right gateway ───── right-host
///       .2        .1             .2   .1        .1  .2              .1          .2
///        10.1.0.0/24     192.0.2.0/25       192.0.2.128/25       10.2.0.0/24
///        fd00:1::/64    2001:db8:1::/64     2001:db8:2::/64      fd00:2::/64
///
/// Every link has both families. With NAT, the router hides the left gateway behind its own right address. A relay takes the place
/// of the router's forwarding between the gateways.
package struct Topology: Sendable {
    package let laboratory: Laboratory
    package let router: Namespace
    package let isNATed: Bool
    package private(set) var relay: Relay?
    private let hosts: [Side: Namespace]
    private let gateways: [Side: Namespace]

    package func host(_ side: Side) -> Namespace { hosts[side] ?? router }
    package func gateway(_ side: Side) -> Namespace { gateways[side] ?? router }

    // MARK: Addresses

    package static func network(_ side: Side, _ family: IPFamily) -> IPPrefix {
        IPPrefix(hostAddress(side, family), length: family == .v4 ? 24 : 64) ?? .all(family)
    }

    package static func hostAddress(_ side: Side, _ family: IPFamily) -> IPAddress { inner(side, family, 2) }
    package static func gatewayInnerAddress(_ side: Side, _ family: IPFamily) -> IPAddress { inner(side, family, 1) }

    package static func outerAddress(_ side: Side, _ family: IPFamily) -> IPAddress { outer(side, family, 2) }
    package static func routerAddress(_ side: Side, _ family: IPFamily) -> IPAddress { outer(side, family, 1) }

    private static func inner(_ side: Side, _ family: IPFamily, _ number: UInt8) -> IPAddress {
        let network: UInt8 = side == .left ? 1 : 2
        return switch family {
        case .v4: IPAddress(v4: 0x0a00_0000 | UInt32(network) << 16 | UInt32(number))
        case .v6: IPAddress(v6: (0xfd00_0000_0000_0000 | UInt128(network) << 32) << 64 | UInt128(number))
        }
    }

    private static func outer(_ side: Side, _ family: IPFamily, _ number: UInt8) -> IPAddress {
        switch family {
        case .v4: IPAddress(v4: 0xc000_0200 | (side == .left ? 0 : 128) | UInt32(number))
        case .v6:
            IPAddress(v6: (0x2001_0db8_0000_0000 | UInt128(side == .left ? 1 : 2) << 16) << 64 | UInt128(number))
        }
    }

    // MARK: Building

    /// - Parameter impairments: Has a relay between the gateways that does this to packets; there is no NAT then, and no
    ///   visitor is reached.
    package init(in laboratory: Laboratory, isNATed: Bool = false, impairments: Impairments? = nil) async throws {
        self.laboratory = laboratory
        self.isNATed = isNATed
        router = try await laboratory.namespace("router")
        var hosts: [Side: Namespace] = [:]
        var gateways: [Side: Namespace] = [:]
        for side in Side.allCases {
            hosts[side] = try await laboratory.namespace("\(side)-host")
            gateways[side] = try await laboratory.namespace("\(side)")
        }
        self.hosts = hosts
        self.gateways = gateways

        for namespace in [router] + Array(gateways.values) + Array(hosts.values) {
            try await namespace.set(Self.quiet)
        }
        for namespace in gateways.values { try await namespace.set(Self.forwarding("1")) }
        // A new namespace may have either.
        try await router.set(Self.forwarding(impairments == nil ? "1" : "0"))
        for side in Side.allCases { try await join(side) }
        if isNATed { try await hideLeft() }
        if let impairments { try await impair(impairments) }
    }

    /// No duplicate address detection, no search for routers, no filter by reverse path: links work at once and carry
    /// only our packets.
    private static let quiet: [(path: String, value: String)] = [
        ("net/ipv6/conf/default/accept_dad", "0"),
        ("net/ipv6/conf/default/router_solicitations", "0"),
        ("net/ipv6/conf/default/accept_ra", "0"),
        ("net/ipv4/conf/all/rp_filter", "0"),
        ("net/ipv4/conf/default/rp_filter", "0"),
    ]

    private static func forwarding(_ value: String) -> [(path: String, value: String)] {
        [("net/ipv4/ip_forward", value), ("net/ipv6/conf/all/forwarding", value)]
    }

    /// Makes the links and routes from a host over its gateway to the router.
    private func join(_ side: Side) async throws {
        let host = host(side)
        let gateway = gateway(side)
        try await Command.run(
            ["ip", "-batch", "-"],
            input: """
                link add lan netns \(host.name) type veth peer name lan netns \(gateway.name)
                link add wan netns \(gateway.name) type veth peer name \(side) netns \(router.name)

                """
        ).orThrow()
        var hostLines = ["link set lo up", "link set lan up"]
        var gatewayLines = ["link set lo up", "link set lan up", "link set wan up"]
        var routerLines = ["link set lo up", "link set \(side) up"]
        for family in IPFamily.allCases {
            let innerLength = family == .v4 ? 24 : 64
            let outerLength = family == .v4 ? 25 : 64
            let router = Self.routerAddress(side, family)
            let inner = Self.gatewayInnerAddress(side, family)
            let option = family == .v4 ? "" : " nodad"
            hostLines += [
                "addr add \(Self.hostAddress(side, family))/\(innerLength) dev lan\(option)",
                "route add default via \(inner)",
            ]
            gatewayLines += [
                "addr add \(inner)/\(innerLength) dev lan\(option)",
                "addr add \(Self.outerAddress(side, family))/\(outerLength) dev wan\(option)",
                "route add default via \(router)",
            ]
            routerLines.append("addr add \(router)/\(outerLength) dev \(side)\(option)")
        }
        try await host.ip(hostLines)
        try await gateway.ip(gatewayLines)
        try await router.ip(routerLines)
    }

    /// One more host at the router, with an address of IPv4.
    ///
    /// - Parameter number: 1 to 60.
    package func visitor(_ number: Int) async throws -> (namespace: Namespace, address: IPAddress) {
        let namespace = try await laboratory.namespace("visitor\(number)")
        try await namespace.set(Self.quiet)
        let link = "visitor\(number)"
        let base = 0xcb00_7100 | UInt32(number) << 2
        let (near, far) = (IPAddress(v4: base | 1), IPAddress(v4: base | 2))
        try await Command.run(
            ["ip", "-batch", "-"],
            input: "link add wan netns \(namespace.name) type veth peer name \(link) netns \(router.name)\n"
        ).orThrow()
        try await router.ip(["link set \(link) up", "addr add \(near)/30 dev \(link)"])
        try await namespace.ip([
            "link set lo up", "link set wan up", "addr add \(far)/30 dev wan", "route add default via \(near)",
        ])
        return (namespace, far)
    }

    private mutating func impair(_ impairments: Impairments) async throws {
        guard !isNATed else { throw LabError("a relay does not translate addresses") }
        var links: [Side: RelayLink] = [:]
        for side in Side.allCases {
            // It sees what would be on a wire: the gateway's kernel takes super-packets apart.
            try await gateway(side).ip(["link set dev wan gso_max_segs 1"])
            links[side] = RelayLink(
                router: try await linkAddress("\(side)", router), gateway: try await linkAddress("wan", gateway(side)))
        }
        let own = Set(Side.allCases.flatMap { side in IPFamily.allCases.map { Self.routerAddress(side, $0) } })
        let relay = try await Relay(in: router, links: links, own: own, impairments: impairments)
        laboratory.atClose { relay.stop() }
        self.relay = relay
    }

    private func linkAddress(_ device: String, _ namespace: Namespace) async throws(LabError) -> [UInt8] {
        let line = try await Command.run(["ip", "-n", namespace.name, "-o", "link", "show", "dev", device]).orThrow()
            .output
        let words = line.split(whereSeparator: \.isWhitespace)
        guard let index = words.firstIndex(of: "link/ether"), index + 1 < words.count else {
            throw LabError("\(device) in \(namespace.name) has no link address")
        }
        return words[index + 1].split(separator: ":").compactMap { UInt8($0, radix: 16) }
    }

    private func hideLeft() async throws {
        let rules = """
            table inet lab {
                chain hide {
                    type nat hook postrouting priority 100
                    oifname "right" masquerade
                }
            }

            """
        try await router.run(["nft", "-f", "-"], input: rules).orThrow()
    }
}
