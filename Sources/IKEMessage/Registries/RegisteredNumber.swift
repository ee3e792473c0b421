/// A number from one of IANA's IKEv2 registries. Every value of the raw type is allowed; only some have a name.
public protocol RegisteredNumber: RawRepresentable, Hashable, Sendable, CustomStringConvertible
where RawValue: FixedWidthInteger & UnsignedInteger & Sendable {
    init(rawValue: RawValue)

    /// The registered names: the only place where a number and its name meet.
    static var names: [Self: String] { get }

    /// Whether the registry leaves the number to private agreements.
    var isPrivateUse: Bool { get }
}

extension RegisteredNumber {
    /// The registered name, or the number: `PRIVATE(40961)`, `UNKNOWN(200)`.
    public var description: String {
        Self.names[self] ?? (isPrivateUse ? "PRIVATE(\(rawValue))" : "UNKNOWN(\(rawValue))")
    }
}
