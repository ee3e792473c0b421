/// Why a cryptographic operation was refused or failed.
///
/// Two errors are equal when their codes are: the reason is for people.
public struct CryptoError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: Hashable, Sendable {
        /// The integrity check value, tag or signature does not fit the octets. Says nothing about why.
        case authenticationFailed
        /// An input has a length the algorithm does not allow.
        case invalidLength
        /// A peer's public value is not one an honest peer sends (RFC 6989, RFC 8031).
        case invalidPublicValue
        /// The seed gives no private key of this method; draw another one.
        case unusableSeed
        /// A key cannot be read, or is too weak to be used.
        case unusableKey
        /// The algorithms do not go together, or this one is not available here.
        case unsupportedAlgorithm
        /// More output was asked for than the construction may give.
        case limitExceeded
        /// The cryptographic library reported a failure that no input explains.
        case libraryFailure
    }

    public let code: Code
    /// One sentence for a person; never contains secret octets.
    public let reason: String

    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public static func == (left: CryptoError, right: CryptoError) -> Bool { left.code == right.code }

    public func hash(into hasher: inout Hasher) { hasher.combine(code) }

    public var description: String { reason }
}
