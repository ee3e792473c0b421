import IPPacket
import IPsecPolicy

/// Which packets that come in clear may pass, in order (RFC 4301, section 5.2). Pure: nothing here asks the kernel.
///
/// All pairs of prefixes that have their lengths, protocol and ports in common share a rule, which looks masked
/// addresses up in a set: ten thousand tunnels to networks of one size are one rule.
struct InboundFilterPlan {
    enum Verdict: Hashable { case accept, drop }

    /// What the packets of one rule have in common.
    struct Match: Hashable {
        var family: IPFamily
        var sourceLength: Int
        var destinationLength: Int
        /// 0 for any.
        var ipProtocol: UInt8 = 0
        var sourcePorts: ClosedRange<UInt16>?
        var destinationPorts: ClosedRange<UInt16>?
        /// Only what is about to be forwarded into a tunnel.
        var entersTunnel = false

        /// Without addresses there is nothing to look up.
        var hasPairs: Bool { sourceLength + destinationLength > 0 }
    }

    /// Prefixes of the lengths that the rule has.
    struct Pair: Hashable {
        var source: IPPrefix
        var destination: IPPrefix

        /// Whether it lies within what a wide selector does not mean.
        var isReserved: Bool {
            RoutingPlan.reserved(source.family).contains { $0.contains(source) || $0.contains(destination) }
        }
    }

    struct Rule: Equatable {
        let shape: Shape
        var pairs: Set<Pair>

        var verdict: Verdict { shape.verdict }
        var match: Match { shape.match }
    }

    /// All of a rule but what it looks up.
    struct Shape: Equatable {
        let verdict: Verdict
        let match: Match
    }

    /// The first that matches decides; what none matches may pass.
    var rules: [Rule] { express.rules + (general.rules.isEmpty ? [] : reserved + stays.rules + general.rules) }

    private var express = RuleList()
    private let reserved = IPFamily.allCases.flatMap { Self.reserved($0) }
    /// Traffic within the local side, although the remote selector has it too.
    private var stays = RuleList()
    private var general = RuleList()

    init(_ policies: [InstalledPolicy]) {
        for policy in policies.map(\.policy) where policy.action != .discard {
            if policy.action == .protect { addAlike(policy) }
            for local in policy.local {
                for remote in policy.remote where remote.family == local.family {
                    add(policy, local, remote)
                }
            }
        }
    }

    private mutating func add(_ policy: SecurityPolicy, _ local: TrafficSelector, _ remote: TrafficSelector) {
        guard local.ipProtocol == 0 || remote.ipProtocol == 0 || local.ipProtocol == remote.ipProtocol else { return }
        let ipProtocol = max(local.ipProtocol, remote.ipProtocol)
        let showsPorts = RoutingPlan.carriesPorts(ipProtocol)
        let isFine = local.isAnyPort && remote.isAnyPort || showsPorts && !local.isOpaquePort && !remote.isOpaquePort
        // As with what leaves, what a rule cannot express is not let by, and is kept out with all of its protocol.
        guard isFine || policy.action == .protect else { return }
        func ports(_ selector: TrafficSelector) -> ClosedRange<UInt16>? {
            isFine && !selector.isAnyPort ? selector.firstPort...selector.lastPort : nil
        }
        let locals = policy.local.filter { $0.family == local.family }.flatMap(\.prefixes)
        for destination in local.prefixes {
            for source in remote.prefixes {
                let match = Match(
                    family: local.family, sourceLength: source.length, destinationLength: destination.length,
                    ipProtocol: ipProtocol, sourcePorts: ports(remote), destinationPorts: ports(local))
                let pair = Pair(source: source, destination: destination)
                let isExpress = pair.isReserved
                guard policy.action == .protect else {
                    if isExpress { express.add(.accept, match, pair) } else { general.add(.accept, match, pair) }
                    continue
                }
                for other in locals where source.length < other.length && source.contains(other) {
                    addStay(Pair(source: other, destination: destination))
                }
                if isExpress { express.add(.drop, match, pair) } else { general.add(.drop, match, pair) }
            }
        }
    }

    /// Where both sides of a policy look alike, lets what goes into the tunnel pass: sources of the local side are
    /// remote ones as well.
    private mutating func addAlike(_ policy: SecurityPolicy) {
        for family in IPFamily.allCases {
            let remotes = Set(policy.remote.filter { $0.family == family }.flatMap(\.prefixes))
            guard !remotes.isEmpty else { continue }
            let alike = policy.local.filter { $0.family == family }.flatMap(\.prefixes).filter(remotes.contains)
            for source in alike {
                for destination in alike {
                    let match = Match(
                        family: family, sourceLength: source.length, destinationLength: destination.length,
                        entersTunnel: true)
                    let pair = Pair(source: source, destination: destination)
                    if pair.isReserved { express.add(.accept, match, pair) } else { general.add(.accept, match, pair) }
                }
            }
        }
    }

    /// Lets traffic of the local side itself pass: before all policies, if none has dropped it so far.
    private mutating func addStay(_ pair: Pair) {
        // A host's packets to itself do not come in from outside.
        guard pair.source != pair.destination || pair.source.length < pair.source.family.bitWidth else { return }
        let match = Match(
            family: pair.source.family, sourceLength: pair.source.length, destinationLength: pair.destination.length)
        if general.drops(anyOf: pair) {
            general.add(.accept, match, pair)
        } else {
            stays.add(.accept, match, pair)
        }
    }

    /// Link-local and multicast, which a wide selector does not mean.
    private static func reserved(_ family: IPFamily) -> [Rule] {
        var list = RuleList()
        for prefix in RoutingPlan.reserved(family) {
            let all = IPPrefix.all(family)
            for pair in [Pair(source: prefix, destination: all), Pair(source: all, destination: prefix)] {
                let match = Match(
                    family: family, sourceLength: pair.source.length, destinationLength: pair.destination.length)
                list.add(.accept, match, pair)
            }
        }
        return list.rules
    }
}

/// Rules in order. Those of one verdict that stand together have no order among themselves, so equal ones are one.
private struct RuleList {
    private(set) var rules: [InboundFilterPlan.Rule] = []
    private var verdict: InboundFilterPlan.Verdict?
    /// Where the rules of the last run stand.
    private var places: [InboundFilterPlan.Match: Int] = [:]

    mutating func add(
        _ verdict: InboundFilterPlan.Verdict, _ match: InboundFilterPlan.Match, _ pair: InboundFilterPlan.Pair
    ) {
        if verdict != self.verdict {
            self.verdict = verdict
            places = [:]
        }
        if let place = places[match] {
            rules[place].pairs.insert(pair)
        } else {
            places[match] = rules.count
            rules.append(InboundFilterPlan.Rule(shape: .init(verdict: verdict, match: match), pairs: [pair]))
        }
    }

    /// Whether a rule drops a packet between the two prefixes.
    func drops(anyOf pair: InboundFilterPlan.Pair) -> Bool {
        rules.contains { rule in
            let match = rule.match
            guard rule.verdict == .drop, match.family == pair.source.family else { return false }
            guard match.sourceLength <= pair.source.length, match.destinationLength <= pair.destination.length,
                let source = IPPrefix(pair.source.address, length: match.sourceLength),
                let destination = IPPrefix(pair.destination.address, length: match.destinationLength)
            else {
                return rule.pairs.contains {
                    $0.source.overlaps(pair.source) && $0.destination.overlaps(pair.destination)
                }
            }
            return rule.pairs.contains(InboundFilterPlan.Pair(source: source, destination: destination))
        }
    }
}

extension IPPrefix {
    fileprivate func overlaps(_ other: IPPrefix) -> Bool { contains(other) || other.contains(self) }
}
