import IPPacket
import Octets

/// A network address translator before a host: one address outside, and a port for each address and port inside.
public final class NAT {
    public let outside: IPAddress
    /// Ports stay as they are, and what comes from outside unasked goes to this host.
    private let server: IPAddress?
    private let idleLimit: Duration
    private var mappings: [SocketAddress: (port: UInt16, usedAt: Instant)] = [:]
    private var nextPort: UInt16 = 20_000

    /// - Parameters:
    ///   - server: the one host that is behind it, if it is there to be called: then only addresses are translated.
    ///   - idleLimit: a mapping that nothing was sent through for so long is forgotten.
    public init(outside: String, server: String? = nil, idleLimit: Duration = .seconds(120)) {
        self.outside = IPAddress(outside) ?? .unspecified(.v4)
        self.server = server.flatMap { IPAddress($0) }
        self.idleLimit = idleLimit
    }

    /// Forgets all mappings, as a restart does.
    public func rebind() { mappings = [:] }

    /// Where what is sent from `inside` seems to come from.
    func outside(_ inside: SocketAddress, at now: Instant) -> SocketAddress {
        guard server == nil else { return SocketAddress(outside, port: inside.port) }
        var port = nextPort
        if let known = mappings[inside], now - known.usedAt <= idleLimit {
            port = known.port
        } else {
            nextPort = nextPort == 60_000 ? 20_000 : nextPort + 1
        }
        mappings[inside] = (port, now)
        return SocketAddress(outside, port: port)
    }

    /// Where what is sent to `outside` goes, if anywhere.
    func inside(_ outside: SocketAddress) -> SocketAddress? {
        if let server { return SocketAddress(server, port: outside.port) }
        return mappings.first { $0.value.port == outside.port }?.key
    }
}
