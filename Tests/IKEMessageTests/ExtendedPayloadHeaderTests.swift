import IKEMessage
import Octets
import Testing

// draft-smyslov-ipsecme-ikev2-extended-pld, in our own profile 1
@Suite("Extended payload headers")
struct ExtendedPayloadHeaderTests {
    private static let headers: [(length: Int, plain: String, critical: String)] = [
        (0, "2900", "2980"), (4, "2904", "2984"), (31, "291f", "299f"), (32, "292020", "29a020"),
        (8191, "293fff", "29bfff"), (8192, "29402000", "29c02000"), (65531, "2940fffb", "29c0fffb"),
        (261_120, "2943fc00", "29c3fc00"), (2_097_151, "295fffff", "29dfffff"), (2_097_152, "2960200000", "29e0200000"),
        (536_870_911, "297fffffff", "29ffffffff"),
    ]

    private static func chain(_ octets: [UInt8], first: PayloadType = .notify) throws(MessageError) -> [Payload] {
        try Payload.parseChain(first: first, octets, offset: 0, format: .extended)
    }

    @Test("A header is written and read in these octets", arguments: headers)
    func vectors(length: Int, plain: String, critical: String) throws {
        for (isCritical, text) in [(false, plain), (true, critical)] {
            let header = try ExtendedPayloadHeader(next: .notify, isCritical: isCritical, bodyLength: length)
            #expect(header.octets.hexadecimal == text)
            #expect(header.octetCount == header.octets.count)
            var reader = OctetReader(header.octets)
            #expect(try ExtendedPayloadHeader(parsing: &reader) == header)
            #expect(reader.isAtEnd)
        }
    }

    @Test("A length that a shorter header can tell of is refused in a longer one")
    func notMinimal() {
        for length in [0, 1, 31, 32, 8191, 8192, 2_097_151] {
            for further in 1...3 {
                let least = length <= 31 ? 0 : length <= 8191 ? 1 : 2
                guard further > least else { continue }
                var octets: [UInt8] = [41, UInt8(further) << 5]
                for place in (0..<further).reversed() { octets.append(UInt8(length >> (8 * place) & 0xff)) }
                octets[1] |= UInt8(length >> (8 * further) & 0x1f)
                var reader = OctetReader(octets)
                #expect(throws: OctetError.self) { try ExtendedPayloadHeader(parsing: &reader) }
            }
        }
    }

    @Test("Lengths that cannot be said are an error", arguments: [-1, 1 << 29, 1 << 32, Int.max, Int.min])
    func unsayable(length: Int) {
        #expect(throws: OctetError.self) { try ExtendedPayloadHeader(next: .none, bodyLength: length) }
    }

    @Test("A header that is cut short is refused, wherever that is")
    func cutShort() throws {
        for vector in Self.headers {
            let octets = try ExtendedPayloadHeader(next: .notify, bodyLength: vector.length).octets
            for count in 0..<octets.count {
                var reader = OctetReader(Array(octets.prefix(count)))
                #expect(throws: OctetError.self) { try ExtendedPayloadHeader(parsing: &reader) }
            }
        }
    }

    @Test("Two small notifications take 12 octets, and 16 with classic headers")
    func smallNotifications() throws {
        let payloads = [NotifyType.useTransportMode, .initialContact].map {
            Payload.notify(NotifyPayload(protocolID: .none, spi: [], type: $0, data: []))
        }
        let extended = try Payload.serializeChain(payloads, format: .extended)
        #expect(extended.octets.hexadecimal == "290400004007" + "000400004000")
        #expect(extended.first == .notify)
        #expect(try Payload.serializeChain(payloads, format: .classic).octets.count == 16)
        #expect(PayloadFormat.extended.octetsSaved(by: payloads) == 4)
    }

    @Test("What was read with classic headers is the same when it is written and read with extended ones")
    func sameAsClassic() throws {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<300 {
            let payloads = generator.message().payloads
            let classic = try Payload.serializeChain(payloads, format: .classic)
            #expect(classic.octets == Payload.serializeChain(payloads).octets)
            let read = try Payload.parseChain(first: classic.first, classic.octets, offset: 0)
            let extended = try Payload.serializeChain(read, format: .extended)
            #expect(extended.first == classic.first)
            #expect(classic.octets.count - extended.octets.count == PayloadFormat.extended.octetsSaved(by: read))
            #expect(try Self.chain(extended.octets, first: extended.first) == payloads)
        }
    }

    @Test("A payload of any length comes back whole", arguments: [65_531, 65_532, 100_000, 1 << 20, 1 << 21])
    func long(count: Int) throws {
        let payloads: [Payload] = [.vendorID([UInt8](repeating: 7, count: count)), .nonce([UInt8](0..<32))]
        let written = try Payload.serializeChain(payloads, format: .extended)
        #expect(try Self.chain(written.octets, first: written.first) == payloads)
    }

    @Test("With classic headers a body of 65532 octets is refused, where it is not to be cut")
    func longClassic() throws {
        func write(_ count: Int) throws {
            _ = try Payload.serializeChain([.vendorID(Array(repeating: 7, count: count))], format: .classic)
        }
        try write(65_531)
        #expect(throws: MessageError.self) { try write(65_532) }
    }

    @Test("Only payloads that have use for more may be longer than 65531 octets")
    func longTypes() throws {
        let octets = [0x00, 0x40, 0xff, 0xfc] + [UInt8](repeating: 0, count: 65_532)
        let types: [PayloadType] = [
            .securityAssociation, .identificationInitiator, .identificationResponder, .nonce, .delete,
            .trafficSelectorInitiator, .trafficSelectorResponder, .configuration,
        ]
        for type in types {
            let error = #expect(throws: MessageError.self) { try Self.chain(octets, first: type) }
            #expect(error?.reason.contains("at most 65531") == true, "\(type)")
        }
        for type in [PayloadType.keyExchange, .certificate, .certificateRequest, .authentication, .notify, .vendorID] {
            #expect(try Self.chain(octets, first: type).count == 1, "\(type)")
        }
        #expect(try Self.chain(octets, first: PayloadType(rawValue: 200)).count == 1)
        let long = Payload.identificationInitiator(
            IdentificationPayload(type: .fqdn, data: [UInt8](repeating: 65, count: 70_000)))
        #expect(throws: MessageError.self) { try Payload.serializeChain([long], format: .extended) }
    }

    @Test(
        "Lengths beyond the end, octets behind the last payload and missing payloads are refused",
        arguments: [
            [0x00, 0x05, 0, 0, 0x40, 0], [0x00, 0x7f, 0xff, 0xff, 0xff], [0x00, 0x04, 0, 0, 0x40, 0, 0],
            [0x29, 0x04, 0, 0, 0x40, 0], [0x00], [0x00, 0x20, 0x04, 0, 0, 0x40, 0], [],
        ] as [[UInt8]])
    func malformed(octets: [UInt8]) {
        #expect(throws: MessageError.self) { try Self.chain(octets) }
    }

    @Test("A critical payload of an unknown type is named, one that is not critical is kept")
    func unknownTypes() throws {
        let error = #expect(throws: MessageError.self) {
            try Self.chain([0, 0x81, 9], first: PayloadType(rawValue: 200))
        }
        #expect(error?.code == .unsupportedCriticalPayload(PayloadType(rawValue: 200)))
        let kept = try Self.chain([0, 0x01, 9], first: PayloadType(rawValue: 200))
        #expect(kept == [.unknown(RawPayload(type: PayloadType(rawValue: 200), body: [9]))])
    }

    @Test("Classic headers are not taken for extended ones")
    func classicHeaders() throws {
        let classic = Payload.serializeChain([
            .notify(NotifyPayload(protocolID: .none, spi: [], type: .initialContact, data: []))
        ])
        #expect(throws: MessageError.self) { try Self.chain(classic.octets, first: classic.first) }
    }
}
