extension Scenario {
    static let perResourceSAs = Scenario(
        "per-resource-sas", documents: ["RFC 9611"],
        summary: "a child SA for each data plane worker, side by side for the same traffic", peers: [.cygnet]
    ) { setting in
        setting.plan.workers = 2
        setting.lines[.right] = ["per-resource: yes"]
        if setting.isExtensionOn { setting.lines[.left] = ["per-resource: yes"] }
    } play: { stage in
        try await stage.bringUp()
        try await stage.checkPings("through the first SA")
        try await stage.topology.sendFlows()
        try await stage.wait(for: "an SA for the other worker") {
            try await stage.topology.sendFlows()
            return try await stage.left.status().childSAs.count >= 2
        }
        let before = try await stage.left.status()
        stage.check(
            "each worker of the left has an SA of the same group",
            before.childSAs.workers == [0, 1] && Set(before.childSAs.map { $0.resource?.group }).count == 1)
        try await stage.topology.sendFlows()
        let after = try await stage.left.status()
        stage.check(
            "packets of many flows have gone by both of them",
            after.childSAs.filter { sa in
                sa.packetsOut > before.childSAs.first { $0.inboundSPI == sa.inboundSPI }?.packetsOut ?? 0
            }.count == 2)
        try await stage.rekeyIKE(by: .right)
        stage.check(
            "the new IKE SA has the whole group", try await stage.left.status().childSAs.workers == [0, 1])
        try await stage.checkPings("after a rekey of the IKE SA")
        let messages = try await stage.messages()
        stage.check(
            "one more SA is asked for and granted with SA_RESOURCE_INFO and identifiers",
            [true, false].allSatisfy { isRequest in
                messages.contains {
                    $0.exchange == "CREATE_CHILD_SA" && $0.isRequest == isRequest
                        && $0.has("resource identifier, the sender's own: 4 octets")
                }
            })
    }
}

extension [CygnetStatus.ChildSA] {
    /// The workers that have an SA, each once, for SAs that are there to stay.
    fileprivate var workers: [Int] { Set(compactMap { $0.resource?.worker }).sorted() }
}
