import IKEMessage
import Testing

@Suite struct RoundTripTests {
    @Test("a message with a payload of each kind is read back as it was written", arguments: 0..<200)
    func everyKind(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        for last in SeededGenerator.lastPayloadKinds {
            let payloads = SeededGenerator.payloadKinds.map { $0(&generator) } + [last(&generator)]
            let message = generator.message(of: payloads)
            let octets = message.serialized()
            let parsed = try Message(parsing: octets)
            #expect(parsed == message)
            #expect(parsed.serialized() == octets)
        }
    }

    @Test("random messages are read back as they were written, octet for octet")
    func randomMessages() throws {
        var generator = SeededGenerator(seed: 7296)
        for _ in 0..<3000 {
            let message = generator.message()
            let octets = message.serialized()
            let parsed = try Message(parsing: octets)
            #expect(parsed == message)
            #expect(parsed.serialized() == octets)
        }
    }

    @Test("a chain of payloads is read back whatever the order of its payloads")
    func anyOrder() throws {
        var generator = SeededGenerator(seed: 2)
        var payloads = SeededGenerator.payloadKinds.map { $0(&generator) }
        for _ in 0..<200 {
            payloads.shuffle(using: &generator)
            let chain = Payload.serializeChain(payloads)
            #expect(chain.first == payloads[0].type)
            #expect(try Payload.parseChain(first: chain.first, chain.octets, offset: 0) == payloads)
        }
    }

    @Test("an empty chain has no octets and no first payload")
    func emptyChain() throws {
        let chain = Payload.serializeChain([])
        #expect(chain.first == PayloadType.none)
        #expect(chain.octets.isEmpty)
        #expect(try Payload.parseChain(first: .none, [], offset: 32).isEmpty)
    }

    @Test("the prefix of a protected message, with its body, is the message", arguments: [0, 1, 57, 1400])
    func prefix(bodyLength: Int) throws {
        var generator = SeededGenerator(seed: 14)
        let body = generator.octets(bodyLength...bodyLength)
        let header = generator.message(of: []).header
        for leading in [[], [Payload.vendorID([1, 2, 3]), .nonce(generator.octets(16...16))]] {
            let sealed: [(PayloadType, (number: UInt16, total: UInt16)?, Payload)] = [
                (.encrypted, nil, .encrypted(EncryptedPayload(innerFirst: .notify, body: body))),
                (
                    .encryptedFragment, (2, 5),
                    .encryptedFragment(
                        EncryptedFragmentPayload(innerFirst: .notify, number: 2, total: 5, body: body))
                ),
            ]
            for (type, fragment, payload) in sealed {
                let prefix = Message.encryptedPrefix(
                    header: header, leading: leading, type: type, innerFirst: .notify, fragment: fragment,
                    bodyLength: bodyLength)
                #expect(prefix + body == Message(header: header, payloads: leading + [payload]).serialized())
                let offset =
                    switch try Message(parsing: prefix + body).payloads.last {
                    case .encrypted(let encrypted): encrypted.offset
                    case .encryptedFragment(let fragment): fragment.offset
                    default: -1
                    }
                #expect(offset == prefix.count)
            }
        }
    }
}
