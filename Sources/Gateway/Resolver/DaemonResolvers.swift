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
        guard old?.plan != plan else { return }
        withdrawComplaint(of: connection)
        guard let plan else {
            resolvers[connection] = nil
            linkResolvers.want(nil, of: connection)
            return
        }
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
        switch state {
        case .unset(let summary):
            if resolvers[connection] == nil { withdrawComplaint(of: connection) }
            return report(.resolversUnset, connection: connection, ["resolvers": summary])
        case .remaining(let reason):
            // Told once, until they are gone.
            guard !warnings.contains(where: { $0.hasPrefix(Self.remainder(of: connection)) }) else { return }
            report(
                .resolversFailed, .warning, connection: connection,
                ["reason": "they are not wanted any more, and still set: \(reason)"])
            return warn(Self.remainder(of: connection) + reason)
        default: break
        }
        guard let known = resolvers[connection], known.plan.use == .resolved else { return }
        let isNews = known.state != state
        resolvers[connection]?.state = state
        switch state {
        case .set:
            report(.resolversSet, connection: connection, ["resolvers": known.plan.summary])
            withdrawComplaint(of: connection)
        case .failed(let reason) where isNews:
            report(.resolversFailed, .warning, connection: connection, ["reason": reason])
            warn(Self.complaint(of: connection) + reason)
        case .waiting(let other) where isNews:
            report(
                .resolversFailed, .warning, connection: connection,
                ["reason": "the resolvers of \(other) are set, and a device has those of one peer at a time"])
        case .failed, .waiting, .shown, .nothing, .unset, .remaining: break
        }
    }

    private func withdrawComplaint(of connection: String) {
        warnings.removeAll {
            $0.hasPrefix(Self.complaint(of: connection)) || $0.hasPrefix(Self.remainder(of: connection))
        }
    }

    private static func complaint(of connection: String) -> String { "the resolvers of \(connection) cannot be set: " }
    private static func remainder(of connection: String) -> String {
        "the resolvers of \(connection) are still set, as they cannot be taken away: "
    }

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
        case .nothing, .unset, .remaining: report.state = "nothing"
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
