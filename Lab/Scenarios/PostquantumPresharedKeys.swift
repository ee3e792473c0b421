extension Scenario {
    static let postquantumPresharedKeys = Scenario(
        "ppk", documents: ["RFC 8784"], summary: "a post-quantum preshared key is mixed into the keys in IKE_AUTH",
        peers: [.strongSwan, .cygnet]
    ) { setting in
        let lines = ["ppk: { id: quantum, secret: { file: psk } }", "ppk-required: yes", "ppk-exchange: auth"]
        setting.lines[.right] = lines
        if setting.isExtensionOn { setting.lines[.left] = lines }
        setting.plan.peerLines.connection = ["ppk_id = quantum", "ppk_required = yes"]
        setting.plan.peerLines.other = [
            "secrets {", "ppk {", "id-1 = quantum", "secret = \"\(setting.plan.preSharedKey)\"", "}", "}",
        ]
    } play: { stage in
        try await stage.bringUp()
        try await stage.checkPings("with the preshared key mixed in")
        try await stage.rekeyIKE(by: .left)
        try await stage.checkPings("after a rekey, which takes it along")
        let messages = try await stage.messages()
        let initial = messages.filter { $0.exchange == "IKE_SA_INIT" }
        stage.check("both say USE_PPK in IKE_SA_INIT", initial.count == 2 && initial.allSatisfy { $0.has("USE_PPK") })
        let authentication = messages.filter { $0.exchange == "IKE_AUTH" }
        stage.check(
            "the initiator names the key in IKE_AUTH",
            authentication.contains { $0.isRequest && $0.has("PPK_IDENTITY") && $0.has("quantum") })
        stage.check(
            "nobody would do without: no NO_PPK_AUTH", !authentication.contains { $0.has("NO_PPK_AUTH") })
        stage.check(
            "the responder confirms it", authentication.contains { !$0.isRequest && $0.has("PPK_IDENTITY") })
    }
}
