import CLinux
import ESP
import Glibc
import IPPacket
import IPsecPolicy
import Octets

/// What the control side asks of the outbound worker.
enum OutboundCommand {
    case policies(UnsafeMutablePointer<PolicyTable>)
    case activate(UnsafeMutablePointer<Candidate>)
    case remove(UnsafeMutablePointer<Candidate>)
    /// To the worker whose it is.
    case path(UnsafeMutablePointer<OutboundEntry>, OuterPath)
    /// To the worker whose it is.
    case move(
        UnsafeMutablePointer<OutboundEntry>, local: SocketAddress, remote: SocketAddress, encapsulation: Encapsulation,
        socket: Int32, stream: UInt64)
    case snapshot(Unmanaged<WorkerSnapshot>)
    case stop
}

/// From the inside to the network: reads packets from the device, finds policy and association, seals and sends them.
/// Everything here belongs to the worker's thread.
struct OutboundWorker: ~Copyable {
    private let device: TunnelDevice
    /// The device's queue for this worker.
    private let descriptor: Int32
    private var team: Team
    private let wakeup: Wakeup
    private let commands: CommandRing<OutboundCommand>
    private let notices: PathNotices
    private let events: EventOutlet
    private let clampsSegmentSize: Bool
    private let deviceMTU: Int
    private let batchSize: Int
    private var sender: OutboxSender

    /// What the device gave: its header, where it has one, and a packet.
    private let input: UnsafeMutableRawBufferPointer
    private var outbox = Outbox()
    private let reply: UnsafeMutableRawBufferPointer

    private var policies: UnsafeMutablePointer<PolicyTable>
    private var flows = FlowCache()
    /// Oldest first.
    private var candidates: [UnsafeMutablePointer<Candidate>] = []
    /// The same by the SPI they send with, which is the peer's choice: several may have one.
    private var bySPI: [UInt32: [UnsafeMutablePointer<Candidate>]] = [:]
    private var counters = WorkerCounters()
    private var tooBigLimit = RateLimit(perSecond: 1000, burst: 200)
    private var isRunning = true
    private var now: Int64 = 0

    init(
        device: TunnelDevice, team: consuming Team, sender: consuming OutboxSender, wakeup: Wakeup,
        commands: CommandRing<OutboundCommand>, notices: PathNotices, policies: UnsafeMutablePointer<PolicyTable>,
        events: EventOutlet, _ configuration: UserspaceDataplane.Configuration
    ) {
        self.sender = sender
        self.device = device
        descriptor = device.descriptors[team.index]
        self.team = team
        self.wakeup = wakeup
        self.commands = commands
        self.notices = notices
        self.policies = policies
        self.events = events
        clampsSegmentSize = configuration.clampsSegmentSize
        deviceMTU = configuration.mtu
        batchSize = configuration.batchSize
        input = .allocate(byteCount: Self.packetOffset + Outbox.largestPacket, alignment: 64)
        reply = .allocate(byteCount: VirtioNetHeader.count + ICMPError.maximumLength, alignment: 16)
    }

    deinit {
        input.deallocate()
        reply.deallocate()
    }

    /// Where a packet begins in the input: behind the device's header, and aligned.
    private static let packetOffset = 16
    /// So many octets are sent without looking for more: they are still in the processor's cache.
    private static let sendingSize = 48 << 10
    /// So many are handed over without looking whether there is room for more.
    private static let handingSize = Handover.capacity / 4
    /// A packet goes from worker to worker so often while their policies change, and no further.
    private static let maximumHops: UInt8 = 3

    /// Works until told to stop.
    mutating func run() {
        // Where somebody waits for this processor, there is often more to take once they had it; where nobody does, it costs nothing.
        var hasYielded = false
        while isRunning {
            obey()
            now = cygnet_monotonic_nanoseconds()
            var taken = takeHandedOver()
            // Packets of a flow that now comes by our queue may still be among those that are handed over.
            if taken < batchSize { taken += takeBatch() }
            if taken == 0, isRunning {
                if hasYielded { sleep() } else { sched_yield() }
            }
            hasYielded = taken == 0
        }
    }

    /// Waits until there is a packet or a command; costs nothing meanwhile.
    private func sleep() {
        var wanted = (
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
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
        guard let base = input.baseAddress else { return 0 }
        let header = device.hasHeader ? VirtioNetHeader.count : 0
        var taken = 0
        while taken < batchSize {
            let count = read(descriptor, base + Self.packetOffset - header, Outbox.largestPacket + header)
            guard count > 0 else {
                if count < 0, errno != EAGAIN, errno != EINTR {
                    events.emit(.failed("the device cannot be read: \(String(cString: strerror(errno)))"))
                    isRunning = false
                }
                break
            }
            taken += 1
            counters.moved.octetsIn &+= UInt64(max(count - header, 0))
            take(
                UnsafeMutableRawBufferPointer(start: base + Self.packetOffset, count: max(count - header, 0)), hops: 0)
            if outbox.unsent >= Self.sendingSize { send(all: false) }
            // More at once would not find room.
            if team.handedOctets >= Self.handingSize { break }
        }
        guard taken > 0 else { return 0 }
        send()
        team.wake()
        counters.moved.batches &+= 1
        counters.moved.reads &+= UInt64(taken)
        return taken
    }

    /// Takes what other workers were given that is this one's, up to a batch, and sends it.
    private mutating func takeHandedOver() -> Int {
        var taken = 0
        for handover in team.incoming {
            taken += handover.drain(atMost: batchSize) { record in
                take(
                    UnsafeMutableRawBufferPointer(rebasing: record[Self.handoverOffset...]), hops: record[0])
                if outbox.unsent >= Self.sendingSize { send(all: false) }
            }
        }
        guard taken > 0 else { return 0 }
        send()
        team.wake()
        return taken
    }

    /// Where a packet begins in what is handed over: behind how often it was, and the device's header.
    private static let handoverOffset = 32

    private mutating func handOver(
        _ packet: UnsafeMutableRawBufferPointer, to owner: Int, hops: UInt8, packets: Int
    ) {
        guard hops < Self.maximumHops, let base = packet.baseAddress else { return drop(.noAssociation, packets) }
        let header = device.hasHeader ? VirtioNetHeader.count : 0
        let isTaken = team.hand(Self.handoverOffset + packet.count, to: owner) { place in
            place.storeBytes(of: hops + 1, as: UInt8.self)
            (place + Self.handoverOffset - header).copyMemory(from: base - header, byteCount: header + packet.count)
        }
        guard isTaken else { return drop(.workerBusy, packets) }
        counters.moved.handedOver &+= UInt64(packets)
    }

    /// Lays out what the device has given to be sealed: a packet, or one that stands for many.
    ///
    /// - Parameters:
    ///   - packet: with the device's header in front of it, where it has one. It is gone when this returns.
    ///   - hops: how often a worker has handed it to another.
    private mutating func take(_ packet: UnsafeMutableRawBufferPointer, hops: UInt8) {
        let count = packet.count
        guard count > 0, let base = packet.baseAddress else { return drop(.malformed) }
        let octets = UnsafeRawBufferPointer(packet)
        var offload = VirtioNetHeader()
        if device.hasHeader {
            guard let read = VirtioNetHeader(base - VirtioNetHeader.count) else { return drop(.malformed) }
            offload = read
        }
        guard let header = IPHeader(octets), header.totalLength == count, let upper = header.upperLayer(in: octets),
            var selector = PacketSelector(header, in: octets)
        else { return drop(.malformed) }
        if policies.pointee.database.distinguishesClasses { selector.dscp = header.trafficClass >> 2 }
        var superPacket: SuperPacket?
        if offload.segmentation != .none {
            guard let found = SuperPacket(octets, offload, header, upper) else { return drop(.malformed) }
            superPacket = found
        }
        let packets = superPacket?.count ?? 1
        if hops == 0 { counters.moved.packetsIn &+= UInt64(packets) }
        guard let candidate = flows[selector] ?? find(selector, header, packets: packets, hops: hops) else { return }
        guard candidate.pointee.owner == team.index else {
            if candidate.pointee.group != nil, hops == 0 { wish(beside: candidate) }
            return handOver(packet, to: candidate.pointee.owner, hops: hops, packets: packets)
        }
        let entry = candidate.pointee.entry
        let front = entry.pointee.sa.isTransport ? Self.front(header, octets) : nil
        let frontCount = front.map { IPHeader.minimumLength(header.family) + $0.options.count } ?? 0
        let largest = min(
            entry.pointee.sa.maximumSize(
                outerMTU: entry.pointee.path.value(at: Instant(nanoseconds: now)), front: frontCount),
            deviceMTU)
        let size = superPacket?.largest ?? count
        let fits = size <= largest
        // Whoever sends IPv4 without DF, or IPv6 up to the 1280 octets every link takes, does not hear of a smaller path: the
        // outer packet is fragmented instead (RFC 4301, section 8.2; RFC 2473, section 7.1), unless the peer could not put it together.
        guard
            fits
                || (header.family == .v6 ? size <= 1280 : !header.dontFragment)
                    && entry.pointee.canBeReassembled(size, front: frontCount)
        else {
            if entry.pointee.tooBigLimit.allows(at: now), tooBigLimit.allows(at: now) {
                answerTooBig(packet, superPacket, mtu: largest, to: header)
            }
            return drop(.tooBig, packets)
        }
        if let superPacket {
            for index in 0..<superPacket.count {
                stage(superPacket.length(of: index), entry, front, fits: fits) { superPacket.write(index, to: $0) }
            }
        } else {
            if clampsSegmentSize {
                _ = SegmentSize.clamp(packet, header, upper, toMTU: largest, checksumIsPartial: offload.needsChecksum)
            }
            if offload.needsChecksum {
                guard SuperPacket.completeChecksum(of: packet, offload, isUDP: upper.ipProtocol == IPProtocol.udp)
                else { return drop(.malformed) }
            }
            stage(count, entry, front, fits: fits) {
                $0.copyMemory(from: base, byteCount: count)
            }
        }
    }

    /// Finds the association for a flow by policies and selectors; drops the packets if there is none.
    private mutating func find(
        _ flow: PacketSelector, _ header: IPHeader, packets: Int, hops: UInt8
    ) -> UnsafeMutablePointer<Candidate>? {
        var selector = flow
        while true {
            let row: Int
            // The policies may be others than a moment ago.
            selector.dscp = policies.pointee.database.distinguishesClasses ? header.trafficClass >> 2 : 0
            switch policies.pointee.database.decision(for: selector, .outbound) {
            case .protect(let index, _): row = index
            case .bypass:
                drop(.bypassInside, packets)
                return nil
            case .discard:
                drop(.discarded, packets)
                return nil
            case .noPolicy:
                // The kernel announces its multicast groups on every device, ours too: that no policy names them is no loss.
                if !selector.destination.isMulticast { drop(.noPolicy, packets) }
                return nil
            case .ambiguousFragment:
                drop(.ambiguousFragment, packets)
                return nil
            }
            if let candidate = policies.pointee.newest(of: row, for: selector, worker: team.index) {
                flows[selector] = candidate
                return candidate
            }
            // An association that the worker has not taken up yet need not be asked for; the policies may be others then, too.
            guard commands.isEmpty else {
                // What is pending may be about to go.
                send()
                obey()
                continue
            }
            // Where another worker knows one, none has to be asked for.
            if hops == 0 { acquire(row, selector) }
            // Where a class has no association, packets go with others to the same addresses.
            var next = policies.pointee.database.sibling(of: row, for: selector)
            while let sibling = next {
                if let candidate = policies.pointee.newest(of: sibling, for: selector, worker: team.index) {
                    return candidate
                }
                next = policies.pointee.database.sibling(of: sibling, for: selector)
            }
            drop(.noAssociation, packets)
            return nil
        }
    }

    /// Says that this worker has no association of its own in a group, once a second.
    private func wish(beside candidate: UnsafeMutablePointer<Candidate>) {
        let last = candidate.pointee.lastWish
        guard last == .min || now - last >= 1_000_000_000 else { return }
        candidate.pointee.lastWish = now
        events.emit(.lacksOwn(worker: team.index, inboundSPI: candidate.pointee.pair))
    }

    /// In transport mode the packet's own header is the outer one: what the kernel does not fill in like that goes along with
    /// the datagram.
    private static func front(_ header: IPHeader, _ packet: UnsafeRawBufferPointer) -> Outbox.Front {
        let plain = IPHeader.minimumLength(header.family)
        let count = (try? TransportFront(header, in: packet))?.count ?? header.headerLength
        return Outbox.Front(
            hopLimit: header.hopLimit,
            options: UnsafeRawBufferPointer(
                rebasing: packet[min(plain, packet.count)..<max(min(count, packet.count), plain)]))
    }

    /// Lays out one packet behind the others.
    ///
    /// - Parameter write: writes it to a place with room for it.
    @inline(__always)
    private mutating func stage(
        _ count: Int, _ entry: UnsafeMutablePointer<OutboundEntry>, _ front: Outbox.Front?, fits: Bool,
        _ write: (UnsafeMutableRawPointer) -> Void
    ) {
        if outbox.pending != entry { outbox.seal() }
        if !outbox.hasRoom(for: max(count, entry.pointee.sa.options.tfcPaddingTo ?? 0)) { send() }
        let place = outbox.place(after: entry.pointee.sa.prefixLength)
        guard let base = outbox.memory.baseAddress else { return }
        write(base + place)
        let result = entry.pointee.sa.layOut(outbox.memory, offset: place, count: count)
        if !result.notices.isEmpty { tell(result.notices, entry.pointee.pair) }
        guard result.drop == nil else { return }
        outbox.add(
            result, innerCount: count, of: entry,
            exit: Outbox.Exit(socket: entry.pointee.socket, fragments: !fits || entry.pointee.mayBeFragmented),
            joins: sender.joinsDatagrams && fits && front == nil && entry.pointee.encapsulation == .udp, front: front)
    }

    @inline(__always)
    private mutating func drop(_ reason: WorkerDrop, _ packets: Int = 1) { counters.count(reason, packets) }

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
    private mutating func answerTooBig(
        _ packet: UnsafeMutableRawBufferPointer, _ superPacket: SuperPacket?, mtu: Int, to header: IPHeader
    ) {
        guard let base = reply.baseAddress else { return }
        var quoted = UnsafeRawBufferPointer(packet)
        if let superPacket {
            // The first segment, as it would have gone.
            if !outbox.hasRoom(for: superPacket.largest) { send() }
            let place = UnsafeMutableRawBufferPointer(
                rebasing: outbox.memory[outbox.used..<outbox.used + superPacket.length(of: 0)])
            if let start = place.baseAddress { superPacket.write(0, to: start) }
            quoted = UnsafeRawBufferPointer(place)
        }
        let written = ICMPError.tooBig(mtu: mtu).write(
            about: quoted, from: header.destination,
            into: UnsafeMutableRawBufferPointer(rebasing: reply[VirtioNetHeader.count...]))
        guard let written else { return }
        VirtioNetHeader().write(to: base)
        let skipped = device.hasHeader ? 0 : VirtioNetHeader.count
        let count = VirtioNetHeader.count - skipped + written
        guard write(descriptor, base + skipped, count) == count else { return }
        counters.tooBigSent &+= 1
    }

    /// Seals what is pending and sends all that is there.
    ///
    /// - Parameter all: also those that packets still to come may join.
    private mutating func send(all: Bool = true) {
        outbox.seal()
        sender.send(outbox, upTo: all ? outbox.runCount : outbox.closedRunCount, &counters)
        if all { outbox.clear() } else { outbox.clearClosed() }
    }

    // MARK: Commands

    private mutating func obey() {
        notices.ring.drain { learn($0) }
        commands.drain { command in
            switch command {
            // Where packets of a flow go depends on neither.
            case .path, .snapshot: break
            default: flows.forget()
            }
            switch command {
            case .policies(let table):
                policies = table
                table.pointee.link(candidates)
            case .activate(let candidate):
                candidates.append(candidate)
                bySPI[candidate.pointee.spi, default: []].append(candidate)
                policies.pointee.link(candidate)
            case .remove(let candidate):
                candidates.removeAll { $0 == candidate }
                let others = (bySPI[candidate.pointee.spi] ?? []).filter { $0 != candidate }
                bySPI[candidate.pointee.spi] = others.isEmpty ? nil : others
                policies.pointee.unlink(candidate)
            case .path(let entry, let outer):
                entry.pointee.take(outer)
            case .move(let entry, let local, let remote, let encapsulation, let socket, let stream):
                // What was said of the old way does not hold for another.
                if remote.address != entry.pointee.remote.address || local.address != entry.pointee.local.address {
                    entry.pointee.path.limit = nil
                    entry.pointee.largestReassembled = .max
                }
                if remote.address.family != entry.pointee.remote.address.family {
                    entry.pointee.path = PathMTU(remote.address.family, linkMTU: entry.pointee.path.linkMTU)
                }
                entry.pointee.local = local
                entry.pointee.remote = remote
                entry.pointee.socket = socket
                entry.pointee.stream = stream
                entry.pointee.encapsulation = encapsulation
                entry.pointee.sa.move(outer: remote.address.family, encapsulation: encapsulation)
            case .snapshot(let snapshot):
                let snapshot = snapshot.takeRetainedValue()
                snapshot.counters = counters
                snapshot.counters.moved.processorTime = cygnet_thread_nanoseconds()
                snapshot.counters.joinsDatagrams = sender.joinsDatagrams
                snapshot.associations = candidates.filter { $0.pointee.owner == team.index }.map {
                    $0.pointee.entry.pointee.report
                }
            case .stop:
                isRunning = false
            }
        }
    }

    private func learn(_ notice: PathNotice) {
        let instant = Instant(nanoseconds: cygnet_monotonic_nanoseconds())
        // Others can have us told of paths: only what concerns our own link is looked for among all.
        let concerned = notice.spi.map { bySPI[$0] ?? [] } ?? candidates
        for candidate in concerned where candidate.pointee.owner == team.index {
            let entry = candidate.pointee.entry
            guard entry.pointee.remote.address == notice.remote else { continue }
            _ = entry.pointee.path.learn(
                notice.mtu, quotedSPI: notice.spi ?? entry.pointee.sa.spi, sending: entry.pointee.sa.spi, at: instant)
        }
    }
}
