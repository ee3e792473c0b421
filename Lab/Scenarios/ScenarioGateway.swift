/// The daemon at one end of a scenario, with what scenarios ask of it.
enum ScenarioGateway: Sendable {
    case cygnet(CygnetDaemon)
    case strongSwan(StrongSwan)
    case modern(any Peer)

    /// Starts the peer of a scenario at the right.
    static func start(_ setting: Scenario.Setting, of topology: Topology, pki: PKI?) async throws -> ScenarioGateway {
        let plan = setting.plan
        let credentials = try await pki?.credentials(for: .right, of: plan)
        let kind: PeerKind
        switch setting.peer {
        case .cygnet:
            let daemon = try CygnetDaemon(
                at: .right, of: topology, plan: plan, certificate: credentials?.issued,
                authority: credentials?.authority,
                alternatives: try await pki?.alternatives(for: .right, of: plan) ?? [],
                extraLines: setting.lines[.right] ?? [], dataplane: setting.dataplane,
                daemonEntries: setting.daemonEntries(credentials?.issued))
            try await daemon.start()
            return .cygnet(daemon)
        case .strongSwan:
            let daemon = try await StrongSwan(at: .right, of: topology)
            try await daemon.load(plan, .right, certificate: credentials?.issued, authority: credentials?.authority)
            return .strongSwan(daemon)
        case .modernStrongSwan: kind = .strongSwanInUserSpace
        case .libreswan: kind = .libreswan
        case .newerLibreswan: kind = .newerLibreswan
        }
        let peer = try await kind.start(at: .right, of: topology)
        try await peer.load(plan, .right, credentials: credentials)
        return .modern(peer)
    }

    var log: String {
        switch self {
        case .cygnet(let daemon): daemon.log
        case .strongSwan(let daemon): daemon.log
        case .modern(let peer): peer.log
        }
    }

    func rekeyChild() async throws {
        switch self {
        case .cygnet(let daemon):
            try await daemon.control("rekey", [TunnelPlan.connection, TunnelPlan.child]).orThrow()
        case .strongSwan(let daemon): try await daemon.rekeyChild()
        case .modern(let peer): try await peer.rekeyChild()
        }
    }

    func rekeyIKE() async throws {
        switch self {
        case .cygnet(let daemon): try await daemon.control("rekey", [TunnelPlan.connection]).orThrow()
        case .strongSwan(let daemon): try await daemon.rekeyIKE()
        case .modern(let peer): try await peer.rekeyIKE()
        }
    }
}
