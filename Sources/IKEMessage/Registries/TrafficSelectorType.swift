/// Type of a traffic selector (RFC 7296 section 3.13.1).
public struct TrafficSelectorType: RegisteredNumber {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let ipv4AddressRange = Self(rawValue: 7)
    public static let ipv6AddressRange = Self(rawValue: 8)
    /// RFC 4595.
    public static let fcAddressRange = Self(rawValue: 9)
    /// RFC 9478.
    public static let securityLabel = Self(rawValue: 10)

    public static let names: [Self: String] = [
        .ipv4AddressRange: "TS_IPV4_ADDR_RANGE",
        .ipv6AddressRange: "TS_IPV6_ADDR_RANGE",
        .fcAddressRange: "TS_FC_ADDR_RANGE",
        .securityLabel: "TS_SECLABEL",
    ]

    public var isPrivateUse: Bool { rawValue >= 241 }
}
