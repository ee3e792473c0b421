extension Scenario {
    static let downgradePrevention = Scenario(
        "downgrade-prevention", documents: ["draft-ietf-ipsecme-ikev2-downgrade-prevention"],
        summary: "both sides authenticate both IKE_SA_INIT messages, so that nobody shows each another negotiation",
        peers: [.cygnet]
    ) { setting in
        setting.lines[.right] = ["downgrade-prevention: yes"]
        setting.lines[.left] = ["downgrade-prevention: \(setting.isExtensionOn ? "require" : "no")"]
    } play: { stage in
        try await stage.bringUp()
        try await stage.checkPings("after the tunnel came up")
        try await stage.rekeyIKE(by: .left)
        let isPrevented = try await stage.left.status().connection?.securityAssociations.first?.downgradePrevention
        stage.check("status says so, also of the SA that has replaced the first", isPrevented ?? false)
        let messages = try await stage.messages()
        let announced = messages.filter { $0.has("IKE_SA_INIT_FULL_TRANSCRIPT_AUTH") }
        stage.check(
            "both announce it in IKE_SA_INIT, and nowhere else",
            announced.count == 2 && announced.allSatisfy { $0.exchange == "IKE_SA_INIT" })
        stage.say("What is signed is not to be seen on the way: a peer that signs other octets is refused in IKE_AUTH.")
    }
}
