/// A number that a draft leaves open until IANA assigns one. Until then it is from the range for private use, and both ends have to agree on it.
///
/// The raw value is the word for it in a configuration.
public enum OpenCodePoint: String, Hashable, Sendable, CaseIterable {
    case optimizedRekeySupported = "optimized-rekey-supported"
    case optimizedRekey = "optimized-rekey"
    case tsDSCP = "ts-dscp"
    case dscp
    case mtuNotificationSupported = "lmap-and-ptb-supported"
    case largestAtomicPacket = "lmap"
    case packetTooBig = "ptb"
    case antiReplaySubspaces = "anti-replay-subspaces"
    case extendedPayloadFormat = "extended-payload-format"

    /// What the number is one of.
    public enum Registry: Hashable, Sendable {
        /// Notify message types that are no errors.
        case statusNotify
        /// Types of traffic selectors.
        case trafficSelectorType

        /// The range that the registry leaves to private agreements.
        public var privateUse: ClosedRange<UInt16> {
            switch self {
            case .statusNotify: 40960...65535
            case .trafficSelectorType: 241...255
            }
        }
    }

    public var registry: Registry {
        switch self {
        case .optimizedRekeySupported, .optimizedRekey, .dscp, .mtuNotificationSupported, .largestAtomicPacket,
            .packetTooBig, .antiReplaySubspaces, .extendedPayloadFormat:
            .statusNotify
        case .tsDSCP: .trafficSelectorType
        }
    }

    /// The number where nothing else is configured: our own choice, clear of the private numbers that other implementations are known to use
    /// (40960 to 40969 are strongSwan's).
    public var usual: UInt16 {
        switch self {
        case .optimizedRekeySupported: 51201
        case .optimizedRekey: 51202
        case .tsDSCP: 241
        case .dscp: 41031
        case .mtuNotificationSupported: 41001
        case .largestAtomicPacket: 41002
        case .packetTooBig: 41003
        case .antiReplaySubspaces: 41011
        case .extendedPayloadFormat: 41021
        }
    }

    /// The draft's name for it.
    public var name: String {
        switch self {
        case .optimizedRekeySupported: "OPTIMIZED_REKEY_SUPPORTED"
        case .optimizedRekey: "OPTIMIZED_REKEY"
        case .tsDSCP: "TS_DSCP"
        case .dscp: "DSCP"
        case .mtuNotificationSupported: "LMAP_AND_PTB_SUPPORTED"
        case .largestAtomicPacket: "LMAP"
        case .packetTooBig: "PTB"
        case .antiReplaySubspaces: "ANTI_REPLAY_SUBSPACES"
        case .extendedPayloadFormat: "EXTENDED_PAYLOAD_FORMAT"
        }
    }
}

/// The numbers in use for what drafts leave open.
public struct CodePoints: Hashable, Sendable {
    /// Those that are not as usual.
    private var changed: [OpenCodePoint: UInt16] = [:]

    public init() {}

    public subscript(_ point: OpenCodePoint) -> UInt16 {
        get { changed[point] ?? point.usual }
        set { changed[point] = newValue == point.usual ? nil : newValue }
    }

    /// The type of a notification.
    public func notify(_ point: OpenCodePoint) -> NotifyType { NotifyType(rawValue: self[point]) }

    /// What a number of a registry stands for; `nil` if for none of these.
    public func point(_ number: UInt16, of registry: OpenCodePoint.Registry) -> OpenCodePoint? {
        OpenCodePoint.allCases.first { $0.registry == registry && self[$0] == number }
    }
}
