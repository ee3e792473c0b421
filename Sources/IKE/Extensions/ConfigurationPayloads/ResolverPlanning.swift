import IKEMessage
import IPPacket
import IPsecPolicy
import Octets

// Which of a peer's resolvers this host would use for what (RFC 8598 sections 5, 6 and 9; RFC 9464 sections 4 and 7).
//
// RFC 8598 leaves the list of domains that a gateway may take to the client. Here nothing is taken that is not on it. That names of
// RFC 6761 are never taken is a rule of ours.

extension AssignedConfiguration {
    /// Whether anything of this concerns resolvers.
    var concernsResolvers: Bool { !dnsServers.isEmpty || !encryptedResolvers.isEmpty || !domains.isEmpty }

    /// - Parameters:
    ///   - reach: the traffic that the peer's child SAs take.
    ///   - isTrusted: the peer has proved its identity (RFC 8598 section 9, RFC 7619 section 5).
    package func plan(by policy: ResolverPolicy, reach: [TrafficSelector], isTrusted: Bool = true) -> ResolverPlan {
        var plan = ResolverPlan(use: policy.use)
        guard isTrusted else {
            plan.remarks.append("no resolver is used of a peer that is nobody in particular")
            return plan
        }
        chooseServers(&plan, reach)
        chooseDomains(&plan, policy, isSplit: !reach.contains(where: \.isEverything))
        return plan
    }

    private static let serverLimit = 16
    /// Those of DNS over UDP, and over TLS.
    private static let (port, portOfTLS): (UInt16, UInt16) = (53, 853)
    private static let (tcp, udp): (UInt8, UInt8) = (6, 17)

    private func chooseServers(_ plan: inout ResolverPlan, _ reach: [TrafficSelector]) {
        // Packets to other addresses would leave by the tunnel's device and be dropped, or pass it by in clear.
        func isReached(_ address: IPAddress, by ipProtocol: UInt8, at port: UInt16) -> Bool {
            let service = TrafficSelector(IPPrefix(address), ipProtocol: ipProtocol, ports: port...port)
            return reach.contains { $0.intersection(service) == service }
        }
        for resolver in encryptedResolvers {
            guard resolver.digests.isEmpty else {
                plan.remarks.append(
                    "\(resolver.name) is not used: systemd-resolved cannot compare its certificate with a digest")
                continue
            }
            guard resolver.parameters.alpn.contains("dot") else {
                let spoken = resolver.parameters.alpn.map(Self.protocolName).joined(separator: ", ")
                plan.remarks.append(
                    "\(resolver.name) is not used: it speaks \(spoken.isEmpty ? "no protocol that is named" : spoken), and systemd-resolved only DNS over TLS"
                )
                continue
            }
            let port = resolver.parameters.port ?? Self.portOfTLS
            let reached = resolver.addresses.filter { isReached($0, by: Self.tcp, at: port) }
            let others = resolver.addresses.filter { !reached.contains($0) }
            if !others.isEmpty {
                let places = others.map(\.description).joined(separator: " ")
                plan.remarks.append("\(resolver.name) at \(places) is not used: no child SA reaches it")
            }
            plan.servers += reached.map { .init($0, port: resolver.parameters.port, name: resolver.name) }
        }
        if plan.servers.isEmpty {
            for address in dnsServers {
                guard isReached(address, by: Self.udp, at: Self.port) else {
                    plan.remarks.append("\(address) is not used: no child SA reaches it")
                    continue
                }
                plan.servers.append(.init(address))
            }
        } else if !dnsServers.isEmpty {
            plan.remarks.append("encrypted resolvers come before those that are asked in clear")
        }
        plan.servers = Array(plan.servers.prefix(Self.serverLimit))
    }

    private func chooseDomains(_ plan: inout ResolverPlan, _ policy: ResolverPolicy, isSplit: Bool) {
        var named: [SplitDNSDomain] = []
        if isSplit {
            named = domains
        } else if !domains.isEmpty {
            plan.remarks.append("domains do not count where everything goes through the tunnel (RFC 8598 section 9)")
        }
        for domain in named {
            guard !DomainName.isSpecial(domain.name) else {
                plan.remarks.append("\(domain.name) is not taken: it is nobody's to answer for")
                continue
            }
            guard policy.domains.contains(where: { DomainName.name(domain.name, isWithin: $0) }) else {
                plan.remarks.append("\(domain.name) is not taken: it is not among dns.domains")
                continue
            }
            if !plan.domains.contains(domain.name) { plan.domains.append(domain.name) }
            guard !domain.trustAnchors.isEmpty else { continue }
            guard policy.trustAnchors.contains(where: { DomainName.name(domain.name, isWithin: $0) }) else {
                plan.remarks.append(
                    "the trust anchors of \(domain.name) are not taken: it is not among dns.trust-anchors")
                continue
            }
            plan.trustAnchors.append(domain)
        }
        // Whoever is given resolvers and no names asks them what the configuration says.
        if named.isEmpty { plan.domains = policy.domains }
        if !plan.servers.isEmpty, plan.domains.isEmpty {
            plan.remarks.append("no resolver is asked for anything: no domain is both given and among dns.domains")
        }
        if !plan.trustAnchors.isEmpty {
            plan.remarks.append(
                "systemd-resolved takes trust anchors from files only: \(plan.trustAnchors.map(\.name).joined(separator: ", ")) has to go to /etc/dnssec-trust-anchors.d"
            )
        }
    }

    private static func protocolName(_ alpn: String) -> String {
        switch alpn {
        case "dot": "DNS over TLS"
        case "doq": "DNS over QUIC"
        case "h2", "h3": "DNS over HTTPS (\(alpn))"
        default: alpn
        }
    }
}

extension TrafficSelector {
    /// Whether it takes every packet of its family.
    fileprivate var isEverything: Bool { ipProtocol == 0 && contains(TrafficSelector(.all(family))) }
}
