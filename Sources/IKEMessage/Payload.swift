/// A payload of an IKE message (RFC 7296 section 3.2 and those after it).
public enum Payload: Hashable, Sendable {
    case securityAssociation(SecurityAssociationPayload)
    case keyExchange(KeyExchangePayload)
    case identificationInitiator(IdentificationPayload)
    case identificationResponder(IdentificationPayload)
    case certificate(CertificatePayload)
    case certificateRequest(CertificateRequestPayload)
    case authentication(AuthenticationPayload)
    /// 16 to 256 octets (RFC 7296 section 3.9).
    case nonce([UInt8])
    case notify(NotifyPayload)
    case delete(DeletePayload)
    case vendorID([UInt8])
    case trafficSelectorsInitiator(TrafficSelectorPayload)
    case trafficSelectorsResponder(TrafficSelectorPayload)
    case configuration(ConfigurationPayload)
    case eap(EAPPayload)
    /// SK: other payloads, sealed. Always the last payload of a message.
    case encrypted(EncryptedPayload)
    /// SKF: a fragment of other payloads, sealed. Always the last payload of a message.
    case encryptedFragment(EncryptedFragmentPayload)
    /// A payload of a type that is not one of the others.
    case unknown(RawPayload)

    public var type: PayloadType {
        switch self {
        case .securityAssociation: .securityAssociation
        case .keyExchange: .keyExchange
        case .identificationInitiator: .identificationInitiator
        case .identificationResponder: .identificationResponder
        case .certificate: .certificate
        case .certificateRequest: .certificateRequest
        case .authentication: .authentication
        case .nonce: .nonce
        case .notify: .notify
        case .delete: .delete
        case .vendorID: .vendorID
        case .trafficSelectorsInitiator: .trafficSelectorInitiator
        case .trafficSelectorsResponder: .trafficSelectorResponder
        case .configuration: .configuration
        case .eap: .eap
        case .encrypted: .encrypted
        case .encryptedFragment: .encryptedFragment
        case .unknown(let payload): payload.type
        }
    }
}

/// A payload that is kept as it came, for an extension to read or for nobody.
public struct RawPayload: Hashable, Sendable {
    public var type: PayloadType
    /// The critical bit: a receiver that does not know the type must refuse the message (RFC 7296 section 2.5).
    public var isCritical: Bool
    /// What follows the generic payload header.
    public var body: [UInt8]

    public init(type: PayloadType, isCritical: Bool = false, body: [UInt8]) {
        self.type = type
        self.isCritical = isCritical
        self.body = body
    }
}
