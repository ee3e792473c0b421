import CLinux
import ESP

/// The memory of one worker's batch: equal slots, and a datagram description for each. Made once.
struct Arena: ~Copyable {
    let capacity: Int
    /// Octets of a slot.
    let slotSize: Int
    private let memory: UnsafeMutableRawBufferPointer
    let datagrams: UnsafeMutableBufferPointer<cygnet_datagram>

    init(capacity: Int, slotSize: Int) {
        self.capacity = capacity
        self.slotSize = (slotSize + 63) & ~63
        memory = .allocate(byteCount: capacity * self.slotSize, alignment: 64)
        datagrams = .allocate(capacity: capacity)
        datagrams.initialize(repeating: cygnet_datagram())
    }

    deinit {
        datagrams.deallocate()
        memory.deallocate()
    }

    @inline(__always)
    func slot(_ index: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: memory[index * slotSize..<(index + 1) * slotSize])
    }
}
