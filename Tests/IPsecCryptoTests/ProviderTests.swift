import Foundation
import IPsecCrypto
import Octets
import Testing

/// A batch of packets to be sealed, in memory of its own, with payloads of 1 to 9000 octets.
final class PacketBatch {
    private let memory: UnsafeMutableRawBufferPointer
    private let packets: UnsafeMutableBufferPointer<CipherPacket>

    /// Payloads of so many octets, rounded up to whole blocks, each packet in its own room; the numbers go past a change of the high
    /// bits.
    init(_ suite: CipherSuite, payloads: [Int], room: Int = 9216) {
        memory = .allocate(byteCount: payloads.count * room, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0xa5)
        packets = .allocate(capacity: payloads.count)
        for (index, payload) in payloads.enumerated() {
            let octets = UnsafeMutableRawBufferPointer(
                rebasing: memory[index * room..<(index + 1) * room])
            let block = suite.encryption.blockSize
            let count =
                8 + suite.encryption.ivLength + (payload + block - 1) / block * block + suite.icvLength
            let sequence = 0x7_ffff_fff0 + UInt64(index)
            octets.copyBytes(from: UInt32(0x1122_3344).bigEndianOctets)
            octets[4...].copyBytes(from: UInt32(truncatingIfNeeded: sequence).bigEndianOctets)
            // Not all alike, so that a packet mistaken for another shows.
            octets[12] = UInt8(truncatingIfNeeded: index)
            if let base = octets.baseAddress {
                packets.initializeElement(at: index, to: CipherPacket(octets: base, count: count, sequence: sequence))
            }
        }
    }

    deinit {
        packets.deallocate()
        memory.deallocate()
    }

    func seal(with cipher: inout PacketCipher, extended: Bool) { cipher.seal(packets, extended: extended) }
    func open(with cipher: inout PacketCipher, extended: Bool) { cipher.open(packets, extended: extended) }

    func sealSingly(with cipher: inout PacketCipher, extended: Bool) {
        for index in packets.indices {
            let packet = packets[index]
            packets[index].isGood = cipher.seal(
                packet.octets, count: packet.count, sequence: packet.sequence, extended: extended)
        }
    }

    func openSingly(with cipher: inout PacketCipher, extended: Bool) {
        for index in packets.indices {
            let packet = packets[index]
            packets[index].isGood = cipher.open(
                packet.octets, count: packet.count, sequenceHigh: UInt32(packet.sequence >> 32), extended: extended)
        }
    }

    /// Which packets came out good.
    var good: [Bool] { packets.map(\.isGood) }
    var areAllGood: Bool { packets.allSatisfy(\.isGood) }

    /// Whether all memory is the same, packets and what is about them.
    func isSame(as other: PacketBatch) -> Bool {
        guard let here = memory.baseAddress, let there = other.memory.baseAddress else { return false }
        return memory.count == other.memory.count && memcmp(here, there, memory.count) == 0
    }

    /// Changes a bit of a packet; `octet` counts from its end if it is negative.
    func damage(_ index: Int, octet: Int) {
        let packet = packets[index]
        let place = packet.octets + (octet < 0 ? packet.count + octet : octet)
        place.storeBytes(of: place.load(as: UInt8.self) ^ 1, as: UInt8.self)
    }

    /// The octets between IV and integrity check value.
    func payload(_ index: Int, _ suite: CipherSuite) -> [UInt8] {
        let packet = packets[index]
        let front = 8 + suite.encryption.ivLength
        return Array(
            UnsafeRawBufferPointer(start: packet.octets + front, count: packet.count - front - suite.icvLength))
    }
}

@Suite("Batches of packets")
struct BatchTests {
    static let payloads = [1, 1400, 15, 9000, 16, 17, 64, 3, 512, 8999, 2, 1399, 48, 4, 576]

    /// So many payloads, all of these in turn.
    static func payloads(_ count: Int) -> [Int] { (0..<count).map { payloads[$0 % payloads.count] } }

    @Test("A batch is sealed as its packets are one by one", arguments: CipherSuite.packets)
    func sealsAsSingly(suite: CipherSuite) throws {
        for extended in [false, true] {
            var cipher = try suite.packetCipher()
            let batch = PacketBatch(suite, payloads: Self.payloads(70))
            let singly = PacketBatch(suite, payloads: Self.payloads(70))
            batch.seal(with: &cipher, extended: extended)
            singly.sealSingly(with: &cipher, extended: extended)
            #expect(batch.areAllGood && singly.areAllGood)
            #expect(batch.isSame(as: singly))
        }
    }

    @Test("A batch is opened as its packets are one by one", arguments: CipherSuite.packets)
    func opensAsSingly(suite: CipherSuite) throws {
        for extended in [false, true] {
            var cipher = try suite.packetCipher()
            let batch = PacketBatch(suite, payloads: Self.payloads(70))
            let singly = PacketBatch(suite, payloads: Self.payloads(70))
            batch.seal(with: &cipher, extended: extended)
            singly.seal(with: &cipher, extended: extended)
            batch.open(with: &cipher, extended: extended)
            singly.openSingly(with: &cipher, extended: extended)
            #expect(batch.areAllGood && singly.areAllGood)
            #expect(batch.isSame(as: singly))
        }
    }

    @Test("A forged packet fails alone in its batch, and holds no plaintext", arguments: CipherSuite.packets)
    func forged(suite: CipherSuite) throws {
        let count = 40
        var cipher = try suite.packetCipher()
        for (forged, octet) in [(0, -1), (17, 8), (39, 25), (5, 4), (33, -8)] {
            let batch = PacketBatch(suite, payloads: [Int](repeating: 64, count: count))
            let plaintext = batch.payload(forged, suite)
            batch.seal(with: &cipher, extended: true)
            batch.damage(forged, octet: octet)
            batch.open(with: &cipher, extended: true)
            #expect(batch.good == (0..<count).map { $0 != forged })
            #expect(batch.payload(forged, suite) != plaintext || suite.encryption.leavesPayloadReadable)
        }
    }

    @Test("A packet of an impossible length fails alone in its batch", arguments: CipherSuite.packets)
    func impossible(suite: CipherSuite) throws {
        var cipher = try suite.packetCipher()
        var octets = suite.packet(payload: counting(64), sequence: 1) + suite.packet(payload: counting(64), sequence: 2)
        let count = octets.count / 2
        let good = octets.withUnsafeMutableBytes { octets -> [Bool] in
            guard let base = octets.baseAddress else { return [] }
            var packets = [
                CipherPacket(octets: base, count: count, sequence: 1),
                CipherPacket(octets: base, count: 9, sequence: 1),
                CipherPacket(octets: base + count, count: count, sequence: 2),
                CipherPacket(octets: base, count: -1, sequence: 1),
                CipherPacket(octets: base, count: .max, sequence: 1),
            ]
            return packets.withUnsafeMutableBufferPointer { packets in
                cipher.seal(packets, extended: false)
                return packets.map(\.isGood)
            }
        }
        #expect(good == [true, false, true, false, false])
    }

    @Test("An empty batch is nothing to do", arguments: CipherSuite.packets)
    func empty(suite: CipherSuite) throws {
        var cipher = try suite.packetCipher()
        cipher.seal(UnsafeMutableBufferPointer(start: nil, count: 0), extended: true)
        cipher.open(UnsafeMutableBufferPointer(start: nil, count: 0), extended: true)
    }

    @Test("A cipher made for sealing opens nothing", arguments: CipherSuite.packets)
    func onlySeals(suite: CipherSuite) throws {
        var cipher = try suite.packetCipher(.sealing)
        let batch = PacketBatch(suite, payloads: [64, 65])
        batch.seal(with: &cipher, extended: true)
        #expect(batch.areAllGood)
        // Without encryption one direction has no more in it than the other.
        guard suite.encryption.isAEAD || !suite.encryption.acceptsCounterAsIV else { return }
        batch.open(with: &cipher, extended: true)
        #expect(batch.good == [false, false])
    }

    @Test("A cipher made for opening opens, and seals nothing", arguments: CipherSuite.packets)
    func onlyOpens(suite: CipherSuite) throws {
        var sender = try suite.packetCipher()
        var cipher = try suite.packetCipher(.opening)
        let batch = PacketBatch(suite, payloads: [64, 65])
        batch.seal(with: &sender, extended: true)
        batch.open(with: &cipher, extended: true)
        #expect(batch.areAllGood)
        guard suite.encryption.isAEAD || !suite.encryption.acceptsCounterAsIV else { return }
        batch.seal(with: &cipher, extended: true)
        #expect(batch.good == [false, false])
    }
}

@Suite("Providers of packet ciphers")
struct ProviderTests {
    @Test("libcrypto is available everywhere, and the last choice")
    func libcryptoIsLast() {
        #expect(CipherProvider.available.last == .libcrypto)
    }

    @Test("The best provider is taken if none is named")
    func best() throws {
        let suite = CipherSuite.all[0]
        let cipher = try PacketCipher(
            encryption: suite.encryption, encryptionKey: suite.encryptionKey, integrity: nil, integrityKey: nil)
        let provider = cipher.provider
        #expect(provider == CipherProvider.available.first)
    }

    @Test("A provider that is not available is refused by name", arguments: CipherProvider.allCases)
    func unavailable(provider: CipherProvider) throws {
        let suite = CipherSuite.all[0].with(provider)
        guard !CipherProvider.available.contains(provider) else {
            let used = try suite.packetCipher().provider
            #expect(used == provider)
            return
        }
        #expect(throws: CryptoError(.libraryFailure, "")) { _ = try suite.packetCipher() }
    }
}

@Suite(
    "ipsec-mb beside libcrypto",
    .enabled(
        if: CipherProvider.available.contains(.ipsecMB),
        "ipsec-mb is NOT TESTED: on x86-64, install libipsec-mb-dev and build again"))
struct MultiBufferTests {
    @Test(
        "ipsec-mb seals octet for octet as libcrypto does, in batches of 1, 2, 5, 31 and 64",
        arguments: CipherSuite.everything)
    func sameOctets(suite: CipherSuite) throws {
        for extended in [false, true] {
            var ours = try suite.with(.ipsecMB).packetCipher(.sealing)
            var theirs = try suite.with(.libcrypto).packetCipher(.sealing)
            for count in [1, 2, 5, 31, 64] {
                let one = PacketBatch(suite, payloads: BatchTests.payloads(count))
                let other = PacketBatch(suite, payloads: BatchTests.payloads(count))
                one.seal(with: &ours, extended: extended)
                other.seal(with: &theirs, extended: extended)
                #expect(one.areAllGood && other.areAllGood)
                #expect(one.isSame(as: other))
            }
        }
    }

    @Test("Each opens what the other seals, in batches of 1, 2, 5, 31 and 64", arguments: CipherSuite.everything)
    func openEachOther(suite: CipherSuite) throws {
        for extended in [false, true] {
            var ours = try suite.with(.ipsecMB).packetCipher()
            var theirs = try suite.with(.libcrypto).packetCipher()
            for count in [1, 2, 5, 31, 64] {
                let one = PacketBatch(suite, payloads: BatchTests.payloads(count))
                let other = PacketBatch(suite, payloads: BatchTests.payloads(count))
                one.seal(with: &theirs, extended: extended)
                other.seal(with: &ours, extended: extended)
                one.open(with: &ours, extended: extended)
                other.open(with: &theirs, extended: extended)
                #expect(one.areAllGood && other.areAllGood)
                #expect(one.isSame(as: other))
            }
        }
    }

    @Test(
        "Both seal the largest packets there are alike",
        arguments: CipherSuite.packets.filter { $0.provider == .ipsecMB })
    func largest(suite: CipherSuite) throws {
        let overhead = 8 + suite.encryption.ivLength + suite.icvLength
        let payloads = [Int](repeating: (65_515 - overhead) / 16 * 16, count: 8)
        var ours = try suite.packetCipher()
        var theirs = try suite.with(.libcrypto).packetCipher()
        let one = PacketBatch(suite, payloads: payloads, room: 65_536)
        let other = PacketBatch(suite, payloads: payloads, room: 65_536)
        one.seal(with: &ours, extended: true)
        other.seal(with: &theirs, extended: true)
        #expect(one.areAllGood)
        #expect(one.isSame(as: other))
        one.open(with: &ours, extended: true)
        #expect(one.areAllGood)
    }

    @Test("ipsec-mb does everything but AES-CCM with keys of 192 bits", arguments: CipherSuite.everything)
    func algorithms(suite: CipherSuite) throws {
        let provider = try suite.with(.ipsecMB).packetCipher().provider
        let isMissing = suite.encryption.description.hasPrefix("AES-CCM") && suite.encryption.keyBits == 192
        #expect(provider == (isMissing ? .libcrypto : .ipsecMB))
    }

    @Test(
        "Threads seal at the same time, each by jobs of its own",
        arguments: CipherSuite.packets.filter { $0.provider == .ipsecMB })
    func threads(suite: CipherSuite) async throws {
        let expected = try Self.digests(suite)
        try await withThrowingTaskGroup(of: [[UInt8]].self) { group in
            for _ in 0..<4 { group.addTask { try Self.digests(suite) } }
            for try await digests in group { #expect(digests == expected) }
        }
    }

    /// The payloads of a few sealed packets.
    private static func digests(_ suite: CipherSuite) throws -> [[UInt8]] {
        var cipher = try suite.packetCipher(.sealing)
        let batch = PacketBatch(suite, payloads: [64, 1, 300, 1400, 17])
        batch.seal(with: &cipher, extended: true)
        return (0..<5).map { batch.payload($0, suite) }
    }
}
