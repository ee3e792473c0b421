import IKE

// What becomes of resolvers that peers have given us.
extension Daemon {
    /// A connection's resolvers, and what has become of them.
    struct ConnectionResolvers {
        var plan: ResolverPlan
        var state: ResolverState
    }

    func setResolvers(_ plan: ResolverPlan?, of connection: String) {
        let old = resolvers[connection]
        guard let plan else {
            guard let old else { return }
            resolvers[connection] = nil
            linkResolvers.want(nil, of: connection)
            if old.state == .set { report(.resolversUnset, connection: connection, ["resolvers": old.plan.summary]) }
            return
        }
        guard old?.plan != plan else { return }
        let isToBeSet = plan.use == .resolved && plan.isUseful
        // What is in force stays so until the new is: then it is told.
        resolvers[connection] = ConnectionResolvers(
            plan: plan, state: isToBeSet ? old?.state ?? .nothing : plan.use == .resolved ? .nothing : .shown)
        linkResolvers.want(isToBeSet ? plan : nil, of: connection)
        guard !isToBeSet else { return }
        var fields = ["would": plan.summary]
        if let remark = plan.remarks.first { fields["remark"] = remark }
        report(.resolversShown, connection: connection, fields)
    }

    /// What has become of a connection's resolvers.
    func noteResolvers(_ state: ResolverState, of connection: String) {
        guard let known = resolvers[connection], known.plan.use == .resolved else { return }
        let isNews = known.state != state
        resolvers[connection]?.state = state
        switch state {
        case .set:
            report(.resolversSet, connection: connection, ["resolvers": known.plan.summary])
            warnings.removeAll { $0.hasPrefix(Self.complaint(of: connection)) }
        case .failed(let reason) where isNews:
            report(.resolversFailed, .warning, connection: connection, ["reason": reason])
            warn(Self.complaint(of: connection) + reason)
        case .waiting(let other) where isNews:
            report(
                .resolversFailed, .warning, connection: connection,
                ["reason": "the resolvers of \(other) are set, and a device has those of one peer at a time"])
        case .failed, .waiting, .shown, .nothing: break
        }
    }

    private static func complaint(of connection: String) -> String { "the resolvers of \(connection) cannot be set: " }

    func resolverReport(of connection: String) -> ResolverReport? {
        guard let known = resolvers[connection] else { return nil }
        var report = ResolverReport(
            state: "", servers: known.plan.servers.map(\.description), usesTLS: known.plan.usesTLS,
            domains: known.plan.domains, trustAnchors: [], remarks: known.plan.remarks)
        report.trustAnchors = known.plan.trustAnchors.flatMap { domain in
            domain.trustAnchors.map { "\(domain.name) \($0)" }
        }
        switch known.state {
        case .shown: report.state = "shown"
        case .set: report.state = "set"
        case .nothing: report.state = "nothing"
        case .waiting(let other):
            report.state = "waiting"
            report.reason = "the resolvers of \(other) are set"
        case .failed(let reason):
            report.state = "failed"
            report.reason = reason
        }
        return report
    }
}
