import IKEMessage
import Testing

/// Malformed payloads: each is refused, with the payload and the octet of the field at fault.
@Suite struct RefusalTests {
    /// A body, counted from octet 4 as in a chain of one payload, and where it is at fault.
    struct Fault: Sendable, CustomTestStringConvertible {
        let type: PayloadType
        let body: String
        let offset: Int
        let field: String
        var code = MessageError.Code.invalidSyntax

        init(
            _ type: PayloadType, _ body: String, at offset: Int, _ field: String,
            _ code: MessageError.Code = .invalidSyntax
        ) {
            self.type = type
            self.body = body
            self.offset = offset
            self.field = field
            self.code = code
        }

        var testDescription: String { "\(type): \(body)" }
    }

    @Test(
        "a malformed body is refused with its payload and octet",
        arguments: [
            // Lengths below their own header.
            Fault(.securityAssociation, "00 00 0000 01 01 00 00", at: 6, "proposal length"),
            Fault(.securityAssociation, "00 00 0003 01 01 00 00", at: 6, "proposal length"),
            Fault(.securityAssociation, "00 00 0004 01 01 00 00", at: 8, "proposal number", .truncated),
            Fault(.securityAssociation, "00 00 0007 01 01 00 00", at: 11, "number of transforms", .truncated),
            Fault(.securityAssociation, "00 00 0010 01 01 00 01 00 00 0003 04 00 001f", at: 14, "transform length"),
            Fault(
                .securityAssociation, "00 00 0010 01 01 00 01 00 00 0007 04 00 001f", at: 18, "transform ID", .truncated
            ),
            Fault(.trafficSelectorInitiator, "01 000000 0a 00 0003", at: 10, "traffic selector length"),
            Fault(.trafficSelectorInitiator, "01 000000 07 00 0000", at: 10, "traffic selector length"),
            Fault(.eap, "01 01 0003", at: 6, "EAP length"),
            Fault(.eap, "01 01 0000 01", at: 6, "EAP length"),

            // Lengths beyond what contains them.
            Fault(.securityAssociation, "00 00 0009 01 01 00 00", at: 6, "proposal length", .truncated),
            Fault(.securityAssociation, "00 00 ffff 01 01 00 00", at: 6, "proposal length", .truncated),
            Fault(
                .securityAssociation, "00 00 0010 01 01 00 01 00 00 0009 04 00 001f", at: 14, "transform length",
                .truncated),
            Fault(.securityAssociation, "00 00 0008 01 01 ff 00", at: 12, "SPI", .truncated),
            Fault(
                .securityAssociation, "00 00 0014 01 01 00 01 00 00 000c 01 00 0014 0012 0001", at: 24,
                "attribute value", .truncated),
            Fault(
                .securityAssociation, "00 00 0012 01 01 00 01 00 00 000a 01 00 0014 800e", at: 22, "attribute value",
                .truncated),
            Fault(
                .securityAssociation, "00 00 0011 01 01 00 01 00 00 0009 01 00 0014 80", at: 20, "attribute type",
                .truncated),
            Fault(
                .securityAssociation, "00 00 0015 01 01 00 01 00 00 000d 01 00 0014 800e 0100 0f", at: 24,
                "attribute type", .truncated),
            Fault(
                .trafficSelectorInitiator, "01 000000 07 00 0010 0000 ffff 0a000000 0a0000", at: 10,
                "traffic selector length", .truncated),
            Fault(.configuration, "01 000000 0001 0001", at: 12, "attribute value", .truncated),
            Fault(.configuration, "01 000000 0001 00", at: 10, "attribute length", .truncated),
            Fault(.eap, "01 01 0006 01", at: 6, "EAP length", .truncated),
            Fault(.notify, "03 04 4009 0a0b0c", at: 8, "SPI", .truncated),

            // Counts that do not fit, marks that lie.
            Fault(.securityAssociation, "00 00 0010 01 01 00 02 00 00 0008 04 00 001f", at: 11, "number of transforms"),
            Fault(.securityAssociation, "00 00 0010 01 01 00 00 00 00 0008 04 00 001f", at: 11, "number of transforms"),
            Fault(.securityAssociation, "00 00 0008 01 01 00 01", at: 11, "number of transforms"),
            Fault(.securityAssociation, "00 00 0010 01 01 00 01 03 00 0008 04 00 001f", at: 20, "transform"),
            Fault(
                .securityAssociation, "00 00 0018 01 01 00 02 00 00 0008 04 00 001f 00 00 0008 04 00 001f", at: 20,
                "transform"),
            Fault(.securityAssociation, "00 00 0010 01 01 00 01 02 00 0008 04 00 001f", at: 12, "last transform mark"),
            Fault(.securityAssociation, "02 00 0008 01 01 00 00", at: 12, "proposal"),
            Fault(.securityAssociation, "00 00 0008 01 01 00 00 00 00 0008 02 01 00 00", at: 12, "proposal"),
            Fault(.securityAssociation, "03 00 0008 01 01 00 00", at: 4, "last proposal mark"),
            Fault(.securityAssociation, "00", at: 5, "reserved octet of the proposal", .truncated),
            Fault(
                .trafficSelectorInitiator, "00 000000 07 00 0010 0000 ffff 0a000000 0a0000ff", at: 4,
                "number of traffic selectors"),
            Fault(
                .trafficSelectorResponder, "02 000000 07 00 0010 0000 ffff 0a000000 0a0000ff", at: 4,
                "number of traffic selectors"),
            Fault(
                .trafficSelectorInitiator, "01 000000 07 00 0011 0000 ffff 0a000000 0a0000ff 00", at: 10,
                "traffic selector length"),
            Fault(
                .trafficSelectorInitiator, "01 000000 08 00 0010 0000 ffff 0a000000 0a0000ff", at: 10,
                "traffic selector length"),
            Fault(.delete, "03 04 0001 00000101 02", at: 6, "number of SPIs"),
            Fault(.delete, "03 04 0002 00000101", at: 6, "number of SPIs"),
            Fault(.delete, "03 04 ffff", at: 6, "number of SPIs"),
            Fault(.delete, "03 00 0001", at: 5, "SPI size"),
            Fault(.delete, "03 00 ffff", at: 5, "SPI size"),
            Fault(.delete, "03 08 0001 0000000000000001", at: 5, "SPI size"),
            Fault(.delete, "01 08 0001 0000000000000001", at: 5, "SPI size"),
            Fault(.delete, "01 00 0000 00", at: 6, "number of SPIs"),
            Fault(.delete, "63 00 ffff", at: 5, "SPI size"),
            Fault(.delete, "63 04 0000", at: 5, "SPI size"),
            Fault(.eap, "01 01 0005 01 00", at: 9, "end of the payload"),
            Fault(.eap, "01 01 0004", at: 6, "EAP length"),
            Fault(.eap, "03 01 0005 00", at: 6, "EAP length"),
            Fault(.encryptedFragment, "0000 0001", at: 4, "fragment number"),
            Fault(.encryptedFragment, "0000 0000", at: 4, "fragment number"),
            Fault(.encryptedFragment, "0001 0000", at: 4, "fragment number"),
            Fault(.encryptedFragment, "0003 0002", at: 4, "fragment number"),

            // Fixed parts cut off.
            Fault(.keyExchange, "001f 00", at: 6, "reserved octets", .truncated),
            Fault(.identificationResponder, "02 0000", at: 4, "ID type", .truncated),
            Fault(.certificate, "", at: 4, "certificate encoding", .truncated),
            Fault(.certificateRequest, "", at: 4, "certificate encoding", .truncated),
            Fault(.authentication, "02 0000", at: 5, "reserved octets", .truncated),
            Fault(.nonce, "000102030405060708090a0b0c0d0e", at: 4, "nonce"),
            Fault(.nonce, "", at: 4, "nonce"),
            Fault(.notify, "00 00 40", at: 6, "notify message type", .truncated),
            Fault(.delete, "01 00 00", at: 6, "number of SPIs", .truncated),
            Fault(.encryptedFragment, "0001 00", at: 6, "total fragments", .truncated),
        ])
    func fault(fault: Fault) {
        let error = #expect(throws: MessageError.self) { try parse(fault.type, fault.body) }
        #expect(error?.code == fault.code)
        #expect(error?.payload == fault.type)
        #expect(error?.offset == fault.offset)
        #expect(error?.reason.hasPrefix(fault.field + ":") == true, "\(error?.reason ?? "")")
    }

    @Test("a payload length below its own header is refused", arguments: ["0000", "0001", "0002", "0003"])
    func payloadLength(length: String) {
        let error = #expect(throws: MessageError.self) {
            try Message(parsing: message(first: "2b", "00 00 \(length) aabb"))
        }
        #expect(error?.code == .invalidSyntax)
        #expect(error?.payload == .vendorID)
        #expect(error?.offset == 30)
    }

    @Test("a payload length beyond the message is refused", arguments: ["0007", "7fff", "8000", "ffff"])
    func payloadBeyondMessage(length: String) {
        let error = #expect(throws: MessageError.self) {
            try Message(parsing: message(first: "2b", "00 00 \(length) aabb"))
        }
        #expect(error?.code == .truncated)
        #expect(error?.payload == .vendorID)
        #expect(error?.offset == 30)
    }

    @Test("a chain that announces a payload which is not there is refused")
    func missingPayload() {
        let error = #expect(throws: MessageError.self) { try Message(parsing: message(first: "2b", "29 00 0006 aabb")) }
        #expect(error?.code == .truncated)
        #expect(error?.payload == .notify)
        #expect(error?.offset == 34)
    }

    @Test("octets after the last payload are refused")
    func trailingOctets() {
        let error = #expect(throws: MessageError.self) {
            try Message(parsing: message(first: "2b", "00 00 0006 aabb cc"))
        }
        #expect(error?.code == .invalidSyntax)
        #expect(error?.payload == nil)
        #expect(error?.offset == 34)
    }

    @Test(
        "a payload after SK or SKF is refused", arguments: [("2e", PayloadType.encrypted), ("35", .encryptedFragment)])
    func payloadAfterEncrypted(first: String, type: PayloadType) {
        let octets = message(first: first, "2b 00 0008 00010001 00 00 0006 aabb")
        let error = #expect(throws: MessageError.self) { try Message(parsing: octets) }
        #expect(error?.code == .invalidSyntax)
        #expect(error?.payload == type)
        #expect(error?.offset == 36)
    }

    @Test(
        "a nonce has 16 to 256 octets",
        arguments: [(15, false), (16, true), (17, true), (255, true), (256, true), (257, false)])
    func nonceLength(count: Int, isAccepted: Bool) {
        let chain = Payload.serializeChain([.nonce([UInt8](repeating: 7, count: count))])
        let payloads = try? Payload.parseChain(first: .nonce, chain.octets, offset: 0)
        #expect((payloads != nil) == isAccepted)
    }

    @Test("a message has at most 128 payloads", arguments: [(127, true), (128, true), (129, false), (5000, false)])
    func payloadLimit(count: Int, isAccepted: Bool) {
        let chain = Payload.serializeChain([Payload](repeating: .vendorID([]), count: count))
        do {
            let payloads = try Payload.parseChain(first: chain.first, chain.octets, offset: 0)
            #expect(isAccepted && payloads.count == count)
        } catch {
            #expect(!isAccepted)
            #expect(error.code == .tooManyPayloads)
            #expect(error.offset == 128 * 4)
        }
    }

    @Test("a chain inside a message counts its offsets from where it was told")
    func innerOffset() {
        let error = #expect(throws: MessageError.self) {
            try Payload.parseChain(first: .delete, hex("00 00 0008 03 00 0001"), offset: 100)
        }
        #expect(error?.offset == 105)
    }

    @Test("the description names payload, octet, field and fault")
    func description() {
        let error = #expect(throws: MessageError.self) {
            try Message(parsing: message(first: "21", "00 00 000c 00 00 0009 01 01 00 00"))
        }
        #expect(
            error?.description
                == "SA payload, octet 34: proposal length: 9 octets, but only 8 are left")
        let short = #expect(throws: MessageError.self) { try Message(parsing: [1, 2, 3]) }
        #expect(short?.description == "message, octet 0: initiator's SPI: needs 8 octets, 3 left")
    }

    @Test(
        "malformed signature authentication data are refused (RFC 7427 section 3)",
        arguments: [
            ("", 0, .truncated), ("00", 0, .invalidSyntax), ("00 0102", 0, .invalidSyntax), ("01", 1, .truncated),
            ("ff 0102", 1, .truncated), ("02 0102", 3, .invalidSyntax),
        ] as [(String, Int, MessageError.Code)])
    func signatureData(octets: String, offset: Int, code: MessageError.Code) {
        let error = #expect(throws: MessageError.self) { try SignatureAuthenticationData(parsing: hex(octets)) }
        #expect(error?.code == code)
        #expect(error?.payload == .authentication)
        #expect(error?.offset == offset)
    }

    @Test(
        "key hashes of a certificate request come whole or not at all",
        arguments: [(0, 0), (20, 1), (60, 3), (19, nil), (21, nil), (41, nil)])
    func keyHashes(octets: Int, count: Int?) {
        let request = CertificateRequestPayload(
            encoding: .x509Signature, authorities: (0..<octets).map { UInt8($0 / 20) })
        #expect(request.keyHashes?.count == count)
        for (index, hash) in (request.keyHashes ?? []).enumerated() {
            #expect(hash == [UInt8](repeating: UInt8(index), count: 20))
        }
    }
}
