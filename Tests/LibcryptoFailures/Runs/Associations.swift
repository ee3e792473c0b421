import ESP
import IPPacket
import IPsecCrypto
import IPsecPolicy
import Octets
import Simulation

extension Scenario {
    private static let associationSuites: [(EncryptionAlgorithm, IntegrityAlgorithm?)] = [
        (.aesGCM16(256), nil), (.aesCCM8(128), nil), (.aesCBC(128), .hmacSHA2_256_128), (.aesCTR(256), .aesCMAC_96),
        (.aesCBC(256), .aesXCBC_96),
    ]

    /// ESP packets through a pair of associations, five of them.
    static let associations = associationSuites.map { encryption, integrity in
        Scenario(
            name: "associations with \(encryption)", steps: Set((1...5).map { "packet \($0)" })
        ) { _ in
            var results: [String: [UInt8]] = [:]
            guard
                let out = try? OutboundSA(
                    SampleAssociation.parameters(isLeft: true, encryption, integrity), provider: .libcrypto),
                let inbound = try? InboundSA(
                    SampleAssociation.parameters(isLeft: false, encryption, integrity), provider: .libcrypto)
            else { return results }
            var sender = out, receiver = inbound
            var last: [UInt8] = [0, 0, 0, 0]
            for number in 1...5 {
                var buffer =
                    [UInt8](repeating: 0, count: OutboundSA.headroom) + inner
                    + [UInt8](repeating: 0, count: OutboundSA.tailroom)
                let sealed = buffer.withUnsafeMutableBytes {
                    sender.seal($0, offset: OutboundSA.headroom, count: inner.count)
                }
                guard sealed.drop == nil else {
                    try expect(sealed.drop == .cipherFailure, "packet \(number) is dropped as \(sealed)")
                    continue
                }
                let sequence = Array(buffer[sealed.offset + 4..<sealed.offset + 8])
                try expect(last.lexicographicallyPrecedes(sequence), "a sequence number is used again")
                last = sequence
                let opened = buffer.withUnsafeMutableBytes {
                    receiver.open(
                        $0, offset: sealed.offset, count: sealed.count,
                        outer: ReceivedHeader(trafficClass: sealed.outerTrafficClass))
                }
                guard opened.drop == nil else {
                    try expect(opened.drop == .notAuthentic, "packet \(number) is dropped as \(opened)")
                    continue
                }
                results["packet \(number)"] = Array(buffer[opened.offset..<opened.offset + opened.count])
            }
            return results
        }
    }

    private static let inner: [UInt8] = [
        0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0x66, 0xc8, 10, 1, 0, 2, 10, 2, 0, 2, 0x9c, 0x40, 0, 53, 0, 12, 0, 0, 1, 2,
        3,
        4,
    ]
}
