extension Scenario {
    static let tcpEncapsulation = Scenario(
        "tcp", documents: ["RFC 9329"], summary: "where UDP is stopped, IKE and ESP go by a TCP connection",
        peers: [.cygnet]
    ) { setting in
        let lines = ["tcp: { use: fallback }"]
        setting.lines[.right] = lines
        if setting.isExtensionOn { setting.lines[.left] = lines }
    } play: { stage in
        stage.say("A firewall at the router stops UDP and protocol 50.")
        let firewall =
            "table inet firewall { chain forward { type filter hook forward priority 0; meta l4proto { udp, esp } drop; }; }\n"
        try await stage.topology.router.run(["nft", "-f", "-"], input: firewall).orThrow()
        try await stage.bringUp()
        try await stage.checkPings("through the firewall")
        let first = try await stage.left.status()
        stage.check("the packets go by TCP", first.childSAs.map(\.encapsulation) == ["tcp"])
        let spi = first.connection?.securityAssociations.first?.initiatorSPI
        stage.say("The connection is cut.")
        try await stage.topology.gateway(.left).run(["ss", "-K", "-t", "state", "established"]).orThrow()
        try await stage.wait(for: "another connection") {
            try await stage.left.control("explain", [TunnelPlan.connection]).status.isSuccess
                && stage.left.log.contains("path-changed")
        }
        try await stage.checkPings("by another connection")
        let second = try await stage.left.status()
        stage.check(
            "the IKE SA is the same", spi != nil && second.connection?.securityAssociations.first?.initiatorSPI == spi)
        try await stage.rekeyIKE(by: .right)
        try await stage.checkPings("after a rekey by the side that was called")
        let messages = try await stage.messages()
        let initial = messages.filter { $0.exchange == "IKE_SA_INIT" }
        stage.check(
            "the first message went by UDP until TCP was taken, and had one answer",
            initial.count(where: \.isRequest) > 2 && initial.count(where: { !$0.isRequest }) == 1)
    }
}
