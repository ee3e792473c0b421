import Credentials
import Octets

/// Something a message says, in words, with what it consists of.
package struct Field: Hashable, Sendable {
    /// What is said, in the document's words: stable, and the key by which programs find it.
    package var name: String
    /// Safe to print: a peer cannot put control characters into it.
    package var value: String
    /// Octets that have no other form; shown as hexadecimal digits.
    package var octets: [UInt8]?
    package var fields: [Field]

    package init(_ name: String, _ value: String = "", octets: [UInt8]? = nil, _ fields: [Field] = []) {
        self.name = name
        self.value = value
        self.octets = octets
        self.fields = fields
    }

    package init(_ name: String, _ number: some BinaryInteger) { self.init(name, "\(number)") }

    /// Octets that are opaque, or whose form is not known.
    package static func opaque(_ name: String, _ octets: [UInt8]) -> Field {
        Field(name, "\(octets.count) \(octets.count == 1 ? "octet" : "octets")", octets: octets.isEmpty ? nil : octets)
    }

    /// Text of a peer's; as octets if it is no UTF-8.
    package static func text(_ name: String, _ octets: [UInt8]) -> Field {
        guard let text = String(validating: octets, as: UTF8.self) else { return opaque(name, octets) }
        return Field(name, "\"\(text.forLog(limit: 512))\"")
    }
}
