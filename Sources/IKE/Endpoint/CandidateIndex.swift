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
        /// By an address that they name; `nil`: for those that name none.
        var representatives: [IPAddress?: [ConnectionConfiguration]] = [:]
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

    /// Of the candidates the first of all that have the same IKE proposals: what is acceptable to none of these is to nobody.
    mutating func representatives(local: IPAddress, remote: IPAddress) -> [ConnectionConfiguration] {
        let candidates = candidates(local: local, remote: remote)
        let key = lists[local]?.named[remote] == nil ? nil : remote
        if let known = lists[local]?.representatives[key] { return known }
        let found = Self.representatives(of: candidates)
        lists[local]?.representatives[key] = found
        return found
    }

    static func representatives(of candidates: [ConnectionConfiguration]) -> [ConnectionConfiguration] {
        var seen: Set<[IKEProposal]> = []
        return candidates.filter { candidate in
            // Whatever lines of the configuration they stand in.
            let proposals = candidate.ikeProposals.map { proposal in
                var proposal = proposal
                proposal.origin = nil
                return proposal
            }
            return seen.insert(proposals).inserted
        }
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
