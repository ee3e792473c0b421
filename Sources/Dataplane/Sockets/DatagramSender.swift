import CLinux
import IPPacket

/// Sends single datagrams for the control side. Used under a lock.
struct DatagramSender: ~Copyable {
    private var sockets: OuterSockets?
    private let batch: OpaquePointer?

    init() { batch = cygnet_batch_make(1) }

    deinit { cygnet_batch_free(batch) }

    /// Sends by these sockets from now on, or not at all.
    mutating func use(_ sockets: OuterSockets?) { self.sockets = sockets }

    /// Sends a datagram from the socket bound to the local port. A socket may first report the error of an earlier
    /// datagram, so there is a second try.
    func send(_ octets: [UInt8], from local: SocketAddress, to remote: SocketAddress) {
        let source = local.address.family == remote.address.family ? local.address : .unspecified(remote.address.family)
        guard let batch, let socket = sockets?.socket(sendingFrom: SocketAddress(source, port: local.port)) else {
            return
        }
        var octets = octets
        octets.withUnsafeMutableBufferPointer { buffer in
            var datagram = cygnet_datagram()
            datagram.octets = buffer.baseAddress
            datagram.count = UInt32(buffer.count)
            datagram.address(from: source, to: remote)
            for _ in 0..<2 where cygnet_send(batch, socket.descriptor, &datagram, 1) == 1 { return }
        }
    }
}
