import CLinux
import Glibc

/// Sends what an outbound worker has sealed, by sockets or by the thread that has the TCP connections. It belongs to the worker's thread.
struct OutboxSender: ~Copyable {
    private let batch: OpaquePointer
    /// A segment by itself.
    private let parts: UnsafeMutablePointer<cygnet_datagram>
    private let events: EventOutlet
    /// The way to the thread that has the TCP connections, and how it is woken.
    private let streams: (way: Handover, wakeup: Wakeup)
    /// Whether UDP sockets cut what they are given; until one refuses to.
    private(set) var joinsDatagrams: Bool

    init?(joinsDatagrams: Bool, events: EventOutlet, streams: (way: Handover, wakeup: Wakeup)) {
        guard let batch = cygnet_batch_make(UInt32(Outbox.maximumRuns)) else { return nil }
        self.batch = batch
        self.joinsDatagrams = joinsDatagrams
        self.events = events
        self.streams = streams
        parts = .allocate(capacity: 1)
        parts.initialize(to: cygnet_datagram())
    }

    deinit {
        cygnet_batch_free(batch)
        parts.deallocate()
    }

    /// Sends the first runs of what is sealed, those that leave by one socket together.
    mutating func send(_ outbox: borrowing Outbox, upTo count: Int, _ counters: inout WorkerCounters) {
        var start = 0
        while start < count {
            let exit = outbox.exits[start]
            var end = start + 1
            while end < count, outbox.exits[end] == exit { end += 1 }
            if exit.socket < 0 {
                handToStreams(outbox, start..<end, &counters)
            } else if exit.fragments {
                let family = outbox.datagrams[start].family
                cygnet_set_fragmenting(exit.socket, family, 1)
                send(outbox, start..<end, by: exit.socket, &counters)
                cygnet_set_fragmenting(exit.socket, family, 0)
            } else {
                send(outbox, start..<end, by: exit.socket, &counters)
            }
            start = end
        }
    }

    /// Copies packets over to the thread that has the TCP connections. Where it has no room they are lost: nothing waits for TCP here.
    private func handToStreams(_ outbox: borrowing Outbox, _ runs: Range<Int>, _ counters: inout WorkerCounters) {
        for index in runs where outbox.datagrams[index].count > 0 {
            let datagram = outbox.datagrams + index
            let size = Int(datagram.pointee.count)
            let isTaken = streams.way.push(SealedForStream.offset + size) { place in
                place.storeBytes(of: datagram.pointee.stream, as: UInt64.self)
                (place + SealedForStream.offset).copyMemory(from: datagram.pointee.octets, byteCount: size)
            }
            if isTaken { count(datagram, &counters) } else { counters.count(.streamsBusy) }
        }
        counters.moved.writes &+= 1
        streams.wakeup.signal()
    }

    private mutating func send(
        _ outbox: borrowing Outbox, _ runs: Range<Int>, by socket: Int32, _ counters: inout WorkerCounters
    ) {
        let end = runs.upperBound
        var next = runs.lowerBound
        var attempts = 0
        while next < end {
            // Spoilt as it was sealed.
            if outbox.datagrams[next].count == 0 {
                next += 1
                continue
            }
            var stop = next + 1
            while stop < end, outbox.datagrams[stop].count > 0 { stop += 1 }
            let sent = cygnet_send(batch, socket, outbox.datagrams + next, UInt32(stop - next))
            if sent > 0 {
                counters.moved.writes &+= 1
                for index in next..<next + Int(sent) { count(outbox.datagrams + index, &counters) }
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
                giveUp(outbox.datagrams + next, by: socket, error, &counters)
                next += 1
                attempts = 0
            }
        }
    }

    @inline(__always)
    private func count(_ run: UnsafeMutablePointer<cygnet_datagram>, _ counters: inout WorkerCounters) {
        let packets = Self.packets(run.pointee)
        counters.moved.packetsOut &+= UInt64(packets)
        counters.moved.octetsOut &+= UInt64(run.pointee.count)
    }

    private static func packets(_ run: cygnet_datagram) -> Int {
        run.segment_size == 0 ? 1 : Int((run.count + run.segment_size - 1) / run.segment_size)
    }

    /// What cannot be sent as it is goes in smaller pieces, or not.
    private mutating func giveUp(
        _ run: UnsafeMutablePointer<cygnet_datagram>, by socket: Int32, _ error: Int32, _ counters: inout WorkerCounters
    ) {
        let size = run.pointee.segment_size
        guard size > 0, size < run.pointee.count else {
            // Our own link takes less than was assumed. The error queue says how much; this packet goes in fragments.
            if error == EMSGSIZE, sendFragmented(run, by: socket) {
                count(run, &counters)
            } else {
                counters.count(error == EMSGSIZE ? .outerTooBig : error == EAGAIN ? .sendBusy : .sendFailed)
            }
            return
        }
        guard error != EAGAIN else { return counters.count(.sendBusy, Self.packets(run.pointee)) }
        // The kernel, or the device beneath, does not cut datagrams after all.
        if error == EIO || error == EOPNOTSUPP, joinsDatagrams {
            joinsDatagrams = false
            events.emit(
                .warning(
                    "datagrams are sent one by one from now on: UDP_SEGMENT failed with \(String(cString: strerror(error)))"
                ))
        }
        var position: UInt32 = 0
        while position < run.pointee.count {
            parts.pointee = run.pointee
            parts.pointee.segment_size = 0
            parts.pointee.octets = run.pointee.octets + Int(position)
            parts.pointee.count = min(size, run.pointee.count - position)
            position += size
            let sent = cygnet_send(batch, socket, parts, 1)
            if sent == 1 || -sent == EMSGSIZE && sendFragmented(parts, by: socket) {
                counters.moved.writes &+= 1
                count(parts, &counters)
            } else {
                counters.count(-sent == EMSGSIZE ? .outerTooBig : -sent == EAGAIN ? .sendBusy : .sendFailed)
            }
        }
    }

    private func sendFragmented(_ datagram: UnsafeMutablePointer<cygnet_datagram>, by socket: Int32) -> Bool {
        cygnet_set_fragmenting(socket, datagram.pointee.family, 1)
        defer { cygnet_set_fragmenting(socket, datagram.pointee.family, 0) }
        return cygnet_send(batch, socket, datagram, 1) == 1
    }
}
