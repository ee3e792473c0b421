extension Scenario {
    static let optimizedRekey = Scenario(
        "optimized-rekey", documents: ["draft-ietf-ipsecme-ikev2-sa-ts-payloads-opt"],
        summary: "rekeys that change nothing but keys and SPIs take few octets", peers: [.cygnet]
    ) { setting in
        let line = "optimized-rekey: yes"
        setting.lines[.right] = [line]
        if setting.isExtensionOn { setting.lines[.left] = [line] }
    } play: { stage in
        try await stage.bringUp()
        try await stage.rekeyChild(by: .left)
        try await stage.checkPings("after the first rekey of the child, which has the regular form")
        try await stage.rekeyChild(by: .left)
        try await stage.rekeyChild(by: .right)
        try await stage.rekeyIKE(by: .left)
        try await stage.rekeyIKE(by: .right)
        try await stage.checkPings("after two more of the child and two of the IKE SA")
        let isAgreed = try await stage.left.status().connection?.securityAssociations.first?.optimizedRekey ?? false
        stage.check("status says that optimized rekeys are agreed on", isAgreed)
        let messages = try await stage.messages()
        stage.check(
            "both say OPTIMIZED_REKEY_SUPPORTED in IKE_AUTH",
            messages.count { $0.exchange == "IKE_AUTH" && $0.has("OPTIMIZED_REKEY_SUPPORTED") } == 2)
        let rekeys = messages.filter { $0.exchange == "CREATE_CHILD_SA" }
        let regular = rekeys.filter { $0.carries("SA") }
        let optimized = rekeys.filter { $0.has("OPTIMIZED_REKEY") }
        stage.check(
            "one exchange has SA, TSi and TSr: the first",
            regular.count == 2 && regular.allSatisfy { $0.carries("TSi") })
        stage.check(
            "four have OPTIMIZED_REKEY, and neither SA nor TS",
            optimized.count == 8
                && optimized.allSatisfy { !$0.carries("SA") && !$0.carries("TSi") && !$0.carries("TSr") })
        func octets(_ rekeys: [DecodedMessage]) -> Int { rekeys.map(\.length).reduce(0, +) }
        let children = optimized.filter { rekey in
            rekeys.contains {
                $0.isRequest && $0.has("REKEY_SA") && $0.messageID == rekey.messageID
                    && $0.initiatorSPI == rekey.initiatorSPI
            }
        }
        let child = Array(children.prefix(2))
        stage.say(
            "A rekey of the child: \(octets(regular)) octets of IKE in the regular form, \(octets(child)) in the other."
        )
        stage.check("the other form is shorter", !child.isEmpty && octets(child) < octets(regular))
    }
}
