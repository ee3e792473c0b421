import IPsecPolicy

/// Remembers which association packets of a flow go to, so that policies and selectors are not looked through for each. It
/// forgets all of it when any of these change.
struct FlowCache: ~Copyable {
    private struct Row {
        let flow: PacketSelector
        let candidate: UnsafeMutablePointer<Candidate>
        let generation: UInt64
    }

    private static let size = 1024
    private let rows: UnsafeMutablePointer<Row?>
    private var generation: UInt64 = 0

    init() {
        rows = .allocate(capacity: Self.size)
        rows.initialize(repeating: nil, count: Self.size)
    }

    deinit { rows.deallocate() }

    subscript(_ flow: PacketSelector) -> UnsafeMutablePointer<Candidate>? {
        @inline(__always) get {
            guard let row = rows[Self.index(flow)], row.generation == generation, row.flow == flow else { return nil }
            return row.candidate
        }
        nonmutating set {
            rows[Self.index(flow)] = newValue.map { Row(flow: flow, candidate: $0, generation: generation) }
        }
    }

    mutating func forget() { generation &+= 1 }

    @inline(__always)
    private static func index(_ flow: PacketSelector) -> Int {
        let addresses = flow.source.value ^ (flow.destination.value &* 3)
        var hash = UInt64(truncatingIfNeeded: addresses) ^ UInt64(truncatingIfNeeded: addresses >> 64)
        hash ^= UInt64(flow.sourcePort) << 32 ^ UInt64(flow.destinationPort) << 48 ^ UInt64(flow.ipProtocol) << 24
        hash ^= UInt64(flow.dscp) << 16
        return Int(truncatingIfNeeded: (hash &* 0x9e37_79b9_7f4a_7c15) >> 54)
    }
}
