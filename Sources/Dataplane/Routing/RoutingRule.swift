import CLinux
import IPPacket

/// One rule of the kernel's routing policy database (ip-rule(8)), apart from its priority.
package struct RoutingRule: Hashable, Sendable {
    package enum Action: Hashable, Sendable {
        case lookup(table: UInt32)
        case unreachable
        /// Go on after all our rules: what the host would do without us.
        case pass
        /// Go on with the rule so many places further on within the same unit.
        case skip(Int)
        /// Nothing: a place to jump to.
        case none
    }

    package var family: IPFamily
    package var source: IPPrefix?
    package var destination: IPPrefix?
    package var incoming: String?
    var mark: UInt32?
    /// 0 for any.
    var ipProtocol: UInt8 = 0
    var sourcePorts: ClosedRange<UInt16>?
    var destinationPorts: ClosedRange<UInt16>?
    package var action: Action

    package init(
        family: IPFamily, source: IPPrefix? = nil, destination: IPPrefix? = nil, incoming: String? = nil,
        mark: UInt32? = nil, ipProtocol: UInt8 = 0, sourcePorts: ClosedRange<UInt16>? = nil,
        destinationPorts: ClosedRange<UInt16>? = nil, action: Action
    ) {
        self.family = family
        self.source = source
        self.destination = destination
        self.incoming = incoming
        self.mark = mark
        self.ipProtocol = ipProtocol
        self.sourcePorts = sourcePorts
        self.destinationPorts = destinationPorts
        self.action = action
    }
}

/// A rule with its place.
struct PlacedRule: Hashable {
    var priority: UInt32
    var rule: RoutingRule
    /// Where a ``RoutingRule/Action/pass`` or ``RoutingRule/Action/skip(_:)`` leads.
    var target: UInt32?
}

extension PlacedRule {
    private func request(_ type: Int, flags: Int32, routeProtocol: UInt8) -> NetlinkRequest {
        var header = fib_rule_hdr()
        header.family = rule.family.systemFamily
        header.src_len = UInt8(rule.source?.length ?? 0)
        header.dst_len = UInt8(rule.destination?.length ?? 0)
        switch rule.action {
        case .lookup: header.action = UInt8(FR_ACT_TO_TBL)
        case .unreachable: header.action = UInt8(FR_ACT_UNREACHABLE)
        case .pass, .skip: header.action = UInt8(FR_ACT_GOTO)
        case .none: header.action = UInt8(FR_ACT_NOP)
        }
        var request = NetlinkRequest(type, flags: flags, header)
        request.attribute(FRA_PROTOCOL, routeProtocol)
        request.attribute(FRA_PRIORITY, priority)
        if let source = rule.source, source.length > 0 { request.attribute(FRA_SRC, source.address.octets) }
        if let destination = rule.destination, destination.length > 0 {
            request.attribute(FRA_DST, destination.address.octets)
        }
        if let incoming = rule.incoming { request.attribute(FRA_IIFNAME, incoming) }
        if let mark = rule.mark {
            request.attribute(FRA_FWMARK, mark)
            request.attribute(FRA_FWMASK, UInt32.max)
        }
        if rule.ipProtocol != 0 { request.attribute(FRA_IP_PROTO, rule.ipProtocol) }
        if let ports = rule.sourcePorts { request.attribute(FRA_SPORT_RANGE, Self.range(ports)) }
        if let ports = rule.destinationPorts { request.attribute(FRA_DPORT_RANGE, Self.range(ports)) }
        if case .lookup(let table) = rule.action { request.attribute(FRA_TABLE, table) }
        if let target { request.attribute(FRA_GOTO, target) }
        return request
    }

    private static func range(_ ports: ClosedRange<UInt16>) -> [UInt8] {
        withUnsafeBytes(of: (ports.lowerBound, ports.upperBound)) { Array($0) }
    }

    func additionRequest(routeProtocol: UInt8) -> NetlinkRequest {
        request(RTM_NEWRULE, flags: NLM_F_CREATE | NLM_F_EXCL, routeProtocol: routeProtocol)
    }

    func removalRequest(routeProtocol: UInt8) -> NetlinkRequest {
        request(RTM_DELRULE, flags: 0, routeProtocol: routeProtocol)
    }

    /// A rule as the kernel lists it, if it carries our protocol number. Jumps come out as ``RoutingRule/Action/pass``;
    /// whether they are skips is known only among their neighbours.
    init?(_ reply: NetlinkReply, routeProtocol: UInt8) {
        guard reply.type == RTM_NEWRULE, let header = reply.header(fib_rule_hdr.self),
            let family = IPFamily(systemFamily: header.family)
        else { return nil }
        let attributes = reply.attributes(after: MemoryLayout<fib_rule_hdr>.size)
        guard attributes[FRA_PROTOCOL]?.first == routeProtocol else { return nil }

        func prefix(_ attribute: Int, _ length: UInt8) -> IPPrefix? {
            attributes[attribute].flatMap { IPAddress(octets: $0) }.flatMap { IPPrefix($0, length: Int(length)) }
        }
        func ports(_ attribute: Int) -> ClosedRange<UInt16>? {
            guard let octets = attributes[attribute], let first = octets.hostInteger(UInt16.self),
                let last = octets.dropFirst(2).hostInteger(UInt16.self), first <= last
            else { return nil }
            return first...last
        }
        let action: RoutingRule.Action
        switch Int(header.action) {
        case FR_ACT_TO_TBL:
            action = .lookup(table: attributes[FRA_TABLE]?.hostInteger(UInt32.self) ?? UInt32(header.table))
        case FR_ACT_GOTO: action = .pass
        case FR_ACT_NOP: action = .none
        default: action = .unreachable
        }
        priority = attributes[FRA_PRIORITY]?.hostInteger(UInt32.self) ?? 0
        target = attributes[FRA_GOTO]?.hostInteger(UInt32.self)
        rule = RoutingRule(
            family: family, source: prefix(FRA_SRC, header.src_len), destination: prefix(FRA_DST, header.dst_len),
            incoming: attributes[FRA_IIFNAME].map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) },
            mark: attributes[FRA_FWMARK]?.hostInteger(UInt32.self), ipProtocol: attributes[FRA_IP_PROTO]?.first ?? 0,
            sourcePorts: ports(FRA_SPORT_RANGE), destinationPorts: ports(FRA_DPORT_RANGE), action: action)
    }
}

extension PlacedRule: CustomStringConvertible {
    /// In the notation of ip-rule(8).
    var description: String {
        var text = "\(priority): from \(rule.source.map { "\($0)" } ?? "all")"
        if let destination = rule.destination { text += " to \(destination)" }
        if let mark = rule.mark { text += " fwmark 0x\(String(mark, radix: 16))" }
        if let incoming = rule.incoming { text += " iif \(incoming)" }
        if rule.ipProtocol != 0 { text += " ipproto \(rule.ipProtocol)" }
        if let ports = rule.sourcePorts { text += " sport \(ports.lowerBound)-\(ports.upperBound)" }
        if let ports = rule.destinationPorts { text += " dport \(ports.lowerBound)-\(ports.upperBound)" }
        switch rule.action {
        case .lookup(let table): text += " lookup \(table)"
        case .unreachable: text += " unreachable"
        case .pass, .skip: text += " goto \(target ?? 0)"
        case .none: text += " nop"
        }
        return text
    }
}
