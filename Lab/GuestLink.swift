import IPPacket

/// A guest's end of one link of a topology.
struct GuestLink: Sendable {
    /// The TAP device, in the gateway's namespace, that the guest takes for its network card.
    let tap: String
    let addresses: [(address: IPAddress, length: Int)]
    let defaultRoutes: [IPAddress]

    /// Lines of `ip` that set up the guest's device.
    func setting(of device: String) -> [String] {
        ["link set lo up", "link set \(device) up"]
            + addresses.map {
                "addr add \($0.address)/\($0.length) dev \(device)\($0.address.family == .v4 ? "" : " nodad")"
            } + defaultRoutes.map { "route add default via \($0)" }
    }
}

extension Topology {
    /// Takes a gateway's addresses away and bridges its two links to TAP devices, for a guest to stand in its place.
    func giveWay(at side: Side) async throws(LabError) -> [GuestLink] {
        let devices = ["lan", "wan"]
        try await gateway(side).ip(
            devices.flatMap { device in
                [
                    "addr flush dev \(device)", "tuntap add dev \(device)-tap mode tap",
                    "link add \(device)-bridge type bridge mcast_snooping 0",
                    "link set \(device)-bridge addrgenmode none up",
                    // The guest takes nothing longer than a packet, although it says so to nobody.
                    "link set \(device)-tap gso_max_segs 1",
                ] + [device, "\(device)-tap"].map { "link set \($0) master \(device)-bridge addrgenmode none up" }
            })
        return devices.map { device in
            let isInner = device == "lan"
            return GuestLink(
                tap: "\(device)-tap",
                addresses: IPFamily.allCases.map { family in
                    isInner
                        ? (Self.gatewayInnerAddress(side, family), family == .v4 ? 24 : 64)
                        : (Self.outerAddress(side, family), family == .v4 ? 25 : 64)
                }, defaultRoutes: isInner ? [] : IPFamily.allCases.map { Self.routerAddress(side, $0) })
        }
    }
}
