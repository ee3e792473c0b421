import IKE
import IPPacket
import Octets

/// TCP connections between the hosts of a ``World``.
public final class StreamNetwork {
    /// One end of a connection.
    struct End {
        let host: Host
        let stream: StreamID
        let local: SocketAddress
        /// As it is seen from here.
        let remote: SocketAddress
    }

    /// Where connections are accepted.
    public var accepts: (SocketAddress) -> Bool = { $0.port == 4500 }
    /// Where connections are accepted and then nothing passes.
    public var swallows: (SocketAddress) -> Bool = { _ in false }
    /// Where connections were to lead, in order.
    public internal(set) var attempts: [SocketAddress] = []
    /// Whether each was to have TLS around it.
    public internal(set) var wereSecured: [Bool] = []
    /// Those that were opened, and the ends that accepted them; without the former, a test is at the other end.
    private var connections: [(caller: End?, called: End)] = []
    private var port: UInt16 = 40_000
    private var accepted = StreamID.firstAccepted
    private var lastArrivals: [StreamID: Instant] = [:]

    public var count: Int { connections.count }

    func nextPort() -> UInt16 {
        port += 1
        return port
    }

    func connect(_ caller: End?, to host: Host, local: SocketAddress, seenAs source: SocketAddress) -> StreamID {
        accepted += 1
        let stream = StreamID(rawValue: accepted)
        connections.append((caller, End(host: host, stream: stream, local: local, remote: source)))
        return stream
    }

    private func index(_ stream: StreamID, _ host: Host) -> Int? {
        connections.firstIndex { pair in
            [pair.caller, pair.called].compactMap(\.self).contains { $0.stream == stream && $0.host === host }
        }
    }

    func end(_ stream: StreamID, of host: Host) -> End? {
        index(stream, host).flatMap {
            connections[$0].called.host === host ? connections[$0].called : connections[$0].caller
        }
    }

    func other(end stream: StreamID, of host: Host) -> End? {
        index(stream, host).flatMap {
            connections[$0].called.host === host ? connections[$0].caller : connections[$0].called
        }
    }

    /// When what is sent now arrives: not before what was sent before.
    func arrival(of end: End, at soonest: Instant) -> Instant {
        let arrival = max(soonest, lastArrivals[end.stream] ?? soonest)
        lastArrivals[end.stream] = arrival
        return arrival
    }

    func close(_ stream: StreamID, of host: Host) -> End? {
        let other = other(end: stream, of: host)
        if let index = index(stream, host) { connections.remove(at: index) }
        return other
    }

    func cut() -> [End] {
        defer { connections = [] }
        return connections.flatMap { [$0.caller, $0.called].compactMap(\.self) }
    }
}
