import ESP
import Foundation
import IPsecCrypto
import Octets
import Testing

/// An association's part that other threads may have, one at a time.
private final class Sender: @unchecked Sendable {
    var sa: OutboundSA
    init(_ sa: consuming OutboundSA) { self.sa = sa }
}

// draft-ponchon-ipsecme-anti-replay-subspaces
@Suite("Sequence number subspaces")
struct AntiReplaySubspaceTests {
    private static let inner = (try? InnerPacket.v4(60)) ?? []

    private static func parameters(
        _ transform: Transform = Transform.all[1], left: Bool = true, count: Int = 4, window: Int = 64
    ) throws -> SAParameters {
        var parameters = try transform.parameters(left: left)
        parameters.subspaces = count
        parameters.replayWindow = window
        return parameters
    }

    private static func receiver(_ parameters: SAParameters) throws -> InboundSA {
        var receivers = try SubspaceReceivers(parameters, parts: 1)
        return try receivers.make()
    }

    private static func subspace(_ packet: [UInt8], _ id: UInt16) -> [UInt8] {
        packet[0..<4] + id.bigEndianOctets + packet[6...]
    }

    private static func isRefused(_ make: () throws(CryptoError) -> Void) -> Bool {
        do { try make() } catch { return true }
        return false
    }

    // MARK: Layout

    @Test(
        "A number is an ID of 16 bits and a counter of 48, and back",
        arguments: [
            (UInt16(0), UInt64(1), UInt64(1)), (3, 1, 0x0003_0000_0000_0001), (65535, 1 << 48 - 1, .max),
        ])
    func number(_ id: UInt16, _ counter: UInt64, _ whole: UInt64) {
        let number = SubspaceNumber(subspace: id, counter: counter)
        #expect(number.rawValue == whole)
        #expect(number.subspace == id && number.counter == counter)
        let packet: [UInt8] = [9, 9, 9, 9] + whole.bigEndianOctets
        #expect(packet.withUnsafeBytes { SubspaceNumber(packet: $0) } == number)
        #expect(packet.dropLast().withUnsafeBytes { SubspaceNumber(packet: $0) } == nil)
    }

    @Test("The first packet of subspace 3 has SPI, 0003 and 000000000001 in front of the IV", arguments: Transform.all)
    func header(transform: Transform) throws {
        var senders = try SubspaceSenders(Self.parameters(transform))
        for _ in 0..<3 { _ = try senders.make() }
        var sender = try senders.make()
        let sealed = sender.seal(Self.inner)
        #expect(Array(sealed.octets.prefix(12)) == [0xc0, 0xde, 0, 1, 0, 3, 0, 0, 0, 0, 0, 1])
        #expect(sealed.result.sequence == 0x0003_0000_0000_0001)
        if transform.integrity == nil, transform.encryption.ivLength == 8 {
            #expect(sealed.octets[12..<20].elementsEqual(sealed.octets[4..<12]))
        }
        var receiver = try Self.receiver(Self.parameters(transform, left: false))
        #expect(receiver.open(sealed.octets).octets == Self.inner)
        #expect(receiver.subspaceReports == [SubspaceReport(id: 3, highest: 1, packets: 1)])
    }

    @Test("Four octets more leave that much less for the inner packet", arguments: Transform.all)
    func overhead(transform: Transform) throws {
        var senders = try SubspaceSenders(Self.parameters(transform))
        var divided = try senders.make()
        var plain = try OutboundSA(transform.parameters())
        #expect(divided.prefixLength == plain.prefixLength + 4)
        #expect(divided.seal(Self.inner).octets.count == plain.seal(Self.inner).octets.count + 4)
        #expect(divided.overhead.outerSize(inner: 60) == plain.overhead.outerSize(inner: 60) + 4)
        let largest = divided.maximumSize(outerMTU: 1500, front: 20)
        #expect(divided.overhead.outerSize(inner: largest) <= 1500)
        divided.move(outer: .v6, encapsulation: .udp)
        plain.move(outer: .v6, encapsulation: .udp)
        #expect(divided.overhead.fixed == plain.overhead.fixed + 4)
    }

    @Test("Batches are sealed and opened as single packets are", arguments: Transform.all)
    func batches(transform: Transform) throws {
        var senders = try SubspaceSenders(Self.parameters(transform, count: 2))
        var first = try senders.make()
        var second = try senders.make()
        var packets: [[UInt8]] = []
        for index in 0..<40 {
            let inner = try InnerPacket.v4(60 + index)
            packets.append(index % 3 == 0 ? first.seal(inner).octets : second.seal(inner).octets)
        }
        packets.insert(packets[7], at: 20)
        packets[30][5] ^= 1
        packets[33][packets[33].count - 1] ^= 1
        packets[35][4] ^= 1
        var single = try Self.receiver(Self.parameters(transform, left: false, count: 2))
        var many = try Self.receiver(Self.parameters(transform, left: false, count: 2))
        let expected = packets.map { single.open($0) }
        let batch = Batch(packets)
        many.open(batch.packets, work: batch.work)
        for index in packets.indices {
            #expect(batch.packets[index].result.drop == expected[index].result.drop)
            #expect(batch.inner(index) == expected[index].octets)
            #expect(batch.packets[index].result.isNewest == expected[index].result.isNewest)
        }
        #expect(expected[20].result.drop == .replayed)
        #expect(expected[30].result.drop == .notAuthentic)
        #expect(expected[33].result.drop == .notAuthentic)
        #expect(expected[35].result.drop == .subspaceOutOfRange)
        #expect(many.counters == single.counters)
        #expect(many.subspaceReports == single.subspaceReports)
    }

    @Test("Laid out and sealed by one call, what was laid out opens", arguments: Transform.all)
    func layOut(transform: Transform) throws {
        var senders = try SubspaceSenders(Self.parameters(transform))
        _ = try senders.make()
        var sender = try senders.make()
        var receiver = try Self.receiver(Self.parameters(transform, left: false))
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 14, alignment: 64)
        defer { memory.deallocate() }
        let base = try #require(memory.baseAddress)
        var work: [CipherPacket] = []
        var place = 0
        for _ in 0..<40 {
            let offset = place + sender.prefixLength
            (base + offset).copyMemory(from: Self.inner, byteCount: Self.inner.count)
            let result = sender.layOut(memory, offset: offset, count: Self.inner.count)
            work.append(CipherPacket(octets: base + place, count: result.count, sequence: result.sequence))
            place += result.count
        }
        let counts = [Int](repeating: Self.inner.count, count: 40)
        work.withUnsafeMutableBufferPointer { work in
            counts.withUnsafeBufferPointer { if let base = $0.baseAddress { sender.seal(work, innerCounts: base) } }
        }
        for packet in work {
            #expect(packet.isGood)
            let octets = Array(UnsafeRawBufferPointer(start: packet.octets, count: packet.count))
            #expect(receiver.open(octets).octets == Self.inner)
        }
        #expect(receiver.subspaceReports == [SubspaceReport(id: 1, highest: 40, packets: 40)])
    }

    // MARK: Receiving

    @Test(
        "The same packet differs between subspaces, and moved to another it is not authentic", arguments: Transform.all)
    func moved(transform: Transform) throws {
        var senders = try SubspaceSenders(Self.parameters(transform))
        var first = try senders.make()
        var second = try senders.make()
        let packets = [first.seal(Self.inner).octets, second.seal(Self.inner).octets]
        if transform.encryption != .null, !transform.encryption.leavesPayloadReadable {
            #expect(
                packets[0].dropFirst(12 + transform.encryption.ivLength).prefix(60)
                    != packets[1].dropFirst(12 + transform.encryption.ivLength).prefix(60))
        }
        var receiver = try Self.receiver(Self.parameters(transform, left: false))
        #expect(receiver.open(Self.subspace(packets[0], 1)).result.drop == .notAuthentic)
        #expect(receiver.open(Self.subspace(packets[1], 0)).result.drop == .notAuthentic)
        for packet in packets { #expect(receiver.open(packet).result.drop == nil) }
    }

    @Test("One subspace may be a million packets ahead of another and nothing is late; in one the same is")
    func skew() throws {
        let parameters = try Self.parameters()
        var near = try SubspaceSenders(parameters)
        var far = try SubspaceSenders(parameters, counter: 1_000_000)
        var slow = try near.make()
        _ = try far.make()
        var fast = try far.make()
        var receiver = try Self.receiver(Self.parameters(left: false))
        for _ in 0..<200 {
            #expect(receiver.open(fast.seal(Self.inner).octets).result.drop == nil)
            #expect(receiver.open(slow.seal(Self.inner).octets).result.drop == nil)
        }
        #expect(receiver.counters.totalDrops == 0)
        var ahead = try OutboundSA(Transform.all[1].parameters(), sequence: 1_000_000)
        var behind = try OutboundSA(Transform.all[1].parameters())
        var plain = try InboundSA(Transform.all[1].parameters(left: false))
        #expect(plain.open(ahead.seal(Self.inner).octets).result.drop == nil)
        #expect(plain.open(behind.seal(Self.inner).octets).result.drop != nil)
    }

    @Test("A replay is caught in each subspace, and the same counter in two is accepted once each")
    func replays() throws {
        var senders = try SubspaceSenders(Self.parameters())
        var packets: [[UInt8]] = []
        for _ in 0..<4 {
            var sender = try senders.make()
            packets.append(sender.seal(Self.inner).octets)
        }
        var receiver = try Self.receiver(Self.parameters(left: false))
        for packet in packets { #expect(receiver.open(packet).result.drop == nil) }
        for packet in packets { #expect(receiver.open(packet).result.drop == .replayed) }
        #expect(receiver.counters[.replayed] == 4)
        #expect(
            receiver.subspaceReports
                == (0..<4).map { SubspaceReport(id: $0, highest: 1, packets: 1, replays: 1) })
    }

    @Test("Packets of a subspace may come in any order within its window, and behind it they are stale")
    func window() throws {
        var senders = try SubspaceSenders(Self.parameters())
        var sender = try senders.make()
        let packets = (0..<65).map { _ in sender.seal(Self.inner).octets }
        var receiver = try Self.receiver(Self.parameters(left: false))
        for packet in packets.reversed().dropLast() { #expect(receiver.open(packet).result.drop == nil) }
        #expect(receiver.open(packets[0]).result.drop == .stale)
    }

    @Test("The last ID is taken, the next one dropped and counted by itself")
    func range() throws {
        var few = try SubspaceSenders(Self.parameters(count: 4))
        var many = try SubspaceSenders(Self.parameters(count: 5))
        for _ in 0..<3 { _ = try few.make() }
        for _ in 0..<4 { _ = try many.make() }
        var last = try few.make()
        var beyond = try many.make()
        var receiver = try Self.receiver(Self.parameters(left: false, count: 4))
        #expect(receiver.open(last.seal(Self.inner).octets).result.drop == nil)
        #expect(receiver.open(beyond.seal(Self.inner).octets).result.drop == .subspaceOutOfRange)
        #expect(receiver.counters[.subspaceOutOfRange] == 1)
        #expect(receiver.counters.totalDrops == 1)
    }

    @Test("Forged first packets of all subspaces make no window, and authentic ones one each")
    func forged() throws {
        var senders = try SubspaceSenders(Self.parameters(count: 256))
        var receiver = try Self.receiver(Self.parameters(left: false, count: 256))
        var good: [[UInt8]] = []
        for _ in 0..<256 {
            var sender = try senders.make()
            good.append(sender.seal(Self.inner).octets)
        }
        for packet in good {
            var forged = packet
            forged[forged.count - 1] ^= 1
            #expect(receiver.open(forged).result.drop == .notAuthentic)
        }
        #expect(receiver.subspaceReports.isEmpty)
        #expect(receiver.counters[.notAuthentic] == 256)
        for packet in good { #expect(receiver.open(packet).result.drop == nil) }
        #expect(receiver.subspaceReports.count == 256)
    }

    @Test("A counter of 0 is none that a sender uses, and a forged high one does not move the window")
    func counters() throws {
        var senders = try SubspaceSenders(Self.parameters())
        var sender = try senders.make()
        let packet = sender.seal(Self.inner).octets
        var receiver = try Self.receiver(Self.parameters(left: false))
        let zero = packet[0..<4] + [UInt8](repeating: 0, count: 8) + packet[12...]
        #expect(receiver.open(Array(zero)).result.drop == .stale)
        let high = packet[0..<6] + [UInt8](repeating: 0xff, count: 6) + packet[12...]
        #expect(receiver.open(Array(high)).result.drop == .notAuthentic)
        #expect(receiver.open(packet).result.drop == nil)
    }

    @Test("What is too short is malformed, at every length", arguments: Transform.all)
    func short(transform: Transform) throws {
        var senders = try SubspaceSenders(Self.parameters(transform))
        var sender = try senders.make()
        let packet = sender.seal(Self.inner).octets
        var receiver = try Self.receiver(Self.parameters(transform, left: false))
        let least =
            12 + transform.encryption.ivLength + (transform.integrity?.icvLength ?? transform.encryption.icvLength)
        for count in 0..<least + 2 {
            #expect(receiver.open(Array(packet.prefix(count))).result.drop == .malformedESP)
        }
        for count in least + 2..<packet.count {
            #expect(receiver.open(Array(packet.prefix(count))).result.drop != nil)
        }
        #expect(receiver.open(packet).result.drop == nil)
    }

    @Test(
        "Ends of which one has subspaces and the other has none do not understand each other", arguments: Transform.all)
    func disagreement(transform: Transform) throws {
        var senders = try SubspaceSenders(Self.parameters(transform))
        var divided = try senders.make()
        var plain = try OutboundSA(transform.parameters())
        var taking = try InboundSA(transform.parameters(left: false))
        var takingDivided = try Self.receiver(Self.parameters(transform, left: false))
        #expect(taking.open(divided.seal(Self.inner).octets).result.drop != nil)
        #expect(takingDivided.open(plain.seal(Self.inner).octets).result.drop != nil)
    }

    @Test("Of several parts each takes its own IDs, and none another's")
    func parts() throws {
        var receivers = try SubspaceReceivers(Self.parameters(left: false, count: 5), parts: 2)
        var even = try receivers.make()
        var odd = try receivers.make()
        let isRefused = Self.isRefused { () throws(CryptoError) in _ = try receivers.make() }
        #expect(isRefused)
        var senders = try SubspaceSenders(Self.parameters(count: 5))
        for id in 0..<5 {
            var sender = try senders.make()
            let packet = sender.seal(Self.inner).octets
            #expect(even.open(packet).result.drop == (id % 2 == 0 ? nil : .subspaceOutOfRange))
            #expect(odd.open(packet).result.drop == (id % 2 == 1 ? nil : .subspaceOutOfRange))
        }
        #expect(even.subspaceReports.map(\.id) == [0, 2, 4])
        #expect(odd.subspaceReports.map(\.id) == [1, 3])
    }

    @Test("The first packet of all parts is told of once")
    func firstPacket() throws {
        var receivers = try SubspaceReceivers(Self.parameters(left: false), parts: 2)
        var even = try receivers.make()
        var odd = try receivers.make()
        var senders = try SubspaceSenders(Self.parameters())
        var zero = try senders.make()
        var one = try senders.make()
        #expect(odd.open(one.seal(Self.inner).octets).result.notices == .firstPacket)
        #expect(even.open(zero.seal(Self.inner).octets).result.notices.isEmpty)
    }

    // MARK: Sending

    @Test("An ID is given out once, and no more of them than there are")
    func exclusive() throws {
        var senders = try SubspaceSenders(Self.parameters(count: 3))
        var ids: [UInt16?] = []
        for _ in 0..<3 {
            let sender = try senders.make()
            ids.append(sender.subspaceReport?.id)
        }
        #expect(ids == [0, 1, 2])
        let isRefused = Self.isRefused { () throws(CryptoError) in _ = try senders.make() }
        #expect(isRefused)
    }

    @Test("Subspaces need extended numbers, are 1 to 65536, and their parts are made in no other way")
    func bounds() throws {
        for count in [0, 65537, -1] {
            #expect(throws: CryptoError.self) { _ = try SubspaceSenders(Self.parameters(count: count)) }
        }
        var short = try Self.parameters()
        short.extendedSequenceNumbers = false
        #expect(throws: CryptoError.self) { _ = try SubspaceReceivers(short, parts: 1) }
        #expect(throws: CryptoError.self) { _ = try SubspaceSenders(Transform.all[0].parameters()) }
        #expect(throws: CryptoError.self) { _ = try OutboundSA(Self.parameters()) }
        #expect(throws: CryptoError.self) { _ = try InboundSA(Self.parameters()) }
        _ = try SubspaceSenders(Self.parameters(count: 65536))
    }

    @Test("The last packet of a subspace has the counter 2^48 - 1, then it is over, and others go on")
    func hardStop() throws {
        var senders = try SubspaceSenders(Self.parameters(), counter: 1 << 48 - 2)
        var sender = try senders.make()
        var other = try senders.make()
        var receiver = try Self.receiver(Self.parameters(left: false))
        let last = sender.seal(Self.inner)
        #expect(Array(last.octets[4..<12]) == [0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
        #expect(last.result.notices == [.softLimit, .hardLimit])
        #expect(receiver.open(last.octets).result.drop == nil)
        for _ in 0..<3 { #expect(sender.seal(Self.inner).result.drop == .sequenceExhausted) }
        #expect(sender.counters[.sequenceExhausted] == 3)
        let more = other.seal(Self.inner)
        #expect(more.result.drop == nil)
        #expect(Array(more.octets[4..<6]) == [0, 1])
    }

    @Test("A new association is asked for at 2^47 of any subspace, once")
    func softLimit() throws {
        var senders = try SubspaceSenders(Self.parameters(), counter: 1 << 47 - 2)
        var sender = try senders.make()
        var other = try senders.make()
        #expect(sender.seal(Self.inner).result.notices.isEmpty)
        #expect(sender.seal(Self.inner).result.notices == .softLimit)
        #expect(sender.seal(Self.inner).result.notices.isEmpty)
        for _ in 0..<4 { #expect(other.seal(Self.inner).result.notices.isEmpty) }
    }

    @Test("Limits of packets and octets count all subspaces, are told once, and end all")
    func lifetimes() throws {
        for isOctets in [false, true] {
            var parameters = try Self.parameters()
            let each: UInt64 = isOctets ? 64 : 1
            let (soft, hard) = (60 * each, 100 * each)
            parameters.lifetime =
                isOctets
                ? SALifetime(softOctets: soft, hardOctets: hard) : SALifetime(softPackets: soft, hardPackets: hard)
            var receiving = try Self.parameters(left: false)
            receiving.lifetime = parameters.lifetime
            var senders = try SubspaceSenders(parameters)
            var receivers = try SubspaceReceivers(receiving, parts: 2)
            var first = try senders.make()
            var second = try senders.make()
            var even = try receivers.make()
            var odd = try receivers.make()
            var told: [(Int, SANotices)] = []
            var passed = 0
            for number in 1...120 {
                let isFirst = number % 2 == 0
                let sealed = isFirst ? first.seal(Self.inner) : second.seal(Self.inner)
                if !sealed.result.notices.isEmpty { told.append((number, sealed.result.notices)) }
                guard sealed.result.drop == nil else {
                    #expect(sealed.result.drop == .lifetimeEnded)
                    continue
                }
                passed += 1
                let opened = isFirst ? even.open(sealed.octets) : odd.open(sealed.octets)
                #expect(opened.result.drop == nil || number >= 98)
            }
            // A share is taken before it is used; what is left of one may be less than the packet that ends it.
            #expect((98...(isOctets ? 101 : 100)).contains(passed))
            #expect(told.map(\.1) == [.softLimit, .hardLimit])
            #expect((58...60).contains(told.first?.0 ?? 0))
            #expect((97...101).contains(told.last?.0 ?? 0))
            var sum = first.counters
            sum += second.counters
            #expect(sum.packets == UInt64(passed))
        }
    }

    @Test("Four threads that share nothing never give a number twice")
    func threads() throws {
        let each = 100_000
        var senders = try SubspaceSenders(Self.parameters(Transform.all[0]))
        var parts: [Sender] = []
        for _ in 0..<4 { parts.append(Sender(try senders.make())) }
        let numbers = Numbers(parts.count * each)
        DispatchQueue.concurrentPerform(iterations: 4) { [parts] index in
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 256, alignment: 64)
            defer { memory.deallocate() }
            for number in 0..<each {
                UnsafeMutableRawBufferPointer(rebasing: memory[OutboundSA.headroom...]).copyBytes(from: Self.inner)
                let result = parts[index].sa.seal(memory, offset: OutboundSA.headroom, count: Self.inner.count)
                numbers.values[index * each + number] = result.drop == nil ? result.sequence : 0
            }
        }
        let all = Set(numbers.values)
        #expect(all.count == 4 * each && !all.contains(0))
        for id in 0..<4 {
            #expect(all.contains(SubspaceNumber(subspace: UInt16(id), counter: UInt64(each)).rawValue))
        }
    }

    /// Memory of which each thread writes its own part.
    private final class Numbers: @unchecked Sendable {
        let values: UnsafeMutableBufferPointer<UInt64>
        init(_ count: Int) {
            values = .allocate(capacity: count)
            values.initialize(repeating: 0)
        }
        deinit { values.deallocate() }
    }

    @Test("Transport mode and padding for confidentiality go with them")
    func others() throws {
        var parameters = try Self.parameters()
        parameters.options.tfcPaddingTo = 200
        var senders = try SubspaceSenders(parameters)
        var sender = try senders.make()
        var receiver = try Self.receiver(Self.parameters(left: false))
        let sealed = sender.seal(Self.inner, tailroom: 400)
        #expect(sealed.octets.count > 200)
        #expect(receiver.open(sealed.octets).octets == Self.inner)
        var buffer = [UInt8](repeating: 0, count: 400)
        let dummy = buffer.withUnsafeMutableBytes { sender.sealDummy($0, offset: OutboundSA.headroom, count: 100) }
        let packet = Array(buffer[dummy.offset..<dummy.offset + dummy.count])
        #expect(receiver.open(packet).result.drop == .dummy)
        #expect(sender.subspaceReport == SubspaceReport(id: 0, highest: 2, packets: 2))
    }
}
