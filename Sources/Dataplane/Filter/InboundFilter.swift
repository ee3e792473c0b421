import CLinux
import Glibc
import IPPacket

/// Keeps out what comes in clear although a policy protects it (RFC 4301, section 5.2): a table of nftables of our own,
/// which stays in force when the process is killed.
///
/// Packets to this host and those that it forwards are looked at, after destinations have been translated, also those
/// that it would forward into a tunnel: they may claim to come out of another. What came out of a tunnel passes, and so
/// do what carries the tunnel and what keeps the link up, where they are for this host. Accepting ends only our own table:
/// other firewalls still decide.
struct InboundFilter: ~Copyable {
    private let configuration: UserspaceDataplane.Configuration
    private var socket: FilterSocket
    /// What the kernel has; `nil` as long as that is a predecessor's.
    private var rules: [InboundFilterPlan.Rule]?
    /// Ports on which TCP connections are accepted that carry tunnels, and whether some are opened from here.
    private var streamPorts: [UInt16] = []
    private var opensStreams = false

    private static let policies = "policies"
    /// Those of a transaction are in requests of so many, of which each fits an attribute's 65,535 octets.
    private static let elementsPerRequest = 1000

    init(_ configuration: UserspaceDataplane.Configuration, _ socket: consuming FilterSocket) {
        self.configuration = configuration
        self.socket = socket
    }

    /// Makes the table that of a plan, at once.
    mutating func apply(_ plan: InboundFilterPlan) throws(DataplaneError) { try apply(plan.rules) }

    private mutating func apply(_ wanted: [InboundFilterPlan.Rule]) throws(DataplaneError) {
        guard wanted != rules else { return }
        guard !wanted.isEmpty else {
            try remove()
            rules = []
            return
        }
        let purpose = "keep out what comes in clear"
        if let rules, rules.map(\.shape) == wanted.map(\.shape),
            try socket.perform(changes(from: rules, to: wanted), purpose) == 0
        {
            self.rules = wanted
            return
        }
        // Somebody may have taken the table away: then changes of it fail.
        rules = nil
        var result = try socket.perform(replacement(wanted), purpose)
        if result != 0, opensStreams {
            // The kernel does not tell whose socket a segment is for: then it is kept out with the rest.
            opensStreams = false
            result = try socket.perform(replacement(wanted), purpose)
        }
        guard result == 0 else { throw .system(result, purpose) }
        rules = wanted
    }

    /// Lets in what belongs to TCP connections that carry tunnels (RFC 9329).
    mutating func permitStreams(_ ports: [UInt16], callsOut: Bool) throws(DataplaneError) {
        guard ports != streamPorts || callsOut != opensStreams else { return }
        streamPorts = ports
        opensStreams = callsOut
        // What a predecessor has left stays until there are policies.
        guard let rules, !rules.isEmpty else { return }
        self.rules = nil
        try apply(rules)
    }

    /// Makes the table again if somebody has taken it away.
    ///
    /// - Returns: whether that was so.
    mutating func restore() throws(DataplaneError) -> Bool {
        guard let rules, !rules.isEmpty,
            try socket.ask(table(NFT_MSG_GETTABLE), "look for the table \(configuration.filterTable)") == ENOENT
        else { return false }
        self.rules = nil
        try apply(rules)
        return true
    }

    /// Removes the table.
    ///
    /// - Returns: whether there was one.
    @discardableResult
    mutating func remove() throws(DataplaneError) -> Bool {
        rules = nil
        let result = try socket.perform([table(NFT_MSG_DELTABLE)], "remove the table \(configuration.filterTable)")
        // Where nftables is not there, nor is the table.
        guard ![ENOENT, EOPNOTSUPP, EPROTONOSUPPORT].contains(result) else { return false }
        guard result == 0 else { throw .system(result, "remove the table \(configuration.filterTable)") }
        return true
    }

    // MARK: Transactions

    private func table(_ message: nf_tables_msg_types) -> NetlinkRequest {
        var request = NetlinkRequest(message, flags: message == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0)
        request.attribute(NFTA_TABLE_NAME, configuration.filterTable)
        return request
    }

    /// A table that is not there cannot be removed, so it is made first.
    private func replacement(_ wanted: [InboundFilterPlan.Rule]) -> [NetlinkRequest] {
        var requests = [table(NFT_MSG_NEWTABLE), table(NFT_MSG_DELTABLE), table(NFT_MSG_NEWTABLE)]
        requests.append(chain(Self.policies))
        // NF_INET_LOCAL_IN and NF_INET_FORWARD (linux/netfilter.h).
        requests.append(chain("input", hook: 1))
        requests.append(chain("forward", hook: 2))
        requests += passing.map { rule("input", $0) }
        requests += forwarding.map { rule("forward", $0) }
        for (index, wantedRule) in wanted.enumerated() {
            if wantedRule.match.hasPairs {
                requests.append(set(index, wantedRule.match))
                requests += elements(NFT_MSG_NEWSETELEM, Array(wantedRule.pairs), of: index, wantedRule.match)
            }
            requests.append(rule(Self.policies, expressions(wantedRule, index)))
        }
        return requests
    }

    private func changes(
        from old: [InboundFilterPlan.Rule], to new: [InboundFilterPlan.Rule]
    ) -> [NetlinkRequest] {
        zip(old, new).enumerated().flatMap { index, rules in
            let (old, new, match) = (rules.0.pairs, rules.1.pairs, rules.1.match)
            return elements(NFT_MSG_NEWSETELEM, Array(new.subtracting(old)), of: index, match)
                + elements(NFT_MSG_DELSETELEM, Array(old.subtracting(new)), of: index, match)
        }
    }

    private func chain(_ name: String, hook: UInt32? = nil) -> NetlinkRequest {
        var request = NetlinkRequest(NFT_MSG_NEWCHAIN, flags: NLM_F_CREATE)
        request.attribute(NFTA_CHAIN_TABLE, configuration.filterTable)
        request.attribute(NFTA_CHAIN_NAME, name)
        guard let hook else { return request }
        request.attribute(NFTA_CHAIN_TYPE, "filter")
        request.nested(NFTA_CHAIN_HOOK) {
            $0.attribute(NFTA_HOOK_HOOKNUM, network: hook)
            // Before the usual place of filters, 0.
            $0.attribute(NFTA_HOOK_PRIORITY, network: UInt32(bitPattern: -10))
        }
        return request
    }

    private func rule(_ chain: String, _ expressions: FilterExpressions) -> NetlinkRequest {
        var request = NetlinkRequest(NFT_MSG_NEWRULE, flags: NLM_F_CREATE | NLM_F_APPEND)
        request.attribute(NFTA_RULE_TABLE, configuration.filterTable)
        request.attribute(NFTA_RULE_CHAIN, chain)
        expressions.write(to: &request, NFTA_RULE_EXPRESSIONS)
        return request
    }

    private func setName(_ index: Int) -> String { "pairs\(index)" }

    private func set(_ index: Int, _ match: InboundFilterPlan.Match) -> NetlinkRequest {
        var request = NetlinkRequest(NFT_MSG_NEWSET, flags: NLM_F_CREATE)
        request.attribute(NFTA_SET_TABLE, configuration.filterTable)
        request.attribute(NFTA_SET_NAME, setName(index))
        request.attribute(NFTA_SET_ID, network: UInt32(index) + 1)
        // What nft(8) shows elements as: ipv4_addr is its type 7, ipv6_addr 8, one after the other in 6 bits each.
        let type: UInt32 = match.family == .v4 ? 7 : 8
        let count = (match.sourceLength > 0 ? 1 : 0) + (match.destinationLength > 0 ? 1 : 0)
        request.attribute(NFTA_SET_KEY_TYPE, network: count == 2 ? type << 6 | type : type)
        request.attribute(NFTA_SET_KEY_LEN, network: UInt32(count * match.family.octetCount))
        return request
    }

    private func elements(
        _ message: nf_tables_msg_types, _ pairs: [InboundFilterPlan.Pair], of index: Int,
        _ match: InboundFilterPlan.Match
    ) -> [NetlinkRequest] {
        stride(from: 0, to: pairs.count, by: Self.elementsPerRequest).map { start in
            var request = NetlinkRequest(message, flags: message == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0)
            request.attribute(NFTA_SET_ELEM_LIST_TABLE, configuration.filterTable)
            request.attribute(NFTA_SET_ELEM_LIST_SET, setName(index))
            request.nested(NFTA_SET_ELEM_LIST_ELEMENTS) { request in
                for pair in pairs[start...].prefix(Self.elementsPerRequest) {
                    let key =
                        (match.sourceLength > 0 ? pair.source.address.octets : [])
                        + (match.destinationLength > 0 ? pair.destination.address.octets : [])
                    request.nested(NFTA_LIST_ELEM) {
                        $0.nested(NFTA_SET_ELEM_KEY) { $0.attribute(NFTA_DATA_VALUE, key) }
                    }
                }
            }
            return request
        }
    }

    // MARK: Rules

    /// For this host: what carries the tunnel, and what keeps a path or a link up, errors of ICMP (RFC 4301, section
    /// 6.1.1) and the search for neighbours (RFC 4861).
    private var passing: [FilterExpressions] {
        func passing(_ ask: (inout FilterExpressions) -> Void) -> FilterExpressions {
            var expressions = FilterExpressions()
            ask(&expressions)
            expressions.decide(.accept)
            return expressions
        }
        func icmp(_ family: IPFamily, _ types: ClosedRange<UInt8>) -> FilterExpressions {
            passing {
                $0.ipProtocol(is: family == .v4 ? IPProtocol.icmp : IPProtocol.icmpv6)
                $0.icmpType(in: types)
            }
        }
        return [
            passing { $0.device(NFT_META_IIFNAME, is: "lo") },
            passing { $0.device(NFT_META_IIFNAME, is: configuration.deviceName) },
            passing { $0.ipProtocol(is: IPProtocol.esp) },
        ]
            + [configuration.ikePort, configuration.natPort].map { port in
                passing {
                    $0.ipProtocol(is: IPProtocol.udp)
                    $0.ports(source: nil, destination: port...port)
                }
            }
            + streamPorts.map { port in
                passing {
                    $0.ipProtocol(is: IPProtocol.tcp)
                    $0.ports(source: nil, destination: port...port)
                }
            }
            // Of what comes to ports that nobody has chosen, our own sockets' only.
            + (opensStreams
                ? [
                    passing {
                        $0.ipProtocol(is: IPProtocol.tcp)
                        $0.socketMark(is: configuration.firewallMark)
                    }
                ] : []) + [icmp(.v4, 3...3), icmp(.v4, 11...12), icmp(.v6, 1...4), icmp(.v6, 133...137), toPolicies]
    }

    private var forwarding: [FilterExpressions] {
        var fromTunnel = FilterExpressions()
        fromTunnel.device(NFT_META_IIFNAME, is: configuration.deviceName)
        fromTunnel.decide(.accept)
        return [fromTunnel, toPolicies]
    }

    private var toPolicies: FilterExpressions {
        var expressions = FilterExpressions()
        expressions.goOn(in: Self.policies)
        return expressions
    }

    private func expressions(_ rule: InboundFilterPlan.Rule, _ index: Int) -> FilterExpressions {
        let match = rule.match
        var expressions = FilterExpressions()
        expressions.family(is: match.family)
        if match.entersTunnel { expressions.device(NFT_META_OIFNAME, is: configuration.deviceName) }
        if match.ipProtocol != 0 { expressions.ipProtocol(is: match.ipProtocol) }
        expressions.ports(source: match.sourcePorts, destination: match.destinationPorts)
        if match.hasPairs {
            expressions.addresses(
                match.family, sourceLength: match.sourceLength, destinationLength: match.destinationLength,
                areIn: setName(index))
        }
        expressions.count()
        expressions.decide(rule.verdict)
        return expressions
    }
}
