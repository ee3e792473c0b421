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
    let family: IPFamily
    /// Unspecified for all addresses.
    let address: IPAddress
    /// As bound; 0 for plain ESP.
    let port: UInt16
    /// Datagrams of one flow come joined.
    let joinsReceived: Bool
    /// Datagrams that leave joined are cut by the kernel.
    let cutsSent: Bool

    init(
        _ kind: Kind, at address: IPAddress, port: UInt16, _ configuration: UserspaceDataplane.Configuration
    ) throws(DataplaneError) {
        let octets = address.octets
        descriptor = cygnet_open_socket(
            address.family.rawValue, kind == .plainESP ? IPProtocol.esp : IPProtocol.udp, octets, port,
            configuration.firewallMark, UInt32(clamping: configuration.socketBuffer))
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
        self.address = address
        self.port = kind == .plainESP ? 0 : cygnet_socket_port(descriptor)
        family = address.family
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
        return DataplaneStatistics.Queue(
            name: "\(name) \(address.isUnspecified ? "\(family)" : "\(address)")", waiting: UInt64(waiting),
            dropped: UInt64(dropped))
    }
}

/// All sockets of a data plane.
struct OuterSockets: Sendable {
    private(set) var all: [OuterSocket] = []

    /// Opens what the configuration asks for, in the calling thread's network namespace. Where it names no address, a family
    /// the kernel lacks is left out.
    init(_ configuration: UserspaceDataplane.Configuration) throws(DataplaneError) {
        let anywhere = configuration.listenAddresses.isEmpty
        let addresses =
            anywhere ? IPFamily.allCases.map { IPAddress.unspecified($0) } : configuration.listenAddresses
        var kinds: [(OuterSocket.Kind, UInt16)] = [(.ike, configuration.ikePort), (.nat, configuration.natPort)]
        if configuration.acceptsPlainESP { kinds.append((.plainESP, 0)) }
        do throws(DataplaneError) {
            for address in addresses {
                if anywhere, address.family == .v6, Kernel.setting("net.ipv6.conf.all.disable_ipv6") == nil { continue }
                for (kind, port) in kinds {
                    all.append(try OuterSocket(kind, at: address, port: port, configuration))
                }
            }
        } catch {
            close()
            throw error
        }
    }

    func close() { all.forEach { $0.close() } }

    /// Whether all that carry ESP in UDP do so.
    var cutSent: Bool { all.allSatisfy { $0.kind != .nat || $0.cutsSent } }
    var joinReceived: Bool { all.allSatisfy { $0.kind != .nat || $0.joinsReceived } }

    /// The socket from which to send from an address, and port if it is UDP.
    func socket(_ kind: OuterSocket.Kind, from local: IPAddress) -> OuterSocket? {
        let fitting = all.filter { $0.kind == kind && $0.family == local.family }
        return fitting.first { $0.address == local } ?? fitting.first { $0.address.isUnspecified }
            ?? (local.isUnspecified ? fitting.first : nil)
    }

    /// The socket an IKE datagram leaves by: the one bound to the port it is from.
    func socket(sendingFrom local: SocketAddress) -> OuterSocket? {
        let candidates = [OuterSocket.Kind.ike, .nat].compactMap { socket($0, from: local.address) }
        return candidates.first { $0.port == local.port }
    }
}
