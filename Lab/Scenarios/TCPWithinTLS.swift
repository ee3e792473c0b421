extension Scenario {
    static let tcpWithinTLS = Scenario(
        "tls", documents: ["RFC 9329"],
        summary: "where UDP is stopped, and TCP at port 4500, IKE and ESP go by TLS at port 443",
        peers: [.cygnet]
    ) { setting in
        setting.plan.authentication = .ecdsa
        setting.lines[.right] = ["tcp: { use: fallback }"]
        setting.lines[.left] = ["tcp: { use: fallback\(setting.isExtensionOn ? ", tls: yes" : "") }"]
        setting.daemonEntries = { issued in
            issued.map { ["tls: { certificate: { file: \($0.certificate), key: \($0.key) } }"] } ?? []
        }
    } play: { stage in
        stage.say("A firewall at the router stops UDP, protocol 50, and TCP to port 4500.")
        let firewall = """
            table inet firewall { chain forward { type filter hook forward priority 0;
            meta l4proto { udp, esp } drop; tcp dport 4500 reject with tcp reset; }; }

            """
        try await stage.topology.router.run(["nft", "-f", "-"], input: firewall).orThrow()
        try await stage.bringUp()
        try await stage.checkPings("through the firewall")
        stage.check("the left end says that it is TLS", try await stage.left.statusTable().contains("by TLS"))
        let spi = try await stage.left.status().connection?.securityAssociations.first?.initiatorSPI
        stage.say("The connection is cut.")
        try await stage.topology.gateway(.left).run(["ss", "-K", "-t", "state", "established"]).orThrow()
        try await stage.wait(for: "another connection") { stage.left.log.contains("path-changed") }
        try await stage.checkPings("by another connection")
        let later = try await stage.left.status().connection?.securityAssociations.first?.initiatorSPI
        stage.check("the IKE SA is the same", spi != nil && later == spi)
        let streams = try await stage.left.control("status", ["--dataplane"]).output
        stage.check("the session of TLS was resumed", streams.contains("with TLS 2, resumed 1"))
        try await stage.rekeyIKE(by: .right)
        try await stage.checkPings("after a rekey by the side that was called")
        let messages = try await stage.messages()
        stage.check(
            "of IKE the router saw nothing but first messages by UDP, and of ESP nothing",
            !messages.isEmpty && messages.allSatisfy { $0.exchange == "IKE_SA_INIT" && $0.isRequest })
    }
}
