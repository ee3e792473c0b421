import ESP
import IPPacket
import IPsecCrypto
import Testing

/// Packets of a batch in memory of their own.
struct Batch: ~Copyable {
    static let stride = 2048
    let memory: UnsafeMutableRawBufferPointer
    let packets: UnsafeMutableBufferPointer<ReceivedPacket>
    let work: UnsafeMutablePointer<CipherPacket>

    init(_ octets: [[UInt8]]) {
        memory = .allocate(byteCount: octets.count * Self.stride, alignment: 64)
        packets = .allocate(capacity: octets.count)
        work = .allocate(capacity: octets.count)
        for (index, packet) in octets.enumerated() {
            let slot = UnsafeMutableRawBufferPointer(
                rebasing: memory[index * Self.stride..<(index + 1) * Self.stride])
            UnsafeMutableRawBufferPointer(rebasing: slot[64...]).copyBytes(from: packet)
            packets.initializeElement(
                at: index, to: ReceivedPacket(slot, offset: 64, count: packet.count, outer: ReceivedHeader()))
        }
    }

    deinit {
        memory.deallocate()
        packets.deallocate()
        work.deallocate()
    }

    func inner(_ index: Int) -> [UInt8] {
        let result = packets[index].result
        guard result.drop == nil else { return [] }
        return Array(packets[index].buffer[result.offset..<result.offset + result.count])
    }
}

@Suite("Batches of packets of one association")
struct BatchTests {
    @Test(
        "A batch passes on just what its packets would one by one, in any order and with repetitions", arguments: 0..<40
    )
    func opensLikeSingles(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let extended = Bool.random(using: &generator)
        let transform = try #require(Transform.all.randomElement(using: &generator))
        let start: UInt64 = extended ? [0, 4_294_967_250].randomElement(using: &generator) ?? 0 : 0
        var sender = try OutboundSA(transform.parameters(extended: extended), sequence: start)
        var sealed = try (0..<60).map { sender.seal(try InnerPacket.v4(40 + $0 % 50)).octets }
        // Some late, some twice, some damaged.
        for _ in 0..<25 {
            sealed.swapAt(.random(in: 0..<60, using: &generator), .random(in: 0..<60, using: &generator))
        }
        for _ in 0..<10 {
            sealed.insert(
                sealed[.random(in: 0..<60, using: &generator)], at: .random(in: 0..<60, using: &generator))
        }
        for _ in 0..<5 {
            let index = Int.random(in: 0..<60, using: &generator)
            sealed[index][.random(in: 8..<sealed[index].count, using: &generator)] ^= 0x10
        }
        var single = try InboundSA(transform.parameters(left: false, extended: extended), highestSequence: start)
        var many = try InboundSA(transform.parameters(left: false, extended: extended), highestSequence: start)
        let expected = sealed.map { single.open($0) }
        var position = 0
        while position < sealed.count {
            let count = min(.random(in: 1...64, using: &generator), sealed.count - position)
            let batch = Batch(Array(sealed[position..<position + count]))
            many.open(batch.packets, work: batch.work)
            for index in 0..<count {
                #expect(batch.inner(index) == expected[position + index].octets)
                #expect(batch.packets[index].result.isNewest == expected[position + index].result.isNewest)
            }
            position += count
        }
        #expect(many.highestSequence == single.highestSequence)
        #expect(many.counters.packets == single.counters.packets)
        #expect(many.counters.octets == single.counters.octets)
        #expect(many.counters.totalDrops == single.counters.totalDrops)
        #expect(many.counters.totalDrops >= 10)
    }

    @Test("A lifetime of packets ends in the midst of a batch")
    func lifetime() throws {
        let transform = Transform.all[0]
        var parameters = try transform.parameters(left: false)
        parameters.lifetime.hardPackets = 3
        var sender = try OutboundSA(transform.parameters())
        var receiver = try InboundSA(parameters)
        let batch = Batch(try (0..<5).map { _ in sender.seal(try InnerPacket.v4(60)).octets })
        receiver.open(batch.packets, work: batch.work)
        #expect(batch.packets.map(\.result.drop) == [nil, nil, nil, .lifetimeEnded, .lifetimeEnded])
        #expect(batch.packets[2].result.notices.contains(.hardLimit))
    }

    @Test("What is laid out and sealed by batches opens", arguments: Transform.all)
    func seals(transform: Transform) throws {
        var sender = try OutboundSA(transform.parameters())
        var receiver = try InboundSA(transform.parameters(left: false))
        let inner = try (0..<40).map { try InnerPacket.v6(60 + 31 * $0) }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 17, alignment: 64)
        defer { memory.deallocate() }
        let base = try #require(memory.baseAddress)
        var results: [SealResult] = []
        var work: [CipherPacket] = []
        var place = 0
        for packet in inner {
            let offset = place + sender.prefixLength
            (base + offset).copyMemory(from: packet, byteCount: packet.count)
            let result = sender.layOut(memory, offset: offset, count: packet.count)
            #expect(result.offset == place)
            work.append(
                CipherPacket(octets: base + place, count: result.count, sequence: result.sequence))
            results.append(result)
            place += result.count
        }
        work.withUnsafeMutableBufferPointer { work in
            inner.map(\.count).withUnsafeBufferPointer { sender.seal(work, innerCounts: $0.baseAddress!) }
        }
        #expect(!work.contains { !$0.isGood })
        #expect(sender.counters.packets == 40)
        for (index, result) in results.enumerated() {
            let opened = receiver.open(Array(memory[result.offset..<result.offset + result.count]))
            #expect(opened.octets == inner[index])
        }
    }
}
