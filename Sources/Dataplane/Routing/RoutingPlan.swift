import IPPacket
import IPsecPolicy

/// The rules and routes of one family that a list of policies wants, in order. Pure: nothing here asks the kernel.
struct RoutingPlan: Hashable {
    /// Rules that belong together; jumps stay within.
    typealias Unit = [RoutingRule]

    let family: IPFamily
    private(set) var units: [Unit] = []
    /// Routes of the table for traffic without a source: the destination and the source to give it.
    private(set) var sourceRoutes: [SourceRoute] = []

    struct SourceRoute: Hashable {
        let destination: IPPrefix
        let source: IPAddress
    }

    /// Destinations a wide selector does not mean: link-local and multicast, without which neighbour discovery, DHCP and
    /// routing protocols of the host itself would stop. A selector inside one of these is meant expressly.
    static func reserved(_ family: IPFamily) -> [IPPrefix] {
        let texts =
            family == .v4 ? ["224.0.0.0/4", "169.254.0.0/16", "255.255.255.255/32"] : ["fe80::/10", "ff00::/8"]
        return texts.compactMap { IPPrefix($0) }
    }

    /// - Parameter ownAddresses: addresses of this host, of which one inside the local selectors becomes the source.
    init(
        _ family: IPFamily, policies: [InstalledPolicy], ownAddresses: [IPAddress],
        configuration: UserspaceDataplane.Configuration
    ) {
        self.family = family
        units.append([RoutingRule(family: family, mark: configuration.firewallMark, action: .pass)])

        var express: [Unit] = []
        var sourced: Set<IPPrefix> = []
        // Rules do not tell classes of packets apart: policies for the same addresses are one to them.
        var protected: Set<[[TrafficSelector]]> = []
        var general = GeneralUnits()
        for installed in policies {
            let selectors = [installed.policy.local, installed.policy.remote]
            if installed.policy.action == .protect, !protected.insert(selectors).inserted { continue }
            for traffic in Self.traffic(of: installed.policy, family) {
                let source = Self.source(for: traffic, installed.preferredSources, ownAddresses)
                if let source, installed.policy.action == .protect, sourced.insert(traffic.remote).inserted {
                    sourceRoutes.append(SourceRoute(destination: traffic.remote, source: source))
                }
                let locals = Self.localPrefixes(installed.policy, family)
                let unit = Self.unit(
                    traffic, action: installed.policy.action, locals: locals, hasSource: source != nil, configuration)
                guard !unit.isEmpty else { continue }
                if Self.reserved(family).contains(where: { $0.contains(traffic.remote) }) {
                    express.append(unit)
                } else {
                    // Between policies that protect, and nothing else, it does not matter which of them a packet meets.
                    let isAlone =
                        installed.policy.action == .protect
                        && unit.count == 1 + (source == nil ? 0 : family == .v4 ? 1 : 3)
                    general.append(unit, isAlone: isAlone)
                }
            }
        }
        let units = general.finished()
        guard !express.isEmpty || !units.isEmpty else { return }
        // An express rule names only what the exceptions would take, so standing before them changes nothing else.
        self.units += express
        self.units += Self.reserved(family).map { [RoutingRule(family: family, destination: $0, action: .pass)] }
        self.units += units
    }

    /// Units in the order of the policies; long runs of those that lead inside, and no more, become trees.
    private struct GeneralUnits {
        private var units: [Unit] = []
        private var run: [Unit] = []

        /// Less is not worth a tree; more would all be made anew with each change.
        private static let runLengths = 32...2048

        mutating func append(_ unit: Unit, isAlone: Bool) {
            guard isAlone else {
                endRun()
                units.append(unit)
                return
            }
            run.append(unit)
            if run.count == Self.runLengths.upperBound { endRun() }
        }

        mutating func finished() -> [Unit] {
            endRun()
            return units
        }

        /// The rules of a unit are the one that protects, at its end, and what gives packets a source, before.
        private mutating func endRun() {
            defer { run = [] }
            let sourced = run.filter { $0.count > 1 }.map { $0[$0.count - 2] }
            guard run.count >= Self.runLengths.lowerBound,
                let protecting = RuleTree.arrange(run.compactMap(\.last))
            else {
                units += run
                return
            }
            if let example = run.first(where: { $0.count > 1 }) {
                let distinct = sourced.reduce(into: (seen: Set<RoutingRule>(), rules: Unit())) {
                    if $0.seen.insert($1).inserted { $0.rules.append($1) }
                }.rules
                let tree =
                    RuleTree.arrange(distinct) ?? distinct + [RoutingRule(family: example[0].family, action: .none)]
                // Packets that have a source are led past all of it, where a rule for those without cannot be written.
                let past = example.dropLast(2).enumerated().map { index, rule in
                    var rule = rule
                    rule.destination = nil
                    rule.action = .skip(example.count - 2 - index + tree.count - 1)
                    return rule
                }
                units.append(past + tree)
            }
            units.append(protecting)
        }
    }

    /// What one pair of prefixes of a policy carries.
    struct Traffic: Hashable {
        let local: IPPrefix
        let remote: IPPrefix
        let ipProtocol: UInt8
        let sourcePorts: ClosedRange<UInt16>?
        let destinationPorts: ClosedRange<UInt16>?
        /// The selectors say more than a rule can: ICMP types, or packets whose ports cannot be seen.
        let isCoarse: Bool
    }

    private static func localPrefixes(_ policy: SecurityPolicy, _ family: IPFamily) -> [IPPrefix] {
        policy.local.filter { $0.family == family }.flatMap(\.prefixes)
    }

    private static func traffic(of policy: SecurityPolicy, _ family: IPFamily) -> [Traffic] {
        var result: [Traffic] = []
        for local in policy.local where local.family == family {
            for remote in policy.remote where remote.family == family {
                guard local.ipProtocol == 0 || remote.ipProtocol == 0 || local.ipProtocol == remote.ipProtocol else {
                    continue
                }
                let ipProtocol = max(local.ipProtocol, remote.ipProtocol)
                let expressible = carriesPorts(ipProtocol) && canExpress(local) && canExpress(remote)
                for from in local.prefixes {
                    for to in remote.prefixes {
                        result.append(
                            Traffic(
                                local: from, remote: to, ipProtocol: ipProtocol,
                                sourcePorts: expressible ? ports(local) : nil,
                                destinationPorts: expressible ? ports(remote) : nil,
                                isCoarse: !expressible && !(local.isAnyPort && remote.isAnyPort)))
                    }
                }
            }
        }
        return result
    }

    /// TCP, UDP, DCCP, SCTP, UDP-Lite: where the kernel finds ports for its rules.
    static func carriesPorts(_ ipProtocol: UInt8) -> Bool { [6, 17, 33, 132, 136].contains(ipProtocol) }

    /// What the kernel takes in a rule's range of ports; packets with port 0 or 65535 are treated as those without ports.
    private static let rulePorts: ClosedRange<UInt16> = 1...65534

    private static func ports(_ selector: TrafficSelector) -> ClosedRange<UInt16>? {
        selector.isAnyPort ? nil : (selector.firstPort...selector.lastPort).clamped(to: rulePorts)
    }

    /// Whether a rule can name the ports of the selector.
    private static func canExpress(_ selector: TrafficSelector) -> Bool {
        guard !selector.isOpaquePort else { return false }
        return selector.isAnyPort || (selector.firstPort...selector.lastPort).overlaps(rulePorts)
    }

    private static func source(
        for traffic: Traffic, _ preferred: [IPAddress], _ ownAddresses: [IPAddress]
    ) -> IPAddress? {
        preferred.first { ownAddresses.contains($0) && traffic.local.contains($0) }
            ?? ownAddresses.first { traffic.local.contains($0) }
    }

    private static func unit(
        _ traffic: Traffic, action: PolicyAction, locals: [IPPrefix], hasSource: Bool,
        _ configuration: UserspaceDataplane.Configuration
    ) -> Unit {
        let rule = RoutingRule(
            family: traffic.local.family, source: traffic.local.orNilIfAll, destination: traffic.remote.orNilIfAll,
            ipProtocol: traffic.ipProtocol, sourcePorts: traffic.sourcePorts,
            destinationPorts: traffic.destinationPorts, action: .lookup(table: configuration.routeTable))
        switch action {
        case .bypass:
            // A rule wider than the policy would let out what is not bypassed; without one the packets stay inside.
            return traffic.isCoarse ? [] : [rule.with(.pass)]
        case .discard:
            // Where a rule cannot tell, the worker does.
            return traffic.isCoarse ? [rule] : [rule.with(.unreachable)] + fragments(traffic, rule)
        case .protect:
            return exceptions(traffic, rule, locals, configuration)
                + (hasSource ? withoutSource(traffic, rule, locals, configuration) : [])
                + [rule] + fragments(traffic, rule)
        }
    }

    /// What a protecting rule would take although it stays on this side.
    private static func exceptions(
        _ traffic: Traffic, _ rule: RoutingRule, _ locals: [IPPrefix], _ configuration: UserspaceDataplane.Configuration
    ) -> Unit {
        var unit: Unit = []
        for other in locals where traffic.remote.length < other.length && traffic.remote.contains(other) {
            unit.append(RoutingRule(family: rule.family, source: rule.source, destination: other, action: .pass))
        }
        if traffic.local == traffic.remote {
            // Both directions look alike: what came out of the tunnel does not go back in.
            unit.append(
                RoutingRule(
                    family: rule.family, source: rule.source, destination: rule.destination,
                    incoming: configuration.deviceName, action: .pass))
        }
        return unit
    }

    /// Rules for packets this host begins and has not chosen a source for: the route gives them one.
    private static func withoutSource(
        _ traffic: Traffic, _ rule: RoutingRule, _ locals: [IPPrefix], _ configuration: UserspaceDataplane.Configuration
    ) -> Unit {
        var lookup = rule.with(.lookup(table: configuration.sourceRouteTable))
        lookup.incoming = "lo"
        lookup.source = rule.family == .v4 ? IPPrefix(.unspecified(.v4)) : nil
        lookup.sourcePorts = nil
        var rules: Unit = []
        for other in locals where traffic.remote.length < other.length && traffic.remote.contains(other) {
            var stays = lookup.with(.pass)
            stays.destination = other
            rules.append(stays)
        }
        rules.append(lookup)
        guard rule.family == .v6 else { return rules }
        // An IPv6 rule with a source matches only packets that have one, a rule without matches all: those that have a source
        // are led past.
        let count = rules.count
        let past = ["::/1", "8000::/1"].enumerated().map { index, half in
            var past = lookup.with(.skip(count + 2 - index))
            past.source = IPPrefix(half)
            return past
        }
        return past + rules
    }

    /// Later fragments show no ports, so a rule with ports would let them out in clear: what is left of the protocol after
    /// all with visible ports has gone on is led inside, where the policies decide (RFC 4301, section 7).
    private static func fragments(_ traffic: Traffic, _ rule: RoutingRule) -> Unit {
        guard rule.sourcePorts != nil || rule.destinationPorts != nil else { return [] }
        var visible = rule.with(.skip(2))
        visible.sourcePorts = nil
        visible.destinationPorts = rulePorts
        var rest = rule
        rest.sourcePorts = nil
        rest.destinationPorts = nil
        return [visible, rest, RoutingRule(family: rule.family, action: .none)]
    }
}

extension RoutingRule {
    fileprivate func with(_ action: Action) -> RoutingRule {
        var rule = self
        rule.action = action
        return rule
    }
}

extension IPPrefix {
    /// The kernel lists a rule for everything without an address.
    fileprivate var orNilIfAll: IPPrefix? { length == 0 ? nil : self }
}
