/// Payload type: the `Next Payload` field of RFC 7296 section 3.2.
public struct PayloadType: RegisteredNumber {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// No payload follows.
    public static let none = Self(rawValue: 0)
    public static let securityAssociation = Self(rawValue: 33)
    public static let keyExchange = Self(rawValue: 34)
    public static let identificationInitiator = Self(rawValue: 35)
    public static let identificationResponder = Self(rawValue: 36)
    public static let certificate = Self(rawValue: 37)
    public static let certificateRequest = Self(rawValue: 38)
    public static let authentication = Self(rawValue: 39)
    public static let nonce = Self(rawValue: 40)
    public static let notify = Self(rawValue: 41)
    public static let delete = Self(rawValue: 42)
    public static let vendorID = Self(rawValue: 43)
    public static let trafficSelectorInitiator = Self(rawValue: 44)
    public static let trafficSelectorResponder = Self(rawValue: 45)
    public static let encrypted = Self(rawValue: 46)
    public static let configuration = Self(rawValue: 47)
    public static let eap = Self(rawValue: 48)
    /// Generic Secure Password Method (RFC 6467).
    public static let genericSecurePasswordMethod = Self(rawValue: 49)
    /// Group Identification (RFC 9838).
    public static let groupIdentification = Self(rawValue: 50)
    /// Group Security Association (RFC 9838).
    public static let groupSecurityAssociation = Self(rawValue: 51)
    /// Key Download (RFC 9838).
    public static let keyDownload = Self(rawValue: 52)
    /// Encrypted and Authenticated Fragment (RFC 7383).
    public static let encryptedFragment = Self(rawValue: 53)
    /// Puzzle Solution (RFC 8019).
    public static let puzzleSolution = Self(rawValue: 54)

    public static let names: [Self: String] = [
        .none: "NONE",
        .securityAssociation: "SA",
        .keyExchange: "KE",
        .identificationInitiator: "IDi",
        .identificationResponder: "IDr",
        .certificate: "CERT",
        .certificateRequest: "CERTREQ",
        .authentication: "AUTH",
        .nonce: "Nonce",
        .notify: "Notify",
        .delete: "Delete",
        .vendorID: "Vendor ID",
        .trafficSelectorInitiator: "TSi",
        .trafficSelectorResponder: "TSr",
        .encrypted: "SK",
        .configuration: "CP",
        .eap: "EAP",
        .genericSecurePasswordMethod: "GSPM",
        .groupIdentification: "IDg",
        .groupSecurityAssociation: "GSA",
        .keyDownload: "KD",
        .encryptedFragment: "SKF",
        .puzzleSolution: "PS",
    ]

    public var isPrivateUse: Bool { rawValue >= 128 }
}
