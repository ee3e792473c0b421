import CLinux
import IPPacket

/// Our rules of one family in the kernel, brought to match a plan.
///
/// At no moment may a packet meet a mixture of old and new order that lets it out in clear. So a packet always sees either
/// the first rules of one complete order and then all of another, or one of them whole: new rules go in first to last,
/// either after all old ones or before all of them, and old ones go away last to first.
struct RuleTable {
    let family: IPFamily
    let routeProtocol: UInt8
    let priorities: ClosedRange<UInt32>

    /// Every jump past our rules leads here.
    private var end: PlacedRule {
        PlacedRule(priority: priorities.upperBound, rule: RoutingRule(family: family, action: .none))
    }

    /// What carries our protocol number, in the order of the kernel.
    func installed(_ socket: inout NetlinkSocket) throws(DataplaneError) -> [PlacedRule] {
        var header = fib_rule_hdr()
        header.family = family.systemFamily
        let replies = try socket.dump(NetlinkRequest(RTM_GETRULE, header), "list the routing rules")
        return replies.compactMap { PlacedRule($0, routeProtocol: routeProtocol) }
            .filter { $0.rule.family == family }
            .sorted { $0.priority < $1.priority }
    }

    func reconcile(with plan: RoutingPlan, _ socket: inout NetlinkSocket) throws(DataplaneError) {
        var present = try installed(&socket)
        if let index = present.firstIndex(of: end) {
            present.remove(at: index)
        } else {
            try add(end, &socket)
        }
        let (units, rules) = keep(plan.units, present)
        let stale = present[rules...]
        let fresh = plan.units[units...].flatMap { $0 }

        let next = (present.last?.priority ?? priorities.lowerBound - 1) + 1
        if Int(next) + fresh.count <= Int(priorities.upperBound) {
            try add(plan.units[units...], from: next, &socket)
            try remove(stale, &socket)
        } else {
            let first = present.first?.priority ?? priorities.upperBound
            let all = plan.units.reduce(0) { $0 + $1.count }
            guard Int(priorities.lowerBound) + all <= Int(first) else {
                throw DataplaneError(
                    .system, "no room for \(all) routing rules between priorities \(priorities.lowerBound) and \(first)"
                )
            }
            try add(plan.units[...], from: priorities.lowerBound, &socket)
            try remove(present[...], &socket)
        }
    }

    /// Removes every rule of ours, protecting ones last among equals, and says which.
    func removeAll(_ socket: inout NetlinkSocket) throws(DataplaneError) -> [PlacedRule] {
        let present = try installed(&socket)
        try remove(present[...], &socket)
        return present
    }

    /// How many leading units, and rules of them, already stand as planned.
    private func keep(_ units: [RoutingPlan.Unit], _ present: [PlacedRule]) -> (units: Int, rules: Int) {
        var kept = 0
        for (index, unit) in units.enumerated() {
            let standing = present.dropFirst(kept).prefix(unit.count)
            guard standing.count == unit.count,
                place(unit, at: standing.map(\.priority)).elementsEqual(standing, by: { $0.equalsInKernel($1) })
            else { return (index, kept) }
            kept += unit.count
        }
        return (units.count, kept)
    }

    private func place(_ unit: RoutingPlan.Unit, at priorities: [UInt32]) -> [PlacedRule] {
        unit.enumerated().map { index, rule in
            let target: UInt32? =
                switch rule.action {
                case .pass: end.priority
                case .skip(let count): priorities.indices.contains(index + count) ? priorities[index + count] : nil
                default: nil
                }
            return PlacedRule(priority: priorities[index], rule: rule, target: target)
        }
    }

    private func add(
        _ units: ArraySlice<RoutingPlan.Unit>, from first: UInt32, _ socket: inout NetlinkSocket
    ) throws(DataplaneError) {
        var next = first
        for unit in units {
            let placed = place(unit, at: (0..<unit.count).map { next + UInt32($0) })
            next += UInt32(unit.count)
            for rule in placed { try add(rule, &socket) }
        }
    }

    private func add(_ rule: PlacedRule, _ socket: inout NetlinkSocket) throws(DataplaneError) {
        try socket.perform(
            rule.additionRequest(routeProtocol: routeProtocol), tolerating: [17 /* EEXIST */],
            "add the routing rule '\(rule)'")
    }

    private func remove(_ rules: ArraySlice<PlacedRule>, _ socket: inout NetlinkSocket) throws(DataplaneError) {
        for rule in rules.reversed() {
            try socket.perform(
                rule.removalRequest(routeProtocol: routeProtocol), tolerating: [2 /* ENOENT */],
                "remove the routing rule '\(rule)'")
        }
    }
}

extension PlacedRule {
    /// A jump comes back from the kernel with its target only.
    fileprivate func equalsInKernel(_ listed: PlacedRule) -> Bool {
        var own = self
        if case .skip = own.rule.action { own.rule.action = .pass }
        return own == listed
    }
}
