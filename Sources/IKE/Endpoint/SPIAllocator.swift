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
/// Values below 256 are reserved (RFC 4303 section 2.1); a generation is never zero.
package struct ChildSPIAllocator {
    package static let capacity = 1 << 16
    private var generations: [UInt16] = []
    private var inUse: [Bool] = []
    // Oldest first, so that an index rests as long as possible before it is used again.
    private var free: [UInt16] = []
    private var freeHead = 0

    package init() {}

    /// How many are in use.
    package private(set) var count = 0

    /// `nil` when all indices are taken.
    package mutating func allocate(using random: inout any RandomNumberGenerator) -> UInt32? {
        let index: Int
        if generations.count < Self.capacity, free.count - freeHead < 64 {
            index = generations.count
            generations.append(0)
            inUse.append(false)
        } else if freeHead < free.count {
            index = Int(free[freeHead])
            freeHead += 1
            if freeHead > 1024 {
                free.removeFirst(freeHead)
                freeHead = 0
            }
        } else {
            return nil
        }
        var generation: UInt16
        repeat { generation = UInt16.random(in: 1...(.max), using: &random) } while generation == generations[index]
        generations[index] = generation
        inUse[index] = true
        count += 1
        return UInt32(generation) << 16 | UInt32(index)
    }

    package func isInUse(_ spi: UInt32) -> Bool {
        let index = Int(spi & 0xffff)
        return index < inUse.count && inUse[index] && generations[index] == UInt16(spi >> 16)
    }

    package mutating func release(_ spi: UInt32) {
        let index = Int(spi & 0xffff)
        guard index < inUse.count, inUse[index], generations[index] == UInt16(spi >> 16) else { return }
        inUse[index] = false
        count -= 1
        free.append(UInt16(index))
    }
}
