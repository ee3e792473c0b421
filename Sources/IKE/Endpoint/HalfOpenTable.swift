import IPPacket
import Octets

/// The SAs that a peer has begun and not yet authenticated, and those of them that have been refused and stay to repeat
/// the answer: found again by a repeated IKE_SA_INIT, counted for limits.
struct HalfOpenTable {
    struct Key: Hashable {
        let remote: SocketAddress
        let initiatorSPI: UInt64
    }

    private var spis: [Key: UInt64] = [:]
    private var keys: [UInt64: Key] = [:]
    private var perSource: [IPAddress: Int] = [:]
    private var perNetwork: [IPAddress: Int] = [:]

    var count: Int { spis.count }
    func localSPI(_ key: Key) -> UInt64? { spis[key] }

    /// Those from one source: an IPv4 address, or the 64 bits of an IPv6 address that belong to one customer (RFC 8019
    /// section 4.2).
    func count(fromSourceOf address: IPAddress) -> Int { perSource[Self.source(of: address)] ?? 0 }

    /// Those from one neighbourhood: 24 bits of an IPv4 address, 48 bits of an IPv6 address.
    func count(fromNetworkOf address: IPAddress) -> Int { perNetwork[Self.network(of: address)] ?? 0 }

    static func source(of address: IPAddress) -> IPAddress {
        address.family == .v4 ? address : IPAddress(v6: (address.value >> 64) << 64)
    }

    private static func network(of address: IPAddress) -> IPAddress {
        address.family == .v4
            ? IPAddress(v4: UInt32(truncatingIfNeeded: address.value) & 0xffff_ff00)
            : IPAddress(v6: (address.value >> 80) << 80)
    }

    mutating func insert(_ key: Key, localSPI: UInt64) {
        spis[key] = localSPI
        keys[localSPI] = key
        perSource[Self.source(of: key.remote.address), default: 0] += 1
        perNetwork[Self.network(of: key.remote.address), default: 0] += 1
    }

    /// Forgets an SA that is half-open no longer, if it ever was.
    mutating func remove(localSPI: UInt64) {
        guard let key = keys.removeValue(forKey: localSPI) else { return }
        spis[key] = nil
        Self.decrease(&perSource, Self.source(of: key.remote.address))
        Self.decrease(&perNetwork, Self.network(of: key.remote.address))
    }

    private static func decrease(_ counts: inout [IPAddress: Int], _ address: IPAddress) {
        let left = (counts[address] ?? 1) - 1
        counts[address] = left > 0 ? left : nil
    }
}

/// First messages that were refused at once, so that nothing of them is in ``HalfOpenTable``: counted by their sources, as there, for a
/// while.
struct RefusalTable {
    private static let window: Duration = .seconds(10)
    /// More sources than can be in a window without cookies.
    private static let sourceLimit = 4096

    private var began: Instant = .origin
    private var perSource: [IPAddress: Int] = [:]

    func count(fromSourceOf address: IPAddress, at now: Instant) -> Int {
        now - began < Self.window ? perSource[HalfOpenTable.source(of: address)] ?? 0 : 0
    }

    mutating func insert(_ address: IPAddress, at now: Instant) {
        if now - began >= Self.window {
            began = now
            perSource.removeAll(keepingCapacity: true)
        }
        let source = HalfOpenTable.source(of: address)
        guard perSource[source] != nil || perSource.count < Self.sourceLimit else { return }
        perSource[source, default: 0] += 1
    }
}
