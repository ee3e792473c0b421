import Octets

/// How the headers of payloads are written within what an IKE SA protects. Outside of that they are always classic.
public enum PayloadFormat: String, Hashable, Sendable {
    /// Four octets, and payloads below 64 KiB (RFC 7296 section 3.2).
    case classic
    /// ``ExtendedPayloadHeader``.
    case extended

    /// The longest body that a header can tell of, in octets.
    public var longestBody: Int {
        switch self {
        case .classic: Int(UInt16.max) - Payload.headerOctetCount
        case .extended: ExtendedPayloadHeader.longestBody
        }
    }

    /// The longest body of a payload of this type: of those made of counts and lengths of 16 bits none has use for more than the
    /// classic format allows.
    public func longestBody(of type: PayloadType) -> Int {
        switch type {
        case .securityAssociation, .identificationInitiator, .identificationResponder, .nonce, .delete,
            .trafficSelectorInitiator, .trafficSelectorResponder, .configuration:
            min(longestBody, Self.classic.longestBody)
        default: longestBody
        }
    }

    /// How many octets the headers of these payloads are shorter than classic ones; negative where they are longer.
    package func octetsSaved(by payloads: [Payload]) -> Int {
        switch self {
        case .classic: 0
        case .extended:
            payloads.reduce(0) { sum, payload in
                let header = try? ExtendedPayloadHeader(next: .none, bodyLength: payload.body.count)
                return sum + Payload.headerOctetCount - (header?.octetCount ?? Payload.headerOctetCount)
            }
        }
    }
}
