extension Scenario {
    static let encryptedDNS = Scenario(
        "encrypted-dns", documents: ["RFC 9464", "RFC 8598"],
        summary: "a gateway gives resolvers by DNS over TLS and HTTPS, for one domain", peers: [.cygnet]
    ) { setting in
        setting.plan.assigned = [.v4]
        setting.plan.poolLines = [
            "encrypted-dns:",
            "  - { name: dns.example.org, addresses: \(TunnelPlan.dnsServer(.v4)) }",
            "  - { name: web.example.org, addresses: 10.2.0.54, alpn: h2, path: \"/dns-query{?dns}\", digests: sha2-256 \(String(repeating: "ab", count: 32)) }",
        ]
        setting.lines[.left] = [
            "dns: { use: \(setting.isExtensionOn ? "show" : "ignore"), domains: \(TunnelPlan.domain) }"
        ]
    } play: { stage in
        try await stage.bringUp()
        let assigned = try await stage.left.status().connection?.securityAssociations.first?.assignedToUs
        stage.check("the left end has an address", assigned?.addresses == ["10.9.0.1"])
        stage.check("and the domain", assigned?.domains == [TunnelPlan.domain])
        let table = try await stage.left.statusTable()
        stage.say("cygnet status:")
        stage.say(table)
        stage.check(
            "the resolver by TLS comes before the plain one",
            table.contains("\(TunnelPlan.dnsServer(.v4))#dns.example.org by TLS"))
        stage.check(
            "the one with a digest would not be used, which is explained",
            table.contains("web.example.org is not used"))
        try await stage.rekeyIKE(by: .right)
        let messages = try await stage.messages().filter { $0.exchange == "IKE_AUTH" }
        stage.check(
            "the request asks for resolvers and digests",
            messages.contains {
                $0.isRequest && $0.has("ENCDNS_IP4") && $0.has("ENCDNS_DIGEST_INFO: SHA2-256, SHA2-384, SHA2-512")
            })
        stage.check(
            "the response has both, with what they speak",
            messages.contains {
                !$0.isRequest && $0.has("alpn=dot") && $0.has("alpn=h2 dohpath=/dns-query{?dns}")
            })
        stage.check(
            "the digest says whose it is",
            messages.contains { !$0.isRequest && $0.has("ENCDNS_DIGEST_INFO") && $0.has("web.example.org") })
        stage.check(
            "no family that was not asked for is told", !messages.contains { $0.has("ENCDNS_IP6") })
    }
}
