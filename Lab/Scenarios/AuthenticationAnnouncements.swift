extension Scenario {
    static let authenticationAnnouncements = Scenario(
        "announced-authentication", documents: ["RFC 9593"],
        summary: "the peer says which signatures it accepts, and a gateway with two certificates shows the better one",
        peers: [.cygnet]
    ) { setting in
        setting.plan.authentication = .rsa
        setting.plan.alternatives = [.left: [.ed25519]]
        setting.lines[.left] = ["announce-auth: \(setting.isExtensionOn ? "auto" : "no")"]
    } play: { stage in
        try await stage.bringUp()
        try await stage.checkPings("after the tunnel came up")
        let messages = try await stage.messages()
        stage.check(
            "the responder says in IKE_SA_INIT that its list comes in IKE_INTERMEDIATE",
            messages.contains { $0.exchange == "IKE_SA_INIT" && !$0.isRequest && $0.has("SUPPORTED_AUTH_METHODS") })
        stage.check(
            "the list comes there, where nobody else can read it, with Ed25519 before RSA",
            messages.contains { message in
                guard message.exchange == "IKE_INTERMEDIATE", !message.isRequest,
                    let list = message.contents.first(where: { $0.text.contains("SUPPORTED_AUTH_METHODS") })?.text,
                    let better = list.range(of: "Ed25519"), let worse = list.range(of: "RSA PSS")
                else { return false }
                return better.lowerBound < worse.lowerBound
            })
        let authentication = messages.filter { $0.exchange == "IKE_AUTH" }
        stage.check(
            "the initiator, whose first certificate has RSA, proves itself by Ed25519",
            authentication.contains { message in
                message.isRequest && message.contents.contains { $0.type == "AUTH" && $0.text.contains("Ed25519") }
            })
        stage.check(
            "it tells the responder in IKE_AUTH what it accepts itself",
            authentication.contains { $0.isRequest && $0.has("SUPPORTED_AUTH_METHODS") })
    }
}
