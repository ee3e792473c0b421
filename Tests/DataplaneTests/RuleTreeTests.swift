import Dataplane
import IPPacket
import Testing

/// What the kernel does with a packet: the table a rule sends it to, and how many rules it met.
private func walk(_ rules: [RoutingRule], _ source: IPAddress, _ destination: IPAddress) -> (table: UInt32?, met: Int) {
    var index = 0
    var met = 0
    while index < rules.count {
        let rule = rules[index]
        met += 1
        guard rule.source?.contains(source) ?? true, rule.destination?.contains(destination) ?? true else {
            index += 1
            continue
        }
        switch rule.action {
        case .lookup(let table): return (table, met)
        case .skip(let count): index += count
        default: index += 1
        }
    }
    return (nil, met)
}

@Suite("Rules for many tunnels")
struct RuleTreeTests {
    private func rules(
        _ family: IPFamily, _ count: Int, _ generator: inout SeededGenerator, bySource: Bool = true
    ) throws -> [RoutingRule] {
        let width = family.bitWidth
        var prefixes: Set<IPPrefix> = []
        while prefixes.count < count {
            let value = UInt128.random(in: 0...(.max), using: &generator) >> (128 - width)
            let address = family == .v4 ? IPAddress(v4: UInt32(truncatingIfNeeded: value)) : IPAddress(v6: value)
            // Of one length, so that none lies within another.
            prefixes.insert(try #require(IPPrefix(address, length: width - 8)))
        }
        let all = try #require(IPPrefix(.unspecified(family), length: 1))
        return prefixes.enumerated().map { index, prefix in
            RoutingRule(
                family: family, source: bySource ? prefix : all, destination: bySource ? all : prefix,
                action: .lookup(table: UInt32(index)))
        }
    }

    @Test("A packet comes to the rule it would come to one by one", arguments: IPFamily.allCases, [9, 100, 2048])
    func finds(family: IPFamily, count: Int) throws {
        for bySource in [true, false] {
            var generator = SeededGenerator(seed: UInt64(count))
            let rules = try rules(family, count, &generator, bySource: bySource)
            let tree = try #require(RuleTree.arrange(rules))
            #expect(Set(tree).isSuperset(of: rules))
            let inside = IPAddress.unspecified(family)
            for rule in rules {
                let end = try #require(bySource ? rule.source?.address : rule.destination?.address)
                let ends = bySource ? (end, inside) : (inside, end)
                let found = walk(tree, ends.0, ends.1)
                #expect(found.table == walk(rules, ends.0, ends.1).table)
                // A leaf, and a node for each halving; random addresses halve well.
                #expect(found.met <= 40)
            }
            for _ in 0..<1000 {
                let value = UInt128.random(in: 0...(.max), using: &generator)
                let end = family == .v4 ? IPAddress(v4: UInt32(truncatingIfNeeded: value)) : IPAddress(v6: value)
                let ends = bySource ? (end, inside) : (inside, end)
                #expect(walk(tree, ends.0, ends.1).table == walk(rules, ends.0, ends.1).table)
            }
        }
    }

    @Test("Rules whose prefixes lie within each other are not arranged, nor few")
    func refused() throws {
        var generator = SeededGenerator(seed: 5)
        var rules = try rules(.v4, 40, &generator)
        #expect(RuleTree.arrange(Array(rules[..<8])) == nil)
        rules[7].source = IPPrefix(.unspecified(.v4), length: 1)
        rules[8].source = IPPrefix(.unspecified(.v4), length: 2)
        #expect(RuleTree.arrange(rules) == nil)
        #expect(RuleTree.arrange([]) == nil)
    }
}
