/// Octets that wait to be sent: a ring, of which nothing is moved when a part has gone.
package struct OctetQueue: ~Copyable {
    private var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var start = 0
    package private(set) var count = 0

    /// What is kept of its memory while nothing waits.
    private static let restingSize = 512 << 10
    private static let leastSize = 4 << 10

    package init() {}

    deinit { memory.deallocate() }

    package var isEmpty: Bool { count == 0 }
    /// Octets of memory it has now.
    package var capacity: Int { memory.count }

    package mutating func append(_ octets: UnsafeRawBufferPointer) {
        guard let from = octets.baseAddress, !octets.isEmpty else { return }
        reserve(count + octets.count)
        let end = (start + count) & (memory.count - 1)
        let straight = min(octets.count, memory.count - end)
        guard let base = memory.baseAddress else { return }
        (base + end).copyMemory(from: from, byteCount: straight)
        base.copyMemory(from: from + straight, byteCount: octets.count - straight)
        count += octets.count
    }

    package mutating func append(_ octets: [UInt8]) { octets.withUnsafeBytes { append($0) } }

    /// The oldest octets, as many as lie behind each other; none only if there are none.
    package var front: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: memory[start..<start + min(count, memory.count - start)])
    }

    /// Lets the oldest octets go.
    package mutating func consume(_ octets: Int) {
        count -= min(octets, count)
        start = count == 0 ? 0 : (start + octets) & (memory.count - 1)
        guard count == 0, memory.count > Self.restingSize else { return }
        memory.deallocate()
        memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    private mutating func reserve(_ wanted: Int) {
        guard wanted > memory.count else { return }
        var size = max(memory.count, Self.leastSize)
        while size < wanted { size *= 2 }
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
        let straight = front
        if let base = larger.baseAddress, let from = straight.baseAddress, let old = memory.baseAddress {
            base.copyMemory(from: from, byteCount: straight.count)
            (base + straight.count).copyMemory(from: old, byteCount: count - straight.count)
        }
        memory.deallocate()
        memory = larger
        start = 0
    }
}
