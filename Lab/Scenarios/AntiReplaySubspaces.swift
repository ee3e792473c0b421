extension Scenario {
    static let antiReplaySubspaces = Scenario(
        "anti-replay-subspaces", documents: ["draft-ponchon-ipsecme-anti-replay-subspaces-03"],
        summary: "the workers of a gateway send by one child SA, each with a counter of its own", peers: [.cygnet]
    ) { setting in
        setting.dataplane.workers = 2
        setting.lines[.right] = ["anti-replay-subspaces: yes", "subspace-count: 16"]
        if setting.isExtensionOn { setting.lines[.left] = ["anti-replay-subspaces: yes", "subspace-count: 8"] }
    } play: { stage in
        try await stage.bringUp()
        let first = try await stage.left.status().childSAs.first?.subspaces
        stage.check(
            "the left may send with 16 subspaces, the right with 8", first?.countOut == 16 && first?.countIn == 8)
        try await stage.checkFlows("before a rekey")
        try await stage.rekeyChild(by: .right)
        try await stage.checkFlows("after a rekey")
        try await stage.rekeyIKE(by: .left)
        try await stage.checkFlows("after a rekey of the IKE SA")
        let messages = try await stage.messages()
        stage.check(
            "ANTI_REPLAY_SUBSPACES stands in IKE_AUTH and the child's rekey, in offer and answer",
            ["IKE_AUTH", "CREATE_CHILD_SA"].allSatisfy { exchange in
                let told = messages.filter { $0.exchange == exchange && $0.has("ANTI_REPLAY_SUBSPACES") }
                return told.contains(where: \.isRequest) && told.contains { !$0.isRequest }
            })
        stage.check(
            "the left names 7 as the highest it receives, the right 15",
            messages.contains { $0.isRequest && $0.has("highest subspace received: 7") }
                && messages.contains { !$0.isRequest && $0.has("highest subspace received: 15") })
        let esp = messages.filter { $0.exchange == nil }
        stage.check(
            "all ESP packets are of subspaces 0 and 1, and both are there",
            !esp.isEmpty && Set(esp.map(\.subspace)) == [0, 1])
    }
}

extension Stage {
    /// Many flows both ways, which the kernels spread over the workers.
    fileprivate func checkFlows(_ occasion: String) async throws {
        try await checkPings(occasion)
        try await topology.sendFlows(from: .left, setting.plan.inner)
        try await topology.sendFlows(from: .right, setting.plan.inner)
        let sa = try await left.status().childSAs.first
        check(
            "\(occasion), the left sends and receives by two subspaces",
            sa?.subspaces?.sent.filter { $0.packets > 0 }.map(\.id) == [0, 1]
                && sa?.subspaces?.received.map(\.id) == [0, 1])
        check("\(occasion), no packet of the child SA was dropped", sa?.drops.isEmpty == true)
    }
}
