/// Why a worker dropped a packet that never got as far as an association, or got past one.
enum WorkerDrop: Int, CaseIterable {
    // Outbound.
    case malformed, noPolicy, discarded, bypassInside, ambiguousFragment, noAssociation, tooBig, outerTooBig, sendBusy,
        sendFailed
    // Either way.
    case workerBusy, streamsBusy
    // Inbound.
    case shortDatagram, truncated, unknownSPI, deviceBusy
    /// Not a packet: an error that tells of a path's MTU, of too many.
    case pathErrorLimit

    /// In words fit for a metric's label.
    var label: String {
        switch self {
        case .malformed: "malformed"
        case .noPolicy: "no-policy"
        case .discarded: "discarded-by-policy"
        case .bypassInside: "bypass-policy-inside"
        case .ambiguousFragment: "ambiguous-fragment"
        case .noAssociation: "no-association"
        case .tooBig: "too-big"
        case .outerTooBig: "outer-too-big"
        case .sendBusy: "send-busy"
        case .sendFailed: "send-failed"
        case .workerBusy: "worker-busy"
        case .streamsBusy: "stream-busy"
        case .shortDatagram: "short-datagram"
        case .truncated: "truncated"
        case .unknownSPI: "unknown-spi"
        case .deviceBusy: "device-busy"
        case .pathErrorLimit: "path-error-limit"
        }
    }
}

/// What a worker counts, apart from its associations.
struct WorkerCounters {
    var moved = DataplaneStatistics.Worker()
    var tooBigSent: UInt64 = 0
    private var drops = InlineArray<17, UInt64>(repeating: 0)

    /// Outbound: whether the kernel still cuts what is sent.
    var joinsDatagrams = false

    @inline(__always)
    mutating func count(_ drop: WorkerDrop, _ packets: Int = 1) { drops[drop.rawValue] &+= UInt64(packets) }

    var allDrops: [(label: String, packets: UInt64)] {
        WorkerDrop.allCases.filter { drops[$0.rawValue] > 0 }.map { ($0.label, drops[$0.rawValue]) }
    }
}

/// What a worker is asked to write down. Handed over by reference through the ring; the asker reads it once the worker has
/// acknowledged.
final class WorkerSnapshot {
    var counters = WorkerCounters()
    var associations: [SACountersReport] = []
}

/// Snapshots that all workers have been asked for.
///
/// Invariant behind `@unchecked Sendable`: the workers write into the snapshots before they acknowledge, and nobody reads
/// them before ``isReady``.
struct PendingSnapshots: @unchecked Sendable {
    /// What a pair of workers is asked for, and the numbers of the commands that ask.
    struct Pair {
        let inbound: WorkerSnapshot
        let outbound: WorkerSnapshot
        let inboundNumber: UInt64
        let outboundNumber: UInt64
        let workers: WorkerPair
    }

    let pairs: [Pair]

    var isReady: Bool {
        pairs.allSatisfy {
            $0.workers.inboundCommands.acknowledged >= $0.inboundNumber
                && $0.workers.outboundCommands.acknowledged >= $0.outboundNumber
        }
    }
}
