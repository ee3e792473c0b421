import CLinux
import Glibc
import IPPacket
import TLS

/// Why a connection ends, in words for a person.
struct StreamFault: Error {
    let reason: String

    init(_ reason: String) { self.reason = reason }
    init(errno number: Int32) { reason = String(cString: strerror(number)).lowercased() }
}

/// One TCP connection, as the thread that has it keeps it.
final class StreamConnection {
    enum Phase {
        case connecting
        /// TLS is being agreed upon.
        case securing
        case open
        /// To be closed when all has been sent.
        case closing
    }

    let stream: StreamID
    let descriptor: Int32
    var local: SocketAddress
    var remote: SocketAddress
    var phase: Phase
    /// TLS around the stream.
    let session: TLSSession?
    /// The peer has proved who it is, or we have called it: it has time, and its connection is missed.
    var isTrusted: Bool
    /// The peer has proved who it is: it is read from before others are, and what it says is looked at before what others say.
    var isProved = false
    /// It was trusted once.
    var wasTrusted = false
    /// Something has come by it.
    var hasHeard = false
    /// Until when somebody who has proved nothing may be there at most, by the monotonic clock in milliseconds.
    var strangerUntil: Int64 = .max
    var framing: StreamFraming
    /// When it is given up, by the monotonic clock, if it is as it is then.
    var deadline: Int64?
    /// Messages of IKE that have come before the proof.
    var messages = 0
    /// Packets of no association: so many at once, then two a second.
    var unknown = RateLimit(perSecond: 2, burst: 16)
    /// Whether it is looked at for room to write.
    var awaitsRoom = false

    /// Messages with their lengths.
    private var waiting = OctetQueue()
    /// The same, and whatever else TLS has to say, as it goes to the peer.
    private var sealed = OctetQueue()

    /// ESP that waits unsent: what does not fit is dropped, as by any full queue.
    static let packetBacklog = 256 << 10
    /// With IKE, which is not dropped. A peer that reads no more is given up.
    static let backlogLimit = 2 << 20
    /// The same for one that has not proved who it is.
    static let strangerBacklog = 128 << 10
    /// What is sealed ahead of what the kernel takes.
    private static let sealedAhead = 32 << 10

    init(
        _ stream: StreamID, descriptor: Int32, local: SocketAddress, remote: SocketAddress, phase: Phase,
        session: TLSSession? = nil
    ) {
        self.stream = stream
        self.descriptor = descriptor
        self.local = local
        self.remote = remote
        self.phase = phase
        self.session = session
        isTrusted = !stream.isAccepted
        framing = StreamFraming(awaitsPrefix: stream.isAccepted)
    }

    var backlog: Int { waiting.count + sealed.count }

    func write(prefix: [UInt8]) { waiting.append(prefix) }

    /// Puts an ESP packet behind what waits.
    ///
    /// - Returns: whether there was room.
    func write(packet: UnsafeRawBufferPointer) -> Bool {
        guard phase == .open, backlog + packet.count <= Self.packetBacklog else { return false }
        return write(length: packet.count, marked: false, packet)
    }

    /// Puts an IKE message behind what waits.
    ///
    /// - Returns: whether there was room.
    func write(message: [UInt8]) -> Bool {
        let limit = isTrusted ? Self.backlogLimit : Self.strangerBacklog
        guard phase == .open, backlog + message.count <= limit else { return false }
        return message.withUnsafeBytes { write(length: StreamFraming.markerCount + $0.count, marked: true, $0) }
    }

    private func write(length: Int, marked: Bool, _ octets: UnsafeRawBufferPointer) -> Bool {
        guard let length = StreamFraming.lengthField(of: length) else { return false }
        withUnsafeBytes(of: (length.0, length.1, 0, 0, 0, 0) as (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8)) {
            waiting.append(UnsafeRawBufferPointer(rebasing: $0.prefix(marked ? 6 : 2)))
        }
        waiting.append(octets)
        return true
    }

    /// Sends what waits, as far as there is room.
    ///
    /// - Returns: how many octets.
    func flush() throws(StreamFault) -> Int {
        guard let session else { return try Self.flush(&waiting, descriptor) }
        var sent = 0
        repeat {
            try seal(session)
            sent += try Self.flush(&sealed, descriptor)
        } while sealed.isEmpty && !waiting.isEmpty && session.isEstablished
        return sent
    }

    private static func flush(_ queue: inout OctetQueue, _ descriptor: Int32) throws(StreamFault) -> Int {
        var sent = 0
        while !queue.isEmpty {
            let front = queue.front
            let count = send(descriptor, front.baseAddress, front.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            if count < 0 {
                if errno == EINTR { continue }
                if errno == EAGAIN { return sent }
                throw StreamFault(errno: errno)
            }
            queue.consume(count)
            sent += count
        }
        return sent
    }

    /// Hands TLS what waits, as much as is to go soon, and takes what it has to say.
    private func seal(_ session: TLSSession) throws(StreamFault) {
        // TLS has things to say of its own accord, too.
        guard sealed.count <= (isTrusted ? Self.backlogLimit : Self.strangerBacklog) else {
            throw StreamFault("the peer reads no more")
        }
        do throws(TLSFailure) {
            while session.isEstablished, !waiting.isEmpty, sealed.count < Self.sealedAhead {
                waiting.consume(try session.seal(waiting.front))
                session.drain { sealed.append($0) }
            }
            // What was said last is followed by the end, and that by the connection's (RFC 9329 appendix A.5).
            if phase == .closing, waiting.isEmpty { session.finish() }
        } catch {
            throw StreamFault(error.reason)
        }
        session.drain { sealed.append($0) }
    }

    /// Says at the end what can be said at once: that TLS ends, or why it has failed.
    func sayLast() {
        guard let session, phase != .connecting else { return }
        session.finish()
        session.drain { sealed.append($0) }
        _ = try? Self.flush(&sealed, descriptor)
    }
}
