/// The replay windows of the subspaces that one part of an association receives.
///
/// A window is made when the first packet of its subspace has proved authentic, so that forged ones cost nothing; that is the only
/// memory allocated while packets are received, once for each subspace. Windows have nothing to do with each other.
struct SubspaceWindows: ~Copyable, Sendable {
    private struct Row: ~Copyable {
        var window: ReplayWindow
        var packets: UInt64 = 0
        var refused: UInt64 = 0
    }

    /// How many subspaces the whole association has.
    let count: Int
    /// This part has those of the IDs that leave the remainder when divided by the number of parts.
    private let parts: Int
    private let remainder: Int
    private let windowSize: Int
    private nonisolated(unsafe) let rows: UnsafeMutablePointer<UnsafeMutablePointer<Row>?>

    /// - Parameter count: 0 for an association without subspaces.
    init(count: Int, part: Int, of parts: Int, windowSize: Int) {
        self.count = count
        self.parts = max(parts, 1)
        remainder = part
        self.windowSize = windowSize
        rows = .allocate(capacity: max(count, 1))
        rows.initialize(repeating: nil, count: max(count, 1))
    }

    deinit {
        for id in 0..<count {
            guard let row = rows[id] else { continue }
            row.deinitialize(count: 1)
            row.deallocate()
        }
        rows.deallocate()
    }

    /// Looks a number up; changes no window.
    ///
    /// - Returns: why the packet is dropped; `nil` if it may be new.
    @inline(__always)
    func refusal(of number: SubspaceNumber) -> DropReason? {
        let id = Int(number.subspace)
        // Another part's would be a way around the window that the other has.
        guard id < count, id % parts == remainder else { return .subspaceOutOfRange }
        guard let row = rows[id] else { return number.counter == 0 ? .stale : nil }
        switch row.pointee.window.check(whole: number.counter) {
        case .fresh: return nil
        case .replayed: return refuse(row, .replayed)
        case .stale: return refuse(row, .stale)
        }
    }

    private func refuse(_ row: UnsafeMutablePointer<Row>, _ reason: DropReason) -> DropReason {
        row.pointee.refused &+= 1
        return reason
    }

    /// Marks the number of an authentic packet, for which there was no refusal, as received.
    @inline(__always)
    func accept(_ number: SubspaceNumber) -> ReplayWindow.Acceptance {
        let row = rows[Int(number.subspace)] ?? make(number.subspace)
        let acceptance = row.pointee.window.accept(number.counter)
        switch acceptance {
        case .newest, .late: row.pointee.packets &+= 1
        case .replayed, .stale: row.pointee.refused &+= 1
        }
        return acceptance
    }

    @inline(never)
    private func make(_ id: UInt16) -> UnsafeMutablePointer<Row> {
        let row = UnsafeMutablePointer<Row>.allocate(capacity: 1)
        row.initialize(to: Row(window: ReplayWindow(size: windowSize, extended: true)))
        rows[Int(id)] = row
        return row
    }

    /// Those of which an authentic packet has come.
    var reports: [SubspaceReport] {
        (0..<count).compactMap { id in
            rows[id].map {
                SubspaceReport(
                    id: UInt16(truncatingIfNeeded: id), highest: $0.pointee.window.highest,
                    packets: $0.pointee.packets, replays: $0.pointee.refused)
            }
        }
    }
}

/// What an association has done in one of its subspaces.
public struct SubspaceReport: Hashable, Sendable {
    public var id: UInt16
    /// The highest number sent, or received.
    public var highest: UInt64
    /// Sent, or authentic ones received that were no replays.
    public var packets: UInt64
    /// Received ones that were dropped as replayed or too old.
    public var replays: UInt64

    public init(id: UInt16, highest: UInt64, packets: UInt64, replays: UInt64 = 0) {
        self.id = id
        self.highest = highest
        self.packets = packets
        self.replays = replays
    }
}
