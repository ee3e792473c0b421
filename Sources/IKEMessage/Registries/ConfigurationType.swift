/// Type of a CP payload (RFC 7296 section 3.15).
public struct ConfigurationType: RegisteredNumber {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let request = Self(rawValue: 1)
    public static let reply = Self(rawValue: 2)
    public static let set = Self(rawValue: 3)
    public static let acknowledge = Self(rawValue: 4)

    public static let names: [Self: String] = [
        .request: "CFG_REQUEST",
        .reply: "CFG_REPLY",
        .set: "CFG_SET",
        .acknowledge: "CFG_ACK",
    ]

    public var isPrivateUse: Bool { rawValue >= 128 }
}

/// Type of a configuration attribute (RFC 7296 section 3.15.1): 0 to 32767.
public struct ConfigurationAttributeType: RegisteredNumber {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let internalIP4Address = Self(rawValue: 1)
    public static let internalIP4Netmask = Self(rawValue: 2)
    public static let internalIP4DNS = Self(rawValue: 3)
    public static let internalIP4NBNS = Self(rawValue: 4)
    public static let internalIP4DHCP = Self(rawValue: 6)
    public static let applicationVersion = Self(rawValue: 7)
    public static let internalIP6Address = Self(rawValue: 8)
    public static let internalIP6DNS = Self(rawValue: 10)
    public static let internalIP6DHCP = Self(rawValue: 12)
    public static let internalIP4Subnet = Self(rawValue: 13)
    public static let supportedAttributes = Self(rawValue: 14)
    public static let internalIP6Subnet = Self(rawValue: 15)
    public static let mip6HomePrefix = Self(rawValue: 16)
    public static let internalIP6Link = Self(rawValue: 17)
    public static let internalIP6Prefix = Self(rawValue: 18)
    public static let homeAgentAddress = Self(rawValue: 19)
    public static let pCSCFIP4Address = Self(rawValue: 20)
    public static let pCSCFIP6Address = Self(rawValue: 21)
    public static let fttKAT = Self(rawValue: 22)
    public static let externalSourceIP4NATInfo = Self(rawValue: 23)
    public static let timeoutPeriodForLivenessCheck = Self(rawValue: 24)
    public static let internalDNSDomain = Self(rawValue: 25)
    public static let internalDNSSECTA = Self(rawValue: 26)
    public static let encdnsIP4 = Self(rawValue: 27)
    public static let encdnsIP6 = Self(rawValue: 28)
    public static let encdnsDigestInfo = Self(rawValue: 29)

    public static let names: [Self: String] = [
        .internalIP4Address: "INTERNAL_IP4_ADDRESS",
        .internalIP4Netmask: "INTERNAL_IP4_NETMASK",
        .internalIP4DNS: "INTERNAL_IP4_DNS",
        .internalIP4NBNS: "INTERNAL_IP4_NBNS",
        .internalIP4DHCP: "INTERNAL_IP4_DHCP",
        .applicationVersion: "APPLICATION_VERSION",
        .internalIP6Address: "INTERNAL_IP6_ADDRESS",
        .internalIP6DNS: "INTERNAL_IP6_DNS",
        .internalIP6DHCP: "INTERNAL_IP6_DHCP",
        .internalIP4Subnet: "INTERNAL_IP4_SUBNET",
        .supportedAttributes: "SUPPORTED_ATTRIBUTES",
        .internalIP6Subnet: "INTERNAL_IP6_SUBNET",
        .mip6HomePrefix: "MIP6_HOME_PREFIX",
        .internalIP6Link: "INTERNAL_IP6_LINK",
        .internalIP6Prefix: "INTERNAL_IP6_PREFIX",
        .homeAgentAddress: "HOME_AGENT_ADDRESS",
        .pCSCFIP4Address: "P_CSCF_IP4_ADDRESS",
        .pCSCFIP6Address: "P_CSCF_IP6_ADDRESS",
        .fttKAT: "FTT_KAT",
        .externalSourceIP4NATInfo: "EXTERNAL_SOURCE_IP4_NAT_INFO",
        .timeoutPeriodForLivenessCheck: "TIMEOUT_PERIOD_FOR_LIVENESS_CHECK",
        .internalDNSDomain: "INTERNAL_DNS_DOMAIN",
        .internalDNSSECTA: "INTERNAL_DNSSEC_TA",
        .encdnsIP4: "ENCDNS_IP4",
        .encdnsIP6: "ENCDNS_IP6",
        .encdnsDigestInfo: "ENCDNS_DIGEST_INFO",
    ]

    public var isPrivateUse: Bool { (16384...32767).contains(rawValue) }
}
