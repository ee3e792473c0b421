import ESP
import IPPacket
import IPsecCrypto
import IPsecPolicy
import Octets

/// What a gateway gets that nobody with keys has sent: ESP packets that are damaged, cut, forged, repeated or for other SAs.
public struct BadPackets {
    private static let suites: [(EncryptionAlgorithm, IntegrityAlgorithm?)] = [
        (.aesGCM16(256), nil), (.chaCha20Poly1305, nil), (.aesCBC(256), .hmacSHA2_256_128), (.aesCTR(128), .aesXCBC_96),
    ]

    private struct Association: ~Copyable {
        var sender: OutboundSA
        var receiver: InboundSA
    }

    /// Packets that were sent, and how many of them were dropped for each reason.
    public private(set) var sent = 0
    public private(set) var drops: [DropReason: Int] = [:]
    /// Good packets in between, and how many have arrived.
    public private(set) var good = 0
    public private(set) var arrived = 0
    private var random: SeededGenerator

    public init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    /// Sends so many to each kind of SA in turn, and a good packet after each thousand.
    ///
    /// - Parameter isDone: asked after each turn of a million with what is then known.
    public mutating func run(count: Int, isDone: (BadPackets) -> Bool = { _ in false }) throws(CryptoError) {
        let turn = min(1_000_000, max(1, count / Self.suites.count))
        while sent < count {
            for (encryption, integrity) in Self.suites {
                var association = Association(
                    sender: try OutboundSA(SampleAssociation.parameters(isLeft: true, encryption, integrity)),
                    receiver: try InboundSA(SampleAssociation.parameters(isLeft: false, encryption, integrity)))
                turnOf(min(turn, count - sent), &association)
            }
            if isDone(self) { return }
        }
    }

    private static let room = 512

    private mutating func turnOf(_ count: Int, _ association: inout Association) {
        var example = [UInt8](repeating: 0, count: Self.room)
        var buffer = example
        var sealed = Self.seal(&example, &association)
        for number in 0..<count {
            if number % 1000 == 0 {
                sealed = Self.seal(&example, &association)
                good += 1
                buffer = example
                let result = Self.open(&buffer, sealed.offset, sealed.count, &association)
                if result.drop == nil { arrived += 1 }
            }
            let length = damage(&buffer, example, sealed)
            let result = Self.open(&buffer, sealed.offset, length, &association)
            sent += 1
            if let reason = result.drop { drops[reason, default: 0] += 1 }
        }
    }

    /// Makes a bad packet of a good one that has arrived already.
    ///
    /// - Returns: its length.
    private mutating func damage(_ buffer: inout [UInt8], _ example: [UInt8], _ sealed: SealResult) -> Int {
        let range = sealed.offset..<sealed.offset + sealed.count
        buffer.withUnsafeMutableBytes { buffer in
            example.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(rebasing: buffer[range]).copyBytes(from: $0[range])
            }
        }
        let bits = random.next()
        let place = sealed.offset + Int(truncatingIfNeeded: bits >> 32) % sealed.count
        // A sequence number that has not been seen: what is dropped as repeated is not deciphered.
        if bits & 7 != 0 { buffer[sealed.offset + 6] &+= 1 + UInt8(truncatingIfNeeded: bits >> 8) % 0x40 }
        switch bits & 7 {
        case 0: break
        case 1: buffer[place] ^= 1 << (bits >> 16 & 7)
        case 2: return Int(truncatingIfNeeded: bits >> 32) % sealed.count
        case 3: buffer[sealed.offset + Int(bits >> 16 & 3)] ^= UInt8(truncatingIfNeeded: bits >> 20) | 1
        case 4: for index in range.dropFirst(8) { buffer[index] = UInt8(truncatingIfNeeded: random.next()) }
        default: buffer[range.upperBound - 1 - Int(bits >> 16 & 7)] ^= UInt8(truncatingIfNeeded: bits >> 20) | 1
        }
        return sealed.count
    }

    private static func seal(_ buffer: inout [UInt8], _ association: inout Association) -> SealResult {
        buffer.replaceSubrange(OutboundSA.headroom..<OutboundSA.headroom + inner.count, with: inner)
        return buffer.withUnsafeMutableBytes {
            association.sender.seal($0, offset: OutboundSA.headroom, count: inner.count)
        }
    }

    private static func open(
        _ buffer: inout [UInt8], _ offset: Int, _ count: Int, _ association: inout Association
    ) -> OpenResult {
        buffer.withUnsafeMutableBytes {
            association.receiver.open($0, offset: offset, count: count, outer: ReceivedHeader(trafficClass: 0))
        }
    }

    private static let inner: [UInt8] =
        [
            0x45, 0, 0, 92, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 2, 10, 2, 0, 2, 0x9c, 0x40, 0, 53, 0, 72, 0, 0,
        ] + (0..<64).map { UInt8($0) }
}
