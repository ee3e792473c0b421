import CLinux
import ESP
import IPPacket
import IPsecCrypto

/// Sealed packets on their way out: they stand one after the other in memory, so that those of one size and way leave by one
/// call as one. Made once for a worker.
struct Outbox: ~Copyable {
    struct Exit: Equatable {
        /// Negative: TCP connections, which another thread has.
        let socket: Int32
        /// The kernel may fragment the outer packet.
        let fragments: Bool
    }

    /// Packets that were laid out and are to be sealed, all of one association.
    private(set) var pending: UnsafeMutablePointer<OutboundEntry>?
    private var pendingCount = 0
    private let work: UnsafeMutablePointer<CipherPacket>
    private let innerCounts: UnsafeMutablePointer<Int>
    /// The run of each pending packet.
    private let runs: UnsafeMutablePointer<Int>

    let memory: UnsafeMutableRawBufferPointer
    private(set) var used = 0
    /// One for each run: packets that leave as one.
    let datagrams: UnsafeMutablePointer<cygnet_datagram>
    let exits: UnsafeMutablePointer<Exit>
    private(set) var runCount = 0
    /// What the last run belongs to, while it may grow.
    private var open: UnsafeMutablePointer<OutboundEntry>?
    private var openPackets = 0
    /// Where what has been added since the last sending begins.
    private var fresh = 0
    /// Options of the IP headers that transport mode leaves in front, a place for each datagram.
    private let options: UnsafeMutableRawBufferPointer

    /// Octets of options that a packet can have.
    private static let optionsSize = 128
    private static let capacity = 256 << 10
    static let maximumRuns = 256
    private static let maximumPackets = 256
    /// Of one run: kernels before 6.9 cut no more, and IP has no more.
    private static let maximumSegments = 64
    private static let maximumRunOctets = 0xffff - 48
    /// Room a packet needs beside its octets.
    private static let margin = OutboundSA.headroom + OutboundSA.tailroom + 64

    init() {
        memory = .allocate(byteCount: Self.capacity, alignment: 64)
        datagrams = .allocate(capacity: Self.maximumRuns)
        datagrams.initialize(repeating: cygnet_datagram(), count: Self.maximumRuns)
        exits = .allocate(capacity: Self.maximumRuns)
        options = .allocate(byteCount: Self.maximumRuns * Self.optionsSize, alignment: 16)
        work = .allocate(capacity: Self.maximumPackets)
        innerCounts = .allocate(capacity: Self.maximumPackets)
        runs = .allocate(capacity: Self.maximumPackets)
    }

    deinit {
        memory.deallocate()
        datagrams.deallocate()
        exits.deallocate()
        options.deallocate()
        work.deallocate()
        innerCounts.deallocate()
        runs.deallocate()
    }

    /// Whether there is room for another packet of so many octets.
    @inline(__always)
    func hasRoom(for count: Int) -> Bool {
        runCount < Self.maximumRuns && pendingCount < Self.maximumPackets
            && used + count + Self.margin <= Self.capacity
    }

    /// The largest packet that fits when nothing else is there.
    static let largestPacket = 0xffff

    /// Where the next packet goes, when ESP puts so many octets before it.
    @inline(__always)
    func place(after prefix: Int) -> Int { used + prefix }

    /// Takes in what has just been laid out.
    ///
    /// - Parameters:
    ///   - joins: whether it may leave as one with others.
    ///   - front: what of its IP header goes beside the datagram; `nil` in tunnel mode.
    @inline(__always)
    mutating func add(
        _ result: SealResult, innerCount: Int, of entry: UnsafeMutablePointer<OutboundEntry>, exit: Exit, joins: Bool,
        front: Front?
    ) {
        guard let base = memory.baseAddress else { return }
        let size = UInt32(truncatingIfNeeded: result.count)
        let last = datagrams + (runCount - 1)
        if open == entry, result.offset == used, openPackets < Self.maximumSegments, size <= last.pointee.segment_size,
            last.pointee.traffic_class == result.outerTrafficClass,
            last.pointee.count + size <= UInt32(Self.maximumRunOctets)
        {
            last.pointee.count += size
            openPackets += 1
            if size < last.pointee.segment_size { open = nil }
        } else {
            let next = datagrams + runCount
            next.pointee.octets = (base + result.offset).assumingMemoryBound(to: UInt8.self)
            next.pointee.count = size
            next.pointee.segment_size = joins ? size : 0
            next.pointee.traffic_class = result.outerTrafficClass
            next.pointee.hop_limit = front?.hopLimit ?? 0
            next.pointee.options_count = 0
            if let front { keep(front, at: runCount) }
            entry.pointee.address(&next.pointee)
            (exits + runCount).initialize(to: exit)
            open = joins ? entry : nil
            openPackets = 1
            runCount += 1
        }
        used = result.offset + result.count
        (work + pendingCount).initialize(
            to: CipherPacket(octets: base + result.offset, count: result.count, sequence: result.sequence))
        (innerCounts + pendingCount).initialize(to: innerCount)
        (runs + pendingCount).initialize(to: runCount - 1)
        pendingCount += 1
        pending = entry
    }

    /// What of an IP header goes along with a datagram.
    struct Front {
        let hopLimit: UInt8
        /// The IP header's options, still in the worker's input.
        let options: UnsafeRawBufferPointer
    }

    private mutating func keep(_ front: Front, at index: Int) {
        let place = UnsafeMutableRawBufferPointer(
            rebasing: options[index * Self.optionsSize..<(index + 1) * Self.optionsSize])
        guard !front.options.isEmpty, front.options.count <= place.count, let base = place.baseAddress else { return }
        place.copyMemory(from: front.options)
        datagrams[index].options = UnsafePointer(base.assumingMemoryBound(to: UInt8.self))
        datagrams[index].options_count = UInt8(truncatingIfNeeded: front.options.count)
    }

    /// Seals what is pending.
    @inline(__always)
    mutating func seal() {
        guard let entry = pending, pendingCount > 0 else { return }
        entry.pointee.sa.seal(UnsafeMutableBufferPointer(start: work, count: pendingCount), innerCounts: innerCounts)
        for index in 0..<pendingCount where !work[index].isGood {
            // Nothing of its run is sent, and nothing joins it: libcrypto is out of memory or worse.
            datagrams[runs[index]].count = 0
            open = nil
        }
        pendingCount = 0
        pending = nil
    }

    /// Octets that have been added since the last sending.
    var unsent: Int { used - fresh }

    /// Runs that nothing more can join: all, or all but the last.
    var closedRunCount: Int { open == nil ? runCount : runCount - 1 }

    /// Forgets all runs but the last, if that may still grow.
    @inline(__always)
    mutating func clearClosed() {
        guard open != nil, runCount > 0 else { return clear() }
        datagrams[0] = datagrams[runCount - 1]
        exits[0] = exits[runCount - 1]
        runCount = 1
        fresh = used
    }

    /// Forgets everything.
    @inline(__always)
    mutating func clear() {
        fresh = 0
        used = 0
        runCount = 0
        open = nil
        openPackets = 0
    }
}

extension OutboundEntry {
    /// Writes where its packets come from and go to.
    @inline(__always)
    func address(_ datagram: inout cygnet_datagram) {
        datagram.address(
            from: local.address, to: SocketAddress(remote.address, port: encapsulation == .udp ? remote.port : 0))
        datagram.stream = stream
    }
}
