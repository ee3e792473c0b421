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
    /// - Parameter others: those of other types, none of which may be lost where there is no room for all of the addresses.
    init(_ selectors: [TrafficSelector], others: [WireTrafficSelector] = []) {
        self.init(selectors: selectors.prefix(max(1, 255 - others.count)).map(\.wire) + others)
    }

    /// The selectors of addresses. Those of other types belong to extensions, or are left out, as a responder may narrow
    /// them away.
    var policySelectors: [TrafficSelector] { selectors.compactMap { TrafficSelector($0) } }
}

/// Selectors of other types than address ranges, for TSi and TSr.
struct OtherSelectors {
    var initiator: [WireTrafficSelector] = []
    var responder: [WireTrafficSelector] = []
}

extension OtherSelectors {
    /// All of several, in order.
    init(_ parts: [OtherSelectors]) {
        initiator = parts.flatMap(\.initiator)
        responder = parts.flatMap(\.responder)
    }
}

extension [TrafficSelector] {
    /// The selectors in one line.
    var summary: String { isEmpty ? "nothing" : map(\.description).joined(separator: ", ") }
}
