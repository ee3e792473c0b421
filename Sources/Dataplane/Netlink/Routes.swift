import CLinux
import IPPacket

/// One route of ours in the kernel's tables (ip-route(8)).
struct Route: Hashable {
    enum Target: Hashable {
        case device(index: UInt32, source: IPAddress?)
        case unreachable
    }

    let family: IPFamily
    let table: UInt32
    let destination: IPPrefix
    let metric: UInt32
    let target: Target
}

extension Route {
    private func request(_ type: Int, flags: Int32, routeProtocol: UInt8) -> NetlinkRequest {
        var header = rtmsg()
        header.rtm_family = family.systemFamily
        header.rtm_dst_len = UInt8(destination.length)
        header.rtm_protocol = routeProtocol
        header.rtm_scope = 0  // RT_SCOPE_UNIVERSE
        switch target {
        case .device: header.rtm_type = UInt8(RTN_UNICAST)
        case .unreachable: header.rtm_type = UInt8(RTN_UNREACHABLE)
        }
        var request = NetlinkRequest(type, flags: flags, header)
        request.attribute(Int(RTA_TABLE.rawValue), table)
        request.attribute(Int(RTA_PRIORITY.rawValue), metric)
        if destination.length > 0 { request.attribute(Int(RTA_DST.rawValue), destination.address.octets) }
        if case .device(let index, let source) = target {
            request.attribute(Int(RTA_OIF.rawValue), index)
            if let source { request.attribute(Int(RTA_PREFSRC.rawValue), source.octets) }
        }
        return request
    }

    func additionRequest(routeProtocol: UInt8) -> NetlinkRequest {
        request(RTM_NEWROUTE, flags: NLM_F_CREATE | NLM_F_EXCL, routeProtocol: routeProtocol)
    }

    func removalRequest(routeProtocol: UInt8) -> NetlinkRequest {
        request(RTM_DELROUTE, flags: 0, routeProtocol: routeProtocol)
    }

    /// A route as the kernel lists it, if it carries our protocol number.
    init?(_ reply: NetlinkReply, routeProtocol: UInt8) {
        guard reply.type == RTM_NEWROUTE, let header = reply.header(rtmsg.self), header.rtm_protocol == routeProtocol,
            let family = IPFamily(systemFamily: header.rtm_family)
        else { return nil }
        let attributes = reply.attributes(after: MemoryLayout<rtmsg>.size)
        let address = attributes[Int(RTA_DST.rawValue)].flatMap { IPAddress(octets: $0) } ?? .unspecified(family)
        guard let destination = IPPrefix(address, length: Int(header.rtm_dst_len)) else { return nil }
        self.family = family
        self.destination = destination
        table = attributes[Int(RTA_TABLE.rawValue)]?.hostInteger(UInt32.self) ?? UInt32(header.rtm_table)
        metric = attributes[Int(RTA_PRIORITY.rawValue)]?.hostInteger(UInt32.self) ?? 0
        if header.rtm_type == UInt8(RTN_UNICAST),
            let index = attributes[Int(RTA_OIF.rawValue)]?.hostInteger(UInt32.self)
        {
            target = .device(
                index: index, source: attributes[Int(RTA_PREFSRC.rawValue)].flatMap { IPAddress(octets: $0) })
        } else {
            target = .unreachable
        }
    }

    /// The routes of ours in all tables.
    static func installed(
        _ family: IPFamily, routeProtocol: UInt8, _ socket: inout NetlinkSocket
    ) throws(DataplaneError) -> Set<Route> {
        var header = rtmsg()
        header.rtm_family = family.systemFamily
        let replies = try socket.dump(NetlinkRequest(RTM_GETROUTE, header), "list the routes")
        return Set(replies.compactMap { Route($0, routeProtocol: routeProtocol) })
    }

    /// Removes what is not wanted, then adds what is missing.
    static func reconcile(
        _ wanted: Set<Route>, _ family: IPFamily, routeProtocol: UInt8, _ socket: inout NetlinkSocket
    ) throws(DataplaneError) {
        let present = try installed(family, routeProtocol: routeProtocol, &socket)
        for route in present.subtracting(wanted) {
            try socket.perform(
                route.removalRequest(routeProtocol: routeProtocol), tolerating: [3 /* ESRCH */],
                "remove the route '\(route)'")
        }
        for route in wanted.subtracting(present) {
            try socket.perform(route.additionRequest(routeProtocol: routeProtocol), "add the route '\(route)'")
        }
    }
}

extension Route: CustomStringConvertible {
    var description: String {
        switch target {
        case .device(let index, let source):
            "\(destination) dev #\(index) table \(table) metric \(metric)" + (source.map { " src \($0)" } ?? "")
        case .unreachable: "unreachable \(destination) table \(table) metric \(metric)"
        }
    }
}
