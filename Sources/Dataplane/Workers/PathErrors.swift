import CLinux
import Glibc
import IPPacket

/// Empties the error queues of sockets for an inbound worker. What they say of path MTUs goes to the outbound workers; the rest is for
/// IKE's own retransmissions to find out.
struct PathErrors {
    /// Those of all outbound workers: the kernel tells of a path by any socket.
    private let notices: [PathNotices]
    /// Anybody can forge errors of ICMP; those of our own link are apart, so that forged ones do not take their place.
    private var forgeable = RateLimit(perSecond: 1000, burst: 100)
    private var ofOwnLink = RateLimit(perSecond: 1000, burst: 100)

    /// Errors taken from a queue before others have their turn.
    private static let turns = 64
    private static let quotedCount = 256

    init(_ notices: [PathNotices]) { self.notices = notices }

    /// - Parameter memory: 256 octets at least, for what an error quotes.
    mutating func read(
        _ socket: OuterSocket, quoting memory: UnsafeMutableRawBufferPointer, _ counters: inout WorkerCounters
    ) {
        guard let base = memory.baseAddress, memory.count >= Self.quotedCount else { return }
        var error = cygnet_socket_error()
        for _ in 0..<Self.turns {
            guard
                cygnet_receive_error(
                    socket.descriptor, base.assumingMemoryBound(to: UInt8.self), UInt32(Self.quotedCount), &error) == 1
            else { return }
            guard error.error == UInt32(EMSGSIZE), let remote = error.remoteAddress else { continue }
            let isOwnLink = error.origin == 1  // SO_EE_ORIGIN_LOCAL
            guard isOwnLink || error.count >= 4 else { continue }
            let instant = cygnet_monotonic_nanoseconds()
            guard isOwnLink ? ofOwnLink.allows(at: instant) : forgeable.allows(at: instant) else {
                counters.count(.pathErrorLimit)
                continue
            }
            let notice = PathNotice(
                remote: remote, mtu: Int(error.info),
                spi: isOwnLink ? nil : UnsafeRawPointer(base).networkUInt32(at: 0))
            for worker in notices { worker.push(notice) }
        }
    }
}
