import IPPacket

/// Which connections an initiator may mean, by the two addresses of its first message.
///
/// Made once for each configuration and address of ours: among thousands of connections a search for each caller, and
/// a list of them for each half-open SA, would cost more than the key exchange. What is handed out is shared.
struct CandidateIndex {
    private let connections: [ConnectionConfiguration]
    private var lists: [IPAddress: Lists] = [:]

    private struct Lists {
        /// By an address of the peer's that they name.
        var named: [IPAddress: [ConnectionConfiguration]] = [:]
        var any: [ConnectionConfiguration] = []
        /// The named ones and, behind them, the others that take any address.
        var joined: [IPAddress: [ConnectionConfiguration]] = [:]
    }

    /// - Parameter connections: in the order of the configuration.
    init(_ connections: [ConnectionConfiguration]) { self.connections = connections }

    /// The connections that fit two addresses, those that name the peer's address first.
    mutating func candidates(local: IPAddress, remote: IPAddress) -> [ConnectionConfiguration] {
        if lists[local] == nil { lists[local] = makeLists(local) }
        guard let found = lists[local], let named = found.named[remote] else { return lists[local]?.any ?? [] }
        guard !found.any.isEmpty else { return named }
        if let joined = found.joined[remote] { return joined }
        let joined = named + found.any.filter { !$0.remoteAddresses.contains(remote) }
        lists[local]?.joined[remote] = joined
        return joined
    }

    private func makeLists(_ local: IPAddress) -> Lists {
        var lists = Lists()
        for connection in connections
        where connection.localAddresses.isEmpty || connection.localAddresses.contains(local) {
            for remote in Set(connection.remoteAddresses) { lists.named[remote, default: []].append(connection) }
            if connection.acceptsAnyRemoteAddress { lists.any.append(connection) }
        }
        return lists
    }
}
