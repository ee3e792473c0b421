import Octets
import SwiftASN1
import X509

/// A distinguished name with its text form and its comparison.
///
/// Text is in the order of the certificate, most significant part first as issuers usually encode it, and is not
/// reversed as RFC 4514 would have it: `C=CH, O=Org, CN=gw` for a certificate whose first part is the country.
struct DistinguishedNameForm: CustomStringConvertible {
    let name: DistinguishedName

    init(_ name: DistinguishedName) { self.name = name }

    /// `nil` if the octets are not a Name in strict DER.
    init?(der: [UInt8]) {
        // The parser nests no deeper than its own limit; the length is bounded by who calls.
        guard let root = try? DER.parse(der), let name = try? DistinguishedName(derEncoded: root) else { return nil }
        self.name = name
    }

    var isEmpty: Bool { name.isEmpty }

    var der: [UInt8]? {
        var serializer = DER.Serializer()
        guard (try? serializer.serialize(name)) != nil else { return nil }
        return serializer.serializedBytes
    }

    // MARK: Comparison, RFC 5280 section 7.1

    private struct Part: Hashable {
        enum Value: Hashable {
            case text(String)
            case encoding([UInt8])
        }
        let type: ASN1ObjectIdentifier
        let value: Value

        init(_ attribute: RelativeDistinguishedName.Attribute) {
            type = attribute.type
            if let text = String(attribute.value) {
                // Case and the amount of white space do not count; String compares by canonical equivalence.
                value = .text(text.split(whereSeparator: \.isWhitespace).joined(separator: " ").lowercased())
            } else {
                value = .encoding(DistinguishedNameForm.encoding(of: attribute.value))
            }
        }
    }

    /// Whether both have the same parts in the same order.
    func matches(_ other: DistinguishedNameForm) -> Bool {
        guard name.count == other.name.count else { return false }
        return zip(name, other.name).allSatisfy { left, right in
            Dictionary(left.map { (Part($0), 1) }, uniquingKeysWith: +)
                == Dictionary(right.map { (Part($0), 1) }, uniquingKeysWith: +)
        }
    }

    private static let wildcard = "*"

    /// Whether a part's value is an asterisk alone.
    var hasWildcard: Bool { name.contains { part in part.contains { String($0.value) == Self.wildcard } } }

    /// Whether `other` has parts of the same types in the same order, and the same values except where ours is an asterisk.
    func matchesAsPattern(_ other: DistinguishedNameForm) -> Bool {
        guard name.count == other.name.count else { return false }
        return zip(name, other.name).allSatisfy { wanted, found in
            wanted.count == found.count
                && wanted.allSatisfy { attribute in
                    found.contains {
                        $0.type == attribute.type
                            && (String(attribute.value) == Self.wildcard || Part($0) == Part(attribute))
                    }
                }
        }
    }

    private static func encoding(of value: RelativeDistinguishedName.Attribute.Value) -> [UInt8] {
        var serializer = DER.Serializer()
        guard (try? serializer.serialize(ASN1Any(value))) != nil else { return [] }
        return serializer.serializedBytes
    }

    // MARK: Text

    var description: String {
        name.map { part in
            part.map { attribute in
                let value =
                    String(attribute.value) == nil
                    ? "#" + Self.encoding(of: attribute.value).hexadecimal : String(describing: attribute.value)
                return Self.typeName(attribute.type) + "=" + value
            }.joined(separator: "+")
        }.joined(separator: ", ").forLog(limit: 1024)
    }

    private static func typeName(_ type: ASN1ObjectIdentifier) -> String {
        typeNames.first { $0.type == type }?.name ?? "\(type)"
    }

    /// The first name of a type is the one that is printed.
    private static let typeNames: [(name: String, type: ASN1ObjectIdentifier)] = [
        ("CN", .NameAttributes.commonName), ("C", .NameAttributes.countryName),
        ("ST", .NameAttributes.stateOrProvinceName), ("S", .NameAttributes.stateOrProvinceName),
        ("L", .NameAttributes.localityName), ("STREET", .RDNAttributeType.streetAddress),
        ("O", .NameAttributes.organizationName), ("OU", .NameAttributes.organizationalUnitName),
        ("DC", .NameAttributes.domainComponent), ("E", .NameAttributes.emailAddress),
        ("emailAddress", .NameAttributes.emailAddress), ("serialNumber", .NameAttributes.serialNumber),
        ("surname", .NameAttributes.surname), ("givenName", .NameAttributes.givenName),
        ("GN", .NameAttributes.givenName),
        ("title", .NameAttributes.title), ("initials", .NameAttributes.initials), ("name", .NameAttributes.name),
        ("pseudonym", .NameAttributes.pseudonym), ("dnQualifier", .NameAttributes.dnQualifier),
        ("UID", [0, 9, 2342, 19_200_300, 100, 1, 1]),
    ]

    /// Why text is not a distinguished name; the reason continues a sentence.
    struct TextError: Error {
        let reason: String
    }

    /// Reads `TYPE=value` parts separated by commas, several types of one part joined by `+`.
    ///
    /// Values are escaped as in RFC 4514 section 2.4: a backslash before a special character or before two
    /// hexadecimal digits, quotation marks around a value, or `#` and the DER encoding in hexadecimal.
    init(text: String) throws(TextError) {
        var scanner = DistinguishedNameScanner(text)
        var parts: [RelativeDistinguishedName] = []
        repeat {
            var attributes: [RelativeDistinguishedName.Attribute] = []
            repeat {
                let type = try Self.type(named: try scanner.readType())
                attributes.append(try Self.attribute(type, try scanner.readValue()))
            } while scanner.skip("+")
            parts.append(RelativeDistinguishedName(attributes))
        } while scanner.skip(",")
        name = DistinguishedName(parts)
    }

    private static func type(named name: String) throws(TextError) -> ASN1ObjectIdentifier {
        if let known = typeNames.first(where: { $0.name.lowercased() == name.lowercased() }) { return known.type }
        if isObjectIdentifier(name), let identifier = try? ASN1ObjectIdentifier(dotRepresentation: name) {
            return identifier
        }
        throw TextError(
            reason:
                """
                \"\(name.forLog(limit: 32))\" is not a known type; known are \
                \(typeNames.map(\.name).joined(separator: ", ")) and object identifiers
                """
        )
    }

    /// Whether it is an object identifier in dots: SwiftASN1 traps on numbers whose encoding it has no room for.
    private static func isObjectIdentifier(_ name: String) -> Bool {
        let arcs = name.split(separator: ".", omittingEmptySubsequences: false).map { UInt32($0) }
        guard arcs.count >= 2, !arcs.contains(nil), let first = arcs[0], let second = arcs[1] else { return false }
        return first < 2 ? second < 40 : first == 2
    }

    private static func attribute(
        _ type: ASN1ObjectIdentifier, _ value: DistinguishedNameScanner.Value
    ) throws(TextError) -> RelativeDistinguishedName.Attribute {
        switch value {
        case .encoding(let der):
            guard let node = try? DER.parse(der) else { throw TextError(reason: "the value after # is not DER") }
            return .init(type: type, value: ASN1Any(derEncoded: node))
        case .text(let text):
            do {
                // RFC 5280 appendix A gives these types their string types; the others are free.
                switch type {
                case .NameAttributes.countryName, .NameAttributes.serialNumber, .NameAttributes.dnQualifier:
                    return try .init(type: type, printableString: text)
                case .NameAttributes.domainComponent, .NameAttributes.emailAddress:
                    return try .init(type: type, ia5String: text)
                default:
                    return .init(type: type, utf8String: text)
                }
            } catch {
                throw TextError(
                    reason: "\"\(text.forLog(limit: 64))\" has characters that \(typeName(type)) cannot hold")
            }
        }
    }
}
