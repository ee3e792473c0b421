import IPPacket
import IPsecCrypto
import Octets

/// A fault in a table of keys: where it is, and what was expected.
package struct KeyTableError: Error, Hashable, Sendable, CustomStringConvertible {
    package let origin: KeyTable.Origin
    package let reason: String

    package var description: String { "\(origin): \(reason)" }
}

/// The lines of one of Wireshark's table files, split into fields: comments begin with `#`, fields are separated by commas,
/// and text stands between quotation marks, with `\xHH` for what cannot stand there itself.
struct KeyTableText {
    struct Row {
        var fields: [String]
        var origin: KeyTable.Origin
    }

    let rows: [Row]

    init(_ octets: [UInt8], file: String) throws(KeyTableError) {
        var rows: [Row] = []
        for (index, line) in octets.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated()
        {
            let origin = KeyTable.Origin(file: file, line: index + 1)
            let text = line.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
            guard let first = text.first, first != UInt8(ascii: "#"), first != UInt8(ascii: "\r") else { continue }
            rows.append(Row(fields: try Self.fields(of: text, origin), origin: origin))
        }
        self.rows = rows
    }

    private static func fields(of line: ArraySlice<UInt8>, _ origin: KeyTable.Origin) throws(KeyTableError) -> [String]
    {
        let quote = UInt8(ascii: "\"")
        let comma = UInt8(ascii: ",")
        var fields: [String] = []
        var rest = line
        while true {
            rest = rest.drop(while: isSpace)
            var field: [UInt8] = []
            if rest.first == quote {
                rest = rest.dropFirst()
                guard let end = rest.firstIndex(of: quote) else {
                    throw KeyTableError(
                        origin: origin, reason: "field \(fields.count + 1) has no quotation mark at its end")
                }
                field = try unescaped(rest[..<end], fields.count + 1, origin)
                rest = rest[(end + 1)...].drop(while: isSpace)
                guard rest.isEmpty || rest.first == comma else {
                    throw KeyTableError(
                        origin: origin,
                        reason: "field \(fields.count + 1) goes on after its quotation mark; a comma is expected")
                }
            } else {
                let end = rest.firstIndex(of: comma) ?? rest.endIndex
                field = Array(rest[..<end])
                while let last = field.last, isSpace(last) { field.removeLast() }
                rest = rest[end...]
            }
            fields.append(String(decoding: field, as: UTF8.self))
            guard rest.first == comma else { return fields }
            rest = rest.dropFirst()
        }
    }

    private static func unescaped(
        _ octets: ArraySlice<UInt8>, _ field: Int, _ origin: KeyTable.Origin
    ) throws(KeyTableError) -> [UInt8] {
        var plain: [UInt8] = []
        var rest = octets
        while let octet = rest.popFirst() {
            guard octet == UInt8(ascii: "\\") else {
                plain.append(octet)
                continue
            }
            guard rest.popFirst() == UInt8(ascii: "x"),
                let value = [UInt8](hexadecimal: String(decoding: rest.prefix(2), as: UTF8.self)), value.count == 1
            else {
                throw KeyTableError(
                    origin: origin,
                    reason: "field \(field) has a backslash; only \\x and two hexadecimal digits may follow it")
            }
            plain += value
            rest = rest.dropFirst(2)
        }
        return plain
    }

    private static func isSpace(_ octet: UInt8) -> Bool {
        octet == UInt8(ascii: " ") || octet == UInt8(ascii: "\t") || octet == UInt8(ascii: "\r")
    }
}

extension KeyTableText.Row {
    func error(_ reason: String) -> KeyTableError { KeyTableError(origin: origin, reason: reason) }

    func secret(hexadecimal field: Int, _ name: String) throws(KeyTableError) -> SecretOctets {
        let text = fields[field]
        let digits = text.hasPrefix("0x") || text.hasPrefix("0X") ? text.dropFirst(2) : text[...]
        guard let octets = [UInt8](hexadecimal: digits) else {
            throw error("field \(field + 1), \(name): pairs of hexadecimal digits are expected")
        }
        return SecretOctets(octets)
    }

    /// Looks a name up; one that only other programs know is a reason, and one that nobody knows an error.
    func algorithm<Value>(
        _ field: Int, _ what: String, in names: [String: Value]
    ) throws(KeyTableError) -> (value: Value?, reason: String) {
        let name = fields[field]
        if let value = names[name] { return (value, "") }
        if AnalyserNames.isKnownElsewhere(name) { return (nil, "\"\(name)\" is not implemented") }
        throw error(
            "field \(field + 1), \(what): \"\(name)\" is not known; expected is one of "
                + names.keys.sorted().map { "\"\($0)\"" }.joined(separator: ", "))
    }
}
