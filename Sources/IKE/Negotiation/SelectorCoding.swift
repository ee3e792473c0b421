import IKEMessage
import IPPacket
import IPsecPolicy

extension TrafficSelector {
    /// `nil` for a type that is not an address range, or a malformed range.
    package init?(_ wire: WireTrafficSelector) {
        guard case .addressRange(let range) = wire,
            let first = IPAddress(octets: range.firstAddress), let last = IPAddress(octets: range.lastAddress)
        else { return nil }
        self.init(
            ipProtocol: range.ipProtocol, firstPort: range.firstPort, lastPort: range.lastPort, first: first, last: last
        )
    }

    package var wire: WireTrafficSelector {
        .addressRange(
            .init(
                type: family == .v4 ? .ipv4AddressRange : .ipv6AddressRange, ipProtocol: ipProtocol,
                firstPort: firstPort, lastPort: lastPort, firstAddress: first.octets, lastAddress: last.octets))
    }
}

extension TrafficSelectorPayload {
    init(_ selectors: [TrafficSelector]) { self.init(selectors: selectors.map(\.wire)) }

    /// The selectors we understand; others are left out, as a responder may narrow them away.
    var policySelectors: [TrafficSelector] { selectors.compactMap { TrafficSelector($0) } }
}

extension [TrafficSelector] {
    /// The selectors in one line.
    var summary: String { isEmpty ? "nothing" : map(\.description).joined(separator: ", ") }
}
