import IPPacket

/// A traffic selector of RFC 7296 section 3.13.1 (types TS_IPV4_ADDR_RANGE and TS_IPV6_ADDR_RANGE): one end of the
/// traffic that a child SA carries.
///
/// For ICMP and ICMPv6 the port range holds type (high octet) and code (low octet), as RFC 7296 section 3.13.1 and
/// RFC 4301 section 4.4.1.1 have it. A range from 65535 to 0 means OPAQUE.
public struct TrafficSelector: Hashable, Sendable {
    /// IP protocol number; 0 stands for any.
    public var ipProtocol: UInt8
    public var firstPort: UInt16
    public var lastPort: UInt16
    public let first: IPAddress
    public let last: IPAddress

    /// `nil` if the addresses are of two families or in the wrong order.
    public init?(
        ipProtocol: UInt8 = 0, firstPort: UInt16 = 0, lastPort: UInt16 = .max, first: IPAddress, last: IPAddress
    ) {
        guard first.family == last.family, first <= last else { return nil }
        self.ipProtocol = ipProtocol
        self.firstPort = firstPort
        self.lastPort = lastPort
        self.first = first
        self.last = last
    }

    public init(_ prefix: IPPrefix, ipProtocol: UInt8 = 0, ports: ClosedRange<UInt16> = 0...(.max)) {
        self.ipProtocol = ipProtocol
        firstPort = ports.lowerBound
        lastPort = ports.upperBound
        first = prefix.first
        last = prefix.last
    }

    public var family: IPFamily { first.family }
    public var isAnyPort: Bool { firstPort == 0 && lastPort == .max }
    /// The selector matches only packets whose ports cannot be seen (RFC 4301 section 4.4.1.1).
    public var isOpaquePort: Bool { firstPort == .max && lastPort == 0 }

    /// The prefix with exactly these addresses, if there is one.
    public var prefix: IPPrefix? {
        let length = family.bitWidth - (first.value ^ last.value).bitWidthOfValue
        return IPPrefix(first, length: length).flatMap { $0.first == first && $0.last == last ? $0 : nil }
    }

    /// The fewest prefixes that together hold exactly these addresses.
    public var prefixes: [IPPrefix] {
        var result: [IPPrefix] = []
        var next = first.value
        while true {
            let left = last.value - next
            let alignment = next == 0 ? family.bitWidth : min(next.trailingZeroBitCount, family.bitWidth)
            let fitting = left == .max ? 128 : (left + 1).bitWidthOfValue - 1
            let bits = min(alignment, fitting)
            guard let prefix = IPPrefix(IPAddress(family, next), length: family.bitWidth - bits) else { return result }
            result.append(prefix)
            guard prefix.last.value < last.value else { return result }
            next = prefix.last.value + 1
        }
    }

    public func contains(_ address: IPAddress) -> Bool {
        address.family == family && first <= address && address <= last
    }

    /// Whether every packet that `other` matches is matched here too.
    public func contains(_ other: TrafficSelector) -> Bool {
        intersection(other) == other
    }

    /// The selector for the packets both match; `nil` if there are none.
    public func intersection(_ other: TrafficSelector) -> TrafficSelector? {
        guard family == other.family else { return nil }
        let first = max(first, other.first)
        let last = min(last, other.last)
        guard first <= last else { return nil }
        let ipProtocol: UInt8
        switch (self.ipProtocol, other.ipProtocol) {
        case (0, let theirs): ipProtocol = theirs
        case (let ours, 0): ipProtocol = ours
        case (let ours, let theirs) where ours == theirs: ipProtocol = ours
        default: return nil
        }
        let ports: (UInt16, UInt16)
        if isOpaquePort || other.isOpaquePort {
            // "Any" includes OPAQUE; a real range does not.
            guard isOpaquePort || isAnyPort, other.isOpaquePort || other.isAnyPort else { return nil }
            ports = (.max, 0)
        } else {
            ports = (max(firstPort, other.firstPort), min(lastPort, other.lastPort))
            guard ports.0 <= ports.1 else { return nil }
        }
        return TrafficSelector(
            ipProtocol: ipProtocol, firstPort: ports.0, lastPort: ports.1, first: first, last: last)
    }
}

extension UInt128 {
    /// Number of bits up to the highest one that is set.
    fileprivate var bitWidthOfValue: Int { bitWidth - leadingZeroBitCount }
}

extension TrafficSelector: CustomStringConvertible {
    /// Addresses, then protocol and ports where they are limited: `10.1.0.0/16 tcp/80-90`.
    public var description: String {
        var text = prefix.map { $0.length == family.bitWidth ? "\($0.address)" : "\($0)" } ?? "\(first)-\(last)"
        guard ipProtocol != 0 || !isAnyPort else { return text }
        text += " " + Self.protocolName(ipProtocol)
        if isOpaquePort {
            text += "/opaque"
        } else if !isAnyPort {
            text += firstPort == lastPort ? "/\(firstPort)" : "/\(firstPort)-\(lastPort)"
        }
        return text
    }

    /// The usual name of an IP protocol, or its number.
    public static func protocolName(_ number: UInt8) -> String {
        switch number {
        case 0: "any"
        case 1: "icmp"
        case 6: "tcp"
        case 17: "udp"
        case 47: "gre"
        case 58: "icmpv6"
        case 89: "ospf"
        case 132: "sctp"
        default: "\(number)"
        }
    }
}
