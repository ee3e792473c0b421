import Credentials

/// Numbers for the peers of connections that take several: `roadwarrior[3]`.
struct PeerInstances {
    private struct Peer: Hashable {
        let connection: String
        let identity: Identity
    }

    private var numbers: [Peer: (number: Int, users: Int)] = [:]
    private var last: [String: Int] = [:]
    /// How many peers with an identity each connection has.
    private var counts: [String: Int] = [:]

    /// Whether the connection can have this peer as well. Who has an IKE SA already can always have another; anonymous
    /// peers are counted elsewhere.
    func hasRoom(for identity: Identity, of connection: String, limit: Int) -> Bool {
        identity == .anonymous || numbers[Peer(connection: connection, identity: identity)] != nil
            || counts[connection, default: 0] < limit
    }

    /// The number of a peer that has one more IKE SA. Of anonymous ones each has its own.
    mutating func enter(_ identity: Identity, of connection: String) -> Int {
        let peer = Peer(connection: connection, identity: identity)
        if let known = numbers[peer] {
            numbers[peer]?.users += 1
            return known.number
        }
        let number = (last[connection] ?? 0) + 1
        last[connection] = number
        if identity != .anonymous {
            numbers[peer] = (number, 1)
            counts[connection, default: 0] += 1
        }
        return number
    }

    /// It has one less.
    mutating func leave(_ identity: Identity, of connection: String) {
        let peer = Peer(connection: connection, identity: identity)
        guard let known = numbers[peer] else { return }
        guard known.users == 1 else {
            numbers[peer]?.users -= 1
            return
        }
        numbers[peer] = nil
        let left = counts[connection, default: 1] - 1
        counts[connection] = left > 0 ? left : nil
    }
}
