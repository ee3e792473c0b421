import IPPacket
import Synchronization

/// What others tell the thread that has the TCP connections. Nothing here is told for each packet.
final class StreamControl: Sendable {
    enum Command: Sendable {
        /// Accept connections on these ports, and on no others.
        case listen([UInt16])
        case open(StreamID, from: IPAddress, to: SocketAddress)
        /// The peer has proved who it is.
        case trust(StreamID)
        case close(StreamID)
        /// An IKE message, without the marker.
        case send(StreamID, [UInt8])
        case complain(StreamID, Complaint)
        case stop
    }

    /// What a worker has found in what came by a connection.
    enum Complaint: Sendable {
        /// Its SPI is one of ours, its integrity check value is wrong: TCP would not let damage by, so that somebody has written into the
        /// stream or its messages are cut in the wrong places.
        case notAuthentic
        /// Few of them mean nothing: the two sides may not have heard of a change at the same time (RFC 9329 section 6.1).
        case unknownSPI
    }

    let wakeup: Wakeup
    private let commands = Mutex<[Command]>([])
    private let state = Mutex(DataplaneStatistics.Streams())

    /// So many complaints may wait: who causes more is heard of all the same.
    private static let complaintLimit = 1024

    init(wakeup: Wakeup) { self.wakeup = wakeup }

    func tell(_ command: Command) {
        commands.withLock { $0.append(command) }
        wakeup.signal()
    }

    func complain(_ stream: UInt64, _ complaint: Complaint) {
        let isHeard = commands.withLock { commands in
            guard commands.count < Self.complaintLimit else { return false }
            commands.append(.complain(StreamID(rawValue: stream), complaint))
            return true
        }
        if isHeard { wakeup.signal() }
    }

    /// Everything that has been told since it was last asked.
    func take() -> [Command] {
        commands.withLock { commands in
            defer { commands = [] }
            return commands
        }
    }

    var statistics: DataplaneStatistics.Streams {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}

extension StreamControl {
    /// Ways to the thread from each outbound worker, and from it to each inbound one.
    struct Ways: Sendable {
        let outbound: [Handover]
        let inbound: [Handover]

        init(workers: Int) {
            outbound = (0..<workers).map { _ in Handover() }
            inbound = (0..<workers).map { _ in Handover() }
        }
    }
}

/// How many TCP connections of those may be there who have not proved who they are, and for how long.
public struct StreamLimits: Hashable, Sendable {
    public var strangers = 1024
    /// From one IPv4 address, or 64 bits of an IPv6 address.
    public var strangersPerSource = 32
    /// In milliseconds: for the first whole message, and for the proof.
    public var firstMessage: Int64 = 10_000
    public var proof: Int64 = 30_000
    /// Messages of IKE that one may send before.
    public var messages = 64

    public init() {}
}
