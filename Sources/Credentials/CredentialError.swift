/// Why an identity, a key or a certificate was refused.
///
/// Two errors are equal when their codes are: the reason is for people.
public struct CredentialError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: Hashable, Sendable {
        /// A certificate of the path is past its validity.
        case expired
        /// The validity of a certificate of the path has not begun.
        case notYetValid
        /// No path leads from the certificate to a configured authority.
        case untrusted
        /// A certificate that issued another one may not do so (RFC 5280 sections 4.2.1.3 and 4.2.1.9).
        case notAuthority
        /// A certificate oversteps the name or path length constraints of one above it (RFC 5280 sections 4.2.1.9 and
        /// 4.2.1.10).
        case constraintViolated
        /// A critical extension is not understood here (RFC 5280 section 4.2).
        case unsupportedExtension
        /// The certificate is meant for something else: key usage or extended key usage.
        case unsuitable
        /// A key is too weak, damaged or of an unsupported kind, or a signature in the path can be forged.
        case weak
        /// The certificate is good but does not name the identity that was claimed (RFC 4945).
        case identityMismatch
        /// A certificate of the path was revoked by its authority.
        case revoked
        /// It cannot be learned whether a certificate of the path is revoked, and it has to be known.
        case statusUnknown
        /// The octets or the text cannot be read as what they should be.
        case unreadable
        /// There are more certificates, or larger ones, than a peer may send.
        case limitExceeded
        /// The private key does not belong to the certificate.
        case keyMismatch
        /// The configured text is not an identity.
        case invalidIdentity
    }

    public let code: Code
    /// One sentence a person can act on. Text from a peer is escaped and bounded in it.
    public let reason: String

    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public static func == (left: CredentialError, right: CredentialError) -> Bool { left.code == right.code }

    public func hash(into hasher: inout Hasher) { hasher.combine(code) }

    public var description: String { reason }
}
