/// Transform type of a proposal (RFC 7296 section 3.3.2).
public struct TransformType: RegisteredNumber {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let encryption = Self(rawValue: 1)
    public static let pseudorandomFunction = Self(rawValue: 2)
    public static let integrity = Self(rawValue: 3)
    public static let keyExchange = Self(rawValue: 4)
    /// Extended Sequence Numbers until RFC 9827 renamed it.
    public static let sequenceNumbers = Self(rawValue: 5)
    /// The additional key exchanges of RFC 9370, in their order.
    public static let additionalKeyExchange1 = Self(rawValue: 6)
    public static let additionalKeyExchange2 = Self(rawValue: 7)
    public static let additionalKeyExchange3 = Self(rawValue: 8)
    public static let additionalKeyExchange4 = Self(rawValue: 9)
    public static let additionalKeyExchange5 = Self(rawValue: 10)
    public static let additionalKeyExchange6 = Self(rawValue: 11)
    public static let additionalKeyExchange7 = Self(rawValue: 12)
    /// RFC 9838.
    public static let keyWrap = Self(rawValue: 13)
    /// RFC 9838.
    public static let groupControllerAuthentication = Self(rawValue: 14)

    public static let names: [Self: String] = [
        .encryption: "ENCR",
        .pseudorandomFunction: "PRF",
        .integrity: "INTEG",
        .keyExchange: "KE",
        .sequenceNumbers: "Sequence Numbers",
        .additionalKeyExchange1: "ADDKE1",
        .additionalKeyExchange2: "ADDKE2",
        .additionalKeyExchange3: "ADDKE3",
        .additionalKeyExchange4: "ADDKE4",
        .additionalKeyExchange5: "ADDKE5",
        .additionalKeyExchange6: "ADDKE6",
        .additionalKeyExchange7: "ADDKE7",
        .keyWrap: "KWA",
        .groupControllerAuthentication: "GCAUTH",
    ]

    public var isPrivateUse: Bool { rawValue >= 241 }

    /// KE or one of the additional key exchanges: they share one registry of IDs (RFC 9370 section 2.1).
    public var isKeyExchange: Bool { self == .keyExchange || isAdditionalKeyExchange }

    /// ADDKE1 to ADDKE7.
    public var isAdditionalKeyExchange: Bool { (6...12).contains(rawValue) }
}

/// Type of a transform attribute (RFC 7296 section 3.3.5), without the format bit: 0 to 32767.
public struct TransformAttributeType: RegisteredNumber {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Key length in bits.
    public static let keyLength = Self(rawValue: 14)
    /// RFC 9838.
    public static let signatureAlgorithmIdentifier = Self(rawValue: 18)

    public static let names: [Self: String] = [
        .keyLength: "Key Length",
        .signatureAlgorithmIdentifier: "Signature Algorithm Identifier",
    ]

    public var isPrivateUse: Bool { rawValue >= 16384 }
}
