/// Identities with something in common, as a person writes them: `*.example.org`, `*@example.org`, `O=Example, CN=*`.
///
/// No identity that a peer can prove is itself a pattern: names with an asterisk are not read.
public enum IdentityPattern: Hashable, Sendable, CustomStringConvertible {
    /// Domain names with at least one label in front of this one.
    case subdomains(of: String)
    /// E-mail addresses of exactly this domain.
    case mailboxes(of: String)
    /// Distinguished names of the same parts in the same order, of which those whose value is `*` may have any: DER.
    case distinguishedName([UInt8])

    /// Whether a person means a pattern and not one identity.
    public static func isPattern(_ text: String) -> Bool { text.contains("*") }

    /// - Throws: ``CredentialError`` that says what a pattern may look like.
    public init(configured text: String) throws(CredentialError) {
        if text.contains("=") {
            guard case .distinguishedName(let der) = try Identity(configured: text),
                DistinguishedNameForm(der: der)?.hasWildcard == true
            else { throw Self.invalid(text) }
            self = .distinguishedName(der)
        } else if text.hasPrefix("*@"), case let domain = String(text.dropFirst(2)), Self.isPlainDomain(domain) {
            self = .mailboxes(of: domain)
        } else if text.hasPrefix("*."), case let domain = String(text.dropFirst(2)), Self.isPlainDomain(domain) {
            self = .subdomains(of: domain)
        } else {
            throw Self.invalid(text)
        }
    }

    private static func isPlainDomain(_ text: String) -> Bool { Identity.isName(text) && !text.contains("@") }

    private static func invalid(_ text: String) -> CredentialError {
        CredentialError(
            .invalidIdentity,
            "\"\(text.forLog())\" is no pattern; an asterisk stands for all that is before a domain, as in *.example.org "
                + "and *@example.org, or for a whole value, as in \"O=Example, CN=*\"")
    }

    public func matches(_ identity: Identity) -> Bool {
        switch (self, identity) {
        case (.subdomains(let domain), .fqdn(let name)):
            let ending = ".\(domain)"
            return name.utf8.count > ending.utf8.count
                && Identity.equalIgnoringCase(
                    String(decoding: name.utf8.suffix(ending.utf8.count), as: UTF8.self), ending)
        case (.mailboxes(let domain), .email(let address)):
            guard let at = address.lastIndex(of: "@"), at != address.startIndex else { return false }
            return Identity.equalIgnoringCase(address[address.index(after: at)...], domain)
        case (.distinguishedName(let pattern), .distinguishedName(let name)):
            guard let pattern = DistinguishedNameForm(der: pattern), let name = DistinguishedNameForm(der: name) else {
                return false
            }
            return pattern.matchesAsPattern(name)
        default: return false
        }
    }

    public var description: String {
        switch self {
        case .subdomains(let domain): "*.\(domain)".forLog()
        case .mailboxes(let domain): "*@\(domain)".forLog()
        case .distinguishedName(let der): DistinguishedNameForm(der: der)?.description ?? "dn:*"
        }
    }
}
