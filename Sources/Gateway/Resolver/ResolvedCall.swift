import IKE
import IPPacket

/// Calls of systemd-resolved's D-Bus interface, `org.freedesktop.resolve1.Manager`, as arguments of `busctl`.
package enum ResolvedCall: Equatable {
    /// Seconds for which `busctl` waits for an answer.
    package static let timeout = 4

    case setLinkDNSOverTLS(Int32, Bool)
    case setLinkDefaultRoute(Int32, Bool)
    /// Domains for routing only, not for the completion of short names.
    case setLinkDomains(Int32, [String])
    case setLinkDNS(Int32, [ResolverPlan.Server])
    case flushCaches
    case revertLink(Int32)

    /// All calls that put a plan into force on a link, in an order in which nothing is asked in clear that is not to be: neither of
    /// these servers before TLS is on, nor of those that another plan has set once it is off.
    package static func apply(_ plan: ResolverPlan, to link: Int32) -> [Self] {
        let servers: [Self] = [
            .setLinkDefaultRoute(link, plan.domains.contains(".")), .setLinkDomains(link, plan.domains),
            .setLinkDNS(link, plan.servers),
        ]
        let encryption = Self.setLinkDNSOverTLS(link, plan.usesTLS)
        return (plan.usesTLS ? [encryption] + servers : servers + [encryption]) + [.flushCaches]
    }

    /// All calls that take a link's settings away, and what was learnt by them (RFC 8598 section 5).
    package static func revert(_ link: Int32) -> [Self] { [.revertLink(link), .flushCaches] }

    /// Nothing behind `--` is an option, whatever a peer calls its domains.
    package var arguments: [String] {
        let (method, signature, values) = call
        return [
            "--system", "--quiet", "--timeout=\(Self.timeout)", "--", "call", "org.freedesktop.resolve1",
            "/org/freedesktop/resolve1", "org.freedesktop.resolve1.Manager", method,
        ] + (signature.isEmpty ? [] : [signature]) + values
    }

    private var call: (method: String, signature: String, values: [String]) {
        switch self {
        case .setLinkDNSOverTLS(let link, let isOn): ("SetLinkDNSOverTLS", "is", ["\(link)", isOn ? "yes" : "no"])
        case .setLinkDefaultRoute(let link, let isOn):
            ("SetLinkDefaultRoute", "ib", ["\(link)", isOn ? "true" : "false"])
        case .setLinkDomains(let link, let domains):
            ("SetLinkDomains", "ia(sb)", ["\(link)", "\(domains.count)"] + domains.flatMap { [$0, "true"] })
        case .setLinkDNS(let link, let servers):
            ("SetLinkDNSEx", "ia(iayqs)", ["\(link)", "\(servers.count)"] + servers.flatMap(Self.values))
        case .flushCaches: ("FlushCaches", "", [])
        case .revertLink(let link): ("RevertLink", "i", ["\(link)"])
        }
    }

    /// Address family, address as a list of octets, port or 0, name or none.
    private static func values(of server: ResolverPlan.Server) -> [String] {
        let octets = server.address.octets
        // AF_INET and AF_INET6 of Linux.
        return [server.address.family == .v4 ? "2" : "10", "\(octets.count)"] + octets.map { "\($0)" }
            + ["\(server.port ?? 0)", server.name ?? ""]
    }
}
