import Octets

/// TSi or TSr payload (RFC 7296 section 3.13).
public struct TrafficSelectorPayload: Hashable, Sendable {
    /// At most 255.
    public var selectors: [WireTrafficSelector]

    public init(selectors: [WireTrafficSelector]) { self.selectors = selectors }

    init(parsing reader: inout OctetReader) throws(OctetError) {
        let countOffset = reader.offset
        let count = Int(try reader.readUInt8("number of traffic selectors"))
        try reader.skip(3, "reserved octets")
        selectors = []
        while !reader.isAtEnd {
            selectors.append(try WireTrafficSelector(parsing: &reader))
        }
        guard selectors.count == count else {
            throw reader.invalid(
                "number of traffic selectors", "\(count) announced, \(selectors.count) present", at: countOffset)
        }
    }

    func write(to writer: inout OctetWriter) {
        let selectors = selectors.prefix(255)
        writer.write(UInt8(clamping: selectors.count))
        writer.write(zeros: 3)
        for selector in selectors { selector.write(to: &writer) }
    }
}

/// A traffic selector as it is on the wire (RFC 7296 section 3.13.1).
public enum WireTrafficSelector: Hashable, Sendable {
    case addressRange(AddressRange)
    /// Of a type that is not an address range.
    case unknown(RawTrafficSelector)

    public var type: TrafficSelectorType {
        switch self {
        case .addressRange(let range): range.type
        case .unknown(let selector): selector.type
        }
    }

    /// TS_IPV4_ADDR_RANGE or TS_IPV6_ADDR_RANGE. Whether first and last are in order is not judged here.
    public struct AddressRange: Hashable, Sendable {
        public var type: TrafficSelectorType
        /// 0 for any.
        public var ipProtocol: UInt8
        public var firstPort: UInt16
        public var lastPort: UInt16
        /// 4 octets for IPv4, 16 for IPv6.
        public var firstAddress: [UInt8]
        public var lastAddress: [UInt8]

        public init(
            type: TrafficSelectorType, ipProtocol: UInt8, firstPort: UInt16, lastPort: UInt16, firstAddress: [UInt8],
            lastAddress: [UInt8]
        ) {
            self.type = type
            self.ipProtocol = ipProtocol
            self.firstPort = firstPort
            self.lastPort = lastPort
            self.firstAddress = firstAddress
            self.lastAddress = lastAddress
        }
    }

    init(parsing reader: inout OctetReader) throws(OctetError) {
        let type = TrafficSelectorType(rawValue: try reader.readUInt8("traffic selector type"))
        let second = try reader.readUInt8("IP protocol")
        let lengthOffset = reader.offset
        var body = try reader.readBody(of: "traffic selector", after: 4)
        let addressOctetCount: Int
        switch type {
        case .ipv4AddressRange: addressOctetCount = 4
        case .ipv6AddressRange: addressOctetCount = 16
        default:
            self = .unknown(RawTrafficSelector(type: type, second: second, body: body.readRest()))
            return
        }
        guard body.remaining == 4 + 2 * addressOctetCount else {
            throw body.invalid(
                "traffic selector length", "\(4 + body.remaining) octets instead of \(8 + 2 * addressOctetCount)",
                at: lengthOffset)
        }
        self = .addressRange(
            AddressRange(
                type: type, ipProtocol: second, firstPort: try body.readUInt16("start port"),
                lastPort: try body.readUInt16("end port"),
                firstAddress: try body.readOctets(addressOctetCount, "starting address"),
                lastAddress: try body.readOctets(addressOctetCount, "ending address")))
    }

    func write(to writer: inout OctetWriter) {
        switch self {
        case .addressRange(let range):
            writer.write(range.type.rawValue)
            writer.write(range.ipProtocol)
            writer.write(UInt16(clamping: 8 + range.firstAddress.count + range.lastAddress.count))
            writer.write(range.firstPort)
            writer.write(range.lastPort)
            writer.write(range.firstAddress)
            writer.write(range.lastAddress)
        case .unknown(let selector):
            let body = selector.body.prefix(Int(UInt16.max) - 4)
            writer.write(selector.type.rawValue)
            writer.write(selector.second)
            writer.write(UInt16(clamping: 4 + body.count))
            writer.write(body)
        }
    }
}

/// A traffic selector of another type, kept as it came.
public struct RawTrafficSelector: Hashable, Sendable {
    public var type: TrafficSelectorType
    /// The octet after the type: the IP protocol in address ranges, reserved in every other type known so far.
    public var second: UInt8
    /// What follows the length.
    public var body: [UInt8]

    public init(type: TrafficSelectorType, second: UInt8 = 0, body: [UInt8]) {
        self.type = type
        self.second = second
        self.body = body
    }
}
