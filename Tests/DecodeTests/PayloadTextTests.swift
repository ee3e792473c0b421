import Decode
import IKEMessage
import Octets
import Testing

/// How payloads read; one family after the other.
struct PayloadTextTests {
    /// The lines of a payload, without the message's own.
    private static func text(_ payloads: [Payload]) -> [String] {
        let message = Message(header: SampleFrames.header(.informational, .initiator, 3), payloads: payloads)
        return SampleFrames.text(frames: [SealedSample.frame(message.serialized())]).dropFirst(2).map {
            String($0.dropFirst(4))
        }
    }

    private static func text(_ payload: Payload) -> [String] { text([payload]) }

    @Test("Proposals read with IANA's names, key lengths, SPIs, and numbers that have no name")
    func proposals() {
        let proposal = Proposal(
            number: 2, protocolID: .esp, spi: [0xC1, 0, 0, 5],
            transforms: [
                Transform(type: .encryption, id: 12, keyLength: 128), Transform(type: .integrity, id: 12),
                Transform(type: .additionalKeyExchange1, id: 36), Transform(type: .sequenceNumbers, id: 1),
                Transform(type: .encryption, id: 99),
                Transform(
                    type: TransformType(rawValue: 250), id: 2,
                    attributes: [TransformAttribute(type: .init(rawValue: 20), value: .variable([1, 2]))]),
            ])
        #expect(
            Self.text(.securityAssociation(SecurityAssociationPayload(proposals: [proposal]))) == [
                "SA: 1 proposal", "    proposal 2: ESP, SPI c1000005", "        ENCR: ENCR_AES_CBC_128",
                "        INTEG: AUTH_HMAC_SHA2_256_128", "        ADDKE1: ML_KEM_768",
                "        Sequence Numbers: Partially Transmitted 64-bit Sequential Numbers",
                "        ENCR: ENCR_UNKNOWN(99), 0x0063", "        PRIVATE(250, 0xfa): PRIVATE(250)_UNKNOWN(2), 0x0002",
                "            attribute: UNKNOWN(20, 0x0014), 2 octets, 0102",
            ])
    }

    @Test("Traffic selectors read as prefixes or ranges, with protocol and ports")
    func selectors() {
        func range(_ ipProtocol: UInt8, _ ports: (UInt16, UInt16), _ first: [UInt8], _ last: [UInt8])
            -> WireTrafficSelector
        {
            .addressRange(
                .init(
                    type: .ipv4AddressRange, ipProtocol: ipProtocol, firstPort: ports.0, lastPort: ports.1,
                    firstAddress: first,
                    lastAddress: last))
        }
        let payload = TrafficSelectorPayload(selectors: [
            range(0, (0, 65535), [10, 1, 0, 0], [10, 1, 255, 255]), range(6, (80, 80), [10, 1, 0, 1], [10, 1, 0, 9]),
            range(0, (0, 65535), [10, 1, 0, 9], [10, 1, 0, 1]),
            .unknown(RawTrafficSelector(type: .securityLabel, body: Array("system_u:x\u{1b}[1m".utf8))),
            .unknown(RawTrafficSelector(type: .securityLabel, body: Array("system_u:x\u{1b}[1m\0".utf8))),
            .unknown(RawTrafficSelector(type: .securityLabel, body: [0xff, 0xfe])),
            .unknown(RawTrafficSelector(type: TrafficSelectorType(rawValue: 241), body: [10, 12])),
            .unknown(RawTrafficSelector(type: TrafficSelectorType(rawValue: 241), body: [])),
            .unknown(RawTrafficSelector(type: TrafficSelectorType(rawValue: 242), body: [10])),
        ])
        #expect(
            Self.text(.trafficSelectorsInitiator(payload)) == [
                "TSi: 9 traffic selectors", "    TS_IPV4_ADDR_RANGE: 10.1.0.0/16",
                "    TS_IPV4_ADDR_RANGE: 10.1.0.1-10.1.0.9 tcp/80",
                "    TS_IPV4_ADDR_RANGE: 10.1.0.9-10.1.0.1 any/0-65535, out of order",
                "    TS_SECLABEL: \"system_u:x\\u{1b}[1m\", without a zero octet at its end",
                "    TS_SECLABEL: \"system_u:x\\u{1b}[1m\"", "    TS_SECLABEL: 2 octets, fffe",
                "    TS_DSCP, private number 241: 10, 12", "    TS_DSCP, private number 241: none",
                "    PRIVATE(242, 0xf2): 1 octet, 0a",
            ])
    }

    @Test("Identities read by their type, and octets that do not fit it as octets")
    func identities() {
        #expect(
            Self.text([
                .identificationInitiator(IdentificationPayload(type: .ipv4Address, data: [192, 0, 2, 1])),
                .identificationResponder(
                    IdentificationPayload(type: .rfc822Address, data: Array("a@example.org".utf8))),
                .identificationResponder(IdentificationPayload(type: .fqdn, data: [0xFF])),
                .identificationResponder(IdentificationPayload(type: .null, data: [])),
            ]) == [
                "IDi: ID_IPV4_ADDR 192.0.2.1", "IDr: ID_RFC822_ADDR a@example.org", "IDr: ID_FQDN",
                "    identification data: ff", "IDr: ID_NULL",
            ])
    }

    @Test("Configuration attributes read by their type")
    func configuration() {
        let attributes: [(ConfigurationAttributeType, [UInt8])] = [
            (.internalIP4Address, [10, 9, 0, 7]), (.internalIP4DNS, []),
            (.internalIP4Subnet, [10, 0, 0, 0, 255, 0, 0, 0]),
            (.internalIP6Address, [0xFD] + [UInt8](repeating: 0, count: 14) + [1, 64]),
            (.applicationVersion, Array("x 1".utf8)), (.internalDNSDomain, Array("corp.example".utf8)),
            (.encdnsIP4, [0, 1, 1, 3, 9, 9, 9, 9] + Array("dot".utf8)), (.internalIP4NBNS, [1, 2]),
            (ConfigurationAttributeType(rawValue: 999), [7]),
        ]
        let payload = ConfigurationPayload(
            type: .reply, attributes: attributes.map { ConfigurationAttribute(type: $0.0, value: $0.1) })
        #expect(
            Self.text(.configuration(payload)) == [
                "CP: CFG_REPLY", "    INTERNAL_IP4_ADDRESS: 10.9.0.7", "    INTERNAL_IP4_DNS",
                "    INTERNAL_IP4_SUBNET: 10.0.0.0/8", "    INTERNAL_IP6_ADDRESS: fd00::1/64",
                "    APPLICATION_VERSION: \"x 1\"", "    INTERNAL_DNS_DOMAIN: \"corp.example\"", "    ENCDNS_IP4",
                "        service priority: 1", "        address: 9.9.9.9",
                "        authentication domain name: \"dot\"",
                "    INTERNAL_IP4_NBNS: 2 octets, 0102", "    UNKNOWN(999, 0x03e7): 1 octet, 07",
            ])
    }

    @Test("What RFC 9464 adds reads whole: service parameters, wanted hash algorithms, digests with and without a name")
    func encryptedDNS() {
        let parameters: [UInt8] =
            [0, 1, 0, 7, 3] + Array("dot".utf8) + [2] + Array("h2".utf8) + [0, 3, 0, 2, 0x22, 0x95]
        let attributes: [(ConfigurationAttributeType, [UInt8])] = [
            (
                .encdnsIP6,
                [0, 2, 1, 5] + [0x20, 1, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [0x35] + Array("d.org".utf8)
                    + parameters
            ),
            (.encdnsIP4, [0, 1, 0, 0, 0, 3, 0, 9, 1]),
            (.encdnsDigestInfo, [2, 0, 0, 2, 0, 99]), (.encdnsDigestInfo, [1, 0, 0, 2] + [7, 8, 9]),
            (.encdnsDigestInfo, [1, 5] + Array("d.org".utf8) + [0, 4] + [7, 8, 9]), (.encdnsDigestInfo, [3, 1, 1]),
        ]
        let payload = ConfigurationPayload(
            type: .reply, attributes: attributes.map { ConfigurationAttribute(type: $0.0, value: $0.1) })
        #expect(
            Self.text(.configuration(payload)) == [
                "CP: CFG_REPLY", "    ENCDNS_IP6", "        service priority: 2", "        address: 2001:db8::35",
                "        authentication domain name: \"d.org\"", "        service parameters: alpn=dot,h2 port=8853",
                "    ENCDNS_IP4", "        service priority: 1", "        authentication domain name: \"\"",
                "        service parameters: 5 octets, 0003000901",
                "    ENCDNS_DIGEST_INFO: SHA2-256, UNKNOWN(99, 0x0063)",
                "    ENCDNS_DIGEST_INFO", "        hash algorithm: SHA2-256",
                "        certificate digest: 3 octets, 070809",
                "    ENCDNS_DIGEST_INFO", "        authentication domain name: \"d.org\"",
                "        hash algorithm: SHA2-512", "        certificate digest: 3 octets, 070809",
                "    ENCDNS_DIGEST_INFO: 3 octets, 030101",
            ])
    }

    @Test("Deletions, EAP, vendor IDs and payloads of unknown types read")
    func others() {
        #expect(
            Self.text([
                .delete(DeletePayload(protocolID: .ike, spis: [])),
                .delete(DeletePayload(protocolID: .esp, spis: [[0xC1, 0, 0, 5]])),
                .eap(EAPPayload(code: .response, identifier: 4, data: [1] + Array("carol".utf8))),
                .eap(EAPPayload(code: .success, identifier: 5, data: [])), .vendorID(Array("OpenIKED".utf8)),
                .vendorID([1, 2]),
                .unknown(RawPayload(type: PayloadType(rawValue: 200), isCritical: true, body: [1])),
            ]) == [
                "Delete: this IKE SA", "Delete: ESP, 1 SPI", "    SPI: c1000005", "EAP: Response 4, Identity",
                "    identity: \"carol\"", "EAP: Success 5", "Vendor ID: 8 octets", "    text: \"OpenIKED\"",
                "Vendor ID: 2 octets", "    octets: 0102", "PRIVATE(200, 0xc8): 1 octets, critical", "    octets: 01",
            ])
    }

    @Test("Long octets are cut in text, and whole in JSON")
    func longOctets() throws {
        let message = Message(
            header: SampleFrames.header(.ikeSAInit, .initiator, 0),
            payloads: [.keyExchange(KeyExchangePayload(method: 35, data: [UInt8](repeating: 0xAB, count: 800)))])
        let entry = try #require(try SampleFrames.entries(frames: [SealedSample.frame(message.serialized())]).first)
        #expect(EntryText.lines(entry).last?.hasSuffix("abab…") == true)
        #expect(EntryJSON.line(entry).contains(String(repeating: "ab", count: 800)))
    }
}
