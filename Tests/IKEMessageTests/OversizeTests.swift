import IKEMessage
import Testing

/// Writing what the format has no room for: it is cut or left out as documented, and never traps.
@Suite struct OversizeTests {
    private func reread(_ payload: Payload) throws -> Payload? {
        let chain = Payload.serializeChain([payload])
        return try Payload.parseChain(first: chain.first, chain.octets, offset: 0).first
    }

    @Test("a body is cut at 65531 octets", arguments: [65530, 65531, 65532, 200_000])
    func longBody(count: Int) throws {
        let payload = try reread(.vendorID([UInt8](repeating: 1, count: count)))
        #expect(payload == .vendorID([UInt8](repeating: 1, count: min(count, 65531))))
    }

    @Test("an SPI is cut at 255 octets", arguments: [254, 255, 256, 70_000])
    func spi(count: Int) throws {
        let spi = [UInt8](repeating: 2, count: count)
        let kept = Array(spi.prefix(255))
        #expect(
            try reread(.notify(NotifyPayload(protocolID: .esp, spi: spi, type: .rekeySA, data: [])))
                == .notify(NotifyPayload(protocolID: .esp, spi: kept, type: .rekeySA, data: [])))
        let proposals = [Proposal(number: 1, protocolID: .esp, spi: spi, transforms: [])]
        guard
            case .securityAssociation(let payload) = try reread(
                .securityAssociation(SecurityAssociationPayload(proposals: proposals)))
        else {
            Issue.record("not an SA payload")
            return
        }
        #expect(payload.proposals.first?.spi == kept)
    }

    @Test("a proposal keeps its first 255 transforms", arguments: [254, 255, 256, 1000])
    func transforms(count: Int) throws {
        let transforms = (0..<count).map { Transform(type: .keyExchange, id: UInt16($0)) }
        let proposal = Proposal(number: 1, protocolID: .ike, spi: [], transforms: transforms)
        let kept = Proposal(number: 1, protocolID: .ike, spi: [], transforms: Array(transforms.prefix(255)))
        #expect(
            try reread(.securityAssociation(SecurityAssociationPayload(proposals: [proposal])))
                == .securityAssociation(SecurityAssociationPayload(proposals: [kept])))
    }

    @Test("a TS payload keeps its first 255 selectors", arguments: [254, 255, 256, 1000])
    func selectors(count: Int) throws {
        let selectors = (0..<count).map {
            WireTrafficSelector.unknown(RawTrafficSelector(type: .securityLabel, body: [UInt8($0 % 256)]))
        }
        #expect(
            try reread(.trafficSelectorsInitiator(TrafficSelectorPayload(selectors: selectors)))
                == .trafficSelectorsInitiator(TrafficSelectorPayload(selectors: Array(selectors.prefix(255)))))
    }

    @Test("a Delete leaves out SPIs of another size than the first")
    func deletion() throws {
        #expect(
            try reread(.delete(DeletePayload(protocolID: .esp, spis: [[1, 1, 1, 1], [2], [], [3, 3, 3, 3]])))
                == .delete(DeletePayload(protocolID: .esp, spis: [[1, 1, 1, 1], [3, 3, 3, 3]])))
    }

    @Test("a Delete of SPIs without octets is written as one without SPIs")
    func emptySPIs() throws {
        #expect(body(of: .delete(DeletePayload(protocolID: .ike, spis: [[], []]))) == "01000000")
    }

    @Test("oversize parts of every other kind are written without a trap")
    func everythingElse() {
        let large = [UInt8](repeating: 3, count: 70_000)
        for payload: Payload in [
            .keyExchange(KeyExchangePayload(method: 1, data: large)),
            .identificationInitiator(IdentificationPayload(type: .keyID, data: large)),
            .certificate(CertificatePayload(encoding: .x509Signature, data: large)),
            .configuration(
                ConfigurationPayload(type: .set, attributes: [.init(type: .init(rawValue: 0xFFFF), value: large)])),
            .eap(EAPPayload(code: .request, identifier: 1, data: large)),
            .securityAssociation(
                SecurityAssociationPayload(proposals: [
                    Proposal(
                        number: 1, protocolID: .ike, spi: [],
                        transforms: [
                            Transform(
                                type: .encryption, id: 1,
                                attributes: [.init(type: .init(rawValue: 0xFFFF), value: .variable(large))])
                        ])
                ])),
            .trafficSelectorsInitiator(
                TrafficSelectorPayload(selectors: [
                    .unknown(RawTrafficSelector(type: .securityLabel, body: large)),
                    .addressRange(
                        .init(
                            type: .ipv4AddressRange, ipProtocol: 0, firstPort: 0, lastPort: 0, firstAddress: large,
                            lastAddress: [])),
                ])),
            .encrypted(EncryptedPayload(innerFirst: .none, body: large)),
        ] {
            #expect(Payload.serializeChain([payload]).octets.count == 65535)
        }
        #expect(
            SignatureAuthenticationData(algorithmIdentifier: large, signature: [9]).serialized().count == 1 + 255 + 1)
    }

    @Test("a payload after SK is left out")
    func afterEncrypted() {
        let encrypted = Payload.encrypted(EncryptedPayload(innerFirst: .nonce, body: [1]))
        let alone = Payload.serializeChain([encrypted])
        let followed = Payload.serializeChain([encrypted, .vendorID([2])])
        #expect(alone.octets == followed.octets)
    }
}
