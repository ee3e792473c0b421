/// Code of an EAP packet (RFC 3748 section 4).
public struct EAPCode: RegisteredNumber {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let request = Self(rawValue: 1)
    public static let response = Self(rawValue: 2)
    public static let success = Self(rawValue: 3)
    public static let failure = Self(rawValue: 4)

    public static let names: [Self: String] = [
        .request: "Request",
        .response: "Response",
        .success: "Success",
        .failure: "Failure",
    ]

    public var isPrivateUse: Bool { false }
}
