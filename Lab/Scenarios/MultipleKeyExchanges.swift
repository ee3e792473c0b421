extension Scenario {
    static let multipleKeyExchanges = Scenario(
        "multiple-key-exchanges", documents: ["RFC 9242", "RFC 9370"],
        summary: "X25519 and ML-KEM-768 together make the keys, at first and when they are replaced",
        peers: [.modernStrongSwan, .cygnet]
    ) { setting in
        let proposal = "aes256gcm16-prfsha256-x25519-ke1_mlkem768"
        setting.plan.proposals = (ike: proposal, esp: "aes256gcm16-x25519-ke1_mlkem768")
        if !setting.isExtensionOn {
            // The same words for the peer, who is left without a choice in common.
            setting.lines[.left] = ["post-quantum: no"]
            setting.plan.proposals = (ike: "default", esp: "default")
        }
    } play: { stage in
        try await stage.bringUp()
        try await stage.checkPings("after the tunnel came up")
        try await stage.rekeyIKE(by: .left)
        try await stage.rekeyChild(by: .right)
        try await stage.rekeyIKE(by: .right)
        try await stage.checkPings("after three rekeys")
        let suite = try await stage.left.status().connection?.securityAssociations.first?.suite ?? ""
        stage.check("the IKE SA was made by ML-KEM-768 too", suite.contains("ML_KEM_768"))
        let messages = try await stage.messages()
        let intermediate = messages.filter { $0.exchange == "IKE_INTERMEDIATE" }
        stage.check(
            "one IKE_INTERMEDIATE exchange carries the second key exchange",
            intermediate.count { $0.carries("KE") } == 2)
        stage.check(
            "its request has the 1,184 octets of an encapsulation key",
            intermediate.contains { $0.isRequest && $0.has("1184 octets") })
        stage.check(
            "its response has the 1,088 octets of a ciphertext",
            intermediate.contains { !$0.isRequest && $0.has("1088 octets") })
        stage.check(
            "each of three rekeys has one IKE_FOLLOWUP_KE exchange",
            messages.count { $0.exchange == "IKE_FOLLOWUP_KE" && $0.carries("KE") } == 6)
    }
}
