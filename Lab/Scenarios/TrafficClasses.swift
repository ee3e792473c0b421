extension Scenario {
    static let trafficClasses = Scenario(
        "dscp", documents: ["draft-mglt-ipsecme-ts-dscp-03"],
        summary: "a child SA for one class of packets (DSCP), another for the rest", peers: [.cygnet]
    ) { setting in
        setting.plan.siblings[.right] = [(name: "voice", words: "dscp: [ef, cs5]")]
        if setting.isExtensionOn { setting.plan.siblings[.left] = [(name: "voice", words: "dscp: [ef, af11]")] }
    } play: { stage in
        try await stage.bringUp()
        try await stage.wait(for: "the child for voice") {
            try await stage.child("voice")?.securityAssociations.first != nil
        }
        stage.check("of EF and AF11, and EF and CS5, EF is agreed upon", try await stage.child("voice")?.dscp == [46])
        try await stage.checkPings("without a class", count: 4)
        try await stage.checkPings("as EF", count: 6, trafficClass: 0xb8)
        let status = try await stage.left.status()
        stage.check("the four went by the child for all", status.childSAs.map(\.packetsOut) == [4])
        let voice = status.connection?.children.first { $0.name == "voice" }
        stage.check("the six went by that for EF", voice?.securityAssociations.map(\.packetsOut) == [6])
        try await stage.rekeyIKE(by: .right)
        try await stage.checkPings("after a rekey of the IKE SA, as EF", trafficClass: 0xb8)
        let messages = try await stage.messages()
        stage.check(
            "TS_DSCP is offered as 10, 46 and answered as 46",
            messages.contains { $0.isRequest && $0.has("TS_DSCP, private number 241: 10, 46") }
                && messages.contains { !$0.isRequest && $0.has("TS_DSCP, private number 241: 46") })
    }
}

extension Stage {
    /// What the left has of one of its children.
    fileprivate func child(_ name: String) async throws -> CygnetStatus.Child? {
        try await left.status().connection?.children.first { $0.name == name }
    }
}

extension CygnetStatus.Child {
    /// The classes agreed upon.
    fileprivate var dscp: [Int]? { securityAssociations.first?.dscp }
}
