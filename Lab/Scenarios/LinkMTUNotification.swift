import IPPacket

extension Scenario {
    static let linkMTUNotification = Scenario(
        "link-mtu", documents: ["draft-liu-ipsecme-ikev2-mtu-dect-09"],
        summary: "a gateway tells the other that packets come in fragments, and smaller ones are sent", peers: [.cygnet]
    ) { setting in
        let line = "mtu-notification: yes"
        setting.lines[.right] = [line]
        if setting.isExtensionOn { setting.lines[.left] = [line] }
    } play: { stage in
        let largest = 1300
        try await stage.narrow(to: largest)
        stage.say("The link to the right gateway takes \(largest) octets, and the router tells nobody.")
        try await stage.bringUp()
        // With their own headers as large as the link takes, and with those of ESP larger.
        try await stage.checkPings("of \(largest) octets", count: 80, size: largest - 28)
        try await stage.wait(for: "the word of the right gateway") {
            try await stage.left.status().connection?.securityAssociations.first?.outerLimit == largest
        }
        // AES-GCM over IPv4: 20 octets outside, 8 of ESP, 8 of IV, 16 of ICV, and 2 at the end of what is a multiple of 4.
        let inner = largest - 52 - 2
        let tooBig = try await stage.pingWhole(size: largest)
        stage.check(
            "the sender of one that must not be fragmented is told of \(inner) octets",
            tooBig.contains("mtu = \(inner)"))
        let before = try await stage.fragments()
        try await stage.checkPings("of \(inner) octets", count: 20, size: inner - 28)
        stage.check("the right gateway had to put none of these together", try await stage.fragments() == before)
        try await stage.rekeyIKE(by: .left)
        try await stage.rekeyChild(by: .right)
        stage.check(
            "that holds after rekeys",
            try await stage.left.status().connection?.securityAssociations.first?.outerLimit == largest)
        try await stage.checkPings("of \(inner) octets after rekeys", count: 20, size: inner - 28)
        stage.check("none of these was in fragments", try await stage.fragments() == before)
        let messages = try await stage.messages()
        stage.check(
            "both say LMAP_AND_PTB_SUPPORTED in IKE_AUTH",
            messages.count { $0.exchange == "IKE_AUTH" && $0.has("LMAP_AND_PTB_SUPPORTED") } == 2)
        stage.check(
            "an INFORMATIONAL request has LMAP with \(largest) octets",
            messages.contains {
                $0.exchange == "INFORMATIONAL" && $0.isRequest && $0.has("LMAP, ")
                    && $0.has("first fragment: \(largest) octets")
            })
    }
}

extension Stage {
    /// Makes the link between router and right gateway one for small packets, of which no ICMP tells.
    fileprivate func narrow(to octets: Int) async throws {
        try await topology.router.ip(["link set right mtu \(octets)"])
        try await topology.gateway(.right).ip(["link set wan mtu \(octets)"])
        let rules = """
            table inet silence {
                chain output {
                    type filter hook output priority 0
                    meta l4proto icmp icmp type destination-unreachable drop
                }
            }

            """
        try await topology.router.run(["nft", "-f", "-"], input: rules).orThrow()
    }

    /// Pings once from the left host with a packet of so many octets that must not be fragmented.
    ///
    /// - Returns: what ping says of it.
    fileprivate func pingWhole(size: Int) async throws -> String {
        let target = Topology.hostAddress(.right, setting.plan.inner)
        let result = try await topology.host(.left).run(
            ["ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "\(size - 28)", "\(target)"], timeout: .seconds(10))
        return result.output.replacing("mtu=", with: "mtu = ")
    }

    /// How many packets the right gateway's kernel has put together.
    fileprivate func fragments() async throws -> String {
        let lines = try await topology.gateway(.right).run(["cat", "/proc/net/snmp"]).orThrow().output.split(
            separator: "\n"
        )
        .filter { $0.hasPrefix("Ip:") }.map { $0.split(separator: " ") }
        guard let names = lines.first, let index = names.firstIndex(of: "ReasmReqds"), let values = lines.last,
            index < values.count
        else { throw LabError("the kernel does not count fragments") }
        return String(values[index])
    }
}
