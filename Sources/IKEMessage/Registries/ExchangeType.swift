/// Exchange type of the IKE header (RFC 7296 section 3.1). Values below 34 belong to IKEv1.
public struct ExchangeType: RegisteredNumber {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let ikeSAInit = Self(rawValue: 34)
    public static let ikeAuth = Self(rawValue: 35)
    public static let createChildSA = Self(rawValue: 36)
    public static let informational = Self(rawValue: 37)
    public static let ikeSessionResume = Self(rawValue: 38)
    public static let gsaAuth = Self(rawValue: 39)
    public static let gsaRegistration = Self(rawValue: 40)
    public static let gsaRekey = Self(rawValue: 41)
    public static let gsaInbandRekey = Self(rawValue: 42)
    public static let ikeIntermediate = Self(rawValue: 43)
    public static let ikeFollowupKE = Self(rawValue: 44)

    public static let names: [Self: String] = [
        .ikeSAInit: "IKE_SA_INIT",
        .ikeAuth: "IKE_AUTH",
        .createChildSA: "CREATE_CHILD_SA",
        .informational: "INFORMATIONAL",
        .ikeSessionResume: "IKE_SESSION_RESUME",
        .gsaAuth: "GSA_AUTH",
        .gsaRegistration: "GSA_REGISTRATION",
        .gsaRekey: "GSA_REKEY",
        .gsaInbandRekey: "GSA_INBAND_REKEY",
        .ikeIntermediate: "IKE_INTERMEDIATE",
        .ikeFollowupKE: "IKE_FOLLOWUP_KE",
    ]

    public var isPrivateUse: Bool { rawValue >= 240 }
}
