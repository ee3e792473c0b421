import DequeModule

/// Hands out IKE SPIs: random, never zero, never one that is in use.
package struct SPIAllocator {
    private var used: Set<UInt64> = []

    package init() {}

    /// How many are in use.
    package var count: Int { used.count }

    package mutating func allocate(using random: inout any RandomNumberGenerator) -> UInt64 {
        while true {
            let spi: UInt64 = random.next()
            if spi != 0, used.insert(spi).inserted { return spi }
        }
    }

    package func isInUse(_ spi: UInt64) -> Bool { used.contains(spi) }

    package mutating func release(_ spi: UInt64) { used.remove(spi) }
}

/// Hands out ESP SPIs: a table index in the low 16 bits, so that the packet path needs no search, and a random
/// generation above it, so that a packet for an SA that is gone is not taken for its successor's.
///
/// The index modulo the number of packet workers says which of them has the SA; all get equally many.
/// Values below 256 are reserved (RFC 4303 section 2.1); a generation is never zero.
package struct ChildSPIAllocator {
    package static let capacity = 1 << 16
    private var generations: [UInt16] = []
    private var inUse: [Bool] = []
    private var shares: [Share]

    /// The indices of one worker.
    private struct Share {
        /// The first that has not been used yet.
        var fresh: Int
        // Oldest first, so that an index rests as long as possible before it is used again.
        var free: Deque<UInt16> = []
        var count = 0
    }

    /// - Parameter workers: as the data plane has them.
    package init(workers: Int = 1) { shares = (0..<max(workers, 1)).map { Share(fresh: $0) } }

    /// How many are in use.
    package var count: Int { shares.reduce(0) { $0 + $1.count } }

    /// - Parameter predecessor: the SPI of an SA that is to be replaced, or of another of the same IKE SA: its worker is to have the
    ///   new one as well, so that no packet overtakes another as a flow goes over, and what comes joined from one peer has one worker.
    /// - Returns: `nil` when all indices are taken.
    package mutating func allocate(
        beside predecessor: UInt32? = nil, using random: inout any RandomNumberGenerator
    ) -> UInt32? {
        guard let index = predecessor.flatMap({ takeIndex(of: worker(of: $0)) }) ?? takeAnyIndex() else { return nil }
        return generated(at: index, using: &random)
    }

    private mutating func generated(at index: Int, using random: inout any RandomNumberGenerator) -> UInt32 {
        var generation: UInt16
        repeat { generation = UInt16.random(in: 1...(.max), using: &random) } while generation == generations[index]
        generations[index] = generation
        inUse[index] = true
        return UInt32(generation) << 16 | UInt32(index)
    }

    /// An SPI of a certain worker; `nil` when all of its indices are taken.
    package mutating func allocate(of worker: Int, using random: inout any RandomNumberGenerator) -> UInt32? {
        takeIndex(of: worker % shares.count).map { generated(at: $0, using: &random) }
    }

    /// Which worker has the SA that receives with an SPI.
    package func worker(of spi: UInt32) -> Int { Int(spi & 0xffff) % shares.count }

    private mutating func takeAnyIndex() -> Int? {
        for share in shares.indices.sorted(by: { shares[$0].count < shares[$1].count }) {
            if let index = takeIndex(of: share) { return index }
        }
        return nil
    }

    private mutating func takeIndex(of share: Int) -> Int? {
        let index: Int
        if shares[share].fresh < Self.capacity, shares[share].free.count < 64 {
            index = shares[share].fresh
            shares[share].fresh += shares.count
            while generations.count <= index {
                generations.append(0)
                inUse.append(false)
            }
        } else if let rested = shares[share].free.popFirst() {
            index = Int(rested)
        } else {
            return nil
        }
        shares[share].count += 1
        return index
    }

    package func isInUse(_ spi: UInt32) -> Bool {
        let index = Int(spi & 0xffff)
        return index < inUse.count && inUse[index] && generations[index] == UInt16(spi >> 16)
    }

    package mutating func release(_ spi: UInt32) {
        guard isInUse(spi) else { return }
        let index = Int(spi & 0xffff)
        inUse[index] = false
        shares[index % shares.count].count -= 1
        shares[index % shares.count].free.append(UInt16(index))
    }
}
