import AllocationCount
import ESP
import Foundation
import IPPacket
import IPsecCrypto
import IPsecPolicy
import Lab
import Octets

/// An algorithm of ESP and what to measure it against.
struct ESPAlgorithm {
    let name: String
    let encryption: EncryptionAlgorithm
    var integrity: IntegrityAlgorithm?
    /// Arguments of `openssl speed` whose times add up to what sealing takes at least; opening has `-decrypt` with the cipher.
    let cipher: [String]
    var code: [String]?

    static let all = [
        ESPAlgorithm(name: "AES-256-GCM", encryption: .aesGCM16(256), cipher: ["-aead", "-evp", "aes-256-gcm"]),
        ESPAlgorithm(name: "AES-128-GCM", encryption: .aesGCM16(128), cipher: ["-aead", "-evp", "aes-128-gcm"]),
        ESPAlgorithm(
            name: "ChaCha20-Poly1305", encryption: .chaCha20Poly1305, cipher: ["-aead", "-evp", "chacha20-poly1305"]),
        ESPAlgorithm(
            name: "AES-256-CBC + HMAC-SHA2-256", encryption: .aesCBC(256), integrity: .hmacSHA2_256_128,
            cipher: ["-evp", "aes-256-cbc"], code: ["-hmac", "sha256"]),
    ]
}

/// What sealing or opening one packet costs.
struct PacketCost {
    var nanoseconds: [Double] = []
    /// The part of the cipher, measured by itself.
    var cipherNanoseconds: [Double] = []
    var allocations = 0.0
}

/// A pair of SAs that seals a few packets and opens them again, over and over, in the same memory.
struct ESPWorkload: ~Copyable {
    private var outbound: OutboundSA
    private var inbound: InboundSA
    private var cipher: PacketCipher
    private var sequence: UInt64 = 0
    private let memory: UnsafeMutableRawBufferPointer
    private let stride: Int
    private let size: Int
    private let batch: Int
    private(set) var sealing = PacketCost()
    private(set) var opening = PacketCost()

    /// - Parameter size: octets of the inner packet.
    init(_ algorithm: ESPAlgorithm, size: Int) throws {
        let local = SocketAddress(IPAddress(v4: 0xc000_0201), port: 4500)
        let remote = SocketAddress(IPAddress(v4: 0xc000_0282), port: 4500)
        func network(_ address: UInt32) -> [TrafficSelector] {
            IPPrefix(IPAddress(v4: address), length: 16).map { [TrafficSelector($0)] } ?? []
        }
        func key(_ count: Int) -> SecretOctets { SecretOctets((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }) }
        var parameters = SAParameters(
            spi: 0x1234_5678, encryption: algorithm.encryption,
            encryptionKey: key(algorithm.encryption.keyMaterialLength), integrity: algorithm.integrity,
            integrityKey: algorithm.integrity.map { key($0.keyLength) }, encapsulation: .udp, local: local,
            remote: remote, localSelectors: network(0x0a01_0000), remoteSelectors: network(0x0a02_0000))
        let outbound = try OutboundSA(parameters)
        swap(&parameters.local, &parameters.remote)
        swap(&parameters.localSelectors, &parameters.remoteSelectors)
        let inbound = try InboundSA(parameters)
        let cipher = try PacketCipher(
            encryption: parameters.encryption, encryptionKey: parameters.encryptionKey,
            integrity: parameters.integrity, integrityKey: parameters.integrityKey)
        self.outbound = outbound
        self.inbound = inbound
        self.cipher = cipher

        self.size = size
        stride = (OutboundSA.headroom + size + OutboundSA.tailroom + 63) / 64 * 64
        // Enough to make the clock's cost small, few enough to stay in the cache nearest to the processor or the next.
        batch = min(max(65536 / stride, 16), 256)
        memory = .allocate(byteCount: stride * batch, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0x5a)
        for index in 0..<batch { writePacket(at: index * stride + OutboundSA.headroom) }
    }

    deinit { memory.deallocate() }

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

    /// Works for about so long, and enters what one packet took.
    mutating func run(seconds: Double) throws {
        let end = ProcessorClock.wall() + Int64(seconds * 1e9)
        var times = (seal: Int64(0), open: Int64(0), cipherSeal: Int64(0), cipherOpen: Int64(0))
        var allocations = (seal: 0, open: 0)
        var batches = 0
        repeat {
            let start = Moment()
            let place = try seal()
            let sealed = Moment()
            try open(place)
            let opened = Moment()
            times.seal += sealed.time - start.time
            times.open += opened.time - sealed.time
            allocations.seal += sealed.allocations - start.allocations
            allocations.open += opened.allocations - sealed.allocations

            let again = Moment()
            let first = sequence
            try sealByCipher(place)
            let enciphered = Moment()
            try openByCipher(place, first: first)
            times.cipherSeal += enciphered.time - again.time
            times.cipherOpen += Moment().time - enciphered.time
            batches += 1
        } while ProcessorClock.wall() < end
        let packets = Double(batches * batch)
        func perPacket(_ time: Int64) -> Double {
            (Double(time) - ProcessorClock.cost * Double(batches)) / packets
        }
        sealing.nanoseconds.append(perPacket(times.seal))
        opening.nanoseconds.append(perPacket(times.open))
        sealing.cipherNanoseconds.append(perPacket(times.cipherSeal))
        opening.cipherNanoseconds.append(perPacket(times.cipherOpen))
        sealing.allocations = Double(allocations.seal) / packets
        opening.allocations = Double(allocations.open) / packets
    }

    private struct Moment {
        let allocations = cygnet_allocation_count()
        let time = ProcessorClock.thread()
    }

    /// Where an ESP packet lies in its slot.
    private struct Place {
        var offset = 0
        var count = 0
    }

    private func slot(_ index: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: memory[index * stride..<(index + 1) * stride])
    }

    private func check(_ good: Int) throws {
        guard good == batch else { throw LabError("\(batch - good) of \(batch) packets did not come through") }
    }

    private mutating func seal() throws -> Place {
        var place = Place()
        var good = 0
        for index in 0..<batch {
            let result = outbound.seal(slot(index), offset: OutboundSA.headroom, count: size)
            if result.drop == nil { good &+= 1 }
            place = Place(offset: result.offset, count: result.count)
        }
        try check(good)
        return place
    }

    private mutating func open(_ place: Place) throws {
        var good = 0
        for index in 0..<batch {
            let result = inbound.open(slot(index), offset: place.offset, count: place.count, outer: ReceivedHeader())
            if result.drop == nil, result.count == size { good &+= 1 }
        }
        try check(good)
    }

    /// Seals what ``open(_:)`` has left in the slots, without an SA.
    private mutating func sealByCipher(_ place: Place) throws {
        var good = 0
        for index in 0..<batch {
            sequence += 1
            let packet = UnsafeMutableRawBufferPointer(rebasing: slot(index)[place.offset...])
            packet.storeBytes(of: UInt32(truncatingIfNeeded: sequence).bigEndian, toByteOffset: 4, as: UInt32.self)
            guard let base = packet.baseAddress else { continue }
            if cipher.seal(base, count: place.count, sequence: sequence, extended: true) { good &+= 1 }
        }
        try check(good)
    }

    private mutating func openByCipher(_ place: Place, first: UInt64) throws {
        var good = 0
        for index in 0..<batch {
            guard let base = slot(index).baseAddress else { continue }
            let high = UInt32(truncatingIfNeeded: (first + UInt64(index) + 1) >> 32)
            if cipher.open(base + place.offset, count: place.count, sequenceHigh: high, extended: true) { good &+= 1 }
        }
        try check(good)
    }
}
