import IPPacket

/// Lays rules for many pairs of prefixes out so that a packet meets few of them: the kernel goes through its rules one after
/// the other, but jumps at once. Pure: nothing here asks the kernel.
///
/// A node jumps over the left half for addresses of the right one; what leaves a half without a match jumps over the rest.
package enum RuleTree {
    /// Prefixes a leaf has, whose rules are gone through one by one.
    private static let leafSize = 8

    /// What a rule is found by.
    package enum Key: Sendable {
        case source, destination

        func prefix(of rule: RoutingRule) -> IPPrefix? { self == .source ? rule.source : rule.destination }
    }

    /// Arranges rules that have no order among themselves. The last one does nothing: there the search ends without a match.
    ///
    /// - Returns: `nil` if they cannot be told apart: prefixes are missing or lie within others.
    package static func arrange(_ rules: [RoutingRule]) -> [RoutingRule]? {
        guard let family = rules.first?.family else { return nil }
        let ways = [Key.source, .destination].compactMap { key in groups(of: rules, by: key).map { (key, $0) } }
        guard let best = ways.max(by: { $0.1.count < $1.1.count }), best.1.count > leafSize else { return nil }
        return arrange(best.1[...], by: best.0) + [RoutingRule(family: family, action: .none)]
    }

    private struct Group {
        let prefix: IPPrefix
        var rules: [RoutingRule]
    }

    /// Rules by prefix, in the order of addresses; `nil` if a prefix lies within another.
    private static func groups(of rules: [RoutingRule], by key: Key) -> [Group]? {
        var groups: [IPPrefix: Group] = [:]
        for rule in rules {
            guard let prefix = key.prefix(of: rule) else { return nil }
            groups[prefix, default: Group(prefix: prefix, rules: [])].rules.append(rule)
        }
        let sorted = groups.values.sorted {
            ($0.prefix.address, $0.prefix.length) < ($1.prefix.address, $1.prefix.length)
        }
        let isNested = zip(sorted, sorted.dropFirst()).contains { $0.prefix.contains($1.prefix) }
        return isNested ? nil : sorted
    }

    private static func arrange(_ groups: ArraySlice<Group>, by key: Key) -> [RoutingRule] {
        guard groups.count > leafSize, let first = groups.first?.prefix, let last = groups.last?.prefix else {
            return groups.flatMap(\.rules)
        }
        // Where the first and the last begin to differ is where all of them do.
        let width = first.family.bitWidth
        let different = first.address.value ^ last.address.value
        let length = width - (UInt128.bitWidth - different.leadingZeroBitCount) + 1
        guard let half = IPPrefix(last.address, length: length),
            let middle = groups.firstIndex(where: { half.contains($0.prefix) }), middle > groups.startIndex
        else { return groups.flatMap(\.rules) }
        let left = arrange(groups[..<middle], by: key)
        let right = arrange(groups[middle...], by: key)
        var node = RoutingRule(family: first.family, action: .skip(left.count + 2))
        if key == .source { node.source = half } else { node.destination = half }
        return [node] + left + [RoutingRule(family: first.family, action: .skip(right.count + 1))] + right
    }
}
