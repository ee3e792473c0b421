import ESP
import Foundation
import IPsecCrypto
import Octets
import TestPrograms
import Testing

/// Seals and opens with scapy's codec, which shares no line with ours. The program is Debian's python3-scapy.
struct ScapyPeer {
    struct Request: Encodable {
        let seal: Bool
        let transport: Bool
        let encryption: String
        /// Octets of the tag of an AEAD.
        let tag: Int
        let hasImplicitIV: Bool
        let encryptionKey: String
        let integrity: String?
        let integrityKey: String?
        let spi: UInt32
        let sequence: UInt32
        let sequenceHigh: UInt32?
        let outer: Int
        let octets: String

        init(_ parameters: SAParameters, seal: Bool, sequence: UInt64, outer: Int, octets: [UInt8]) {
            self.seal = seal
            transport = parameters.mode.isTransport
            (encryption, tag, hasImplicitIV) = Self.words(for: parameters.encryption)
            encryptionKey = parameters.encryptionKey.unprotected.hexadecimal
            integrity =
                switch parameters.integrity {
                case .hmacSHA1_96: "HMAC-SHA1-96"
                case .aesXCBC_96: "AES-XCBC-96"
                case .aesCMAC_96: "AES-CMAC-96"
                case let sha2?: "SHA2-\(sha2.keyLength * 8)-\(sha2.icvLength * 8)"
                case nil: nil
                }
            integrityKey = parameters.integrityKey?.unprotected.hexadecimal
            spi = parameters.spi
            self.sequence = UInt32(truncatingIfNeeded: sequence)
            sequenceHigh = parameters.extendedSequenceNumbers ? UInt32(sequence >> 32) : nil
            self.outer = outer
            self.octets = octets.hexadecimal
        }

        private static func words(for encryption: EncryptionAlgorithm) -> (String, tag: Int, implicitIV: Bool) {
            let bits = encryption.keyBits
            let name =
                switch encryption {
                case .chaCha20Poly1305, .chaCha20Poly1305ImplicitIV: "CHACHA20-POLY1305"
                case .null: "NULL"
                case _ where bits == 0: "?"
                case .nullWithGMAC(bits): "AES-GMAC"
                case .aesCBC(bits): "AES-CBC"
                case .aesCTR(bits): "AES-CTR"
                case .aesCCM8(bits), .aesCCM12(bits), .aesCCM16(bits), .aesCCM8ImplicitIV(bits): "AES-CCM"
                default: "AES-GCM"
                }
            return (name, encryption.icvLength, encryption.hasImplicitIV)
        }

        // A key that is absent is written as null.
        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(seal, forKey: .seal)
            try container.encode(transport, forKey: .transport)
            try container.encode(encryption, forKey: .encryption)
            try container.encode(tag, forKey: .tag)
            try container.encode(hasImplicitIV, forKey: .hasImplicitIV)
            try container.encode(encryptionKey, forKey: .encryptionKey)
            try container.encode(integrity, forKey: .integrity)
            try container.encode(integrityKey, forKey: .integrityKey)
            try container.encode(spi, forKey: .spi)
            try container.encode(sequence, forKey: .sequence)
            try container.encode(sequenceHigh, forKey: .sequenceHigh)
            try container.encode(outer, forKey: .outer)
            try container.encode(octets, forKey: .octets)
        }

        enum CodingKeys: CodingKey {
            case seal, transport, encryption, tag, hasImplicitIV, encryptionKey, integrity, integrityKey, spi, sequence
            case sequenceHigh, outer, octets
        }
    }

    struct Answer: Decodable {
        let octets: String?
        let error: String?
    }

    struct Failure: Error, CustomStringConvertible { let description: String }

    static func answers(to requests: [Request]) throws -> [[UInt8]] {
        let script = try #require(Bundle.module.url(forResource: "scapy_peer", withExtension: "py"))
        let input = FileManager.default.temporaryDirectory.appendingPathComponent("scapy-\(UUID().uuidString).json")
        try JSONEncoder().encode(requests).write(to: input)
        defer { try? FileManager.default.removeItem(at: input) }
        let peer = try TestProgram(
            ["/usr/bin/python3", script.path], input: FileHandle(forReadingFrom: input))
        let said = peer.rest()
        guard peer.succeeds() else {
            throw Failure(description: "the scapy peer failed, see above; apt install python3-scapy if it is missing")
        }
        let answers = try JSONDecoder().decode([Answer].self, from: Data(said.utf8))
        guard answers.count == requests.count else { throw Failure(description: "scapy left requests unanswered") }
        return try answers.enumerated().map { index, answer in
            guard let octets = answer.octets.flatMap({ [UInt8](hexadecimal: $0) }) else {
                throw Failure(description: "scapy on request \(index): \(answer.error ?? "no octets")")
            }
            return octets
        }
    }
}

/// One association with scapy at the other end.
struct ScapyTests {
    private static let lengths = [40, 41, 42, 43, 44, 59, 60, 576, 1400]

    private func inner() throws -> [[UInt8]] {
        try Self.lengths.flatMap { [try InnerPacket.v4($0), try InnerPacket.v6($0)] }
    }

    /// Sequence numbers before the first packet: the beginning, and with extension the end of a subspace and a later one.
    private func starts(extended: Bool) -> [UInt64] { extended ? [0, 0xffff_fff8, 5 << 32 + 77] : [0, 0x8000_0000] }

    @Test("Scapy opens what we seal", arguments: Transform.all, [true, false])
    func weSeal(transform: Transform, extended: Bool) throws {
        let parameters = try transform.parameters(extended: extended)
        var requests: [ScapyPeer.Request] = []
        var expected: [[UInt8]] = []
        for start in starts(extended: extended) {
            var out = try OutboundSA(parameters, sequence: start)
            for (index, packet) in try inner().enumerated() {
                let sealed = out.seal(packet)
                #expect(sealed.result.drop == nil)
                requests.append(
                    ScapyPeer.Request(
                        parameters, seal: false, sequence: start + UInt64(index) + 1, outer: index % 4 < 2 ? 4 : 6,
                        octets: sealed.octets))
                expected.append(packet)
            }
        }
        #expect(try ScapyPeer.answers(to: requests) == expected)
    }

    @Test("We open what scapy seals", arguments: Transform.all, [true, false])
    func scapySeals(transform: Transform, extended: Bool) throws {
        let parameters = try transform.parameters(left: false, extended: extended)
        let packets = try inner()
        let requests = starts(extended: extended).flatMap { start in
            packets.enumerated().map { index, packet in
                ScapyPeer.Request(
                    parameters, seal: true, sequence: start + UInt64(index) + 1, outer: index % 4 < 2 ? 4 : 6,
                    octets: packet)
            }
        }
        var answers = try ScapyPeer.answers(to: requests)[...]
        for start in starts(extended: extended) {
            var into = try InboundSA(parameters, highestSequence: start)
            for packet in packets {
                let answer = answers.popFirst()
                let opened = into.open(try #require(answer))
                #expect(opened.result.drop == nil)
                #expect(opened.octets == packet)
            }
            #expect(into.highestSequence == start + UInt64(packets.count))
        }
    }

    @Test("Scapy finds our flow confidentiality padding behind the packet, and nothing else")
    func confidentialityPadding() throws {
        var parameters = try Transform.all[1].parameters()
        parameters.options.tfcPaddingTo = 200
        var out = try OutboundSA(parameters)
        let packet = try InnerPacket.v4(60)
        let sealed = out.seal(packet, tailroom: 300)
        let opened = try ScapyPeer.answers(to: [
            ScapyPeer.Request(parameters, seal: false, sequence: 1, outer: 4, octets: sealed.octets)
        ])
        #expect(opened == [packet + [UInt8](repeating: 0, count: 140)])
    }
}
