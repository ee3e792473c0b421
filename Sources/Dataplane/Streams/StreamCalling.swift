import CLinux
import Glibc
import IPPacket
import TLS

// Connections that are opened from here.
extension StreamThread {
    private static let connectTime: Int64 = 10_000
    /// For TLS, when the peer has taken the call.
    private static let handshakeTimeout: Int64 = 10_000
    /// As many kinds of settings are kept, with what sessions can be resumed.
    private static let clientLimit = 256

    mutating func open(
        _ stream: StreamID, from local: IPAddress, to remote: SocketAddress, _ settings: TLSClientSettings?
    ) throws(StreamFault) {
        let family = remote.address.family
        let source = local.family == family ? local : .unspecified(family)
        var session: TLSSession?
        if let settings { session = try call(remote, settings) }
        let descriptor = cygnet_connect_stream(
            family.rawValue, source.octets, remote.address.octets, remote.port, configuration.firewallMark)
        guard descriptor >= 0 else { throw StreamFault(errno: -descriptor) }
        let connection = StreamConnection(
            stream, descriptor: descriptor, local: SocketAddress(source, port: 0), remote: remote, phase: .connecting,
            session: session)
        let watched = cygnet_watch(watch, descriptor, stream.rawValue, 1, 1)
        guard watched == 0 else {
            close(descriptor)
            throw StreamFault(errno: -watched)
        }
        connection.awaitsRoom = true
        connections[stream.rawValue] = connection
        statistics.open += 1
        set(connection, deadline: Self.connectTime)
    }

    private mutating func call(
        _ remote: SocketAddress, _ settings: TLSClientSettings
    ) throws(StreamFault) -> TLSSession {
        do throws(TLSFailure) {
            return try TLSSession(
                try client(settings), address: remote.address.description, peer: remote.description)
        } catch {
            throw StreamFault(error.reason)
        }
    }

    private mutating func client(_ settings: TLSClientSettings) throws(TLSFailure) -> TLSClient {
        if let known = clients[settings] { return known }
        let client = try TLSClient(settings)
        if clients.count >= Self.clientLimit { clients = [:] }
        clients[settings] = client
        return client
    }

    mutating func finishConnecting(_ connection: StreamConnection) {
        var ends = cygnet_stream_ends()
        let result = cygnet_finish_stream(connection.descriptor, &ends)
        guard result == 0 else { return end(connection, StreamFault(errno: -result).reason) }
        connection.local = ends.localAddress
        touched.insert(connection.stream.rawValue)
        guard connection.session == nil else {
            connection.phase = .securing
            return set(connection, deadline: Self.handshakeTimeout)
        }
        begin(connection)
    }

    /// The connection can carry messages now.
    mutating func begin(_ connection: StreamConnection) {
        connection.phase = .open
        if let session = connection.session {
            statistics.secured &+= 1
            if session.isResumed { statistics.resumed &+= 1 }
        }
        guard !connection.stream.isAccepted else { return }
        statistics.opened &+= 1
        set(connection, deadline: nil)
        // First of all, and once only (RFC 9329 section 4).
        connection.write(prefix: StreamFraming.prefix)
        touched.insert(connection.stream.rawValue)
        events.emit(.streamOpened(connection.stream, local: connection.local))
    }
}
