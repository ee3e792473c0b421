import CLinux
import Glibc
import IPPacket

/// A socket towards the network.
struct OuterSocket: Sendable {
    enum Kind: Sendable {
        /// IKE without the non-ESP marker.
        case ike
        /// IKE with the marker, ESP in UDP, keepalives (RFC 3948).
        case nat
        /// ESP right in IP: protocol 50.
        case plainESP
    }

    let descriptor: Int32
    let kind: Kind
    /// The worker it belongs to.
    let worker: Int
    let family: IPFamily
    /// Unspecified for all addresses.
    let address: IPAddress
    /// As bound; 0 for plain ESP.
    let port: UInt16
    /// Datagrams of one flow come joined.
    let joinsReceived: Bool
    /// Datagrams that leave joined are cut by the kernel.
    let cutsSent: Bool

    /// - Parameters:
    ///   - worker: and all before it of so many have such a socket, or are to have one.
    ///   - first: the socket of the first of these.
    init(
        _ kind: Kind, at address: IPAddress, port: UInt16, worker: Int = 0, beside first: OuterSocket? = nil,
        _ configuration: UserspaceDataplane.Configuration
    ) throws(DataplaneError) {
        let (octets, family) = (address.octets, address.family.rawValue)
        let ipProtocol = kind == .plainESP ? IPProtocol.esp : IPProtocol.udp
        let (mark, buffer) = (configuration.firewallMark, UInt32(clamping: configuration.socketBuffer))
        descriptor =
            if let first {
                cygnet_open_another_socket(first.descriptor, family, ipProtocol, octets, first.port, mark, buffer)
            } else {
                cygnet_open_socket(family, ipProtocol, octets, port, mark, buffer)
            }
        guard descriptor >= 0 else {
            let what =
                kind == .plainESP
                ? "open a raw socket for ESP on \(address)" : "open UDP \(SocketAddress(address, port: port))"
            throw .system(
                -descriptor, what,
                ifInUse:
                    "another IKE daemon has it; stop that one, or set daemon.ike-port and daemon.nat-port (`ss -ulpn` tells whose it is)"
            )
        }
        self.kind = kind
        self.worker = worker
        self.address = address
        self.port = kind == .plainESP ? 0 : cygnet_socket_port(descriptor)
        self.family = address.family
        joinsReceived =
            kind == .nat && configuration.offloads.contains(.receive) && cygnet_set_coalescing(descriptor) == 0
        cutsSent =
            kind == .nat && configuration.offloads.contains(.send) && cygnet_check_segmentation(descriptor) == 0
    }

    func close() { _ = Glibc.close(descriptor) }

    /// What waits in it.
    var queue: DataplaneStatistics.Queue {
        var waiting: UInt32 = 0
        var dropped: UInt32 = 0
        cygnet_socket_queue(descriptor, &waiting, &dropped)
        let name = kind == .plainESP ? "esp" : "udp \(port)"
        let number = worker > 0 ? " \(worker)" : ""
        return DataplaneStatistics.Queue(
            name: "\(name) \(address.isUnspecified ? "\(family)" : "\(address)")\(number)", waiting: UInt64(waiting),
            dropped: UInt64(dropped))
    }
}

/// All sockets of a data plane.
struct OuterSockets: Sendable {
    private(set) var all: [OuterSocket] = []

    /// Opens what the configuration asks for, in the calling thread's network namespace. Where it names no address, a family
    /// the kernel lacks is left out.
    ///
    /// - Parameter workers: each has sockets of its own for ESP, and the first those for IKE.
    init(_ configuration: UserspaceDataplane.Configuration, workers: Int) throws(DataplaneError) {
        let anywhere = configuration.listenAddresses.isEmpty
        let addresses =
            anywhere ? IPFamily.allCases.map { IPAddress.unspecified($0) } : configuration.listenAddresses
        var kinds: [(OuterSocket.Kind, UInt16)] = [(.ike, configuration.ikePort), (.nat, configuration.natPort)]
        if configuration.acceptsPlainESP { kinds.append((.plainESP, 0)) }
        do throws(DataplaneError) {
            for address in addresses {
                if anywhere, address.family == .v6, Kernel.setting("net.ipv6.conf.all.disable_ipv6") == nil { continue }
                for (kind, port) in kinds {
                    let first = try OuterSocket(kind, at: address, port: port, configuration)
                    all.append(first)
                    if kind != .ike, workers > 1 { try share(first, configuration, among: workers) }
                }
            }
        } catch {
            close()
            throw error
        }
    }

    /// Opens the same for the other workers, and has the kernel give to each what belongs to it.
    private mutating func share(
        _ first: OuterSocket, _ configuration: UserspaceDataplane.Configuration, among workers: Int
    ) throws(DataplaneError) {
        for worker in 1..<workers {
            all.append(
                try OuterSocket(
                    first.kind, at: first.address, port: first.port, worker: worker, beside: first, configuration))
        }
        let count = UInt32(truncatingIfNeeded: workers)
        var result: Int32 = 0
        if first.kind == .plainESP {
            for socket in all.suffix(workers) where result == 0 {
                result = cygnet_keep_by_spi(
                    socket.descriptor, socket.family.rawValue, count, UInt32(truncatingIfNeeded: socket.worker))
            }
        } else {
            result = cygnet_spread_by_spi(first.descriptor, count)
        }
        guard result == 0 else { throw .system(-result, "divide what comes by SPI among \(workers) workers") }
    }

    func close() { all.forEach { $0.close() } }

    /// Those from which a worker receives.
    func of(worker: Int) -> [OuterSocket] { all.filter { $0.worker == worker } }

    /// Whether all that carry ESP in UDP do so.
    var cutSent: Bool { all.allSatisfy { $0.kind != .nat || $0.cutsSent } }
    var joinReceived: Bool { all.allSatisfy { $0.kind != .nat || $0.joinsReceived } }

    /// The socket from which to send from an address, and port if it is UDP.
    func socket(_ kind: OuterSocket.Kind, from local: IPAddress, worker: Int = 0) -> OuterSocket? {
        let fitting = all.filter { $0.kind == kind && $0.family == local.family && $0.worker == worker }
        return fitting.first { $0.address == local } ?? fitting.first { $0.address.isUnspecified }
            ?? (local.isUnspecified ? fitting.first : nil)
    }

    /// The socket an IKE datagram leaves by: the one bound to the port it is from.
    func socket(sendingFrom local: SocketAddress) -> OuterSocket? {
        let candidates = [OuterSocket.Kind.ike, .nat].compactMap { socket($0, from: local.address) }
        return candidates.first { $0.port == local.port }
    }
}
