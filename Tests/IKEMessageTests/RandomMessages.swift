import IKEMessage

// Well-formed payloads of every kind, with random contents.

extension SeededGenerator {
    /// One way to make each kind of payload that may stand anywhere in a chain.
    static let payloadKinds: [@Sendable (inout SeededGenerator) -> Payload] = [
        { .securityAssociation(SecurityAssociationPayload(proposals: $0.list(0...4) { $0.proposal() })) },
        { .keyExchange(KeyExchangePayload(method: $0.number(), data: $0.octets(0...300))) },
        { .identificationInitiator($0.identification()) },
        { .identificationResponder($0.identification()) },
        { .certificate(CertificatePayload(encoding: .init(rawValue: $0.number()), data: $0.octets(0...300))) },
        {
            .certificateRequest(
                CertificateRequestPayload(encoding: .init(rawValue: $0.number()), authorities: $0.octets(0...100)))
        },
        { .authentication(AuthenticationPayload(method: .init(rawValue: $0.number()), data: $0.octets(0...300))) },
        { .nonce($0.octets(16...256)) },
        {
            .notify(
                NotifyPayload(
                    protocolID: .init(rawValue: $0.number()), spi: $0.octets(0...8), type: .init(rawValue: $0.number()),
                    data: $0.octets(0...64)))
        },
        { .delete($0.deletion()) },
        { .vendorID($0.octets(0...40)) },
        { .trafficSelectorsInitiator($0.selectors()) },
        { .trafficSelectorsResponder($0.selectors()) },
        {
            .configuration(
                ConfigurationPayload(
                    type: .init(rawValue: $0.number()), attributes: $0.list(0...6) { $0.configurationAttribute() }))
        },
        { .eap($0.eap()) },
        {
            .unknown(
                RawPayload(type: .init(rawValue: $0.pick([1, 32, 49, 50, 54, 127, 128, 255])), body: $0.octets(0...50)))
        },
    ]

    static let lastPayloadKinds: [@Sendable (inout SeededGenerator) -> Payload] = [
        { .encrypted(EncryptedPayload(innerFirst: .init(rawValue: $0.number()), body: $0.octets(0...200))) },
        {
            let number = UInt16.random(in: 1...UInt16.max, using: &$0)
            return .encryptedFragment(
                EncryptedFragmentPayload(
                    innerFirst: .init(rawValue: $0.number()), number: number,
                    total: UInt16.random(in: number...UInt16.max, using: &$0), body: $0.octets(0...200)))
        },
    ]

    mutating func message(payloads count: ClosedRange<Int> = 0...8) -> Message {
        var payloads = list(count) { generator in generator.pick(Self.payloadKinds)(&generator) }
        if Bool.random(using: &self) { payloads.append(pick(Self.lastPayloadKinds)(&self)) }
        return message(of: payloads)
    }

    /// A message whose header would be read as it is here.
    mutating func message(of payloads: [Payload]) -> Message {
        var header = IKEHeader(
            initiatorSPI: number(), responderSPI: number(), exchangeType: .init(rawValue: number()),
            flags: .init(rawValue: number()), messageID: number())
        header.minorVersion = UInt8.random(in: 0...15, using: &self)
        header.nextPayload = payloads.first?.type ?? .none
        header.length = UInt32(Message(header: header, payloads: payloads).serialized().count)
        return Message(header: header, payloads: payloads)
    }

    private mutating func proposal() -> Proposal {
        Proposal(
            number: number(), protocolID: .init(rawValue: number()), spi: octets(0...8),
            transforms: list(0...8) { generator in
                Transform(
                    type: .init(rawValue: generator.number()), id: generator.number(),
                    attributes: generator.list(0...3) { $0.transformAttribute() })
            })
    }

    private mutating func transformAttribute() -> TransformAttribute {
        TransformAttribute(
            type: .init(rawValue: UInt16.random(in: 0...0x7FFF, using: &self)),
            value: Bool.random(using: &self) ? .short(number()) : .variable(octets(0...12)))
    }

    private mutating func identification() -> IdentificationPayload {
        IdentificationPayload(type: .init(rawValue: number()), data: octets(0...80))
    }

    private mutating func deletion() -> DeletePayload {
        switch Int.random(in: 0...2, using: &self) {
        case 0: DeletePayload(protocolID: .ike, spis: [])
        case 1: DeletePayload(protocolID: pick([.esp, .ah]), spis: list(0...5) { $0.octets(4...4) })
        default:
            DeletePayload(protocolID: .gikeUpdate, spis: list(0...5) { $0.octets(16...16) })
        }
    }

    private mutating func selectors() -> TrafficSelectorPayload {
        TrafficSelectorPayload(
            selectors: list(0...5) { generator in
                let type = generator.pick([7, 7, 8, 8, 9, 10, 241] as [UInt8])
                guard type <= 8 else {
                    return .unknown(
                        RawTrafficSelector(
                            type: .init(rawValue: type), second: generator.number(), body: generator.octets(0...30)))
                }
                let size = type == 7 ? 4 : 16
                return .addressRange(
                    .init(
                        type: .init(rawValue: type), ipProtocol: generator.number(), firstPort: generator.number(),
                        lastPort: generator.number(), firstAddress: generator.octets(size...size),
                        lastAddress: generator.octets(size...size)))
            })
    }

    private mutating func configurationAttribute() -> ConfigurationAttribute {
        ConfigurationAttribute(
            type: .init(rawValue: UInt16.random(in: 0...0x7FFF, using: &self)), value: octets(0...17))
    }

    private mutating func eap() -> EAPPayload {
        let code: EAPCode = pick([.request, .response, .success, .failure, .init(rawValue: 9)])
        let data: [UInt8] =
            switch code {
            case .request, .response: octets(1...40)
            case .success, .failure: []
            default: octets(0...40)
            }
        return EAPPayload(code: code, identifier: number(), data: data)
    }
}
