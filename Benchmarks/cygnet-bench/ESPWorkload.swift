import AllocationCount
import BareCipher
import ESP
import IPPacket
import IPsecCrypto
import IPsecPolicy
import Octets

/// An algorithm of ESP and what to measure it against.
struct ESPAlgorithm {
    let name: String
    let encryption: EncryptionAlgorithm
    var integrity: IntegrityAlgorithm?
    /// Arguments of `openssl speed` whose times add up to what sealing takes at least; opening has `-decrypt` with the cipher.
    let cipher: [String]
    var code: [String]?
    /// The same for ipsec-mb, if it is measured by itself.
    var bare: cygnet_bare_algorithm?

    static let all = [
        ESPAlgorithm(
            name: "AES-256-GCM", encryption: .aesGCM16(256), cipher: ["-aead", "-evp", "aes-256-gcm"],
            bare: CYGNET_BARE_AES_256_GCM),
        ESPAlgorithm(
            name: "AES-128-GCM", encryption: .aesGCM16(128), cipher: ["-aead", "-evp", "aes-128-gcm"],
            bare: CYGNET_BARE_AES_128_GCM),
        ESPAlgorithm(
            name: "ChaCha20-Poly1305", encryption: .chaCha20Poly1305, cipher: ["-aead", "-evp", "chacha20-poly1305"],
            bare: CYGNET_BARE_CHACHA20_POLY1305),
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
    private let slots: PacketSlots
    private(set) var sealing = PacketCost()
    private(set) var opening = PacketCost()

    /// - Parameters:
    ///   - size: octets of the inner packets.
    ///   - provider: the library that encrypts.
    init(_ algorithm: ESPAlgorithm, size: Int, provider: CipherProvider) throws {
        let ends = Self.parameters(algorithm)
        let outbound = try OutboundSA(ends.outbound, provider: provider)
        let inbound = try InboundSA(ends.inbound, provider: provider)
        let cipher = try PacketCipher(
            encryption: algorithm.encryption, encryptionKey: ends.outbound.encryptionKey,
            integrity: algorithm.integrity, integrityKey: ends.outbound.integrityKey, provider: provider)
        self.outbound = outbound
        self.inbound = inbound
        self.cipher = cipher
        slots = PacketSlots(size: size)
    }

    /// What the two ends of an SA are made from.
    static func parameters(
        _ algorithm: ESPAlgorithm, spi: UInt32 = 0x1234_5678
    ) -> (outbound: SAParameters, inbound: SAParameters) {
        let local = SocketAddress(IPAddress(v4: 0xc000_0201), port: 4500)
        let remote = SocketAddress(IPAddress(v4: 0xc000_0282), port: 4500)
        func network(_ address: UInt32) -> [TrafficSelector] {
            IPPrefix(IPAddress(v4: address), length: 16).map { [TrafficSelector($0)] } ?? []
        }
        func key(_ count: Int) -> SecretOctets { SecretOctets((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }) }
        let outbound = SAParameters(
            spi: spi, encryption: algorithm.encryption,
            encryptionKey: key(algorithm.encryption.keyMaterialLength), integrity: algorithm.integrity,
            integrityKey: algorithm.integrity.map { key($0.keyLength) }, encapsulation: .udp, local: local,
            remote: remote, localSelectors: network(0x0a01_0000), remoteSelectors: network(0x0a02_0000))
        var inbound = outbound
        swap(&inbound.local, &inbound.remote)
        swap(&inbound.localSelectors, &inbound.remoteSelectors)
        return (outbound, inbound)
    }

    /// Works for about so long, and enters what one packet took.
    mutating func run(seconds: Double) throws {
        let end = ProcessorClock.wall() + Int64(seconds * 1e9)
        var times = (seal: Int64(0), open: Int64(0), cipherSeal: Int64(0), cipherOpen: Int64(0))
        var allocations = (seal: 0, open: 0)
        var batches = 0
        repeat {
            let start = Moment()
            try slots.seal(with: &outbound)
            let sealed = Moment()
            try slots.open(with: &inbound)
            let opened = Moment()
            times.seal += sealed.time - start.time
            times.open += opened.time - sealed.time
            allocations.seal += sealed.allocations - start.allocations
            allocations.open += opened.allocations - sealed.allocations

            slots.layOut(from: sequence)
            sequence += UInt64(slots.count)
            let again = Moment()
            try slots.inBursts { cipher.seal($0, extended: true) }
            let enciphered = Moment()
            try slots.inBursts { cipher.open($0, extended: true) }
            times.cipherSeal += enciphered.time - again.time
            times.cipherOpen += Moment().time - enciphered.time
            batches += 1
        } while ProcessorClock.wall() < end
        let packets = Double(batches * slots.count)
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
}

/// The calls of ipsec-mb alone, for as many texts of as many octets as in a workload.
struct BareWorkload: ~Copyable {
    private let bare: OpaquePointer
    private let memory: UnsafeMutablePointer<UInt8>
    private let stride: Int
    private let count: Int
    private let textLength: UInt64
    private(set) var sealing: [Double] = []
    private(set) var opening: [Double] = []

    /// - Returns: `nil` where ipsec-mb is not available, or the algorithm is not measured.
    init?(_ algorithm: ESPAlgorithm, size: Int) {
        guard let kind = algorithm.bare, let bare = cygnet_bare_make(kind) else { return nil }
        self.bare = bare
        stride = PacketSlots.stride(size)
        count = PacketSlots.count(size)
        // Padding, Pad Length and Next Header up to a multiple of four.
        textLength = UInt64((size + 2 + 3) / 4 * 4)
        memory = UnsafeMutableRawPointer.allocate(byteCount: stride * count, alignment: 64)
            .initializeMemory(as: UInt8.self, repeating: 0x5a, count: stride * count)
    }

    deinit {
        cygnet_bare_free(bare)
        memory.deallocate()
    }

    mutating func run(seconds: Double) {
        let end = ProcessorClock.wall() + Int64(seconds * 1e9)
        var times = (seal: Int64(0), open: Int64(0))
        var batches = 0
        repeat {
            let start = ProcessorClock.thread()
            cygnet_bare_run(bare, true, memory + OutboundSA.headroom, stride, UInt32(count), textLength)
            let sealed = ProcessorClock.thread()
            cygnet_bare_run(bare, false, memory + OutboundSA.headroom, stride, UInt32(count), textLength)
            times.seal += sealed - start
            times.open += ProcessorClock.thread() - sealed
            batches += 1
        } while ProcessorClock.wall() < end
        func perPacket(_ time: Int64) -> Double {
            (Double(time) - ProcessorClock.cost * Double(batches)) / Double(batches * count)
        }
        sealing.append(perPacket(times.seal))
        opening.append(perPacket(times.open))
    }
}
