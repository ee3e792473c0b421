import IPPacket

/// Which IKE SAs use which TCP connections (RFC 9329), so that one is closed when nobody does any more.
struct StreamTable {
    private struct Use {
        /// IKE SAs whose path it is, by our SPI: one, or two while an IKE SA replaces another.
        var users: Set<UInt64> = []
        /// The IKE SA for which it is being opened, or that has not gone over to it yet.
        var awaitedBy: UInt64?

        var isNone: Bool { users.isEmpty && awaitedBy == nil }
    }

    private var uses: [StreamID: Use] = [:]
    private var streams: [UInt64: Set<StreamID>] = [:]
    private var last: UInt64 = 0
    /// Those that have lost their last user. They may have another by the time that this is looked at.
    private var left: [StreamID] = []

    init() {}

    var count: Int { uses.count }

    /// The number of a connection to be opened for an IKE SA.
    mutating func open(for localSPI: UInt64) -> StreamID {
        last += 1
        let stream = StreamID(rawValue: last)
        uses[stream] = Use(awaitedBy: localSPI)
        streams[localSPI, default: []].insert(stream)
        return stream
    }

    /// Takes in that an IKE SA has gone over from one connection to another.
    mutating func move(_ localSPI: UInt64, from old: StreamID?, to new: StreamID?) {
        guard old != new else { return }
        if let new {
            uses[new, default: Use()].users.insert(localSPI)
            if uses[new]?.awaitedBy == localSPI { uses[new]?.awaitedBy = nil }
            streams[localSPI, default: []].insert(new)
        }
        if let old { leave(old, localSPI) }
    }

    /// Takes in that an IKE SA is gone, or waits for a connection no longer.
    mutating func forget(_ localSPI: UInt64) {
        for stream in streams.removeValue(forKey: localSPI) ?? [] { leave(stream, localSPI) }
    }

    /// The connection that was opened for one IKE SA is now for its successor.
    mutating func hand(_ stream: StreamID, to heir: UInt64) {
        guard let waiting = uses[stream]?.awaitedBy else { return }
        streams[waiting]?.remove(stream)
        uses[stream]?.awaitedBy = heir
        streams[heir, default: []].insert(stream)
    }

    /// Nobody waits for the connection any more.
    mutating func abandon(_ stream: StreamID) {
        if let waiting = uses[stream]?.awaitedBy {
            uses[stream]?.awaitedBy = nil
            streams[waiting]?.remove(stream)
        }
        left.append(stream)
    }

    private mutating func leave(_ stream: StreamID, _ localSPI: UInt64) {
        streams[localSPI]?.remove(stream)
        if streams[localSPI]?.isEmpty == true { streams[localSPI] = nil }
        guard var use = uses[stream] else { return }
        use.users.remove(localSPI)
        if use.awaitedBy == localSPI { use.awaitedBy = nil }
        uses[stream] = use
        if use.isNone { left.append(stream) }
    }

    /// The IKE SA that waits for a connection, or has it.
    func owner(of stream: StreamID) -> UInt64? { uses[stream].flatMap { $0.awaitedBy ?? $0.users.min() } }

    /// The IKE SAs whose path a connection is.
    func users(of stream: StreamID) -> Set<UInt64> { uses[stream]?.users ?? [] }

    /// Forgets a connection that is gone.
    ///
    /// - Returns: whom that concerns.
    mutating func lose(_ stream: StreamID) -> [UInt64] {
        guard let use = uses.removeValue(forKey: stream) else { return [] }
        let concerned = use.users.union(use.awaitedBy.map { [$0] } ?? [])
        for localSPI in concerned {
            streams[localSPI]?.remove(stream)
            if streams[localSPI]?.isEmpty == true { streams[localSPI] = nil }
        }
        return concerned.sorted()
    }

    /// Those that nobody uses any more, each once.
    mutating func takeUnused() -> [StreamID] {
        guard !left.isEmpty else { return [] }
        defer { left = [] }
        var unused: [StreamID] = []
        for stream in left where !unused.contains(stream) && uses[stream]?.isNone ?? true {
            uses[stream] = nil
            unused.append(stream)
        }
        return unused
    }
}
