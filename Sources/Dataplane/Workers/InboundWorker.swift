import CLinux
import ESP
import Glibc
import IPPacket
import IPsecCrypto
import IPsecPolicy

/// What the control side asks of the inbound worker.
enum InboundCommand {
    case install(UnsafeMutablePointer<InboundEntry>)
    case remove(UnsafeMutablePointer<InboundEntry>)
    case move(
        UnsafeMutablePointer<InboundEntry>, local: SocketAddress, remote: SocketAddress, encapsulation: Encapsulation,
        stream: UInt64)
    case snapshot(Unmanaged<WorkerSnapshot>)
    case stop
}

/// What stands before an ESP packet that one worker, or the thread that has the TCP connections, hands to another.
struct HandedDatagram {
    /// Where it came from and what was on its IP header; its octets are elsewhere.
    let datagram: cygnet_datagram
    /// Octets of the IP header that precede the packet.
    let header: Int
    let port: UInt16
    /// Or in TCP.
    let isInUDP: Bool
    /// The owner of its association has seen it, and who gets it now has the part of the association it is for.
    var isAssigned = false

    static let size = (MemoryLayout<HandedDatagram>.size + 15) & ~15
}

/// From the network inwards: receives datagrams, hands those of IKE up, opens ESP and writes the packets to the device.
/// Everything here belongs to the worker's thread.
struct InboundWorker: ~Copyable {
    /// The device's queue for this worker.
    private let descriptor: Int32
    private var team: Team
    private let sockets: [OuterSocket]
    private let wakeup: Wakeup
    private let commands: CommandRing<InboundCommand>
    private var pathErrors: PathErrors
    private let events: EventOutlet
    private let screen: (any DatagramScreen)?
    private var complaints: StreamComplaints
    private let clampsSegmentSize: Bool
    private let deviceMTU: Int

    private let arena: Arena
    private let batch: OpaquePointer
    /// ESP packets of the batch that are to be opened, all of one association, and the datagram each came in.
    private let received: UnsafeMutablePointer<ReceivedPacket>
    private let origins: UnsafeMutablePointer<Int>
    /// Of each its largest fragment; 0 for a packet that came whole.
    private let fragments: UnsafeMutablePointer<UInt32>
    private let work: UnsafeMutablePointer<CipherPacket>
    private var pendingCount = 0
    private var pending: UnsafeMutablePointer<InboundEntry>?
    private var coalescer: Coalescer
    /// Answers to datagrams of the batch; the octets stand where the datagrams' were.
    private let answers: UnsafeMutableBufferPointer<cygnet_datagram>
    private var answerCount = 0
    /// A datagram of IKE while the screen looks at it, in memory that is used again unless the datagram goes up.
    private var message: [UInt8] = []
    /// The sockets, then the wake-up.
    private let polled: UnsafeMutableBufferPointer<pollfd>
    /// By the low 16 bits of the SPI.
    private let table: UnsafeMutableBufferPointer<UnsafeMutablePointer<InboundEntry>?>
    private var counters = WorkerCounters()
    private var unknownSPILimit = RateLimit(perSecond: 10, burst: 10)
    private var isRunning = true
    private var now: Int64 = 0

    /// The largest datagram there is.
    private static let slotSize = 1 << 16
    /// Room before a datagram for the header that transport mode puts before its payload.
    private static let headroom = 64
    private static let tableSize = 1 << 16
    private static let maximumPending = 128
    /// Datagrams taken at once from a socket that joins them: more would not stay in the processor's cache.
    private static let joinedBatchSize = 8
    /// Batches taken from a socket before others have their turn.
    private static let turns = 4

    init?(
        device: TunnelDevice, team: consuming Team, sockets: [OuterSocket], wakeup: Wakeup,
        commands: CommandRing<InboundCommand>, notices: [PathNotices], events: EventOutlet,
        screen: (any DatagramScreen)?, complaints: CommandRing<StreamComplaints.Complaint>,
        _ configuration: UserspaceDataplane.Configuration
    ) {
        guard let batch = cygnet_batch_make(UInt32(configuration.batchSize)) else { return nil }
        self.batch = batch
        descriptor = device.descriptors[team.index]
        self.team = team
        self.sockets = sockets
        self.wakeup = wakeup
        self.commands = commands
        pathErrors = PathErrors(notices)
        self.events = events
        self.screen = screen
        self.complaints = StreamComplaints(complaints)
        clampsSegmentSize = configuration.clampsSegmentSize
        deviceMTU = configuration.mtu
        arena = Arena(capacity: configuration.batchSize, slotSize: Self.headroom + Self.slotSize)
        for index in 0..<arena.capacity {
            let slot = UnsafeMutableRawBufferPointer(rebasing: arena.slot(index)[Self.headroom...])
            arena.datagrams[index].octets = slot.baseAddress?.assumingMemoryBound(to: UInt8.self)
            arena.datagrams[index].capacity = UInt32(slot.count)
        }
        received = .allocate(capacity: Self.maximumPending)
        origins = .allocate(capacity: Self.maximumPending)
        fragments = .allocate(capacity: Self.maximumPending)
        work = .allocate(capacity: Self.maximumPending)
        coalescer = Coalescer(
            capacity: 1024, hasHeader: device.hasHeader, joinsTCP: device.joinsTCP, joinsUDP: device.joinsUDP)
        answers = .allocate(capacity: arena.capacity)
        answers.initialize(repeating: cygnet_datagram())
        polled = .allocate(capacity: sockets.count + 1)
        _ = polled.initialize(
            from: (sockets.map(\.descriptor) + [wakeup.descriptor]).map {
                pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
            })
        table = .allocate(capacity: Self.tableSize)
        table.initialize(repeating: nil)
    }

    deinit {
        cygnet_batch_free(batch)
        received.deallocate()
        origins.deallocate()
        fragments.deallocate()
        work.deallocate()
        answers.deallocate()
        polled.deallocate()
        table.deallocate()
    }

    /// Works until told to stop.
    mutating func run() {
        while isRunning {
            // Waits without end and without cost while nothing comes.
            _ = poll(polled.baseAddress, nfds_t(polled.count), -1)
            if polled[sockets.count].revents != 0 { wakeup.clear() }
            obey()
            now = cygnet_monotonic_nanoseconds()
            for index in sockets.indices {
                let seen = Int32(polled[index].revents)
                if seen & POLLERR != 0 { pathErrors.read(sockets[index], quoting: arena.slot(0), &counters) }
                guard seen & POLLIN != 0 else { continue }
                var turns = Self.turns
                while turns > 0, takeBatch(sockets[index]) {
                    turns -= 1
                    team.wake()
                }
            }
            for handover in team.incoming { takeBatch(handover) }
            team.wake()
        }
    }

    // MARK: Packets

    /// Takes one batch.
    ///
    /// - Returns: whether there may be more.
    private mutating func takeBatch(_ socket: OuterSocket) -> Bool {
        guard let datagrams = arena.datagrams.baseAddress else { return false }
        let limit = socket.joinsReceived ? min(Self.joinedBatchSize, arena.capacity) : arena.capacity
        let count = Int(cygnet_receive(batch, socket.descriptor, datagrams, UInt32(limit)))
        guard count > 0 else { return false }
        counters.moved.batches &+= 1
        counters.moved.reads &+= 1
        for index in 0..<count { take(index, socket) }
        open()
        deliver()
        if answerCount > 0 { answer(socket) }
        return count == limit
    }

    /// Takes what another worker was given that is this one's, as long as it is its turn.
    private mutating func takeBatch(_ handover: Handover) {
        guard let datagrams = arena.datagrams.baseAddress else { return }
        for _ in 0..<Self.turns {
            var count = 0
            let taken = handover.drain(atMost: arena.capacity) { record in
                guard let start = record.baseAddress, let place = datagrams[count].octets else { return }
                let handed = start.load(as: HandedDatagram.self)
                let octets = UnsafeRawBufferPointer(rebasing: record[HandedDatagram.size...])
                let capacity = datagrams[count].capacity
                datagrams[count] = handed.datagram
                datagrams[count].octets = place
                datagrams[count].capacity = capacity
                guard let from = octets.baseAddress, octets.count <= Int(capacity) else { return }
                UnsafeMutableRawPointer(place).copyMemory(from: from, byteCount: octets.count)
                receive(
                    count, offset: handed.header, count: octets.count - handed.header, header: handed.header,
                    port: handed.port, isInUDP: handed.isInUDP, isAssigned: handed.isAssigned)
                count += 1
            }
            guard taken > 0 else { return }
            open()
            deliver()
            complaints.tell()
        }
        // There may be more, of which nobody would tell us.
        wakeup.signal()
    }

    /// Copies an ESP packet over to the worker whose it is.
    private mutating func handOver(
        _ index: Int, offset: Int, count: Int, header: Int, port: UInt16, isInUDP: Bool, to owner: Int,
        isAssigned: Bool = false
    ) {
        guard let base = arena.slot(index).baseAddress else { return }
        let handed = HandedDatagram(
            datagram: arena.datagrams[index], header: header, port: port, isInUDP: isInUDP, isAssigned: isAssigned)
        let isTaken = team.hand(HandedDatagram.size + header + count, to: owner) { place in
            place.storeBytes(of: handed, as: HandedDatagram.self)
            (place + HandedDatagram.size).copyMemory(
                from: base + Self.headroom + offset - header, byteCount: header + count)
        }
        guard isTaken else { return counters.count(.workerBusy) }
        counters.moved.handedOver &+= 1
    }

    /// Takes a datagram, or as many as the kernel has joined.
    @inline(__always)
    private mutating func take(_ index: Int, _ socket: OuterSocket) {
        let count = Int(arena.datagrams[index].count)
        counters.moved.octetsIn &+= UInt64(count)
        let size = Int(arena.datagrams[index].segment_size)
        guard size > 0, size < count else { return take(index, socket, offset: 0, count: count) }
        var offset = 0
        while offset < count {
            take(index, socket, offset: offset, count: min(size, count - offset))
            offset += size
        }
    }

    /// Takes one datagram.
    ///
    /// - Parameter offset: where it begins among those that came joined.
    @inline(__always)
    private mutating func take(_ index: Int, _ socket: OuterSocket, offset: Int, count: Int) {
        counters.moved.packetsIn &+= 1
        guard arena.datagrams[index].truncated == 0 else { return counters.count(.truncated) }
        guard let base = arena.slot(index).baseAddress.map({ $0 + Self.headroom + offset }) else { return }
        switch socket.kind {
        case .ike:
            handUp(index, socket, from: offset, count: count, marker: 0)
        case .nat:
            if count == 1, UnsafeRawPointer(base).octet(at: 0) == 0xff { return }
            guard count >= 4 else { return counters.count(.shortDatagram) }
            if UnsafeRawPointer(base).networkUInt32(at: 0) == 0 {
                handUp(index, socket, from: offset, count: count, marker: 4)
            } else {
                receive(index, offset: offset, count: count, header: 0, port: socket.port, isInUDP: true)
            }
        case .plainESP:
            // A raw socket of IPv4 gives the IP header as well.
            var header = 0
            if socket.family == .v4 {
                guard count >= IPHeader.v4MinimumLength else { return counters.count(.shortDatagram) }
                header = Int(UnsafeRawPointer(base).octet(at: 0) & 0x0f) * 4
            }
            guard count - header >= 8 else { return counters.count(.shortDatagram) }
            receive(
                index, offset: offset + header, count: count - header, header: header, port: 0, isInUDP: false)
        }
    }

    /// Passes a datagram of IKE on to the control side, unless the screen has an answer to it or wants it gone.
    private mutating func handUp(
        _ index: Int, _ socket: OuterSocket, from start: Int, count: Int, marker: Int
    ) {
        let datagram = arena.datagrams[index]
        let slot = UnsafeMutableRawBufferPointer(
            rebasing: arena.slot(index)[Self.headroom + start + marker..<Self.headroom + start + count])
        message.removeAll(keepingCapacity: true)
        message.append(contentsOf: UnsafeRawBufferPointer(slot))
        var rank = ReceivedDatagram.Rank.unchecked
        switch screen?.screen(&message, from: datagram.remoteAddress) {
        case .pass(let found)?: rank = found
        case .drop?: return
        case .answer?:
            guard message.count <= slot.count, answerCount < answers.count else { return }
            slot.copyBytes(from: message)
            answers[answerCount] = datagram
            answers[answerCount].octets = datagram.octets + start
            answers[answerCount].count = UInt32(marker + message.count)
            answers[answerCount].segment_size = 0
            answers[answerCount].traffic_class = 0
            answers[answerCount].hop_limit = 0
            answerCount += 1
            return
        case nil: break
        }
        events.emit(
            ReceivedDatagram(
                octets: message, local: SocketAddress(datagram.localAddress, port: socket.port),
                remote: datagram.remoteAddress, nonESPMarker: marker > 0, rank: rank))
    }

    /// Sends the answers to a batch, each from the address its datagram was sent to.
    private mutating func answer(_ socket: OuterSocket) {
        guard let base = answers.baseAddress else { return }
        var sent = 0
        while sent < answerCount {
            let count = cygnet_send(batch, socket.descriptor, base + sent, UInt32(answerCount - sent))
            // No room in the socket, and no use in waiting; or the error of a datagram sent before, and one answer lost.
            if count == -EAGAIN { break }
            sent += count > 0 ? Int(count) : 1
        }
        answerCount = 0
    }

    /// Puts an ESP packet with those to be opened.
    ///
    /// - Parameters:
    ///   - offset: where it begins in its slot, behind the headroom.
    ///   - header: octets of the IP header before it.
    ///   - port: where it was sent to, if that is UDP.
    ///   - isAssigned: as in ``HandedDatagram``.
    @inline(__always)
    private mutating func receive(
        _ index: Int, offset: Int, count: Int, header: Int, port: UInt16, isInUDP: Bool, isAssigned: Bool = false
    ) {
        let slot = arena.slot(index)
        guard let base = slot.baseAddress else { return }
        let spi = UnsafeRawPointer(base).networkUInt32(at: Self.headroom + offset)
        if team.count > 1, !isAssigned {
            let owner = team.owner(spi)
            guard owner == team.index else {
                return handOver(
                    index, offset: offset, count: count, header: header, port: port, isInUDP: isInUDP, to: owner)
            }
        }
        guard let entry = find(spi) else {
            counters.count(.unknownSPI)
            complaints.noteUnknownSPI(arena.datagrams[index].stream)
            if unknownSPILimit.allows(at: now) {
                events.emit(
                    .unknownSPI(
                        spi: spi, local: SocketAddress(arena.datagrams[index].localAddress, port: port),
                        from: arena.datagrams[index].remoteAddress))
            }
            return
        }
        if entry.pointee.parts > 1, !isAssigned {
            let packet = UnsafeRawBufferPointer(start: base + Self.headroom + offset, count: count)
            let part = SubspaceNumber(packet: packet).map { entry.pointee.part(of: $0) } ?? 0
            guard part == 0 else {
                return handOver(
                    index, offset: offset, count: count, header: header, port: port, isInUDP: isInUDP,
                    to: (team.index + part) % team.count, isAssigned: true)
            }
        }
        if pending != entry || pendingCount == Self.maximumPending { open() }
        guard let datagram = arena.datagrams.baseAddress.map({ $0 + index }) else { return }
        (received + pendingCount).initialize(
            to: ReceivedPacket(
                slot, offset: Self.headroom + offset, count: count,
                outer: ReceivedHeader(
                    trafficClass: datagram.pointee.traffic_class,
                    hopLimit: datagram.pointee.hop_limit == 0 ? 64 : datagram.pointee.hop_limit, count: header)))
        (origins + pendingCount).initialize(to: isInUDP ? index : -1)
        (fragments + pendingCount).initialize(to: datagram.pointee.fragment_size)
        pendingCount += 1
        pending = entry
        // The header that transport mode writes reaches into the datagram before, if that was joined with this.
        if entry.pointee.sa.isTransport, offset > header {
            open()
            deliver()
        }
    }

    @inline(__always)
    private mutating func find(_ spi: UInt32) -> UnsafeMutablePointer<InboundEntry>? {
        if let entry = table[Int(spi & 0xffff)], entry.pointee.sa.spi == spi { return entry }
        // The peer may have been told of an association that the worker has not taken up yet.
        guard !commands.isEmpty else { return nil }
        open()
        obey()
        guard let entry = table[Int(spi & 0xffff)], entry.pointee.sa.spi == spi else { return nil }
        return entry
    }

    /// Opens the packets that are pending.
    private mutating func open() {
        guard let entry = pending, pendingCount > 0 else { return }
        entry.pointee.sa.open(UnsafeMutableBufferPointer(start: received, count: pendingCount), work: work)
        let mayMove = entry.pointee.encapsulation != .ip
        let largest = entry.pointee.largestReceived - entry.pointee.headerLength
        for index in 0..<pendingCount {
            let packet = received + index
            if !packet.pointee.result.notices.isEmpty { tell(packet.pointee.result.notices, entry.pointee.sa.spi) }
            if packet.pointee.result.isNewest, mayMove, origins[index] >= 0 { watch(origins[index], entry) }
            if packet.pointee.result.drop == .notAuthentic, origins[index] >= 0 {
                complaints.noteNotAuthentic(arena.datagrams[origins[index]].stream)
            }
            if fragments[index] != 0 || packet.pointee.count > largest { note(index, entry) }
            guard packet.pointee.result.drop == nil, let base = packet.pointee.buffer.baseAddress else { continue }
            let inner = UnsafeMutableRawBufferPointer(
                start: base + packet.pointee.result.offset, count: packet.pointee.result.count)
            // What the far side announces decides how much the inside sends at once.
            if clampsSegmentSize { _ = SegmentSize.clamp(inner, toMTU: deviceMTU) }
            if coalescer.isFull { deliver() }
            coalescer.add(base + packet.pointee.result.offset, count: inner.count)
        }
        pendingCount = 0
        pending = nil
    }

    /// Takes note of a packet that came in fragments or is larger than the peer should send, if it is authentic.
    private func note(_ index: Int, _ entry: UnsafeMutablePointer<InboundEntry>) {
        // What comes by TCP has no packets of its own.
        guard received[index].result.drop == nil, entry.pointee.encapsulation != .tcp else { return }
        entry.pointee.arrivals.note(
            size: received[index].count + entry.pointee.headerLength,
            fragment: fragments[index] == 0 ? nil : Int(fragments[index]),
            limit: entry.pointee.largestReceived)
        guard entry.pointee.arrivalLimit.allows(at: now) else { return }
        // Where there is no room, a later packet tells it again.
        if events.emit(.arrivals(spi: entry.pointee.sa.spi, entry.pointee.arrivals)) {
            entry.pointee.arrivals = ArrivalSummary()
        }
    }

    /// Writes what was opened to the device.
    private mutating func deliver() {
        let descriptor = descriptor
        var moved = counters.moved
        var lost = 0
        coalescer.flush { parts, count, packets, octets in
            moved.writes &+= 1
            if writev(descriptor, parts, Int32(truncatingIfNeeded: count)) > 0 {
                moved.packetsOut &+= UInt64(packets)
                moved.octetsOut &+= UInt64(octets)
            } else {
                lost += packets
            }
        }
        counters.moved = moved
        if lost > 0 { counters.count(.deviceBusy, lost) }
    }

    /// Compares where an authentic packet that is no replay came from with where the peer was.
    @inline(__always)
    private func watch(_ index: Int, _ entry: UnsafeMutablePointer<InboundEntry>) {
        let remote = arena.datagrams[index].remoteAddress
        let stream = arena.datagrams[index].stream
        guard stream != entry.pointee.stream || stream == 0 && remote != entry.pointee.remote,
            remote != entry.pointee.reported, entry.pointee.reportLimit.allows(at: now)
        else { return }
        // Where there is no room, a later packet tells it again.
        let move = DataplaneEvent.peerMoved(
            spi: entry.pointee.sa.spi, remote: remote, stream: stream == 0 ? nil : StreamID(rawValue: stream))
        if events.emit(move) { entry.pointee.reported = remote }
    }

    private func tell(_ notices: SANotices, _ spi: UInt32) {
        if notices.contains(.firstPacket) { events.emit(.inboundSeen(spi: spi)) }
        if notices.contains(.softLimit) { events.emit(.softLimit(inboundSPI: spi, direction: .inbound)) }
        if notices.contains(.hardLimit) { events.emit(.hardLimit(inboundSPI: spi, direction: .inbound)) }
    }

    // MARK: Commands

    private mutating func obey() {
        commands.drain { command in
            switch command {
            case .install(let entry):
                table[Int(entry.pointee.sa.spi & 0xffff)] = entry
            case .remove(let entry):
                table[Int(entry.pointee.sa.spi & 0xffff)] = nil
            case .move(let entry, let local, let remote, let encapsulation, let stream):
                entry.pointee.local = local
                entry.pointee.remote = remote
                entry.pointee.encapsulation = encapsulation
                entry.pointee.stream = stream
                entry.pointee.reported = nil
            case .snapshot(let snapshot):
                let snapshot = snapshot.takeRetainedValue()
                snapshot.counters = counters
                snapshot.counters.moved.processorTime = cygnet_thread_nanoseconds()
                snapshot.associations = table.compactMap { $0?.pointee.report }
            case .stop:
                isRunning = false
            }
        }
    }
}
