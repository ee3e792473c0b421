/// A `TunnelPlan` in the words of Cygnet's own configuration.
extension TunnelPlan {
    /// - Parameters:
    ///   - secretFile: Holds the pre-shared key.
    ///   - certificate, authority: Take the place of the secret.
    ///   - start: `boot`, `demand` or `none`.
    func cygnetText(
        _ side: Side, socket: String, secretFile: String?, certificates: [PKI.Issued], authority: String?,
        start: String,
        extraLines: [String] = [], daemonEntries: [String] = []
    ) -> String {
        let daemon = ["control: { socket: \(socket) }"] + daemonEntries
        var lines = ["daemon: { \(daemon.joined(separator: ", ")) }"]
        var (own, other) =
            isAnonymous ? ("", "") : (", id: \(Self.identity(side))", ", id: \(Self.identity(side.other))")
        if let authority { lines.append("authorities: \(authority)") }
        var remoteHost = remoteAddress(side)
        if !assigned.isEmpty, side == .right {
            lines += [
                "pools:",
                "  \(Self.poolName):",
                "    addresses: [\(Self.quoted(assigned.map(Self.pool)))]",
                "    dns: [\(Self.quoted(assigned.map(Self.dnsServer)))]",
                "    domains: \(Self.domain)",
            ]
            lines += poolLines.map { "    \($0)" }
            remoteHost = nil
            other = ", id: \"*.example.org\", pool: \(Self.poolName)"
        } else if !assigned.isEmpty {
            own += ", virtual-addresses: [\(assigned.map { "\($0)".lowercased() }.joined(separator: ", "))]"
        }
        // One that moves about has whatever address there is.
        let local = isMobile ? String(own.dropFirst(2)) : "address: \"\(localAddress(side))\"\(own)"
        lines += [
            "connections:",
            "  \(Self.connection):",
            "    local: { \(local) }",
            "    remote: { address: \"\(remoteHost.map(\.description) ?? "any")\"\(other) }",
        ]
        if isAnonymous {
            lines.append("    auth: anonymous")
        } else if !certificates.isEmpty {
            let list = certificates.map { "{ file: \($0.certificate), key: \($0.key) }" }.joined(separator: ", ")
            lines.append("    certificate: \(certificates.count == 1 ? list : "[\(list)]")")
        } else if let secretFile {
            lines.append("    secret: { file: \(secretFile) }")
        }
        lines += [
            "    ike: \(ikeProposal)",
            "    esp: \(espProposal)",
            "    children:",
        ]
        if isTransport {
            // Whoever calls from behind a NAT is seen at the router's address.
            let callers = remoteAddress(side) == nil ? ", remote: \"\(Topology.routerAddress(.right, outer))\"" : ""
            lines.append("      \(Self.child): { mode: transport\(callers) }")
        }
        for (near, far) in zip(children(side), children(side.other)) where !isTransport {
            let ends = [("local", near.traffic), ("remote", far.traffic)].filter { !$0.1.isEmpty }
            let text = ends.map { "\($0.0): [\(Self.quoted($0.1))]" }.joined(separator: ", ")
            lines.append("      \(near.name): { \(text) }")
            for sibling in siblings[side] ?? [] {
                lines.append("      \(sibling.name): { \(text), \(sibling.words) }")
            }
        }
        lines.append("    start: \(start)")
        if isUDPEncapsulated { lines.append("    encapsulation: udp") }
        if let hasESN { lines.append("    esn: \(hasESN ? "yes" : "no")") }
        // The overtime of a lifetime of one second must leave room for the exchanges.
        var lifetimes = ["jitter: 0%", "overtime: 100%"]
        if let seconds = ikeRekeySeconds[side] { lifetimes.append("ike: \(seconds)s") }
        if let seconds = childRekeySeconds[side] { lifetimes.append("child: \(seconds)s") }
        lines.append("    lifetimes: { \(lifetimes.joined(separator: ", ")) }")
        if let seconds = livenessSeconds[side], seconds > 0 {
            lines.append("    dead-peer: { interval: \(seconds)s, action: clear }")
            lines.append("    retransmission: { first: 200ms, factor: 1.5, limit: 1s, tries: 4 }")
        }
        return (lines + extraLines.map { "    \($0)" }).joined(separator: "\n") + "\n"
    }

    private static func quoted(_ words: [String]) -> String { words.map { "\"\($0)\"" }.joined(separator: ", ") }
}
