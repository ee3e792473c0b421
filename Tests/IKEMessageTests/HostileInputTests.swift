import IKEMessage
import Testing

/// Whatever arrives, reading ends with a message or with an error: no trap, no endless loop.
@Suite(.timeLimit(.minutes(2))) struct HostileInputTests {
    /// Messages that hold every kind of payload.
    private static func samples() -> [Message] {
        var generator = SeededGenerator(seed: 99)
        return (0..<6).map { round in
            let payloads = SeededGenerator.payloadKinds.map { $0(&generator) }
            return generator.message(of: payloads + [SeededGenerator.lastPayloadKinds[round % 2](&generator)])
        }
    }

    /// Reads, and exercises what is done with a message that was read: writing it again must give an equal one.
    @discardableResult
    private func digest(_ octets: [UInt8]) -> Bool {
        do {
            let message = try Message(parsing: octets)
            let again = try Message(parsing: message.serialized())
            #expect(again.payloads == message.payloads)
            return true
        } catch {
            #expect(error.offset >= 0 && error.offset <= octets.count)
            #expect(!error.description.isEmpty)
            return false
        }
    }

    /// The message with its length field set to what is there, so that a change inside is not masked by it.
    private func withLength(_ octets: [UInt8]) -> [UInt8] {
        guard octets.count >= 28 else { return octets }
        var octets = octets
        for index in 0..<4 { octets[24 + index] = UInt8(truncatingIfNeeded: octets.count >> (24 - 8 * index)) }
        return octets
    }

    @Test("a message cut off at any octet is refused as truncated")
    func truncation() {
        for message in Self.samples() {
            let octets = message.serialized()
            for count in 0..<octets.count {
                let error = #expect(throws: MessageError.self) { try Message(parsing: Array(octets[..<count])) }
                #expect(error?.code == .truncated)
            }
        }
    }

    @Test("a message cut off at any octet, with a length to match, is read or refused")
    func truncationWithLength() {
        for message in Self.samples() {
            let octets = message.serialized()
            for count in 28..<octets.count { digest(withLength(Array(octets[..<count]))) }
        }
    }

    @Test("a chain cut off at any octet is refused")
    func truncatedChain() {
        for message in Self.samples() {
            // An SK payload is whatever remains; without it, each octet missing is a fault.
            let chain = Payload.serializeChain(message.payloads.dropLast())
            for count in 0..<chain.octets.count {
                #expect(throws: MessageError.self) {
                    try Payload.parseChain(first: chain.first, Array(chain.octets[..<count]), offset: 0)
                }
            }
        }
    }

    @Test("100,000 messages with some octets changed are read or refused")
    func mutation() {
        var generator = SeededGenerator(seed: 0xC1C5)
        let samples = Self.samples().map { $0.serialized() } + (0..<10).map { _ in generator.message().serialized() }
        var accepted = 0
        for _ in 0..<100_000 {
            var octets = generator.pick(samples)
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let at = Int.random(in: 0..<octets.count, using: &generator)
                octets[at] = generator.pick([0, 1, 2, 3, 4, 7, 8, 0x7F, 0x80, 0xFF, generator.number()])
            }
            octets[17] = 0x20
            if digest(withLength(octets)) { accepted += 1 }
        }
        // Most changes hit opaque data; a reader that refused everything would be caught here.
        #expect(accepted > 20_000 && accepted < 99_000)
    }

    @Test("messages with octets taken out or put in are read or refused")
    func splicing() {
        var generator = SeededGenerator(seed: 0x5B1)
        let samples = Self.samples().map { $0.serialized() }
        for _ in 0..<20_000 {
            var octets = generator.pick(samples)
            let at = Int.random(in: 28..<octets.count, using: &generator)
            if Bool.random(using: &generator) {
                octets.removeSubrange(at..<min(octets.count, at + Int.random(in: 1...9, using: &generator)))
            } else {
                octets.insert(contentsOf: generator.octets(1...9), at: at)
            }
            digest(withLength(octets))
        }
    }

    @Test("every kind of payload with a body of 0 to 64 octets is read or refused", arguments: 0...255)
    func everySize(type: Int) {
        var generator = SeededGenerator(seed: UInt64(type))
        let type = PayloadType(rawValue: UInt8(type))
        for count in 0...64 {
            let bodies = [
                [UInt8](repeating: 0, count: count), [UInt8](repeating: 0xFF, count: count),
                [UInt8](repeating: 1, count: count), (0..<count).map { UInt8($0) }, generator.octets(count...count),
            ]
            for body in bodies {
                let chain: [UInt8] = [0, 0, 0, UInt8(4 + count)] + body
                if let payloads = try? Payload.parseChain(first: type, chain, offset: 0) {
                    #expect(payloads.count == (type == PayloadType.none ? 0 : 1))
                }
            }
        }
    }

    @Test("every pair of octets in a sample's lengths and counts is read or refused")
    func everySixteenBitValue() {
        let message = Message(
            header: IKEHeader(
                initiatorSPI: 1, responderSPI: 2, exchangeType: .ikeAuth, flags: .initiator, messageID: 1),
            payloads: [
                .securityAssociation(
                    SecurityAssociationPayload(proposals: [
                        Proposal(
                            number: 1, protocolID: .esp, spi: [1, 2, 3, 4],
                            transforms: [Transform(type: .encryption, id: 20, keyLength: 256)])
                    ]))
            ])
        let octets = message.serialized()
        for at in 28..<octets.count - 1 {
            for value in stride(from: 0, through: 0xFFFF, by: 7) {
                var changed = octets
                changed[at] = UInt8(value >> 8)
                changed[at + 1] = UInt8(value & 0xFF)
                _ = try? Message(parsing: changed)
            }
        }
    }

    @Test(
        "the largest payload, filled with the smallest elements, is read in one pass",
        arguments: [
            (PayloadType.configuration, [UInt8](repeating: 0, count: 4), 4),
            (PayloadType.trafficSelectorInitiator, [0, 0, 0, 0], 4),
            (PayloadType.delete, [1, 0, 0xFF, 0xFF], 0),
        ])
    func smallestElements(type: PayloadType, head: [UInt8], stride: Int) {
        let count = stride == 0 ? 0 : (65535 - 8) / stride
        let element: [UInt8] = type == .configuration ? [0, 1, 0, 0] : [9, 0, 0, 4]
        let body = head + (0..<count).flatMap { _ in element }
        let length = 4 + body.count
        let chain: [UInt8] = [0, 0, UInt8(length >> 8), UInt8(length & 0xFF)] + body
        let payloads = try? Payload.parseChain(first: type, chain, offset: 0)
        switch payloads?.first {
        case .configuration(let configuration): #expect(configuration.attributes.count == count)
        case .delete(let deletion): #expect(deletion.spis.isEmpty)
        default: #expect(type == .trafficSelectorInitiator, "the count octet cannot announce that many")
        }
    }
}
