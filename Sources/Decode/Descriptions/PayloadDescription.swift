import IKEMessage
import IPPacket
import Octets

/// What a description may need to know besides the payload.
package struct MessageContext: Sendable {
    package var header: IKEHeader
    package var source: Place
    package var destination: Place
    /// What stands for that which drafts leave open.
    package var codePoints = CodePoints()
}

/// What can be told of a payload's body; beside each family of payloads stands how.
protocol DescribedPayload {
    /// One line.
    var summary: String { get }
    func summary(in context: MessageContext) -> String
    func fields(in context: MessageContext) -> [Field]
}

extension DescribedPayload {
    func summary(in context: MessageContext) -> String { summary }
}

/// A payload in words.
package struct PayloadDescription: Hashable, Sendable {
    package var type: PayloadType
    package var summary: String
    package var octets: [UInt8]?
    package var fields: [Field]

    init(_ payload: Payload, in context: MessageContext) {
        type = payload.type
        let body = payload.describedBody
        summary = body.summary(in: context)
        fields = body.fields(in: context)
    }
}

extension Payload {
    fileprivate var describedBody: any DescribedPayload {
        switch self {
        case .securityAssociation(let payload): payload
        case .keyExchange(let payload): payload
        case .identificationInitiator(let payload), .identificationResponder(let payload): payload
        case .certificate(let payload): payload
        case .certificateRequest(let payload): payload
        case .authentication(let payload): payload
        case .nonce(let octets), .vendorID(let octets): OpaqueBody(type: type, octets: octets)
        case .notify(let payload): payload
        case .delete(let payload): payload
        case .trafficSelectorsInitiator(let payload), .trafficSelectorsResponder(let payload): payload
        case .configuration(let payload): payload
        case .eap(let payload): payload
        case .encrypted(let payload): payload
        case .encryptedFragment(let payload): payload
        case .unknown(let payload): payload
        }
    }
}

/// A payload that is nothing but octets.
private struct OpaqueBody: DescribedPayload {
    let type: PayloadType
    let octets: [UInt8]

    var summary: String { "\(octets.count) octets" }

    func fields(in context: MessageContext) -> [Field] {
        // Many vendor IDs are text, others a hash of one.
        let isText = type == .vendorID && !octets.isEmpty && octets.allSatisfy { (0x20...0x7E).contains($0) }
        return [isText ? .text("text", octets) : Field("octets", octets: octets)]
    }
}

extension RawPayload: DescribedPayload {
    var summary: String { "\(body.count) octets" + (isCritical ? ", critical" : "") }

    func fields(in context: MessageContext) -> [Field] { body.isEmpty ? [] : [Field("octets", octets: body)] }
}

extension EncryptedPayload: DescribedPayload {
    var summary: String { "\(body.count) octets sealed" }

    func fields(in context: MessageContext) -> [Field] { [Field("first payload inside", innerFirst.described)] }
}

// RFC 7383 section 2.5.
extension EncryptedFragmentPayload: DescribedPayload {
    var summary: String { "fragment \(number) of \(total), \(body.count) octets sealed" }

    func fields(in context: MessageContext) -> [Field] {
        number == 1 ? [Field("first payload inside", innerFirst.described)] : []
    }
}
