import Octets

extension Endpoint {
    /// Every configured connection, in configured order.
    public func status() -> [ConnectionStatus] {
        order.compactMap { name in
            guard let record = connections[name] else { return nil }
            let live = record.sas.compactMap { sas[$0] }
            return ConnectionStatus(
                name: name, state: record.phase.state, since: record.since, reason: record.reason,
                deadline: record.phase.deadline, refusal: record.refusal, isHeldDown: record.isHeldDown,
                heldDownChildren: record.heldDownChildren, ikeSAs: live.compactMap { $0.status() },
                children: live.flatMap { sa in
                    sa.established?.children.map { child in
                        var status = child.status()
                        status.instance = sa.instance
                        if status.place != nil { status.worker = context.childSPIs.worker(of: child.inboundSPI) }
                        return status
                    } ?? []
                })
        }
    }

    /// Messages that were not taken in, by reason.
    public var messageCounters: MessageCounters { context.counters + admission.counters }

    /// Number of IKE SAs, in any state.
    public var saCount: Int { sas.count }
    /// Number of SAs that a peer has begun and not authenticated; those too that stay for a while to repeat a refusal.
    public var halfOpenCount: Int { admission.halfOpenCount }
    /// Number of SPIs in use: what a leak would show in.
    package var ikeSPICount: Int { context.ikeSPIs.count }
    package var childSPICount: Int { context.childSPIs.count }
    /// Negotiations that may be under way at the same time, as answers come now.
    package var turnCount: Int { context.turns.count }
    /// Number of computations under way.
    package var jobCount: Int { context.jobs.count }
}
