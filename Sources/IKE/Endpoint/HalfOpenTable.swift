import IPPacket

/// The SAs that a peer has begun and not yet authenticated: found again by a repeated IKE_SA_INIT, counted for limits.
struct HalfOpenTable {
    struct Key: Hashable {
        let remote: SocketAddress
        let initiatorSPI: UInt64
    }

    private var spis: [Key: UInt64] = [:]
    private var keys: [UInt64: Key] = [:]
    private var perAddress: [IPAddress: Int] = [:]

    var count: Int { spis.count }
    func count(from address: IPAddress) -> Int { perAddress[address] ?? 0 }
    func localSPI(_ key: Key) -> UInt64? { spis[key] }

    mutating func insert(_ key: Key, localSPI: UInt64) {
        spis[key] = localSPI
        keys[localSPI] = key
        perAddress[key.remote.address, default: 0] += 1
    }

    /// Forgets an SA that is half-open no longer.
    mutating func update(_ sa: IKESA) {
        guard !sa.isHalfOpen, let key = keys.removeValue(forKey: sa.localSPI) else { return }
        spis[key] = nil
        let left = (perAddress[key.remote.address] ?? 1) - 1
        perAddress[key.remote.address] = left == 0 ? nil : left
    }
}
