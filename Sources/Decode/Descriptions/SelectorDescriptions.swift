// RFC 7296 section 3.13: TSi and TSr. RFC 9478 for labels.
import IKEMessage
import IPPacket
import IPsecPolicy
import Octets

extension TrafficSelectorPayload: DescribedPayload {
    var summary: String { selectors.count == 1 ? "1 traffic selector" : "\(selectors.count) traffic selectors" }

    func fields(in context: MessageContext) -> [Field] { selectors.map { $0.described(context.codePoints) } }
}

extension WireTrafficSelector {
    fileprivate func described(_ codePoints: CodePoints) -> Field {
        switch self {
        case .addressRange(let range): Field(type.described, range.described)
        case .unknown(let selector) where selector.type == .securityLabel: selector.describedLabel
        case .unknown(let selector):
            if let point = codePoints.point(UInt16(type.rawValue), of: .trafficSelectorType) {
                Field("\(point.name), private number \(type.rawValue)", describedClasses(selector.body))
            } else {
                .opaque(type.described, selector.body)
            }
        }
    }
}

/// Values of the DSCP field.
func describedClasses(_ values: [UInt8]) -> String {
    values.isEmpty ? "none" : values.map(String.init).joined(separator: ", ")
}

extension RawTrafficSelector {
    /// A security label: mostly text with a zero octet at its end.
    fileprivate var describedLabel: Field {
        guard body.last == 0 else {
            var field = Field.text(type.described, body)
            if field.octets == nil { field.value += ", without a zero octet at its end" }
            return field
        }
        return .text(type.described, body.dropLast())
    }
}

extension WireTrafficSelector.AddressRange {
    fileprivate var described: String {
        guard let first = IPAddress(octets: firstAddress), let last = IPAddress(octets: lastAddress) else {
            return "\(firstAddress.hexadecimal)-\(lastAddress.hexadecimal)"
        }
        if let selector = TrafficSelector(
            ipProtocol: ipProtocol, firstPort: firstPort, lastPort: lastPort, first: first, last: last)
        {
            return "\(selector)"
        }
        return "\(first)-\(last) \(TrafficSelector.protocolName(ipProtocol))/\(firstPort)-\(lastPort), out of order"
    }
}
