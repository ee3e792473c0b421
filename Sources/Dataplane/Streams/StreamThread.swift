import CLinux
import Glibc
import IPPacket
import Octets
import TLS

/// All TCP connections (RFC 9329): accepts and opens them, cuts what comes into messages, and writes what is to go. Everything here
/// belongs to one thread.
///
/// It stands beside the workers, which seal and open packets: a sealed one comes from its worker by a ``Handover``, one that has come goes
/// to its worker by another, as between workers. Whoever is slow is waited for by TCP, or loses whole packets, and never holds up a worker.
///
/// Here is what it has and in which order it does what there is to do; beginning, reading, writing and ending have files of their own.
struct StreamThread: ~Copyable {
    let control: StreamControl
    let ways: StreamControl.Ways
    /// Of the inbound workers.
    let wakeups: [Wakeup]
    let events: EventOutlet
    let configuration: UserspaceDataplane.Configuration
    let watch: Int32
    let input: UnsafeMutableRawBufferPointer
    /// What TLS has opened.
    let opened: UnsafeMutableRawBufferPointer
    private let ready: UnsafeMutablePointer<cygnet_readiness>

    var listeners: [Listener] = []
    /// What TLS is answered with.
    var server: TLSServer?
    /// What peers are called with, by settings.
    var clients: [TLSClientSettings: TLSClient] = [:]
    var connections: [UInt64: StreamConnection] = [:]
    /// Those with a deadline.
    var timed: Set<UInt64> = []
    /// Those that something has been written to, or that are to be closed.
    var touched: Set<UInt64> = []
    var strangers: [IPAddress: Int] = [:]
    var strangerCount = 0
    var nextAccepted = StreamID.firstAccepted
    /// Inbound workers that have been handed something, a bit for each.
    var given: UInt64 = 0
    /// What is left in this round of the time for handshakes, in nanoseconds.
    var handshakeTime: Int64 = 0
    /// In this round something was left unread, as a worker has no room.
    var isHeldBack = false
    /// Rounds before this one in which that was so, without one in between in which it was not.
    var roundsHeldBack = 0
    /// Strangers that nothing has come of are told of as often.
    var refusals = RateLimit(perSecond: 1, burst: 5)
    var statistics = DataplaneStatistics.Streams()
    var isRunning = true
    /// By the monotonic clock, in milliseconds.
    var now: Int64 = 0

    struct Listener {
        let port: UInt16
        let isSecured: Bool
        let descriptors: [Int32]
    }

    static let readyCount = 64
    private static let inputSize = 256 << 10
    /// In a round, handshakes of TLS are gone on with for so long: those who have tunnels do not wait for those who want one.
    private static let handshakeShare: Int64 = 4_000_000

    /// What the sockets are waited on with; negative if there is none to be had. It, and what the thread opens, belongs to the network namespace
    /// of the configuration.
    static func makeWatch(_ control: StreamControl, _ configuration: UserspaceDataplane.Configuration) -> Int32 {
        if let path = configuration.networkNamespace {
            let result = cygnet_set_network_namespace(path)
            if result != 0 { return result }
        }
        cygnet_allow_descriptors()
        let watch = cygnet_make_watch()
        guard watch >= 0 else { return watch }
        let result = cygnet_watch(watch, control.wakeup.descriptor, 0, 1, 0)
        guard result == 0 else {
            close(watch)
            return result
        }
        return watch
    }

    /// - Parameter watch: as ``makeWatch(_:_:)`` gave it; it is closed in the end.
    init(
        watch: Int32, _ control: StreamControl, _ ways: StreamControl.Ways, wakeups: [Wakeup], _ events: EventOutlet,
        _ configuration: UserspaceDataplane.Configuration
    ) {
        self.watch = watch
        self.control = control
        self.ways = ways
        self.wakeups = wakeups
        self.events = events
        self.configuration = configuration
        ready = .allocate(capacity: Self.readyCount)
        ready.initialize(repeating: cygnet_readiness(), count: Self.readyCount)
        input = .allocate(byteCount: Self.inputSize, alignment: 64)
        opened = .allocate(byteCount: TLSSession.recordSize, alignment: 64)
    }

    deinit {
        for listener in listeners { for descriptor in listener.descriptors { close(descriptor) } }
        for connection in connections.values { close(connection.descriptor) }
        close(watch)
        ready.deallocate()
        input.deallocate()
        opened.deallocate()
    }

    /// Works until told to stop.
    mutating func run() {
        while isRunning {
            let count = cygnet_wait_for_any(watch, ready, UInt32(Self.readyCount), timed.isEmpty ? -1 : 250)
            now = cygnet_monotonic_nanoseconds() / 1_000_000
            handshakeTime = Self.handshakeShare
            for index in 0..<max(Int(count), 0) { handle(ready[index]) }
            obey()
            hear()
            takeSealed()
            flush()
            if !timed.isEmpty { expire() }
            wake()
            if isHeldBack { awaitRoom() }
            control.statistics = statistics
        }
        // What ends associations is to arrive.
        for connection in connections.values where connection.phase == .open || connection.phase == .closing {
            connection.phase = .closing
            _ = try? connection.flush()
        }
    }

    /// Gives workers time to take what they have been handed.
    private mutating func awaitRoom() {
        isHeldBack = false
        roundsHeldBack += 1
        usleep(500)
    }

    private mutating func handle(_ ready: cygnet_readiness) {
        if ready.key == 0 { return control.wakeup.clear() }
        if ready.key & Self.listenerKey != 0, ready.key < StreamID.firstAccepted {
            return accept(Int32(truncatingIfNeeded: ready.key & 0xffff_ffff))
        }
        guard let connection = connections[ready.key] else { return }
        if connection.phase == .connecting {
            if ready.writable != 0 { finishConnecting(connection) }
            return
        }
        if ready.writable != 0 { touched.insert(ready.key) }
        if ready.readable != 0 { read(connection) }
    }

    private mutating func obey() {
        for command in control.take() {
            switch command {
            case .listen(let ports): listen(ports)
            case .open(let stream, let local, let remote, let settings):
                do throws(StreamFault) {
                    try open(stream, from: local, to: remote, settings)
                } catch {
                    events.emit(.streamLost(stream, reason: error.reason))
                }
            case .trust(let stream): if let connection = connections[stream.rawValue] { trust(connection) }
            case .close(let stream): if let connection = connections[stream.rawValue] { finish(connection) }
            case .send(let stream, let message): send(message, by: stream)
            case .stop: isRunning = false
            }
        }
    }

    /// Hears what inbound workers have to complain of.
    private mutating func hear() {
        for ring in ways.complaints {
            ring.drain { complaint in
                guard let connection = connections[complaint.stream] else { return }
                if complaint.notAuthentic > 0 { return end(connection, "a packet is not authentic") }
                for _ in 0..<complaint.unknownSPI where !connection.unknown.allows(at: now * 1_000_000) {
                    return end(connection, "too many packets of no association")
                }
            }
        }
    }
}
