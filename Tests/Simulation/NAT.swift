import IPPacket
import Octets

/// A network address translator before a host: one address outside, and a port for each address and port inside.
public final class NAT {
    public private(set) var outside: IPAddress
    private let idleLimit: Duration
    private var mappings: [SocketAddress: (port: UInt16, usedAt: Instant)] = [:]
    private var nextPort: UInt16 = 20_000

    /// - Parameter idleLimit: a mapping that nothing was sent through for so long is forgotten.
    public init(outside: String, idleLimit: Duration = .seconds(120)) {
        self.outside = IPAddress(outside) ?? .unspecified(.v4)
        self.idleLimit = idleLimit
    }

    /// Forgets all mappings, as a restart does.
    public func rebind() { mappings = [:] }

    /// Where what is sent from `inside` seems to come from.
    func outside(_ inside: SocketAddress, at now: Instant) -> SocketAddress {
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
        mappings.first { $0.value.port == outside.port }?.key
    }
}
