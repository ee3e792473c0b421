import IKEMessage
import Testing

/// Octets written by hand from the figures of RFC 7296 section 3: read to the right values, and written the same again.
@Suite struct PayloadLayoutTests {
    private func check(_ type: PayloadType, _ octets: String, is expected: Payload) throws {
        #expect(try parse(type, octets) == expected)
        #expect(body(of: expected) == octets.filter { $0 != " " })
        #expect(expected.type == type)
    }

    @Test("SA: two proposals with transforms and a key length (section 3.3)")
    func securityAssociation() throws {
        try check(
            .securityAssociation,
            """
            02 00 002c 01 01 00 04  03 00 000c 01 00 0014 800e 0100  03 00 0008 02 00 0005  03 00 0008 03 00 000c \
            00 00 0008 04 00 001f \
            00 00 0020 02 03 04 02 c0ffee01  03 00 000c 01 00 000c 800e 0080  00 00 0008 05 00 0001
            """,
            is: .securityAssociation(
                SecurityAssociationPayload(proposals: [
                    Proposal(
                        number: 1, protocolID: .ike, spi: [],
                        transforms: [
                            Transform(type: .encryption, id: 20, keyLength: 256),
                            Transform(type: .pseudorandomFunction, id: 5),
                            Transform(type: .integrity, id: 12),
                            Transform(type: .keyExchange, id: 31),
                        ]),
                    Proposal(
                        number: 2, protocolID: .esp, spi: [0xC0, 0xFF, 0xEE, 0x01],
                        transforms: [
                            Transform(type: .encryption, id: 12, keyLength: 128),
                            Transform(type: .sequenceNumbers, id: 1),
                        ]),
                ])))
    }

    @Test("SA: attributes of both forms, one without a value (section 3.3.5)")
    func attributes() throws {
        try check(
            .securityAssociation,
            "00 00 0023 01 01 00 01  00 00 001b 01 00 0014  800e 0100  0012 0003 a1a2a3  0011 0000  ffff 1234",
            is: .securityAssociation(
                SecurityAssociationPayload(proposals: [
                    Proposal(
                        number: 1, protocolID: .ike, spi: [],
                        transforms: [
                            Transform(
                                type: .encryption, id: 20,
                                attributes: [
                                    TransformAttribute(type: .keyLength, value: .short(256)),
                                    TransformAttribute(
                                        type: .signatureAlgorithmIdentifier, value: .variable([0xA1, 0xA2, 0xA3])),
                                    TransformAttribute(type: .init(rawValue: 17), value: .variable([])),
                                    TransformAttribute(type: .init(rawValue: 0x7FFF), value: .short(0x1234)),
                                ])
                        ])
                ])))
    }

    @Test("KE: method, two reserved octets, data (section 3.4)")
    func keyExchange() throws {
        try check(
            .keyExchange, "001f 0000 aabbcc",
            is: .keyExchange(KeyExchangePayload(method: 31, data: [0xAA, 0xBB, 0xCC])))
    }

    @Test("IDi, IDr: type, three reserved octets, data (section 3.5)")
    func identification() throws {
        let identity = IdentificationPayload(type: .fqdn, data: Array("gw.example".utf8))
        try check(.identificationInitiator, "02 000000 67772e6578616d706c65", is: .identificationInitiator(identity))
        try check(.identificationResponder, "02 000000 67772e6578616d706c65", is: .identificationResponder(identity))
    }

    @Test("CERT and CERTREQ: encoding, data (sections 3.6 and 3.7)")
    func certificate() throws {
        try check(
            .certificate, "04 3003020101",
            is: .certificate(CertificatePayload(encoding: .x509Signature, data: hex("3003020101"))))
        try check(
            .certificateRequest, "04 00112233445566778899aabbccddeeff00112233",
            is: .certificateRequest(
                CertificateRequestPayload(
                    encoding: .x509Signature, authorities: hex("00112233445566778899aabbccddeeff00112233"))))
    }

    @Test("AUTH: method, three reserved octets, data (section 3.8)")
    func authentication() throws {
        try check(
            .authentication, "02 000000 beef",
            is: .authentication(AuthenticationPayload(method: .sharedKey, data: [0xBE, 0xEF])))
    }

    @Test("Nonce: nothing but the nonce (section 3.9)")
    func nonce() throws {
        let octets = "000102030405060708090a0b0c0d0e0f"
        try check(.nonce, octets, is: .nonce(hex(octets)))
    }

    @Test("Notify: protocol, SPI size, type, SPI, data (section 3.10)")
    func notify() throws {
        try check(
            .notify, "03 04 4009 0a0b0c0d",
            is: .notify(NotifyPayload(protocolID: .esp, spi: [10, 11, 12, 13], type: .rekeySA, data: [])))
        try check(
            .notify, "00 00 0011 0013",
            is: .notify(NotifyPayload(protocolID: .none, spi: [], type: .invalidKEPayload, data: [0, 19])))
    }

    @Test("Delete: protocol, SPI size, number of SPIs, SPIs (section 3.11)")
    func delete() throws {
        try check(
            .delete, "03 04 0002 00000101 fffffffe",
            is: .delete(DeletePayload(protocolID: .esp, spis: [[0, 0, 1, 1], [0xFF, 0xFF, 0xFF, 0xFE]])))
        try check(.delete, "01 00 0000", is: .delete(DeletePayload(protocolID: .ike, spis: [])))
        try check(.delete, "02 04 0000", is: .delete(DeletePayload(protocolID: .ah, spis: [])))
    }

    @Test("Vendor ID: nothing but the ID (section 3.12)")
    func vendorID() throws {
        try check(.vendorID, "4379676e6574", is: .vendorID(Array("Cygnet".utf8)))
        try check(.vendorID, "", is: .vendorID([]))
    }

    @Test("TSi, TSr: number, three reserved octets, address ranges and others (section 3.13)")
    func trafficSelectors() throws {
        let selectors = TrafficSelectorPayload(selectors: [
            .addressRange(
                .init(
                    type: .ipv4AddressRange, ipProtocol: 6, firstPort: 80, lastPort: 90, firstAddress: [10, 1, 0, 0],
                    lastAddress: [10, 1, 255, 255])),
            .addressRange(
                .init(
                    type: .ipv6AddressRange, ipProtocol: 0, firstPort: 0, lastPort: 65535,
                    firstAddress: hex("20010db8000000000000000000000000"),
                    lastAddress: hex("20010db80000ffffffffffffffffffff"))),
            .unknown(RawTrafficSelector(type: .securityLabel, body: [0x73, 0x00])),
        ])
        let octets = """
            03 000000 07 06 0010 0050 005a 0a010000 0a01ffff \
            08 00 0028 0000 ffff 20010db8000000000000000000000000 20010db80000ffffffffffffffffffff 0a 00 0006 7300
            """
        try check(.trafficSelectorInitiator, octets, is: .trafficSelectorsInitiator(selectors))
        try check(.trafficSelectorResponder, octets, is: .trafficSelectorsResponder(selectors))
    }

    @Test("CP: type, three reserved octets, attributes, empty ones too (section 3.15)")
    func configuration() throws {
        try check(
            .configuration, "01 000000 0001 0000 0003 0004 c0000201",
            is: .configuration(
                ConfigurationPayload(
                    type: .request,
                    attributes: [
                        ConfigurationAttribute(type: .internalIP4Address, value: []),
                        ConfigurationAttribute(type: .internalIP4DNS, value: [192, 0, 2, 1]),
                    ])))
    }

    @Test("EAP: code, identifier, length, method and data (section 3.16)")
    func eap() throws {
        try check(.eap, "01 07 0005 01", is: .eap(EAPPayload(code: .request, identifier: 7, data: [1])))
        try check(.eap, "03 08 0004", is: .eap(EAPPayload(code: .success, identifier: 8, data: [])))
        #expect(EAPPayload(code: .response, identifier: 7, data: [13, 0]).method == 13)
        #expect(EAPPayload(code: .success, identifier: 7, data: [13, 0]).method == nil)
    }

    @Test("SK: the header's next payload is the first one inside, and ends the chain (section 3.14)")
    func encrypted() throws {
        let octets = message(first: "2e", "23 00 0008 deadbeef")
        let parsed = try Message(parsing: octets)
        #expect(
            parsed.payloads == [
                .encrypted(EncryptedPayload(innerFirst: .identificationInitiator, body: hex("deadbeef")))
            ])
        guard case .encrypted(let payload) = parsed.payloads.first else { return }
        #expect(payload.offset == 32)
        #expect(parsed.serialized() == octets)
    }

    @Test("SKF: fragment number and total before the sealed octets (RFC 7383 section 2.5)")
    func encryptedFragment() throws {
        let octets = message(first: "35", "00 00 000c 0002 0003 deadbeef")
        let parsed = try Message(parsing: octets)
        #expect(
            parsed.payloads == [
                .encryptedFragment(
                    EncryptedFragmentPayload(innerFirst: .none, number: 2, total: 3, body: hex("deadbeef")))
            ])
        guard case .encryptedFragment(let payload) = parsed.payloads.first else { return }
        #expect(payload.offset == 36)
        #expect(parsed.serialized() == octets)
    }

    @Test("payloads in clear may stand before an SK payload")
    func leading() throws {
        let octets = message(first: "29", "2e 00 0008 00 00 4006  28 00 0006 aabb")
        let parsed = try Message(parsing: octets)
        #expect(parsed.payloads.map(\.type) == [.notify, .encrypted])
        #expect(parsed.serialized() == octets)
    }

    @Test("method 14: length, AlgorithmIdentifier, signature (RFC 7427 section 3)")
    func signatureData() throws {
        // Ed25519's AlgorithmIdentifier (RFC 8420 appendix A.1).
        let data = try SignatureAuthenticationData(parsing: hex("07 300506032b6570 0102030405"))
        #expect(
            data == SignatureAuthenticationData(algorithmIdentifier: hex("300506032b6570"), signature: [1, 2, 3, 4, 5]))
        #expect(data.serialized() == hex("07 300506032b6570 0102030405"))
    }

    @Test("a whole IKE_SA_INIT request (section 1.2)")
    func saInit() throws {
        let octets = hex(
            """
            a1a2a3a4a5a6a7a8 0000000000000000 21 20 22 08 00000000 00000090 \
            22 00 0028 00 00 0024 01 01 00 03 03 00 000c 01 00 0014 800e 0100 03 00 0008 02 00 0005 00 00 0008 04 00 001f \
            28 00 0014 001f 0000 000102030405060708090a0b \
            29 00 0014 101112131415161718191a1b1c1d1e1f \
            2b 00 0008 00 00 402e  29 00 0010 00112233445566778899aabb 00 00 000c 00 00 402f 0002 0005
            """)
        let parsed = try Message(parsing: octets)
        #expect(parsed.header.exchangeType == .ikeSAInit)
        #expect(
            parsed.payloads.map(\.type) == [.securityAssociation, .keyExchange, .nonce, .notify, .vendorID, .notify])
        #expect(parsed.serialized() == octets)
    }
}
