import IPPacket
import Octets

/// Who an IKE peer says it is: the content of an Identification payload (RFC 7296 section 3.5).
///
/// `==` compares what was written; ``matches(_:)`` compares who is meant.
public enum Identity: Hashable, Sendable {
    /// ID_IPV4_ADDR or ID_IPV6_ADDR.
    case address(IPAddress)
    /// ID_FQDN: ASCII, without a dot at the end.
    case fqdn(String)
    /// ID_RFC822_ADDR.
    case email(String)
    /// ID_DER_ASN1_DN: an X.501 Name in DER, as it was received or encoded.
    case distinguishedName([UInt8])
    /// ID_KEY_ID: any octets the two sides agreed on.
    case keyID([UInt8])
    /// A type that is not understood here; equal only to the same octets.
    case other(type: UInt8, data: [UInt8])

    /// Identities longer than this are not read; the longest real ones are distinguished names of a few hundred octets.
    package static let longestData = 4096

    private enum WireType {
        static let ipv4Address: UInt8 = 1
        static let fqdn: UInt8 = 2
        static let rfc822Address: UInt8 = 3
        static let ipv6Address: UInt8 = 5
        static let derASN1DN: UInt8 = 9
        static let keyID: UInt8 = 11
    }

    /// An identity from the type and data of an Identification payload; `nil` if the data does not fit the type.
    public init?(type: UInt8, data: [UInt8]) {
        guard type != 0, data.count <= Self.longestData else { return nil }
        switch type {
        case WireType.ipv4Address, WireType.ipv6Address:
            guard let address = IPAddress(octets: data),
                (address.family == .v4) == (type == WireType.ipv4Address)
            else { return nil }
            self = .address(address)
        case WireType.fqdn:
            guard let name = String(validating: data, as: UTF8.self), Self.isName(name) else { return nil }
            self = .fqdn(name)
        case WireType.rfc822Address:
            guard let address = String(validating: data, as: UTF8.self), Self.isEmail(address) else { return nil }
            self = .email(address)
        case WireType.derASN1DN:
            guard let name = DistinguishedNameForm(der: data), !name.isEmpty else { return nil }
            self = .distinguishedName(data)
        case WireType.keyID:
            guard !data.isEmpty else { return nil }
            self = .keyID(data)
        default:
            self = .other(type: type, data: data)
        }
    }

    /// The ID type, an IANA number ("IKEv2 Identification Payload ID Types").
    public var type: UInt8 {
        switch self {
        case .address(let address): address.family == .v4 ? WireType.ipv4Address : WireType.ipv6Address
        case .fqdn: WireType.fqdn
        case .email: WireType.rfc822Address
        case .distinguishedName: WireType.derASN1DN
        case .keyID: WireType.keyID
        case .other(let type, _): type
        }
    }

    /// The identification data, without type and reserved octets.
    public var data: [UInt8] {
        switch self {
        case .address(let address): address.octets
        case .fqdn(let text), .email(let text): Array(text.utf8)
        case .distinguishedName(let octets), .keyID(let octets), .other(_, let octets): octets
        }
    }

    /// Whether both name the same peer.
    ///
    /// Domain names and the domain of e-mail addresses are compared without regard to case, distinguished names by
    /// the rules of RFC 5280 section 7.1, everything else exactly. Identities of different types never match.
    public func matches(_ other: Identity) -> Bool {
        switch (self, other) {
        case (.fqdn(let left), .fqdn(let right)):
            return Self.equalIgnoringCase(left, right)
        case (.email(let left), .email(let right)):
            guard let left = Self.emailParts(left), let right = Self.emailParts(right) else { return false }
            return left.local.utf8.elementsEqual(right.local.utf8) && Self.equalIgnoringCase(left.domain, right.domain)
        case (.distinguishedName(let left), .distinguishedName(let right)):
            guard let left = DistinguishedNameForm(der: left), let right = DistinguishedNameForm(der: right) else {
                return false
            }
            return left.matches(right)
        default:
            return self == other
        }
    }

    /// The same in the one spelling that all names have which differ in nothing but the case of a domain. Distinguished
    /// names are left as they are.
    package var canonical: Identity {
        switch self {
        case .fqdn(let name): .fqdn(Self.lowercased(name))
        case .email(let address):
            Self.emailParts(address).map { .email("\($0.local)@\(Self.lowercased($0.domain))") } ?? self
        case .address, .distinguishedName, .keyID, .other: self
        }
    }

    // MARK: What names consist of

    /// Visible ASCII without wildcards and without empty labels. Wider than host names: peers use plain words too.
    static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 255
            && text.utf8.allSatisfy { (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "*") }
            && text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy {
                !$0.isEmpty
            }
    }

    static func isEmail(_ text: String) -> Bool {
        text.utf8.count <= 320 && emailParts(text) != nil
            && text.unicodeScalars.allSatisfy { scalar in
                switch scalar.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator, .spaceSeparator, .unassigned: false
                default: scalar != "*"
                }
            }
    }

    private static func emailParts(_ text: String) -> (local: Substring, domain: Substring)? {
        guard let at = text.lastIndex(of: "@") else { return nil }
        let local = text[..<at]
        let domain = text[text.index(after: at)...]
        return local.isEmpty || domain.isEmpty ? nil : (local, domain)
    }

    /// ASCII letters only: names of the DNS have no other case.
    private static func lowercase(_ octet: UInt8) -> UInt8 { (0x41...0x5a).contains(octet) ? octet | 0x20 : octet }

    private static func lowercased(_ text: some StringProtocol) -> String {
        String(decoding: text.utf8.map(lowercase), as: UTF8.self)
    }

    static func equalIgnoringCase(_ left: some StringProtocol, _ right: some StringProtocol) -> Bool {
        left.utf8.lazy.map(lowercase).elementsEqual(right.utf8.lazy.map(lowercase))
    }
}

extension Identity: CustomStringConvertible {
    /// The identity as it is written in a configuration, safe for logs: control characters are escaped and long text
    /// is cut.
    public var description: String {
        switch self {
        case .address(let address): return "\(address)"
        case .fqdn(let name): return name.forLog()
        case .email(let address): return address.forLog()
        case .distinguishedName(let der):
            return DistinguishedNameForm(der: der)?.description ?? "dn:0x\(der.prefix(64).hexadecimal)"
        case .keyID(let octets):
            if let text = String(validating: octets, as: UTF8.self),
                text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }),
                !text.hasPrefix("0x")
            {
                return "keyid:\(text.forLog())"
            }
            return "keyid:0x\(octets.prefix(128).hexadecimal)" + (octets.count > 128 ? "…" : "")
        case .other(let type, let data):
            return "type \(type) 0x\(data.prefix(64).hexadecimal)" + (data.count > 64 ? "…" : "")
        }
    }
}
