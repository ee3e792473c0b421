import IKE
import IPPacket
import IPsecPolicy

/// Finds children whose traffic overlaps, so that a packet's association would depend on chance.
///
/// The first matching policy protects a packet. A child may therefore lie wholly within a later one, as an exception to
/// it; any other overlap is a mistake.
enum OverlapCheck {
    private struct Subject {
        let name: String
        let connection: String
        let child: ChildConfiguration

        var origin: Origin { child.origin(of: "remote") }
    }

    static func run(_ connections: [ConnectionConfiguration], _ diagnostics: Diagnostics) {
        let subjects = connections.flatMap { connection in
            connection.children.map { child in
                Subject(
                    name: child.name == connection.name ? connection.name : "\(connection.name), child \(child.name)",
                    connection: connection.name, child: child)
            }
        }
        for subject in subjects { checkSides(subject, diagnostics) }
        let remainders = Set(
            connections.flatMap { connection in
                Self.remainders(connection.children).map { [connection.name, $0.name] }
            })
        for (later, candidates) in zip(subjects, neighbours(of: subjects.map(\.child))) {
            for earlier in candidates.map({ subjects[$0] }) {
                guard let overlap = overlap(earlier.child, later.child) else { continue }
                let place = "\(earlier.origin.file):\(earlier.origin.line)"
                let isSorted = earlier.connection == later.connection && areSorted(earlier.child, later.child)
                if isSorted, arePacketsToldApart(earlier.child, later.child) { continue }
                guard hasSameLabels(earlier.child, later.child) else {
                    diagnostics.error(
                        "\(overlap.local) to \(overlap.remote) is also protected by connection \(earlier.name) (\(place)), whose labels are others; "
                            + "a packet's label cannot be seen, only its addresses: make the subnets disjoint, or give each child a \"dscp\" of its own with dscp-required",
                        at: later.child.securityLabels.isEmpty ? later.origin : later.child.origin(of: "label"))
                    continue
                }
                guard !isSorted else { continue }
                if isWithin(earlier.child, later.child) {
                    guard earlier.connection != later.connection,
                        remainders.contains([earlier.connection, earlier.child.name]),
                        hasOtherClasses(later.child, than: earlier.child)
                    else { continue }
                    diagnostics.error(
                        "packets of other DSCP from \(overlap.local) to \(overlap.remote) than those of connection \(earlier.name) (\(place)) would go to the peer of this one; "
                            + "add a child without dscp for the same subnets there, or make the subnets disjoint",
                        at: later.origin)
                    continue
                }
                diagnostics.error(
                    "\(overlap.local) to \(overlap.remote) is also protected by connection \(earlier.name) (\(place)); "
                        + (hasSameAddresses(earlier.child, later.child)
                            && (earlier.child.classes ?? later.child.classes) != nil
                            && earlier.connection == later.connection
                            ? "let the DSCP of one be none, or all, of the other's and more"
                            : "make the subnets disjoint, or put the narrower of the two first"),
                    at: later.origin)
            }
        }
    }

    /// Finds policies by which traffic that has a label would go in clear, before its child is asked.
    static func run(
        _ connections: [ConnectionConfiguration], _ policies: [ConfiguredPolicy], _ diagnostics: Diagnostics
    ) {
        checkRemainders(connections, policies, diagnostics)
        let labeled = connections.flatMap(\.children).filter { !$0.securityLabels.isEmpty }
        for policy in policies where policy.action == .bypass && policy.place == .before {
            for child in labeled {
                guard
                    let overlap = overlap(
                        (policy.local, policy.remote), (child.localSelectors, child.remoteSelectors))
                else { continue }
                let origin = child.origin(of: "label")
                diagnostics.error(
                    "\(overlap.local) to \(overlap.remote) would go in clear, though child \(child.name) (\(origin.file):\(origin.line)) has a label for it; "
                        + "make the subnets disjoint, or put the policy after the connections",
                    at: policy.origin)
            }
        }
    }

    /// Finds policies by which packets would go in clear because of nothing but their class: those of other classes than a child's.
    private static func checkRemainders(
        _ connections: [ConnectionConfiguration], _ policies: [ConfiguredPolicy], _ diagnostics: Diagnostics
    ) {
        for child in connections.flatMap({ remainders($0.children) }) {
            for policy in policies where policy.action == .bypass && policy.place == .after {
                guard
                    let overlap = overlap(
                        (policy.local, policy.remote), (child.localSelectors, child.remoteSelectors))
                else { continue }
                let origin = child.origin(of: "dscp")
                diagnostics.error(
                    "packets of other DSCP from \(overlap.local) to \(overlap.remote) than child \(child.name)'s (\(origin.file):\(origin.line)) would go in clear; "
                        + "add a child without dscp for the same subnets, or leave the policy out",
                    at: policy.origin)
            }
        }
    }

    /// Of the children for the same addresses the one for the most classes, where that leaves some to nobody.
    private static func remainders(_ children: [ChildConfiguration]) -> [ChildConfiguration] {
        let sorted = children.sortedByClasses
        return sorted.indices.filter { index in
            sorted[index].dscp != nil
                && !sorted[(index + 1)...].contains { hasSameAddresses($0.child, sorted[index].child) }
        }.map { sorted[$0].child }
    }

    /// Whether children for the same addresses are for different classes of packets, so that it is clear which takes one.
    private static func areSorted(_ left: ChildConfiguration, _ right: ChildConfiguration) -> Bool {
        guard hasSameAddresses(left, right) else { return false }
        switch (left.classes?.values, right.classes?.values) {
        case (nil, nil): return false
        case (let one?, let other?):
            return one != other
                && (one.intersection(other).isEmpty || one.isSubset(of: other) || other.isSubset(of: one))
        default: return true
        }
    }

    /// Whether one child takes packets of classes that another leaves.
    private static func hasOtherClasses(_ child: ChildConfiguration, than other: ChildConfiguration) -> Bool {
        guard let taken = other.classes?.values else { return false }
        return !(child.classes?.values.isSubset(of: taken) ?? false)
    }

    private static func hasSameAddresses(_ left: ChildConfiguration, _ right: ChildConfiguration) -> Bool {
        left.localSelectors == right.localSelectors && left.remoteSelectors == right.remoteSelectors
    }

    /// Whether their packets are told apart on arrival too.
    private static func arePacketsToldApart(_ left: ChildConfiguration, _ right: ChildConfiguration) -> Bool {
        guard let one = left.classes, let other = right.classes, one.isRequired, other.isRequired else { return false }
        return one.values.intersection(other.values).isEmpty
    }

    /// Whether what one child may be is what the other may be.
    private static func hasSameLabels(_ left: ChildConfiguration, _ right: ChildConfiguration) -> Bool {
        Set(left.securityLabels) == Set(right.securityLabels)
            && (left.securityLabels.isEmpty || left.requiresSecurityLabel == right.requiresSecurityLabel)
    }

    /// For each child the earlier ones with which it may have traffic in common, in order: among thousands nobody waits for
    /// each to be compared with each.
    private static func neighbours(of children: [ChildConfiguration]) -> [[Int]] {
        let sides = [children.map(\.remoteSelectors), children.map(\.localSelectors)].map { side in
            side.enumerated().flatMap { index, selectors in
                selectors.map { Range(owner: index, first: $0.first, last: $0.last) }
            }.sorted { $0.first < $1.first }
        }
        // Often all children have one side in common, and hardly any two the other.
        let ranges = sides.min { Range.meetings(among: $0) < Range.meetings(among: $1) } ?? []
        var found = [Set<Int>](repeating: [], count: children.count)
        var open: [Range] = []
        for range in ranges {
            open.removeAll { $0.last < range.first }
            for other in open where other.owner != range.owner {
                found[max(range.owner, other.owner)].insert(min(range.owner, other.owner))
            }
            open.append(range)
        }
        return found.map { $0.sorted() }
    }

    /// Addresses of one child, on one side. Those of IPv4 come before all of IPv6.
    private struct Range {
        let owner: Int
        let first: IPAddress
        let last: IPAddress

        /// How many pairs have addresses in common.
        ///
        /// - Parameter ranges: in the order of their first addresses.
        static func meetings(among ranges: [Range]) -> Int {
            var count = 0
            for (index, range) in ranges.enumerated() {
                // The first that begins behind the end of this one.
                var (low, high) = (index + 1, ranges.count)
                while low < high {
                    let middle = (low + high) / 2
                    if range.last < ranges[middle].first { high = middle } else { low = middle + 1 }
                }
                count += low - index - 1
            }
            return count
        }
    }

    /// One network on both sides is a slip of the hand, except where both sides are everything.
    private static func checkSides(_ subject: Subject, _ diagnostics: Diagnostics) {
        let child = subject.child
        for remote in child.remoteSelectors where child.localSelectors.contains(remote) && remote.prefix?.length != 0 {
            diagnostics.error(
                "\(remote) is also our own side of it; traffic within our own network would go into the tunnel, so give the peer's network here",
                at: subject.origin)
        }
    }

    private static func overlap(
        _ left: ChildConfiguration, _ right: ChildConfiguration
    ) -> (local: TrafficSelector, remote: TrafficSelector)? {
        overlap((left.localSelectors, left.remoteSelectors), (right.localSelectors, right.remoteSelectors))
    }

    private static func overlap(
        _ left: (local: [TrafficSelector], remote: [TrafficSelector]),
        _ right: (local: [TrafficSelector], remote: [TrafficSelector])
    ) -> (local: TrafficSelector, remote: TrafficSelector)? {
        func common(_ left: [TrafficSelector], _ right: [TrafficSelector]) -> [TrafficSelector] {
            left.flatMap { selector in right.compactMap { selector.intersection($0) } }
        }
        let local = common(left.local, right.local)
        let remote = common(left.remote, right.remote)
        for ours in local {
            if let theirs = remote.first(where: { $0.family == ours.family }) { return (ours, theirs) }
        }
        return nil
    }

    /// Whether every packet of `inner` would match `outer` too, and `outer` is larger.
    private static func isWithin(_ inner: ChildConfiguration, _ outer: ChildConfiguration) -> Bool {
        func covers(_ outer: [TrafficSelector], _ inner: [TrafficSelector]) -> Bool {
            inner.allSatisfy { selector in outer.contains { $0.contains(selector) } }
        }
        return covers(outer.localSelectors, inner.localSelectors)
            && covers(outer.remoteSelectors, inner.remoteSelectors)
            && !(covers(inner.localSelectors, outer.localSelectors)
                && covers(inner.remoteSelectors, outer.remoteSelectors))
    }
}
