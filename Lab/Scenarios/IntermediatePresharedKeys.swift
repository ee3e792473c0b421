extension Scenario {
    static let intermediatePresharedKeys = Scenario(
        "ppk-intermediate", documents: ["RFC 9867", "RFC 9242"],
        summary: "a post-quantum preshared key is mixed in before IKE_AUTH, so that it protects the identities too",
        peers: [.newerLibreswan, .cygnet]
    ) { setting in
        let lines = ["ppk-required: yes", "ppk-exchange: intermediate"]
        setting.lines[.right] = lines + ["ppk: { id: quantum, secret: { file: psk } }"]
        setting.plan.peerLines.connection = ["ppk=insist", "ppk-ids=quantum", "intermediate=yes"]
        setting.plan.peerLines.secrets = [
            "@left.example.org @right.example.org : PPKS \"quantum\" \"\(setting.plan.preSharedKey)\""
        ]
        setting.lines[.left] =
            setting.isExtensionOn
            ? lines + ["ppk: [{ id: spare, secret: { file: psk } }, { id: quantum, secret: { file: psk } }]"]
            : ["ppk: { id: quantum, secret: { file: psk } }", "ppk-exchange: auth"]
    } play: { stage in
        try await stage.bringUp()
        try await stage.checkPings("with the preshared key mixed in")
        try await stage.rekeyIKE(by: .right)
        try await stage.checkPings("after a rekey, which takes it along")
        let messages = try await stage.messages()
        let initial = messages.filter { $0.exchange == "IKE_SA_INIT" }
        stage.check(
            "both say USE_PPK_INT in IKE_SA_INIT, and the responder not USE_PPK",
            initial.allSatisfy { $0.has("USE_PPK_INT") } && !initial.contains { !$0.isRequest && $0.has("USE_PPK ") })
        let intermediate = messages.filter { $0.exchange == "IKE_INTERMEDIATE" }
        stage.check(
            "the initiator offers two keys, each with a confirmation, in an IKE_INTERMEDIATE without key exchange",
            intermediate.contains { message in
                message.isRequest && !message.carries("KE")
                    && message.contents.count { $0.text.contains("PPK_IDENTITY_KEY") } == 2
            })
        stage.check(
            "the responder chooses the one it has",
            intermediate.contains { !$0.isRequest && $0.has("PPK_IDENTITY") && $0.has("quantum") })
        stage.check(
            "IKE_AUTH, which has the identities, says nothing of it and is sealed with keys that depend on it",
            !messages.contains { $0.exchange == "IKE_AUTH" && $0.has("PPK") })
    }
}
