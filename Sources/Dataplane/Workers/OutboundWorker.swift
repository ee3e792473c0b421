import CLinux
import ESP
import Glibc
import IPPacket
import IPsecPolicy
import Octets

/// What the control side asks of the outbound worker.
enum OutboundCommand {
    case policies(UnsafeMutablePointer<PolicyTable>)
    case activate(UnsafeMutablePointer<OutboundEntry>)
    case remove(UnsafeMutablePointer<OutboundEntry>)
    case move(
        UnsafeMutablePointer<OutboundEntry>, local: SocketAddress, remote: SocketAddress, encapsulation: Encapsulation,
        socket: Int32)
    case snapshot(Unmanaged<WorkerSnapshot>)
    case stop
}

/// What the error queues say of the path to a peer.
struct PathNotice {
    let remote: IPAddress
    let mtu: Int
    /// The SPI of the packet quoted; `nil` if our own link refused it, which needs no proof.
    let spi: UInt32?
}

/// From the inside to the network: reads packets from the device, finds policy and association, seals and sends them.
/// Everything here belongs to the worker's thread.
struct OutboundWorker: ~Copyable {
    private struct Exit: Equatable {
        let socket: Int32
        /// The kernel may fragment the outer packet.
        let fragments: Bool
    }

    private let device: Int32
    private let wakeup: Wakeup
    private let commands: CommandRing<OutboundCommand>
    private let notices: CommandRing<PathNotice>
    private let events: EventOutlet
    private let clampsSegmentSize: Bool
    private let deviceMTU: Int

    private let arena: Arena
    private let batch: OpaquePointer
    /// How each datagram of the batch leaves.
    private let exits: UnsafeMutablePointer<Exit>
    /// Options of the IP headers that transport mode leaves in front, a place for each datagram.
    private let options: UnsafeMutableRawBufferPointer
    private let reply: UnsafeMutableRawBufferPointer

    private var policies: UnsafeMutablePointer<PolicyTable>
    /// Oldest first.
    private var associations: [UnsafeMutablePointer<OutboundEntry>] = []
    private var counters = WorkerCounters()
    private var tooBigLimit = RateLimit(perSecond: 100, burst: 50)
    private var isRunning = true
    private var now: Int64 = 0

    init?(
        device: Int32, wakeup: Wakeup, commands: CommandRing<OutboundCommand>, notices: CommandRing<PathNotice>,
        policies: UnsafeMutablePointer<PolicyTable>, events: EventOutlet,
        _ configuration: UserspaceDataplane.Configuration
    ) {
        guard let batch = cygnet_batch_make(UInt32(configuration.batchSize)) else { return nil }
        self.batch = batch
        self.device = device
        self.wakeup = wakeup
        self.commands = commands
        self.notices = notices
        self.policies = policies
        self.events = events
        clampsSegmentSize = configuration.clampsSegmentSize
        deviceMTU = configuration.mtu
        arena = Arena(
            capacity: configuration.batchSize,
            slotSize: OutboundSA.headroom + max(configuration.mtu, configuration.outerMTU) + OutboundSA.tailroom)
        exits = .allocate(capacity: configuration.batchSize)
        options = .allocate(byteCount: configuration.batchSize * Self.optionsSize, alignment: 16)
        reply = .allocate(byteCount: ICMPError.maximumLength, alignment: 16)
    }

    deinit {
        cygnet_batch_free(batch)
        exits.deallocate()
        options.deallocate()
        reply.deallocate()
    }

    /// Octets of options that a packet can have.
    private static let optionsSize = 128

    /// Works until told to stop.
    mutating func run() {
        while isRunning {
            obey()
            let taken = takeBatch()
            if taken == 0 { sleep() }
        }
    }

    /// Waits until there is a packet or a command; costs nothing meanwhile.
    private func sleep() {
        var wanted = (
            pollfd(fd: device, events: Int16(POLLIN), revents: 0),
            pollfd(fd: wakeup.descriptor, events: Int16(POLLIN), revents: 0)
        )
        withUnsafeMutableBytes(of: &wanted) {
            _ = poll($0.baseAddress?.assumingMemoryBound(to: pollfd.self), 2, -1)
        }
        if wanted.1.revents != 0 { wakeup.clear() }
    }

    // MARK: Packets

    /// Takes what the device has, up to a batch, and sends it.
    private mutating func takeBatch() -> Int {
        var taken = 0
        var ready = 0
        now = cygnet_monotonic_nanoseconds()
        while taken < arena.capacity {
            let slot = arena.slot(ready)
            let room = slot.count - OutboundSA.headroom - OutboundSA.tailroom
            guard let base = slot.baseAddress else { break }
            let count = read(device, base + OutboundSA.headroom, room)
            guard count > 0 else {
                if count < 0, errno != EAGAIN, errno != EINTR {
                    events.emit(.failed("the device cannot be read: \(String(cString: strerror(errno)))"))
                    isRunning = false
                }
                break
            }
            taken += 1
            if prepare(slot, count: count, at: ready) { ready += 1 }
        }
        guard taken > 0 else { return isRunning ? 0 : -1 }
        counters.moved.batches &+= 1
        counters.moved.packetsIn &+= UInt64(taken)
        send(ready)
        return taken
    }

    /// Turns a packet in its slot into a datagram.
    ///
    /// - Returns: whether there is something to send.
    private mutating func prepare(_ slot: UnsafeMutableRawBufferPointer, count: Int, at index: Int) -> Bool {
        let packet = UnsafeMutableRawBufferPointer(
            rebasing: slot[OutboundSA.headroom..<OutboundSA.headroom + count])
        guard let header = IPHeader(UnsafeRawBufferPointer(packet)), header.totalLength == count,
            let selector = PacketSelector(header, in: UnsafeRawBufferPointer(packet))
        else {
            counters.count(.malformed)
            return false
        }
        let row: Int
        switch policies.pointee.database.decision(for: selector, .outbound) {
        case .protect(let index, _): row = index
        case .bypass: return drop(.bypassInside)
        case .discard: return drop(.discarded)
        case .noPolicy:
            // The kernel announces its multicast groups on every device, ours too: that no policy names them is no loss.
            return selector.destination.isMulticast ? false : drop(.noPolicy)
        case .ambiguousFragment: return drop(.ambiguousFragment)
        }
        var candidate = policies.pointee.rows[row].newest
        while let entry = candidate, !entry.pointee.sa.carries(selector) { candidate = entry.pointee.next }
        guard let entry = candidate else {
            // An association that the worker has not taken up yet need not be asked for; the policies may be others then, too.
            if !commands.isEmpty {
                obey()
                return prepare(slot, count: count, at: index)
            }
            acquire(row, selector)
            return drop(.noAssociation)
        }
        let front =
            entry.pointee.sa.mode.isTransport
            ? (try? TransportFront(header, in: UnsafeRawBufferPointer(packet)))?.count ?? header.headerLength : 0
        let largest = min(
            entry.pointee.sa.maximumSize(
                outerMTU: entry.pointee.path.value(at: Instant(nanoseconds: now)), front: front),
            deviceMTU)
        let fits = count <= largest
        // Whoever sends IPv4 without DF, or IPv6 up to the 1280 octets every link takes, does not hear of a smaller path: the
        // outer packet is fragmented instead (RFC 4301, section 8.2; RFC 2473, section 7.1).
        guard fits || (header.family == .v6 ? count <= 1280 : !header.dontFragment) else {
            answerTooBig(packet, mtu: largest, to: header)
            return drop(.tooBig)
        }
        if clampsSegmentSize { _ = SegmentSize.clamp(packet, toMTU: largest) }
        arena.datagrams[index].hop_limit = 0
        arena.datagrams[index].options_count = 0
        if front > 0 { keepFront(packet, header, count: front, at: index) }
        return seal(slot, count: count, with: entry, fragments: !fits, at: index)
    }

    /// In transport mode the packet's own header is the outer one: what the kernel does not fill in like that goes along with
    /// the datagram. Sealing writes over it.
    private func keepFront(
        _ packet: UnsafeMutableRawBufferPointer, _ header: IPHeader, count: Int, at index: Int
    ) {
        let plain = IPHeader.minimumLength(header.family)
        let place = UnsafeMutableRawBufferPointer(
            rebasing: options[index * Self.optionsSize..<(index + 1) * Self.optionsSize])
        arena.datagrams[index].hop_limit = header.hopLimit
        guard count > plain, count - plain <= place.count, let base = place.baseAddress else { return }
        place.copyMemory(from: UnsafeRawBufferPointer(rebasing: packet[plain..<count]))
        arena.datagrams[index].options = UnsafePointer(base.assumingMemoryBound(to: UInt8.self))
        arena.datagrams[index].options_count = UInt8(truncatingIfNeeded: count - plain)
    }

    @inline(__always)
    private mutating func seal(
        _ slot: UnsafeMutableRawBufferPointer, count: Int, with entry: UnsafeMutablePointer<OutboundEntry>,
        fragments: Bool, at index: Int
    ) -> Bool {
        let result = entry.pointee.sa.seal(slot, offset: OutboundSA.headroom, count: count)
        if !result.notices.isEmpty { tell(result.notices, entry.pointee.pair) }
        guard result.drop == nil, let base = slot.baseAddress else { return false }
        arena.datagrams[index].octets = (base + result.offset).assumingMemoryBound(to: UInt8.self)
        arena.datagrams[index].count = UInt32(truncatingIfNeeded: result.count)
        arena.datagrams[index].traffic_class = result.outerTrafficClass
        arena.datagrams[index].address(
            from: entry.pointee.local.address,
            to: SocketAddress(
                entry.pointee.remote.address, port: entry.pointee.encapsulation == .udp ? entry.pointee.remote.port : 0)
        )
        (exits + index).initialize(to: Exit(socket: entry.pointee.socket, fragments: fragments))
        return true
    }

    @inline(__always)
    private mutating func drop(_ reason: WorkerDrop) -> Bool {
        counters.count(reason)
        return false
    }

    private mutating func acquire(_ row: Int, _ selector: PacketSelector) {
        let last = policies.pointee.rows[row].lastAcquire
        guard last == .min || now - last >= 1_000_000_000 else { return }
        policies.pointee.rows[row].lastAcquire = now
        events.emit(.acquire(policy: policies.pointee.rows[row].id, packet: selector))
    }

    private func tell(_ notices: SANotices, _ pair: UInt32) {
        if notices.contains(.softLimit) { events.emit(.softLimit(inboundSPI: pair, direction: .outbound)) }
        if notices.contains(.hardLimit) { events.emit(.hardLimit(inboundSPI: pair, direction: .outbound)) }
    }

    /// Tells the sender inside how large a packet may be. The message seems to come from the destination: an own address as
    /// source would be refused by the kernel as it comes in by a device.
    private mutating func answerTooBig(_ packet: UnsafeMutableRawBufferPointer, mtu: Int, to header: IPHeader) {
        guard tooBigLimit.allows(at: now) else { return }
        let written = ICMPError.tooBig(mtu: mtu).write(
            about: UnsafeRawBufferPointer(packet), from: header.destination, into: reply)
        guard let written, let base = reply.baseAddress, write(device, base, written) == written else { return }
        counters.tooBigSent &+= 1
    }

    /// Sends the first `count` datagrams of the arena, those that leave the same way together.
    private mutating func send(_ count: Int) {
        var start = 0
        while start < count {
            let exit = exits[start]
            var end = start + 1
            while end < count, exits[end] == exit { end += 1 }
            if exit.fragments {
                let family = arena.datagrams[start].family
                cygnet_set_fragmenting(exit.socket, family, 1)
                send(from: start, to: end, by: exit.socket)
                cygnet_set_fragmenting(exit.socket, family, 0)
            } else {
                send(from: start, to: end, by: exit.socket)
            }
            start = end
        }
    }

    private mutating func send(from first: Int, to end: Int, by socket: Int32) {
        guard let datagrams = arena.datagrams.baseAddress else { return }
        var next = first
        var attempts = 0
        while next < end {
            let sent = cygnet_send(batch, socket, datagrams + next, UInt32(end - next))
            if sent > 0 {
                counters.moved.packetsOut &+= UInt64(sent)
                next += Int(sent)
                attempts = 0
                continue
            }
            attempts += 1
            switch -sent {
            case EAGAIN where attempts < 4, ENOBUFS where attempts < 4:
                var wanted = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
                _ = poll(&wanted, 1, 10)
            // An error may be that of an earlier datagram, so each gets a second try.
            case _ where attempts < 2: continue
            case let error:
                // Our own link takes less than was assumed. The error queue says how much; this packet goes in fragments.
                if error == EMSGSIZE, sendFragmented(datagrams + next, by: socket) {
                    counters.moved.packetsOut &+= 1
                } else {
                    counters.count(error == EMSGSIZE ? .outerTooBig : error == EAGAIN ? .sendBusy : .sendFailed)
                }
                next += 1
                attempts = 0
            }
        }
    }

    private func sendFragmented(_ datagram: UnsafeMutablePointer<cygnet_datagram>, by socket: Int32) -> Bool {
        cygnet_set_fragmenting(socket, datagram.pointee.family, 1)
        defer { cygnet_set_fragmenting(socket, datagram.pointee.family, 0) }
        return cygnet_send(batch, socket, datagram, 1) == 1
    }

    // MARK: Commands

    private mutating func obey() {
        notices.drain { learn($0) }
        commands.drain { command in
            switch command {
            case .policies(let table):
                policies = table
                table.pointee.link(associations)
            case .activate(let entry):
                associations.append(entry)
                policies.pointee.link(entry)
            case .remove(let entry):
                associations.removeAll { $0 == entry }
                policies.pointee.unlink(entry)
            case .move(let entry, let local, let remote, let encapsulation, let socket):
                if remote.address.family != entry.pointee.remote.address.family {
                    entry.pointee.path = PathMTU(remote.address.family, linkMTU: entry.pointee.path.linkMTU)
                }
                entry.pointee.local = local
                entry.pointee.remote = remote
                entry.pointee.socket = socket
                entry.pointee.encapsulation = encapsulation
                entry.pointee.sa.move(outer: remote.address.family, encapsulation: encapsulation)
            case .snapshot(let snapshot):
                let snapshot = snapshot.takeRetainedValue()
                snapshot.counters = counters
                snapshot.associations = associations.map { $0.pointee.report }
            case .stop:
                isRunning = false
            }
        }
    }

    private func learn(_ notice: PathNotice) {
        let instant = Instant(nanoseconds: cygnet_monotonic_nanoseconds())
        for entry in associations where entry.pointee.remote.address == notice.remote {
            _ = entry.pointee.path.learn(
                notice.mtu, quotedSPI: notice.spi ?? entry.pointee.sa.spi, sending: entry.pointee.sa.spi, at: instant)
        }
    }
}
