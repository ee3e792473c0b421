import CLinux
import Glibc
import IPPacket

/// One TCP connection, as the thread that has it keeps it.
final class StreamConnection {
    enum Phase {
        case connecting
        case open
        /// To be closed when all has been sent.
        case closing
    }

    let stream: StreamID
    let descriptor: Int32
    var local: SocketAddress
    var remote: SocketAddress
    var phase: Phase
    /// The peer has proved who it is, or we have called it.
    var isTrusted: Bool
    var framing: StreamFraming
    /// When it is given up, by the monotonic clock, if it is as it is then.
    var deadline: Int64?
    /// Messages of IKE that have come before the proof.
    var messages = 0
    /// Packets of no association: so many at once, then two a second.
    var unknown = RateLimit(perSecond: 2, burst: 16)
    /// Whether it is looked at for room to write.
    var awaitsRoom = false

    private var outgoing: [UInt8] = []
    private var sent = 0

    /// ESP that waits unsent: what does not fit is dropped, as by any full queue.
    static let packetBacklog = 256 << 10
    /// With IKE, which is not dropped. A peer that reads no more is given up.
    static let backlogLimit = 2 << 20

    init(_ stream: StreamID, descriptor: Int32, local: SocketAddress, remote: SocketAddress, phase: Phase) {
        self.stream = stream
        self.descriptor = descriptor
        self.local = local
        self.remote = remote
        self.phase = phase
        isTrusted = !stream.isAccepted
        framing = StreamFraming(awaitsPrefix: stream.isAccepted)
    }

    var backlog: Int { outgoing.count - sent }

    func write(prefix: [UInt8]) { outgoing.append(contentsOf: prefix) }

    /// Puts an ESP packet behind what waits.
    ///
    /// - Returns: whether there was room.
    func write(packet: UnsafeRawBufferPointer) -> Bool {
        guard phase == .open, backlog + packet.count <= Self.packetBacklog,
            let length = StreamFraming.lengthField(of: packet.count)
        else { return false }
        outgoing.append(length.0)
        outgoing.append(length.1)
        outgoing.append(contentsOf: packet)
        return true
    }

    /// Puts an IKE message behind what waits.
    ///
    /// - Returns: whether there was room.
    func write(message: [UInt8]) -> Bool {
        guard phase == .open, backlog + message.count <= Self.backlogLimit,
            let length = StreamFraming.lengthField(of: StreamFraming.markerCount + message.count)
        else { return false }
        outgoing.append(contentsOf: [length.0, length.1, 0, 0, 0, 0])
        outgoing.append(contentsOf: message)
        return true
    }

    /// Sends what waits, as far as there is room.
    ///
    /// - Returns: 0, or the error that ends the connection.
    func flush() -> Int32 {
        while sent < outgoing.count {
            let count = outgoing.withUnsafeBytes {
                send(
                    descriptor, $0.baseAddress.map { $0 + sent }, outgoing.count - sent,
                    Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            }
            if count < 0 {
                if errno == EINTR { continue }
                if errno != EAGAIN { return errno }
                // What was sent need not be moved out of the way each time.
                if sent > 64 << 10 {
                    outgoing.removeFirst(sent)
                    sent = 0
                }
                return 0
            }
            sent += count
        }
        outgoing.removeAll(keepingCapacity: outgoing.capacity <= 2 * Self.packetBacklog)
        sent = 0
        return 0
    }
}
