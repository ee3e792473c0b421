import CLinux
import Glibc
import IPPacket
import IPsecPolicy

/// Rules, routes and addresses in the kernel for one data plane.
struct KernelRouting: ~Copyable {
    private let configuration: UserspaceDataplane.Configuration
    private let device: UInt32
    private var socket: NetlinkSocket
    /// `nil` where the kernel has no nftables.
    private var filter: InboundFilter?

    /// Of two default routes the kernel takes the lower metric while its device is there.
    private static let deviceMetric: UInt32 = 100
    private static let blockingMetric: UInt32 = 0xffff_fff0

    /// - Parameters:
    ///   - device: index of the device.
    ///   - netlink: a socket for rtnetlink, which is closed with this value.
    ///   - filter: one for nftables, likewise; negative if there is none to be had.
    init(_ configuration: UserspaceDataplane.Configuration, device: UInt32, netlink: Int32, filter: Int32) {
        self.configuration = configuration
        self.device = device
        socket = NetlinkSocket(adopting: netlink)
        self.filter = filter < 0 ? nil : InboundFilter(configuration, FilterSocket(adopting: filter))
    }

    /// Turns the device on and makes the routes. Rules that are there stay as they are until policies come.
    mutating func takeOver() throws(DataplaneError) {
        try Links.bringUp(device, mtu: configuration.mtu, queueLength: configuration.queueLength, &socket)
        for family in IPFamily.allCases {
            try Route.reconcile(
                Self.routes(family, sourceRoutes: [], device: device, configuration), family,
                routeProtocol: configuration.routeProtocol, &socket)
        }
    }

    private func table(_ family: IPFamily) -> RuleTable {
        RuleTable(
            family: family, routeProtocol: configuration.routeProtocol, priorities: configuration.rulePriorities)
    }

    private static func routes(
        _ family: IPFamily, sourceRoutes: [RoutingPlan.SourceRoute], device: UInt32,
        _ configuration: UserspaceDataplane.Configuration
    ) -> Set<Route> {
        let all = IPPrefix.all(family)
        var routes: Set<Route> = [
            Route(
                family: family, table: configuration.routeTable, destination: all, metric: deviceMetric,
                target: .device(index: device, source: nil))
        ]
        for table in [configuration.routeTable, configuration.sourceRouteTable] {
            routes.insert(
                Route(
                    family: family, table: table, destination: all, metric: blockingMetric, target: .unreachable))
        }
        for route in sourceRoutes {
            routes.insert(
                Route(
                    family: family, table: configuration.sourceRouteTable, destination: route.destination,
                    metric: deviceMetric, target: .device(index: device, source: route.source)))
        }
        return routes
    }

    /// Makes rules and routes those of `policies`, and returns warnings about what would keep their traffic from flowing.
    mutating func apply(
        _ policies: [InstalledPolicy], _ forwarding: Forwarding
    ) throws(DataplaneError) -> [String] {
        let own = try Links.addresses(&socket).filter(\.isGlobal).map(\.host)
        for family in IPFamily.allCases {
            let plan = RoutingPlan(
                family, policies: policies, ownAddresses: own.filter { $0.family == family },
                configuration: configuration)
            try Route.reconcile(
                Self.routes(family, sourceRoutes: plan.sourceRoutes, device: device, configuration), family,
                routeProtocol: configuration.routeProtocol, &socket)
            try table(family).reconcile(with: plan, &socket)
        }
        let warnings = IPFamily.allCases.compactMap { Self.warning(forwarding, $0, policies, own) }
        do throws(DataplaneError) {
            guard filter != nil else { throw DataplaneError(.system, "the kernel has no nftables") }
            try filter?.apply(InboundFilterPlan(policies))
            return warnings
        } catch {
            return warnings + [Self.warning(of: error)]
        }
    }

    /// Lets in what belongs to TCP connections that carry tunnels.
    ///
    /// - Returns: a warning if that is not to be had.
    mutating func permitStreams(_ ports: [UInt16], callsOut: Bool) -> String? {
        do throws(DataplaneError) {
            try filter?.permitStreams(ports, callsOut: callsOut)
            return nil
        } catch {
            return Self.warning(of: error)
        }
    }

    /// Looks whether what keeps clear text out is still there, and makes it again if not.
    ///
    /// - Returns: a warning if it was gone.
    mutating func restoreFilter() -> String? {
        do throws(DataplaneError) {
            guard try filter?.restore() ?? false else { return nil }
            return "somebody removed the table inet \(configuration.filterTable) of nftables; it is there again"
        } catch {
            return Self.warning(of: error)
        }
    }

    private static func warning(of error: DataplaneError) -> String {
        "what arrives in clear although a policy protects it is not refused: \(error.reason)"
    }

    /// Makes the addresses of the device exactly these.
    mutating func setAddresses(_ addresses: [IPPrefix]) throws(DataplaneError) {
        let present = try Links.addresses(&socket).filter { $0.index == device }
        for old in present where !addresses.contains(IPPrefix(old.host)) && old.isGlobal {
            try Links.change(old.host, length: old.address.length, on: device, adding: false, &socket)
        }
        for new in addresses where !present.contains(where: { $0.host == new.address }) {
            try Links.change(new.address, length: new.length, on: device, adding: true, &socket)
        }
    }

    /// Removes all that is ours. Goes on past errors; what could not be removed is left for `cygnet cleanup`.
    mutating func removeAll() {
        _ = try? Self.removeAll(configuration, &socket)
        _ = try? filter?.remove()
    }

    /// The device that a route of ours leads to; `nil` if there is none.
    static func liveDevice(
        _ configuration: UserspaceDataplane.Configuration, _ socket: inout NetlinkSocket
    ) throws(DataplaneError) -> String? {
        for family in IPFamily.allCases {
            for route in try Route.installed(family, routeProtocol: configuration.routeProtocol, &socket) {
                if case .device(let index, _) = route.target { return Links.name(of: index) }
            }
        }
        return nil
    }

    /// Removes the table of nftables that keeps out what comes in clear, and returns it in words if there was one.
    static func removeFilter(_ configuration: UserspaceDataplane.Configuration) throws(DataplaneError) -> [String] {
        let opened = cygnet_open_netlink_filter()
        // Where nftables is not there, nor is the table.
        guard opened >= 0 else { return [] }
        var filter = InboundFilter(configuration, FilterSocket(adopting: opened))
        return try filter.remove() ? ["table inet \(configuration.filterTable)"] : []
    }

    /// Removes every rule and route with our protocol number, and returns them in words.
    static func removeAll(
        _ configuration: UserspaceDataplane.Configuration, _ socket: inout NetlinkSocket
    ) throws(DataplaneError) -> [String] {
        var removed: [String] = []
        for family in IPFamily.allCases {
            let table = RuleTable(
                family: family, routeProtocol: configuration.routeProtocol, priorities: configuration.rulePriorities)
            removed += try table.removeAll(&socket).map { "\(family) rule \($0)" }
            let routes = try Route.installed(family, routeProtocol: configuration.routeProtocol, &socket)
            try Route.reconcile([], family, routeProtocol: configuration.routeProtocol, &socket)
            removed += routes.map { "\(family) route \($0)" }.sorted()
        }
        return removed
    }

    /// Whether the kernel forwards, in the network namespace of the thread that asks.
    struct Forwarding {
        private let off: [IPFamily]

        init() { off = IPFamily.allCases.filter { Kernel.setting(Self.key($0)) == "0" } }

        func isOff(_ family: IPFamily) -> Bool { off.contains(family) }

        static func key(_ family: IPFamily) -> String {
            family == .v4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding"
        }
    }

    /// A warning if policies speak for others than this host and the kernel does not forward.
    private static func warning(
        _ forwarding: Forwarding, _ family: IPFamily, _ policies: [InstalledPolicy], _ own: [IPAddress]
    ) -> String? {
        let selectors = policies.filter { $0.policy.action == .protect }.flatMap(\.policy.local)
            .filter { $0.family == family }
        guard forwarding.isOff(family),
            let behind = selectors.first(where: { $0.first != $0.last || !own.contains($0.first) })
        else { return nil }
        return "\(behind) is behind this host, but it does not forward \(family): set \(Forwarding.key(family)) to 1"
    }

    /// Where strict reverse path filtering is on for all devices, packets from the tunnel are let in if any route leads back.
    static func relaxReversePathFilter(_ device: String) {
        guard Kernel.setting("net.ipv4.conf.all.rp_filter") == "1" else { return }
        Kernel.set("net/ipv4/conf/\(device)/rp_filter", "2")
    }
}

/// Settings of the kernel under /proc/sys, those of the network being of the calling thread's namespace.
enum Kernel {
    /// A key as sysctl(8) writes it; with slashes where a device's name may hold dots.
    private static func path(_ key: String) -> String {
        "/proc/sys/" + (key.contains("/") ? key : String(key.map { $0 == "." ? "/" : $0 }))
    }

    static func setting(_ key: String) -> String? {
        let file = open(path(key), O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = read(file, &buffer, buffer.count)
        return count > 0 ? String(decoding: buffer[..<count].prefix { $0 > 32 }, as: UTF8.self) : nil
    }

    static func set(_ key: String, _ value: String) {
        let file = open(path(key), O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        defer { close(file) }
        _ = write(file, value, value.utf8.count)
    }
}
