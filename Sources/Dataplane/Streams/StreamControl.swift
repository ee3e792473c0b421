import IPPacket
import Synchronization
import TLS

/// The ports on which TCP connections with IKE and ESP (RFC 9329) are accepted.
public struct StreamPorts: Sendable, ExpressibleByArrayLiteral {
    public var plain: [UInt16]
    /// Those with TLS around the stream.
    public var secured: [UInt16]
    /// What TLS is answered with; without it nothing is taken on ``secured``.
    public var server: TLSServer?

    public init(plain: [UInt16] = [], secured: [UInt16] = [], server: TLSServer? = nil) {
        self.plain = plain
        self.secured = server == nil ? [] : secured
        self.server = server
    }

    public init(arrayLiteral ports: UInt16...) { self.init(plain: ports) }

    var all: [UInt16] { plain + secured }
}

/// What others tell the thread that has the TCP connections. Nothing here is told for each packet.
final class StreamControl: Sendable {
    enum Command: Sendable {
        /// Accept connections on these ports, and on no others.
        case listen(StreamPorts)
        case open(StreamID, from: IPAddress, to: SocketAddress, tls: TLSClientSettings?)
        /// The peer has proved who it is.
        case trust(StreamID)
        case close(StreamID)
        /// An IKE message, without the marker.
        case send(StreamID, [UInt8])
        case stop
    }

    let wakeup: Wakeup
    private let commands = Mutex<[Command]>([])
    private let state = Mutex(DataplaneStatistics.Streams())

    init(wakeup: Wakeup) { self.wakeup = wakeup }

    func tell(_ command: Command) {
        commands.withLock { $0.append(command) }
        wakeup.signal()
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
    /// Ways to the thread from each outbound worker, from it to each inbound one, and for what those have to complain of.
    struct Ways: Sendable {
        let outbound: [Handover]
        let inbound: [Handover]
        let complaints: [CommandRing<StreamComplaints.Complaint>]

        init(workers: Int, wakeup: Wakeup) {
            outbound = (0..<workers).map { _ in Handover() }
            inbound = (0..<workers).map { _ in Handover() }
            complaints = (0..<workers).map { _ in StreamComplaints.ring(wakeup: wakeup) }
        }
    }
}
