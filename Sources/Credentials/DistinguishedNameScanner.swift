import Octets

/// Splits the text of a distinguished name into types and values, RFC 4514 section 3.
struct DistinguishedNameScanner {
    typealias TextError = DistinguishedNameForm.TextError

    enum Value {
        case text(String)
        case encoding([UInt8])
    }

    private var rest: Substring.UnicodeScalarView

    init(_ text: String) { rest = Substring(text).unicodeScalars }

    private mutating func skipSpaces() {
        rest = rest.drop { $0.properties.isWhitespace }
    }

    /// Whether `separator` came next; it is consumed then.
    mutating func skip(_ separator: Unicode.Scalar) -> Bool {
        skipSpaces()
        guard rest.first == separator else { return false }
        rest.removeFirst()
        return true
    }

    /// The attribute type before the next equals sign.
    mutating func readType() throws(TextError) -> String {
        skipSpaces()
        let type = String(
            String.UnicodeScalarView(rest.prefix { $0 != "=" && $0 != "," && !$0.properties.isWhitespace }))
        guard !type.isEmpty else { throw TextError(reason: "a type such as CN= is missing") }
        rest = rest.dropFirst(type.unicodeScalars.count)
        guard skip("=") else { throw TextError(reason: "\"\(type.forLog(limit: 32))\" is not followed by =") }
        return type
    }

    /// The value up to the next separator, with its escapes undone.
    mutating func readValue() throws(TextError) -> Value {
        skipSpaces()
        if rest.first == "#" { return .encoding(try readEncoding()) }
        let text = rest.first == "\"" ? try readQuoted() : try readPlain()
        guard !text.isEmpty else { throw TextError(reason: "a value is empty") }
        return .text(text)
    }

    private mutating func readEncoding() throws(TextError) -> [UInt8] {
        let digits = rest.dropFirst().prefix { $0 != "," && $0 != "+" }
        rest = rest[digits.endIndex...]
        guard let octets = [UInt8](hexadecimal: String(String.UnicodeScalarView(digits))), !octets.isEmpty else {
            throw TextError(reason: "# is not followed by hexadecimal digits")
        }
        return octets
    }

    private mutating func readQuoted() throws(TextError) -> String {
        rest.removeFirst()
        var octets: [UInt8] = []
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\"":
                skipSpaces()
                guard rest.isEmpty || rest.first == "," || rest.first == "+" else {
                    throw TextError(reason: "a quoted value is followed by more text")
                }
                return try Self.text(octets)
            case "\\": octets += try readEscape()
            default: octets += Array(String(scalar).utf8)
            }
        }
        throw TextError(reason: "a quotation mark is not closed")
    }

    private mutating func readPlain() throws(TextError) -> String {
        var octets: [UInt8] = []
        // Spaces at the end do not count unless they were escaped.
        var kept = 0
        while let scalar = rest.first, scalar != ",", scalar != "+" {
            rest.removeFirst()
            switch scalar {
            case "\\":
                octets += try readEscape()
                kept = octets.count
            case "\"", ";", "<", ">":
                throw TextError(reason: "\(scalar) in a value needs a backslash before it")
            default:
                octets += Array(String(scalar).utf8)
                if !scalar.properties.isWhitespace { kept = octets.count }
            }
        }
        return try Self.text(Array(octets.prefix(kept)))
    }

    private mutating func readEscape() throws(TextError) -> [UInt8] {
        let pair = String(String.UnicodeScalarView(rest.prefix(2)))
        if pair.count == 2, let octets = [UInt8](hexadecimal: pair), octets.count == 1 {
            rest = rest.dropFirst(2)
            return octets
        }
        guard let scalar = rest.popFirst() else { throw TextError(reason: "it ends with a backslash") }
        return Array(String(scalar).utf8)
    }

    private static func text(_ octets: [UInt8]) throws(TextError) -> String {
        guard let text = String(validating: octets, as: UTF8.self) else {
            throw TextError(reason: "escaped octets are not UTF-8")
        }
        return text
    }
}
