/// How much is asked of a peer's certificates beyond being valid: whether their authorities still stand by them.
public enum RevocationPolicy: String, Sendable, Hashable, CaseIterable {
    /// Nothing is looked up, asked for or fetched.
    case off
    /// A certificate that is known to be revoked is refused; one of which nothing can be learned is accepted.
    case ifAvailable = "if-available"
    /// Every certificate of the path but the configured authority must be known not to be revoked.
    case require
}

/// Why a certificate was revoked: CRLReason of RFC 5280 section 5.3.1.
public struct RevocationReason: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    static let unspecified = Self(rawValue: 0)

    public var description: String {
        switch rawValue {
        case 0: "unspecified"
        case 1: "key compromise"
        case 2: "CA compromise"
        case 3: "affiliation changed"
        case 4: "superseded"
        case 5: "cessation of operation"
        case 6: "certificate hold"
        case 8: "removed from the list"
        case 9: "privilege withdrawn"
        case 10: "AA compromise"
        default: "reason \(rawValue)"
        }
    }
}

/// What one document says of one certificate.
enum RevocationFinding: Sendable, Hashable {
    /// It is about others.
    case silent
    /// It is about this certificate, but must not be believed, or says that the status is not known.
    case unusable(String)
    case good(thisUpdate: Int64)
    case revoked(at: Int64, RevocationReason, thisUpdate: Int64)

    /// Clocks of responders and of this host may differ by this many seconds.
    static let tolerance: Int64 = 300
}
