extension Scenario {
    static let extendedPayloads = Scenario(
        "extended-payloads", documents: ["draft-smyslov-ipsecme-ikev2-extended-pld"],
        summary: "payload headers of fewer octets, and a certificate of 80,000 octets in IKE_AUTH", peers: [.cygnet]
    ) { setting in
        setting.plan.authentication = .ecdsa
        setting.plan.certificateFiller = [.left: 80_000]
        setting.isReadByTshark = false
        let line = "extended-payloads: yes"
        setting.lines[.right] = [line]
        if setting.isExtensionOn { setting.lines[.left] = [line] }
    } play: { stage in
        try await stage.bringUp()
        try await stage.checkPings("after the left end has shown its certificate")
        try await stage.rekeyIKE(by: .right)
        try await stage.rekeyChild(by: .left)
        try await stage.checkPings("after a rekey of the IKE SA, and of the child on that")
        let status = try await stage.left.status().connection?.securityAssociations.first
        stage.check(
            "status says that the peer takes messages of up to 1,048,576 octets", status?.extendedPayloads == 1 << 20)
        let messages = try await stage.messages()
        stage.check(
            "both say EXTENDED_PAYLOAD_FORMAT in IKE_SA_INIT",
            messages.count { $0.exchange == "IKE_SA_INIT" && $0.has("EXTENDED_PAYLOAD_FORMAT") } == 2)
        let opened = messages.filter { !($0.inner ?? []).isEmpty }
        stage.check(
            "whatever is protected has extended payload headers, after the rekey too",
            !opened.isEmpty && opened.allSatisfy { $0.payloadFormat == "extended" })
        let request = messages.filter { $0.exchange == "IKE_AUTH" && $0.isRequest && $0.repeats == nil }
        stage.check(
            "one IKE_AUTH request carries the certificate, in fragments of together more than 80,000 octets",
            request.count > 60 && request.map(\.length).reduce(0, +) > 80_000
                && request.count { $0.carries("CERT") } == 1)
        let response = messages.first { $0.exchange == "IKE_AUTH" && !$0.isRequest && $0.carries("AUTH") }
        stage.say(
            "The IKE_AUTH response, with a certificate of usual length, has \(response?.octetsSaved ?? 0) octets less than with classic headers."
        )
        stage.check("the response, of usual length, is shorter for it", (response?.octetsSaved ?? 0) > 0)
    }
}
