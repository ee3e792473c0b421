import CLinux
import Glibc
import IPPacket
import Octets

/// All TCP connections (RFC 9329): accepts and opens them, cuts what comes into messages, and writes what is to go. Everything here
/// belongs to one thread.
///
/// It stands beside the workers, which seal and open packets: a sealed one comes from its worker by a ``Handover``, one that has come goes
/// to its worker by another, as between workers. Whoever is slow is waited for by TCP, or loses whole packets, and never holds up a worker.
struct StreamThread: ~Copyable {
    private let control: StreamControl
    private let ways: StreamControl.Ways
    /// Of the inbound workers.
    private let wakeups: [Wakeup]
    private let events: EventOutlet
    private let configuration: UserspaceDataplane.Configuration
    private let watch: Int32
    private let ready: UnsafeMutablePointer<cygnet_readiness>
    private let input: UnsafeMutableRawBufferPointer
    private var listeners: [Listener] = []
    private var connections: [UInt64: StreamConnection] = [:]
    /// Those with a deadline.
    private var timed: Set<UInt64> = []
    /// Those that something has been written to, or that are to be closed.
    private var touched: Set<UInt64> = []
    private var strangers: [IPAddress: Int] = [:]
    private var strangerCount = 0
    private var nextAccepted = StreamID.firstAccepted
    /// Inbound workers that have been handed something, a bit for each.
    private var given: UInt64 = 0
    private var statistics = DataplaneStatistics.Streams()
    private var isRunning = true
    private var now: Int64 = 0

    private struct Listener {
        let port: UInt16
        let descriptors: [Int32]
    }

    private static let readyCount = 64
    private static let inputSize = 256 << 10
    /// Reads from one connection before others have their turn.
    private static let turns = 4
    /// Packets that are taken from an outbound worker before what came is looked at.
    private static let batchSize = 256
    /// Marks keys of listeners.
    private static let listenerKey: UInt64 = 1 << 62
    private static let connectTime: Int64 = 10_000
    private static let closingTime: Int64 = 5_000
    /// How often, half a millisecond each, a worker is waited for that has no room.
    private static let patience = 40

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
    }

    deinit {
        for listener in listeners { for descriptor in listener.descriptors { close(descriptor) } }
        for connection in connections.values { close(connection.descriptor) }
        close(watch)
        ready.deallocate()
        input.deallocate()
    }

    /// Works until told to stop.
    mutating func run() {
        while isRunning {
            let count = cygnet_wait_for_any(watch, ready, UInt32(Self.readyCount), timed.isEmpty ? -1 : 250)
            now = cygnet_monotonic_nanoseconds() / 1_000_000
            for index in 0..<max(Int(count), 0) { handle(ready[index]) }
            obey()
            takeSealed()
            flush()
            if !timed.isEmpty { expire() }
            wake()
            control.statistics = statistics
        }
        // What ends associations is to arrive.
        for connection in connections.values where connection.phase != .connecting { _ = connection.flush() }
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

    // MARK: Beginning

    private mutating func accept(_ listener: Int32) {
        for _ in 0..<Self.readyCount {
            var ends = cygnet_stream_ends()
            let descriptor = cygnet_accept_stream(listener, &ends)
            guard descriptor >= 0 else {
                if descriptor == -EAGAIN { return }
                guard [-EMFILE, -ENFILE, -ENOMEM, -ENOBUFS].contains(descriptor) else { continue }
                // Whoever waits there does so for ever; not so often that nothing else is done.
                usleep(10_000)
                return
            }
            let source = Self.source(of: ends.remoteAddress.address)
            guard strangerCount < configuration.streamLimits.strangers,
                strangers[source, default: 0] < configuration.streamLimits.strangersPerSource
            else {
                statistics.refused &+= 1
                close(descriptor)
                continue
            }
            let stream = StreamID(rawValue: nextAccepted)
            nextAccepted += 1
            let connection = StreamConnection(
                stream, descriptor: descriptor, local: ends.localAddress, remote: ends.remoteAddress, phase: .open)
            guard cygnet_watch(watch, descriptor, stream.rawValue, 1, 0) == 0 else {
                close(descriptor)
                continue
            }
            connections[stream.rawValue] = connection
            strangers[source, default: 0] += 1
            strangerCount += 1
            statistics.accepted &+= 1
            statistics.open += 1
            set(connection, deadline: configuration.streamLimits.firstMessage)
        }
    }

    /// An IPv4 address, or the 64 bits of an IPv6 address that belong to one customer.
    private static func source(of address: IPAddress) -> IPAddress {
        address.family == .v4 ? address : IPAddress(v6: (address.value >> 64) << 64)
    }

    private mutating func trust(_ connection: StreamConnection) {
        guard !connection.isTrusted else { return }
        connection.isTrusted = true
        forgetStranger(connection)
        set(connection, deadline: nil)
    }

    private mutating func forgetStranger(_ connection: StreamConnection) {
        let source = Self.source(of: connection.remote.address)
        let left = (strangers[source] ?? 1) - 1
        strangers[source] = left > 0 ? left : nil
        strangerCount -= 1
    }

    private mutating func open(_ stream: StreamID, from local: IPAddress, to remote: SocketAddress) {
        let family = remote.address.family
        let source = local.family == family ? local : .unspecified(family)
        let descriptor = cygnet_connect_stream(
            family.rawValue, source.octets, remote.address.octets, remote.port, configuration.firewallMark)
        guard descriptor >= 0 else { return events.emitLoss(of: stream, -descriptor) }
        let connection = StreamConnection(
            stream, descriptor: descriptor, local: SocketAddress(source, port: 0), remote: remote, phase: .connecting)
        guard cygnet_watch(watch, descriptor, stream.rawValue, 1, 1) == 0 else {
            close(descriptor)
            return events.emitLoss(of: stream, ENOMEM)
        }
        connection.awaitsRoom = true
        connections[stream.rawValue] = connection
        statistics.open += 1
        set(connection, deadline: Self.connectTime)
    }

    private mutating func finishConnecting(_ connection: StreamConnection) {
        var ends = cygnet_stream_ends()
        let result = cygnet_finish_stream(connection.descriptor, &ends)
        guard result == 0 else { return end(connection, Self.describe(-result)) }
        connection.local = ends.localAddress
        connection.phase = .open
        statistics.opened &+= 1
        set(connection, deadline: nil)
        // First of all, and once only (RFC 9329 section 4).
        connection.write(prefix: StreamFraming.prefix)
        touched.insert(connection.stream.rawValue)
        events.emit(.streamOpened(connection.stream, local: connection.local))
    }

    // MARK: What comes

    private mutating func read(_ connection: StreamConnection) {
        for _ in 0..<Self.turns {
            let count = recv(connection.descriptor, input.baseAddress, input.count, Int32(MSG_DONTWAIT))
            guard count > 0 else {
                if count < 0, errno == EAGAIN || errno == EINTR { return }
                return end(connection, count == 0 ? "the peer has closed it" : Self.describe(errno))
            }
            statistics.octetsIn &+= UInt64(count)
            // Of one that is about to be closed nothing is wanted any more.
            guard connection.phase == .open else { continue }
            let octets = UnsafeRawBufferPointer(rebasing: input[..<count])
            var framing = connection.framing
            connection.framing = StreamFraming(awaitsPrefix: false)
            do throws(StreamFraming.Fault) {
                try framing.take(octets) { kind, message in take(kind, message, connection) }
            } catch {
                statistics.malformed &+= 1
                return end(connection, error.rawValue)
            }
            connection.framing = framing
            guard connections[connection.stream.rawValue] != nil else { return }
            if count < input.count { return }
        }
    }

    private mutating func take(
        _ kind: StreamFraming.Kind, _ message: UnsafeRawBufferPointer, _ connection: StreamConnection
    ) {
        // The connection may have been ended by a message before.
        guard connections[connection.stream.rawValue] != nil, connection.phase == .open else { return }
        switch kind {
        case .malformed:
            // TCP brings what was sent: lengths are wrong, or the peer is (RFC 9329 section 6.1).
            statistics.malformed &+= 1
            end(connection, "a message is too short for what it is")
        case .ike:
            statistics.messagesIn &+= 1
            if !connection.isTrusted {
                if connection.messages == 0 { set(connection, deadline: configuration.streamLimits.proof) }
                connection.messages += 1
                guard connection.messages <= configuration.streamLimits.messages else {
                    return end(connection, "too many messages without a proof of who the peer is")
                }
            }
            events.emit(
                ReceivedDatagram(
                    octets: Array(message), local: connection.local, remote: connection.remote, nonESPMarker: true,
                    rank: connection.isTrusted ? .known : .unchecked, stream: connection.stream))
        case .esp: handOver(message, connection)
        }
    }

    private mutating func handOver(_ packet: UnsafeRawBufferPointer, _ connection: StreamConnection) {
        guard let from = packet.baseAddress else { return }
        let owner = Team.owner(from.networkUInt32(at: 0), of: ways.inbound.count)
        var datagram = cygnet_datagram()
        datagram.address(from: connection.local.address, to: connection.remote)
        datagram.count = UInt32(truncatingIfNeeded: packet.count)
        datagram.stream = connection.stream.rawValue
        let handed = HandedDatagram(datagram: datagram, header: 0, port: connection.local.port, isInUDP: true)
        statistics.packetsIn &+= 1
        for attempt in 0...Self.patience {
            let isTaken = ways.inbound[owner].push(HandedDatagram.size + packet.count) { place in
                place.storeBytes(of: handed, as: HandedDatagram.self)
                (place + HandedDatagram.size).copyMemory(from: from, byteCount: packet.count)
            }
            given |= 1 << UInt64(owner)
            if isTaken { return }
            // TCP has the peer wait as long as we read nothing.
            wake()
            if attempt < Self.patience { usleep(500) }
        }
        statistics.packetsDropped &+= 1
    }

    /// Wakes the inbound workers that have been handed something.
    private mutating func wake() {
        while given != 0 {
            wakeups[given.trailingZeroBitCount].signal()
            given &= given - 1
        }
    }

    // MARK: What goes

    private mutating func takeSealed() {
        var isMore = false
        for way in ways.outbound {
            let taken = way.drain(atMost: Self.batchSize) { record in
                guard let start = record.baseAddress else { return }
                let packet = UnsafeRawBufferPointer(rebasing: record[SealedForStream.offset...])
                guard let connection = connections[start.load(as: UInt64.self)] else {
                    statistics.packetsWithoutStream &+= 1
                    return
                }
                guard connection.write(packet: packet) else {
                    statistics.packetsDropped &+= 1
                    return
                }
                statistics.packetsOut &+= 1
                touched.insert(connection.stream.rawValue)
            }
            if taken == Self.batchSize { isMore = true }
        }
        // Nobody else would say so.
        if isMore { control.wakeup.signal() }
    }

    private mutating func flush() {
        for key in touched {
            guard let connection = connections[key], connection.phase != .connecting else { continue }
            let before = connection.backlog
            let error = connection.flush()
            statistics.octetsOut &+= UInt64(before - connection.backlog)
            guard error == 0 else {
                end(connection, Self.describe(error))
                continue
            }
            // What is sent arrives before the end, and the peer answers with its own (RFC 9329 section 6.1).
            if connection.backlog == 0, connection.phase == .closing { shutdown(connection.descriptor, Int32(SHUT_WR)) }
            let awaitsRoom = connection.backlog > 0
            if awaitsRoom != connection.awaitsRoom {
                connection.awaitsRoom = awaitsRoom
                _ = cygnet_watch(watch, connection.descriptor, key, 0, awaitsRoom ? 1 : 0)
            }
        }
        touched.removeAll(keepingCapacity: true)
    }

    // MARK: Ending

    private mutating func set(_ connection: StreamConnection, deadline milliseconds: Int64?) {
        connection.deadline = milliseconds.map { now + $0 }
        if milliseconds == nil {
            timed.remove(connection.stream.rawValue)
        } else {
            timed.insert(connection.stream.rawValue)
        }
    }

    private mutating func expire() {
        for key in timed {
            guard let connection = connections[key], let deadline = connection.deadline, deadline <= now else {
                continue
            }
            switch connection.phase {
            case .connecting: end(connection, "it is not answered")
            case .open:
                if !connection.isTrusted { statistics.expired &+= 1 }
                end(connection, "the peer has not proved in time who it is")
            case .closing: remove(connection)
            }
        }
    }

    /// Ends a connection that somebody may still count on, and tells of it.
    private mutating func end(_ connection: StreamConnection, _ reason: String) {
        guard connections[connection.stream.rawValue] != nil else { return }
        let isNews = connection.isTrusted && connection.phase != .closing
        remove(connection)
        if isNews { events.emit(.streamLost(connection.stream, reason: reason)) }
    }

    private mutating func remove(_ connection: StreamConnection) {
        guard connections.removeValue(forKey: connection.stream.rawValue) != nil else { return }
        timed.remove(connection.stream.rawValue)
        if !connection.isTrusted { forgetStranger(connection) }
        statistics.open -= 1
        close(connection.descriptor)
    }

    private static func describe(_ error: Int32) -> String { String(cString: strerror(error)).lowercased() }

    // MARK: Commands

    private mutating func obey() {
        for command in control.take() {
            switch command {
            case .listen(let ports): listen(ports)
            case .open(let stream, let local, let remote): open(stream, from: local, to: remote)
            case .trust(let stream): if let connection = connections[stream.rawValue] { trust(connection) }
            case .close(let stream): if let connection = connections[stream.rawValue] { finish(connection) }
            case .send(let stream, let message):
                // One that is gone loses it, as networks do; IKE hears of that by itself.
                guard let connection = connections[stream.rawValue] else { continue }
                statistics.messagesOut &+= 1
                guard connection.write(message: message) else {
                    if connection.phase == .open { end(connection, "the peer reads no more") }
                    continue
                }
                touched.insert(stream.rawValue)
            case .complain(let stream, let complaint):
                guard let connection = connections[stream.rawValue] else { continue }
                switch complaint {
                case .notAuthentic: end(connection, "a packet is not authentic")
                case .unknownSPI:
                    if !connection.unknown.allows(at: now * 1_000_000) {
                        end(connection, "too many packets of no association")
                    }
                }
            case .stop: isRunning = false
            }
        }
    }

    /// Nobody uses a connection any more: ours is closed, the peer may close its own.
    private mutating func finish(_ connection: StreamConnection) {
        guard connection.phase != .connecting else { return remove(connection) }
        if connection.stream.isAccepted {
            // Whatever it may begin now has to be proved again; and there is time for our last words.
            if connection.isTrusted {
                connection.isTrusted = false
                strangers[Self.source(of: connection.remote.address), default: 0] += 1
                strangerCount += 1
            }
            connection.messages = 0
        } else {
            connection.phase = .closing
            touched.insert(connection.stream.rawValue)
        }
        set(connection, deadline: Self.closingTime)
    }

    private mutating func listen(_ ports: [UInt16]) {
        for listener in listeners where !ports.contains(listener.port) {
            for descriptor in listener.descriptors { close(descriptor) }
        }
        listeners.removeAll { !ports.contains($0.port) }
        let isEverywhere = configuration.listenAddresses.isEmpty
        let addresses =
            isEverywhere ? IPFamily.allCases.map { IPAddress.unspecified($0) } : configuration.listenAddresses
        for port in ports where !listeners.contains(where: { $0.port == port }) {
            var descriptors: [Int32] = []
            for address in addresses {
                let descriptor = cygnet_listen_stream(
                    address.family.rawValue, address.octets, port, configuration.firewallMark)
                if descriptor >= 0, cygnet_watch(watch, descriptor, Self.listenerKey | UInt64(descriptor), 1, 0) == 0 {
                    descriptors.append(descriptor)
                } else if descriptor != -EAFNOSUPPORT || !isEverywhere {
                    events.emit(
                        .warning(
                            "no TCP connections are taken on \(SocketAddress(address, port: port)): \(Self.describe(-descriptor))"
                        ))
                    if descriptor >= 0 { close(descriptor) }
                }
            }
            listeners.append(Listener(port: port, descriptors: descriptors))
        }
    }
}

/// What stands before a sealed packet on its way to the thread: the number of its connection.
enum SealedForStream {
    static let offset = 16
}

extension EventOutlet {
    fileprivate func emitLoss(of stream: StreamID, _ error: Int32) {
        emit(.streamLost(stream, reason: String(cString: strerror(error)).lowercased()))
    }
}

extension cygnet_stream_ends {
    private static func address(_ octets: UnsafeRawBufferPointer, _ family: UInt8) -> IPAddress {
        family == IPFamily.v4.rawValue
            ? IPAddress(v4: UInt32(bigEndian: octets.loadUnaligned(as: UInt32.self)))
            : IPAddress(v6: UInt128(bigEndian: octets.loadUnaligned(as: UInt128.self)))
    }

    fileprivate var localAddress: SocketAddress {
        SocketAddress(withUnsafeBytes(of: local) { Self.address($0, family) }, port: local_port)
    }

    fileprivate var remoteAddress: SocketAddress {
        SocketAddress(withUnsafeBytes(of: remote) { Self.address($0, family) }, port: remote_port)
    }
}
