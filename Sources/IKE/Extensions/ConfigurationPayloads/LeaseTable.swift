import Credentials
import IPPacket
import Octets

/// Which peer has which address of a pool.
///
/// A peer that comes back gets the address it had, for as long as nobody else has had to be given it: the pool goes round its
/// addresses, and takes those that have been unused for the longest time when there are no fresh ones.
struct LeaseTable {
    /// Whom an address is kept for.
    enum Holder: Hashable {
        case identity(Identity)
        /// A peer without an identity: the address is given back when its IKE SA ends.
        case association(UInt64)
    }

    struct Lease {
        let address: IPAddress
        /// IKE SAs that have it, by our SPI: two while one takes the other's place.
        var owners: Set<UInt64>
        var since: Instant
    }

    /// What one pool has of one family.
    private struct Book {
        var leases: [Holder: Lease] = [:]
        var holders: [IPAddress: Holder] = [:]
        /// How many of the pool's addresses have been gone through.
        var cursor: UInt128 = 0

        mutating func remove(_ holder: Holder) {
            guard let lease = leases.removeValue(forKey: holder) else { return }
            holders[lease.address] = nil
        }
    }

    private struct Key: Hashable {
        let pool: String
        let family: IPFamily
    }

    /// Leases that are kept for each pool and family, however large it is.
    static let limit = 1 << 16
    private var books: [Key: Book] = [:]

    /// Gives `holder` an address.
    ///
    /// - Parameters:
    ///   - wanted: what the peer would like to have.
    ///   - owner: our SPI of the IKE SA that will have it.
    ///   - isLive: whether an IKE SA is still there.
    /// - Returns: `nil` if all are in use.
    mutating func assign(
        from pool: AddressPool, _ family: IPFamily, to holder: Holder, wanted: IPAddress?, owner: UInt64,
        at now: Instant,
        isLive: (UInt64) -> Bool
    ) -> IPAddress? {
        let key = Key(pool: pool.name, family: family)
        var book = books[key] ?? Book()
        defer { books[key] = book }
        if var known = book.leases[holder] {
            if pool.contains(known.address) {
                known.owners = known.owners.filter(isLive).union([owner])
                known.since = now
                book.leases[holder] = known
                return known.address
            }
            // The pool is another than it was.
            book.remove(holder)
        }
        guard let address = free(of: pool, family, wanted: wanted, in: &book, isLive: isLive) else { return nil }
        book.leases[holder] = Lease(address: address, owners: [owner], since: now)
        book.holders[address] = holder
        return address
    }

    private func free(
        of pool: AddressPool, _ family: IPFamily, wanted: IPAddress?, in book: inout Book, isLive: (UInt64) -> Bool
    ) -> IPAddress? {
        let hasRoom = book.leases.count < Self.limit
        if hasRoom, let wanted, wanted.family == family, pool.contains(wanted), book.holders[wanted] == nil {
            return wanted
        }
        while hasRoom, let next = pool.address(number: book.cursor, family) {
            book.cursor += 1
            if book.holders[next] == nil { return next }
        }
        // The addresses of peers without an identity are given back, so that the cursor has passed some that are free.
        if hasRoom, UInt128(book.leases.count) < pool.count(family) {
            var number: UInt128 = 0
            while let next = pool.address(number: number, family) {
                if book.holders[next] == nil { return next }
                number += 1
            }
        }
        let unused = book.leases.filter { !$0.value.owners.contains(where: isLive) }
        guard let oldest = unused.min(by: { ($0.value.since, $0.value.address) < ($1.value.since, $1.value.address) })
        else {
            return nil
        }
        book.remove(oldest.key)
        guard !pool.contains(oldest.value.address) else { return oldest.value.address }
        // What is left of an earlier form of the pool only takes room.
        return free(of: pool, family, wanted: wanted, in: &book, isLive: isLive)
    }

    /// A rekey has made `new` of the IKE SA `old`.
    mutating func handOver(_ holder: Holder, from old: UInt64, to new: UInt64) {
        for key in books.keys where books[key]?.leases[holder]?.owners.remove(old) != nil {
            books[key]?.leases[holder]?.owners.insert(new)
        }
    }

    /// An IKE SA has ended.
    mutating func release(_ holder: Holder, by owner: UInt64, at now: Instant, isLive: (UInt64) -> Bool) {
        for key in books.keys {
            guard var lease = books[key]?.leases[holder], lease.owners.remove(owner) != nil else { continue }
            lease.owners = lease.owners.filter(isLive)
            lease.since = now
            books[key]?.leases[holder] = lease
            if case .association = holder, lease.owners.isEmpty { books[key]?.remove(holder) }
        }
    }

    /// All leases, by pool and address.
    func leases(isLive: (UInt64) -> Bool) -> [AddressLease] {
        books.flatMap { key, book in
            book.leases.map { holder, lease in
                var identity: String?
                if case .identity(let known) = holder { identity = known.description }
                return AddressLease(
                    pool: key.pool, address: lease.address, identity: identity,
                    isOnline: lease.owners.contains(where: isLive), since: lease.since)
            }
        }.sorted { ($0.pool, $0.address) < ($1.pool, $1.address) }
    }
}

extension AddressPool {
    /// How many addresses of a family it has; held at the largest number.
    func count(_ family: IPFamily) -> UInt128 {
        ranges.filter { $0.first.family == family }.reduce(0) { sum, range in
            let (next, overflow) = sum.addingReportingOverflow(range.count)
            return overflow ? .max : next
        }
    }

    /// The pool's address of a family at a place, counted from 0; `nil` past the end.
    func address(number: UInt128, _ family: IPFamily) -> IPAddress? {
        var number = number
        for range in ranges where range.first.family == family {
            let count = range.count
            if number < count { return IPAddress(family, range.first.value + number) }
            number -= count
        }
        return nil
    }
}
