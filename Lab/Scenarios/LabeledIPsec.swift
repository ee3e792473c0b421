extension Scenario {
    private static let label = "system_u:object_r:ipsec_spd_t:s0"

    static let labeledIPsec = Scenario(
        "labels", documents: ["RFC 9478"],
        summary: "a child is for traffic with one security label, of two that are offered",
        peers: [.strongSwan, .cygnet]
    ) { setting in
        setting.lines[.right] = ["label: \"\(label)\""]
        if setting.isExtensionOn { setting.lines[.left] = ["label: [\"system_u:object_r:other_t:s0\", \"\(label)\"]"] }
        setting.plan.peerLines.child = ["label = \(label)", "label_mode = simple"]
    } play: { stage in
        try await stage.bringUp()
        try await stage.checkPings("through the child with the label")
        try await stage.rekeyChild(by: .left)
        try await stage.rekeyChild(by: .right)
        try await stage.checkPings("after a rekey by each side")
        let labels = try await stage.left.status().childSAs.map(\.securityLabel)
        stage.check("the child still has the label", labels == [label])
        let messages = try await stage.messages()
        func counts(_ exchange: String, isRequest: Bool) -> [Int] {
            messages.filter { $0.exchange == exchange && $0.isRequest == isRequest }.map { message in
                message.contents.flatMap { $0.fields ?? [] }.count { $0.name == "TS_SECLABEL" }
            }
        }
        stage.check(
            "both labels are offered in TSi and in TSr, and one of them is answered there",
            counts("IKE_AUTH", isRequest: true) == [4] && counts("IKE_AUTH", isRequest: false) == [2])
        stage.check(
            "rekeys offer that one alone",
            counts("CREATE_CHILD_SA", isRequest: true) == [2, 2]
                && counts("CREATE_CHILD_SA", isRequest: false) == [2, 2])
    }
}
