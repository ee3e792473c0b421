import Foundation
import IPPacket
import Synchronization

/// What a relay did to packets of one kind from one side.
package struct RelayCounters: Hashable, Sendable {
    package internal(set) var received = 0
    package internal(set) var lost = 0
    /// Packets that left, duplicates among them but not the attacker's.
    package internal(set) var sent = 0
    package internal(set) var duplicated = 0
    /// Of those that left, the ones after which a later one had left already.
    package internal(set) var overtaken = 0
    package internal(set) var replayed = 0
    package internal(set) var forged = 0
    /// Frames that stood for several packets and were passed on as they were.
    package internal(set) var superPackets = 0

    package init() {}
}

/// Takes the place of the router's forwarding between the gateways, and does to packets what bad networks and attackers do.
///
/// It works on packet sockets at both interfaces of the router, whose kernel forwards nothing meanwhile but still speaks for its
/// own addresses. Fates come from seeded numbers (``Impairments``), counters tell what became of whom. It ends with the
/// laboratory.
package final class Relay: Sendable {
    /// By what the packets carry: ESP, in UDP or not, and all else.
    package struct Counters: Hashable, Sendable {
        package internal(set) var esp = RelayCounters()
        package internal(set) var other = RelayCounters()
    }

    private struct State {
        var impairments: Impairments
        var hasNewImpairments = true
        var counters: [Side: Counters] = [:]
        var pending = 0
    }
    private let state: Mutex<State>
    private let stopping = Atomic<Bool>(false)

    /// Returns when packets pass.
    init(in router: Namespace, links: [Side: RelayLink], own: Set<IPAddress>, impairments: Impairments) async throws {
        state = Mutex(State(impairments: impairments))
        let sockets = try await router.inside {
            try Side.allCases.map { try RelaySocket(interface: "\($0)") }
        }
        let worker = RelayWorker(sockets: sockets, links: links, own: own)
        Thread.detachNewThread { [self] in
            run(worker)
            for socket in sockets { close(socket.descriptor) }
        }
    }

    /// Changes what is done from the next packet on; its fate is the first of the sequence, and what is on its way stays so.
    package func impair(_ impairments: Impairments) {
        state.withLock {
            $0.impairments = impairments
            $0.hasNewImpairments = true
        }
    }

    /// What was done since the beginning to packets from a side.
    package func counters(from side: Side) -> Counters { state.withLock { $0.counters[side] ?? Counters() } }

    /// Waits until nothing is on its way.
    package func settle() async throws {
        var quiet = 0
        while quiet < 3 {
            try await Task.sleep(for: .milliseconds(50))
            quiet = state.withLock { $0.pending } == 0 ? quiet + 1 : 0
        }
    }

    package func stop() { stopping.store(true, ordering: .releasing) }

    private func run(_ worker: RelayWorker) {
        var worker = worker
        while !stopping.load(ordering: .acquiring) {
            worker.wait()
            state.withLock { state in
                if state.hasNewImpairments {
                    state.hasNewImpairments = false
                    worker.impair(state.impairments)
                }
                worker.work()
                state.counters = worker.counters
                state.pending = worker.pendingCount
            }
        }
    }
}

/// The link addresses of one side.
struct RelayLink: Sendable {
    let router: [UInt8]
    let gateway: [UInt8]
}

/// The work of a relay's thread, which alone has it.
private struct RelayWorker: Sendable {
    private static let historyLength = 64
    /// Nanoseconds after which it looks whether it is to end.
    private static let longestWait: UInt64 = 20_000_000

    /// A packet on its way.
    private struct Pending {
        /// Nanoseconds of the monotonic clock.
        var due: UInt64
        /// In order of arrival.
        var number: Int
        var side: Side
        var frame: RelayedFrame
        /// The fate, unless this is the later copy.
        var fate: PacketFate?
    }

    private let sockets: [RelaySocket]
    private let links: [Side: RelayLink]
    private let own: Set<IPAddress>
    private var fates: [Side: PacketFates] = [:]
    /// The next one last.
    private var pending: [Pending] = []
    private var arrived = 0
    private var newest: [Side: Int] = [:]
    /// ESP packets that have left, the oldest being written over.
    private var history: [Side: [RelayedFrame]] = [:]
    private var historyEnd: [Side: Int] = [:]
    private var buffer = [UInt8](repeating: 0, count: 1 << 17)
    private(set) var counters: [Side: Relay.Counters] = [:]

    var pendingCount: Int { pending.count }

    init(sockets: [RelaySocket], links: [Side: RelayLink], own: Set<IPAddress>) {
        self.sockets = sockets
        self.links = links
        self.own = own
    }

    mutating func impair(_ impairments: Impairments) {
        for side in Side.allCases { fates[side] = impairments.fates(from: side) }
    }

    /// Waits for a packet or for the moment when one leaves, 20 ms at most.
    func wait() {
        let now = Self.now
        let wait = min(Self.longestWait, pending.last.map { $0.due > now ? $0.due - now : 0 } ?? Self.longestWait)
        if wait >= 1_000_000 {
            var entries = sockets.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
            poll(&entries, nfds_t(entries.count), Int32(wait / 1_000_000))
        } else if wait > 0 {
            // What arrives meanwhile waits at most this long.
            var time = timespec(tv_sec: 0, tv_nsec: Int(min(wait, 100_000)))
            nanosleep(&time, nil)
        }
    }

    mutating func work() {
        for (side, socket) in zip(Side.allCases, sockets) {
            for _ in 0..<64 {
                guard let octets = socket.receive(into: &buffer) else { break }
                guard let frame = RelayedFrame(octets), isForwarded(frame.destination) else { continue }
                take(frame, from: side)
            }
        }
        let now = Self.now
        while let next = pending.last, next.due <= now {
            pending.removeLast()
            emit(next)
        }
    }

    private static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    private func isForwarded(_ destination: IPAddress) -> Bool {
        guard !own.contains(destination) else { return false }
        let octets = destination.octets
        return switch destination.family {
        case .v4: octets[0] < 224
        case .v6: octets[0] != 0xff && !(octets[0] == 0xfe && octets[1] & 0xc0 == 0x80)
        }
    }

    private mutating func count(_ side: Side, _ frame: RelayedFrame, _ body: (inout RelayCounters) -> Void) {
        if frame.isESP {
            body(&counters[side, default: .init()].esp)
        } else {
            body(&counters[side, default: .init()].other)
        }
    }

    private mutating func take(_ frame: RelayedFrame, from side: Side) {
        guard let near = links[side.other] else { return }
        var frame = frame
        frame.address(to: near.gateway, from: near.router)
        count(side, frame) { $0.received += 1 }
        if frame.isSuperPacket {
            count(side, frame) { $0.superPackets += 1 }
            return send(frame, from: side)
        }
        guard let fate = fates[side]?.next() else { return }
        guard !fate.isLost else { return count(side, frame) { $0.lost += 1 } }
        arrived += 1
        let now = Self.now
        let times = [fate.delay, fate.duplicateDelay].compactMap(\.self).sorted()
        for (index, delay) in times.enumerated() {
            let due =
                now + UInt64(delay.components.seconds) * 1_000_000_000
                + UInt64(delay.components.attoseconds / 1_000_000_000)
            insert(Pending(due: due, number: arrived, side: side, frame: frame, fate: index == 0 ? fate : nil))
        }
    }

    private mutating func insert(_ packet: Pending) {
        var low = 0
        var high = pending.count
        while low < high {
            let middle = (low + high) / 2
            if (pending[middle].due, pending[middle].number) > (packet.due, packet.number) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        pending.insert(packet, at: low)
    }

    private mutating func emit(_ packet: Pending) {
        let side = packet.side
        if let fate = packet.fate, fate.isPrecededByForgery, let forged = packet.frame.forged(fate.choice) {
            send(forged, from: side)
            count(side, packet.frame) { $0.forged += 1 }
        }
        send(packet.frame, from: side)
        let newest = newest[side] ?? 0
        count(side, packet.frame) { counters in
            counters.sent += 1
            if packet.fate == nil {
                counters.duplicated += 1
            } else if packet.number < newest {
                counters.overtaken += 1
            }
        }
        self.newest[side] = max(newest, packet.number)
        guard packet.frame.isESP else { return }
        remember(packet.frame, from: side)
        if let fate = packet.fate, fate.isFollowedByReplay, let earlier = history[side], !earlier.isEmpty {
            send(earlier[Int(fate.choice % UInt64(earlier.count))], from: side)
            count(side, packet.frame) { $0.replayed += 1 }
        }
    }

    private mutating func remember(_ frame: RelayedFrame, from side: Side) {
        if history[side, default: []].count < Self.historyLength {
            history[side, default: []].append(frame)
        } else {
            let end = historyEnd[side] ?? 0
            history[side]?[end] = frame
            historyEnd[side] = (end + 1) % Self.historyLength
        }
    }

    private func send(_ frame: RelayedFrame, from side: Side) {
        sockets[side == .left ? 1 : 0].send(frame.octets)
    }
}
