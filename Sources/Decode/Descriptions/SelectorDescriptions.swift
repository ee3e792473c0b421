// RFC 7296 section 3.13: TSi and TSr. RFC 9478 for labels.
import IKEMessage
import IPPacket
import IPsecPolicy
import Octets

extension TrafficSelectorPayload: DescribedPayload {
    var summary: String { selectors.count == 1 ? "1 traffic selector" : "\(selectors.count) traffic selectors" }

    func fields(in context: MessageContext) -> [Field] { selectors.map(\.described) }
}

extension WireTrafficSelector {
    fileprivate var described: Field {
        switch self {
        case .addressRange(let range): Field(type.described, range.described)
        case .unknown(let selector) where selector.type == .securityLabel: selector.describedLabel
        case .unknown(let selector): .opaque(type.described, selector.body)
        }
    }
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
