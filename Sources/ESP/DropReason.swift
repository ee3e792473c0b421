/// Why an association did not pass a packet on. The raw value is stable within a version only.
public enum DropReason: UInt8, Error, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    // Inbound, in the order of the checks.
    /// Too short for its parts, or not a multiple of the cipher's block.
    case malformedESP
    /// The SPI is not this association's.
    case wrongSPI
    /// The subspace of the sequence number is none that the peer may use.
    case subspaceOutOfRange
    /// The sequence number has been received already.
    case replayed
    /// The sequence number is left of the replay window, or none that a sender may use.
    case stale
    /// The integrity check failed: forged, damaged, or sealed under another key.
    case notAuthentic
    /// Authentic, but the padding is not what RFC 4303, section 2.4, has.
    case badPadding
    /// A dummy packet (next header 59): dropped as it should be (RFC 4303, section 2.6).
    case dummy
    /// The next header is neither IPv4, IPv6 nor none.
    case unexpectedNextHeader
    /// The inner packet is malformed; outbound as well.
    case malformedInner
    /// The inner packet lies outside the selectors of the association (RFC 4301, section 5.2, step 4).
    case outsideSelectors
    /// The class (DSCP) of the inner packet is none of the association's.
    case outsideClasses
    /// Congestion was marked on a packet whose sender does not do ECN (RFC 6040, section 4.2).
    case illegalCongestionMark
    // Both ways.
    /// A hard limit of octets or packets has been reached.
    case lifetimeEnded
    // Outbound.
    /// A fragment was to be sealed in transport mode, which takes whole packets (RFC 4303, section 3.1.1).
    case fragment
    /// Transport mode does not carry the packet's IPv6 extension headers: a routing header, or long hop-by-hop options.
    case unsupportedHeader
    /// All sequence numbers are used up.
    case sequenceExhausted
    /// The memory around the packet is too small for what ESP adds.
    case noRoom
    /// The cipher failed.
    case cipherFailure

    /// In words fit for a metric's label.
    public var description: String {
        switch self {
        case .malformedESP: "malformed-esp"
        case .wrongSPI: "wrong-spi"
        case .subspaceOutOfRange: "subspace-out-of-range"
        case .replayed: "replayed"
        case .stale: "stale"
        case .notAuthentic: "not-authentic"
        case .badPadding: "bad-padding"
        case .dummy: "dummy"
        case .unexpectedNextHeader: "unexpected-next-header"
        case .malformedInner: "malformed-inner"
        case .outsideSelectors: "outside-selectors"
        case .outsideClasses: "outside-dscp"
        case .illegalCongestionMark: "illegal-congestion-mark"
        case .lifetimeEnded: "lifetime-ended"
        case .fragment: "fragment"
        case .unsupportedHeader: "unsupported-header"
        case .sequenceExhausted: "sequence-exhausted"
        case .noRoom: "no-room"
        case .cipherFailure: "cipher-failure"
        }
    }
}
