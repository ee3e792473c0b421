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
        case .unknown(let selector) where selector.type == .securityLabel: .text(type.described, selector.body)
        case .unknown(let selector): .opaque(type.described, selector.body)
        }
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
