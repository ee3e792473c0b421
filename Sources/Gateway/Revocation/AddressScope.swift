import IPPacket

/// Which addresses belong to the public Internet: what a certificate points to must not make the daemon talk to machines that
/// only it can reach.
package enum AddressScope {
    /// IANA's special-purpose address registries (RFC 6890), as far as they are not globally reachable.
    private static let closed: [IPPrefix] = [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3", "::/127", "100::/64", "fc00::/7", "fe80::/10", "ff00::/8",
    ].compactMap { IPPrefix($0) }

    /// Prefixes of IPv6 whose last 32 bits, or those after the first 16, are an IPv4 address.
    private static let carriers = (
        last: ["::ffff:0:0/96", "64:ff9b::/96"].compactMap { IPPrefix($0) }, sixToFour: IPPrefix("2002::/16")
    )

    package static func isPublic(_ address: IPAddress) -> Bool {
        if closed.contains(where: { $0.family == address.family && $0.contains(address) }) { return false }
        guard address.family == .v6 else { return true }
        if carriers.last.contains(where: { $0.contains(address) }) {
            return isPublic(IPAddress(v4: UInt32(truncatingIfNeeded: address.value)))
        }
        if let prefix = carriers.sixToFour, prefix.contains(address) {
            return isPublic(IPAddress(v4: UInt32(truncatingIfNeeded: address.value >> 80)))
        }
        return true
    }
}
