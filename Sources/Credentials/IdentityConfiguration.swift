import IPPacket
import Octets

extension Identity {
    /// An identity as a person writes it.
    ///
    /// An IP address is an address; text with `=` is a distinguished name; text with `@` is an e-mail address;
    /// anything else is a domain name. The prefixes `fqdn:`, `email:`, `dn:`, `address:` and `keyid:` say it
    /// explicitly; a key ID is text, or octets after `0x`. A distinguished name such as `CN=gw, O=Org` is taken in
    /// the order in which it is written, which has to be the order in the certificate.
    public init(configured text: String) throws(CredentialError) {
        let text = Self.trimmed(text)
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2, let form = Form(rawValue: parts[0].lowercased()) {
            try self.init(form, Self.trimmed(parts[1]))
        } else if IPAddress(text) != nil {
            try self.init(.address, text)
        } else if text.contains("=") {
            try self.init(.dn, text)
        } else if text.contains("@") {
            try self.init(.email, text)
        } else {
            try self.init(.fqdn, text)
        }
    }

    private enum Form: String {
        case fqdn, email, dn, address, keyid
    }

    private init(_ form: Form, _ text: String) throws(CredentialError) {
        guard !text.isEmpty else {
            throw CredentialError(.invalidIdentity, "an identity cannot be empty")
        }
        switch form {
        case .fqdn:
            let name = text.hasSuffix(".") ? String(text.dropLast()) : text
            guard Self.isName(name) else {
                throw Self.invalid(text, "a domain name (ASCII without spaces, wildcards or empty labels)")
            }
            self = .fqdn(name)
        case .email:
            guard Self.isEmail(text) else {
                throw Self.invalid(text, "an e-mail address (name@domain without spaces or wildcards)")
            }
            self = .email(text)
        case .dn:
            let name: DistinguishedNameForm
            do throws(DistinguishedNameForm.TextError) {
                name = try DistinguishedNameForm(text: text)
            } catch {
                throw CredentialError(
                    .invalidIdentity, "\"\(text.forLog())\" is not a distinguished name: \(error.reason)")
            }
            guard let der = name.der, der.count <= Self.longestData else {
                throw Self.invalid(text, "a distinguished name that can be encoded")
            }
            self = .distinguishedName(der)
        case .address:
            guard let address = IPAddress(text) else { throw Self.invalid(text, "an IP address") }
            self = .address(address)
        case .keyid:
            if text.hasPrefix("0x") {
                guard let octets = [UInt8](hexadecimal: text.dropFirst(2)), !octets.isEmpty else {
                    throw Self.invalid(text, "a key ID in hexadecimal: pairs of digits after 0x")
                }
                self = .keyID(octets)
            } else {
                self = .keyID(Array(text.utf8))
            }
            guard data.count <= Self.longestData else { throw Self.invalid(text, "a key ID of acceptable length") }
        }
    }

    private static func invalid(_ text: String, _ expectation: String) -> CredentialError {
        CredentialError(.invalidIdentity, "\"\(text.forLog())\" is not \(expectation)")
    }

    /// Without white space around it; what a backslash at the end escapes stays.
    private static func trimmed(_ text: some StringProtocol) -> String {
        let start = text.drop(while: \.isWhitespace)
        guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        let end = start.index(after: last)
        return String(start[..<end]) + (start[last] == "\\" ? String(start[end...].prefix(1)) : "")
    }
}
