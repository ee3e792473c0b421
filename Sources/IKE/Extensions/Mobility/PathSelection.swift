// RFC 4555: which ways there are between two hosts with several addresses, and which is tried when.
import IKEMessage
import IPPacket
import Octets

extension Mobility {
    /// A request that has been sent this often without an answer is sent by other ways too (RFC 4555 section 3.10).
    private static let patience = 3

    /// The ways between an address of ours and one that the peer has told, best first: to where the peer is now, as long as it
    /// is there. Those that the peer did not accept are left out.
    static func ways(of sa: IKESA) -> [Path] {
        guard let state = sa.slots[Self.self], let connection = sa.connection else { return [] }
        // TCP alone is to be used: its connections are opened anew where addresses change.
        if sa.path.stream != nil, connection.tcp.use == .always { return [sa.path] }
        let current = sa.path.remote
        var remotes =
            state.peerAddresses.isEmpty || state.peerAddresses.contains(current.address) ? [current.address] : []
        remotes += state.peerAddresses.filter { $0 != current.address }
        return remotes.compactMap { remote in
            guard let local = sourceAddress(towards: remote, of: sa) else { return nil }
            let isWhereItIs = local == sa.path.local.address && remote == current.address
            // Another way is tried by UDP first (RFC 9329 section 7.1).
            var way = sa.path.stream == nil || isWhereItIs ? sa.path : TCPEncapsulation.wayByUDP(sa)
            way.local.address = local
            if remote != current.address {
                way.remote = SocketAddress(
                    remote, port: way.usesNATPort ? connection.remoteNATPort : connection.remotePort)
            }
            return state.refused.contains(Ends(way)) ? nil : way
        }
    }

    /// The address of ours that packets to the peer leave from; `nil` if no route leads there.
    private static func sourceAddress(towards remote: IPAddress, of sa: IKESA) -> IPAddress? {
        guard let source = sa.context.configuration.sourceAddress(remote) else { return nil }
        guard let configured = sa.connection?.localAddresses, !configured.isEmpty, !configured.contains(source) else {
            return source
        }
        let usable = usableAddresses(of: sa).filter { $0.family == remote.family }
        return usable.contains(sa.path.local.address) ? sa.path.local.address : usable.first
    }

    /// As the one who decides: goes over to the best way, if that is another than the SA's.
    static func chooseWay(for sa: IKESA) {
        guard sa.slots[Self.self]?.decides ?? false, let best = ways(of: sa).first, !best.hasSameEnds(as: sa.path)
        else { return }
        move(sa, to: best)
    }

    /// As the one who does not decide: goes on from another address of ours if the SA's own is gone, as nothing leaves from
    /// there any more. The peer hears from there what addresses we have, and decides (RFC 4555 section 3.6).
    static func leaveLostAddress(of sa: IKESA) {
        let own = sa.context.ownAddresses
        guard sa.slots[Self.self]?.decides == false, !own.isEmpty, !own.contains(sa.path.local.address),
            let way = ways(of: sa).first(where: { $0.remote == sa.path.remote })
        else { return }
        sa.changePath(to: sa.path.moved(to: way))
        sa.relaunch()
        sa.runNextTask()
    }

    static func wayOfRequest(attempt: Int, of sa: IKESA) -> Path? {
        guard let state = sa.slots[Self.self], sa.isEstablished else { return nil }
        if let check = state.check, let way = wayOfRequest(attempt: attempt, during: check, of: sa) { return way }
        guard attempt >= patience else { return nil }
        let others = ways(of: sa).filter { !$0.hasSameEnds(as: sa.path) }
        guard !others.isEmpty else { return nil }
        // All others in turn, and the SA's own between the last and the first.
        let turn = (attempt - patience) % (others.count + 1)
        return turn < others.count ? others[turn] : nil
    }

    /// Only the one who decides takes anything from the way of a message, and only from an answer by one of the ways it
    /// tries: any other exchange may be the peer's test of a way (RFC 4555 section 3.8).
    static func follow(_ datagram: IKEDatagram, isResponse: Bool, of sa: IKESA) -> Bool {
        guard let state = sa.slots[Self.self], sa.isEstablished else { return false }
        if state.decides, isResponse, sa.established?.isReplaced == false,
            let way = ways(of: sa).first(where: { $0.hasSameEnds(as: datagram.way) })
        {
            sa.tell(.note, "an answer came from \(way.remote) to \(way.local), where the SA's own way seems to be dead")
            move(sa, to: way)
        }
        return true
    }
}
