import ESP
import IPPacket
import IPsecCrypto
import Lab

/// Memory with a few packets, that are sealed and opened in it as the data plane does.
struct PacketSlots: ~Copyable {
    /// Packets of one size.
    let count: Int
    private let size: Int
    private let stride: Int
    private let memory: UnsafeMutableRawBufferPointer
    private let work: UnsafeMutablePointer<CipherPacket>
    private let innerCounts: UnsafeMutablePointer<Int>
    private let received: UnsafeMutablePointer<ReceivedPacket>

    /// Packets that are sealed or opened at once; a super-packet makes about as many.
    static let burst = 64

    static func stride(_ size: Int) -> Int { (OutboundSA.headroom + size + OutboundSA.tailroom + 63) / 64 * 64 }

    /// Enough to make the clock's cost small, few enough to stay in the cache nearest to the processor or the next.
    static func count(_ size: Int) -> Int { min(max(65536 / stride(size), 16), 256) }

    /// - Parameter size: octets of each inner packet.
    init(size: Int) { self.init(size: size, count: Self.count(size)) }

    init(size: Int, count: Int) {
        self.size = size
        self.count = count
        stride = Self.stride(size)
        memory = .allocate(byteCount: stride * count, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0x5a)
        work = .allocate(capacity: count)
        innerCounts = .allocate(capacity: count)
        received = .allocate(capacity: count)
        for index in 0..<count { writePacket(at: index * stride + OutboundSA.headroom) }
    }

    deinit {
        memory.deallocate()
        work.deallocate()
        innerCounts.deallocate()
        received.deallocate()
    }

    /// An IPv4 packet of UDP from one network to the other.
    private func writePacket(at offset: Int) {
        let header: [UInt8] = [
            0x45, 0, UInt8(size >> 8), UInt8(size & 0xff), 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 1, 0, 2, 10, 2, 0, 2,
            0x30, 0x39, 0x30, 0x39, UInt8((size - 20) >> 8), UInt8((size - 20) & 0xff), 0, 0,
        ]
        let packet = UnsafeMutableRawBufferPointer(rebasing: memory[offset..<offset + size])
        packet.copyBytes(from: header)
        let checksum = InternetChecksum.checksum(of: UnsafeRawBufferPointer(rebasing: packet[..<20]))
        packet[10] = UInt8(checksum >> 8)
        packet[11] = UInt8(checksum & 0xff)
    }

    private func slot(_ index: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: memory[index * stride..<(index + 1) * stride])
    }

    private func check(_ good: Int) throws {
        guard good == count else { throw LabError("\(count - good) of \(count) packets did not come through") }
    }

    /// Seals all packets.
    func seal(with sa: inout OutboundSA) throws {
        var good = 0
        for start in Swift.stride(from: 0, to: count, by: Self.burst) {
            let end = min(start + Self.burst, count)
            for index in start..<end {
                let slot = slot(index)
                let result = sa.layOut(slot, offset: OutboundSA.headroom, count: size)
                guard result.drop == nil, let base = slot.baseAddress else { continue }
                (work + index).initialize(
                    to: CipherPacket(octets: base + result.offset, count: result.count, sequence: result.sequence))
                innerCounts[index] = size
            }
            let packets = UnsafeMutableBufferPointer(start: work + start, count: end - start)
            sa.seal(packets, innerCounts: innerCounts + start)
            for packet in packets where packet.isGood { good &+= 1 }
        }
        try check(good)
    }

    /// Opens all packets that ``seal(with:)`` has sealed.
    func open(with sa: inout InboundSA) throws {
        var good = 0
        for start in Swift.stride(from: 0, to: count, by: Self.burst) {
            let end = min(start + Self.burst, count)
            for index in start..<end {
                let slot = slot(index)
                guard let base = slot.baseAddress else { continue }
                (received + index).initialize(
                    to: ReceivedPacket(
                        slot, offset: work[index].octets - base, count: work[index].count, outer: ReceivedHeader()))
            }
            let packets = UnsafeMutableBufferPointer(start: received + start, count: end - start)
            sa.open(packets, work: work + start)
            for packet in packets where packet.result.drop == nil && packet.result.count == size { good &+= 1 }
        }
        try check(good)
    }

    /// Gives the packets the numbers after this one, for a cipher without an SA.
    func layOut(from sequence: UInt64) {
        for index in 0..<count {
            let number = sequence + UInt64(index) + 1
            work[index].octets.storeBytes(
                of: UInt32(truncatingIfNeeded: number).bigEndian, toByteOffset: 4, as: UInt32.self)
            work[index].sequence = number
        }
    }

    func inBursts(_ body: (UnsafeMutableBufferPointer<CipherPacket>) -> Void) throws {
        var good = 0
        for start in Swift.stride(from: 0, to: count, by: Self.burst) {
            let packets = UnsafeMutableBufferPointer(start: work + start, count: min(Self.burst, count - start))
            body(packets)
            for packet in packets where packet.isGood { good &+= 1 }
        }
        try check(good)
    }
}
