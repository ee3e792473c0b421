import IKEMessage
import Testing

/// What RFC 7296 tells a receiver to ignore, and what is kept although nobody here knows it.
@Suite struct ToleranceTests {
    @Test(
        "reserved octets are ignored (RFC 7296 section 3)",
        arguments: [
            (.keyExchange, "001f ffff aa", "001f 0000 aa"),
            (.authentication, "02 ffffff bb", "02 000000 bb"),
            (.configuration, "01 ffffff 8001 0000", "01 000000 0001 0000"),
            (
                .trafficSelectorInitiator, "01 ffffff 07 00 0010 0000 ffff 0a000000 0a0000ff",
                "01 000000 07 00 0010 0000 ffff 0a000000 0a0000ff"
            ),
            (
                .securityAssociation, "00 ff 0010 01 01 00 01 00 ff 0008 04 ff 001f",
                "00 00 0010 01 01 00 01 00 00 0008 04 00 001f"
            ),
        ] as [(PayloadType, String, String)])
    func reserved(type: PayloadType, received: String, clean: String) throws {
        #expect(try parse(type, received) == parse(type, clean))
    }

    @Test("reserved bits beside the critical bit, and the critical bit of a known payload, are ignored (section 3.2)")
    func genericHeader() throws {
        let clean = try Message(parsing: message(first: "2b", "00 00 0006 aabb"))
        for bits in ["7f", "80", "ff"] {
            #expect(try Message(parsing: message(first: "2b", "00 \(bits) 0006 aabb")) == clean)
        }
    }

    @Test("the reserved octets of an identification stay, as AUTH covers them (section 2.15)")
    func identificationReserved() throws {
        guard case .identificationInitiator(let identity) = try parse(.identificationInitiator, "02 010203 61") else {
            Issue.record("not an identification")
            return
        }
        #expect(identity.serializedBody == hex("02 010203 61"))
        #expect(IdentificationPayload(type: .fqdn, data: [0x61]).serializedBody == hex("02 000000 61"))
    }

    @Test("an unknown payload that is not critical is kept (section 2.5)")
    func unknownPayload() throws {
        let octets = message(first: "c8", "2b 00 0007 010203 00 00 0005 99")
        let parsed = try Message(parsing: octets)
        #expect(
            parsed.payloads == [
                .unknown(RawPayload(type: .init(rawValue: 200), body: [1, 2, 3])), .vendorID([0x99]),
            ])
        #expect(parsed.serialized() == octets)
    }

    @Test("an unknown payload that is critical is reported with its type (section 2.5)")
    func unknownCriticalPayload() throws {
        let octets = message(first: "2b", "c8 00 0004 00 80 0005 01")
        let error = #expect(throws: MessageError.self) { try Message(parsing: octets) }
        #expect(error?.code == .unsupportedCriticalPayload(.init(rawValue: 200)))
        #expect(error?.payload == .init(rawValue: 200))
        #expect(error?.offset == 32)
    }

    @Test("a critical payload that the caller understands is kept, critical bit and all")
    func understoodCriticalPayload() throws {
        let octets = message(first: "c8", "00 80 0005 01")
        let parsed = try Message(parsing: octets, understanding: [.init(rawValue: 200)])
        #expect(parsed.payloads == [.unknown(RawPayload(type: .init(rawValue: 200), isCritical: true, body: [1]))])
        #expect(parsed.serialized() == octets)
    }

    @Test("payload types of documents that are not built in are unknown", arguments: [49, 50, 51, 52, 54] as [UInt8])
    func otherDocuments(type: UInt8) throws {
        let type = PayloadType(rawValue: type)
        #expect(try parse(type, "0102") == .unknown(RawPayload(type: type, body: [1, 2])))
    }

    @Test("what is behind the innerFirst of an SK payload is not looked for")
    func encryptedEnds() throws {
        let parsed = try Message(parsing: message(first: "2e", "c8 80 0004"))
        #expect(parsed.payloads == [.encrypted(EncryptedPayload(innerFirst: .init(rawValue: 200), body: []))])
    }

    @Test("numbers without a name survive in every registry field")
    func unknownNumbers() throws {
        for (type, octets) in [
            (.securityAssociation, "00000014fdfa0001000000 0c f0 00 fffe 80630001"), (.keyExchange, "fffe0000"),
            (.identificationInitiator, "fe000000"), (.certificate, "fe"), (.certificateRequest, "fe"),
            (.authentication, "fe000000"), (.notify, "fe00fffe"), (.notify, "fe002fff"), (.delete, "fe 01 0001 aa"),
            (.trafficSelectorResponder, "01000000 fe070004"), (.configuration, "fe000000 7ffe0000"),
            (.eap, "fe 00 0004"),
        ] as [(PayloadType, String)] {
            let payload = try #require(try parse(type, octets))
            #expect(body(of: payload) == octets.filter { $0 != " " })
        }
    }

    @Test("a Delete of the IKE SA may say one SPI of no octets (section 3.11)")
    func deleteIKE() throws {
        #expect(try parse(.delete, "01 00 0001") == .delete(DeletePayload(protocolID: .ike, spis: [])))
    }

    @Test("a notification of each type, with data and a protocol nobody defined, is read")
    func notifications() throws {
        for type in NotifyType.names.keys {
            let notify = NotifyPayload(protocolID: .init(rawValue: 99), spi: [1], type: type, data: [2, 3])
            let chain = Payload.serializeChain([.notify(notify), .notify(notify)])
            #expect(
                try Payload.parseChain(first: .notify, chain.octets, offset: 0) == [.notify(notify), .notify(notify)])
        }
    }
}
