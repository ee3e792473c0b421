/// Security protocol of a proposal, a notification or a deletion (RFC 7296 section 3.3.1).
public struct ProtocolID: RegisteredNumber {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A notification that concerns no particular SA (RFC 7296 section 3.10).
    public static let none = Self(rawValue: 0)
    public static let ike = Self(rawValue: 1)
    public static let ah = Self(rawValue: 2)
    public static let esp = Self(rawValue: 3)
    /// RFC 4595.
    public static let fcESPHeader = Self(rawValue: 4)
    /// RFC 4595.
    public static let fcCTAuthentication = Self(rawValue: 5)
    /// RFC 9838.
    public static let gikeUpdate = Self(rawValue: 6)

    public static let names: [Self: String] = [
        .none: "NONE",
        .ike: "IKE",
        .ah: "AH",
        .esp: "ESP",
        .fcESPHeader: "FC_ESP_HEADER",
        .fcCTAuthentication: "FC_CT_AUTHENTICATION",
        .gikeUpdate: "GIKE_UPDATE",
    ]

    public var isPrivateUse: Bool { rawValue >= 201 }
}
