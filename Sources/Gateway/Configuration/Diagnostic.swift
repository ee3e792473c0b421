import IKE

/// One finding about a configuration: where, which key, what is wrong and what to write instead. Always one line. Line 0 of a
/// file is the file as a whole.
public struct Diagnostic: Hashable, Sendable, CustomStringConvertible {
    public enum Severity: String, Hashable, Sendable { case error, warning }

    public let severity: Severity
    public let origin: Origin
    public let message: String

    public var description: String {
        let prefix = severity == .warning ? "warning: " : ""
        let key = origin.key.isEmpty ? "" : "\(origin.key): "
        let place = origin.line > 0 ? ":\(origin.line):\(origin.column)" : ""
        return "\(escaped(origin.file))\(place): \(prefix)\(key)\(message)"
    }
}

/// Collects findings while a configuration is read, so that they are reported together and not one at a time.
final class Diagnostics {
    private(set) var all: [Diagnostic] = []

    func error(_ message: String, at origin: Origin) {
        all.append(Diagnostic(severity: .error, origin: origin, message: message))
    }

    func warning(_ message: String, at origin: Origin) {
        all.append(Diagnostic(severity: .warning, origin: origin, message: message))
    }

    /// The findings in the order of the text, each once.
    var sorted: [Diagnostic] {
        var seen: Set<Diagnostic> = []
        let order = Dictionary(
            all.enumerated().map { ($0.element.origin.file, $0.offset) }, uniquingKeysWith: { first, _ in first })
        return all.filter { seen.insert($0).inserted }.sorted { left, right in
            let files = (order[left.origin.file] ?? 0, order[right.origin.file] ?? 0)
            return (files.0, left.origin.line, left.origin.column) < (files.1, right.origin.line, right.origin.column)
        }
    }

    var hasErrors: Bool { all.contains { $0.severity == .error } }
}

/// Text from outside between quotation marks: control characters escaped and the length limited, so that it stays
/// within its line.
func quoted(_ text: some StringProtocol, limit: Int = 80) -> String {
    let inside = escaped(text, limit: limit, alsoBefore: ["\"", "\\"])
    return "\"\(inside)\""
}

/// Text from outside that stays within its line: control characters escaped, and what is beyond the limit left out.
///
/// - Parameter special: what gets a backslash before it too.
func escaped(
    _ text: some StringProtocol, limit: Int = 4096, alsoBefore special: Set<Unicode.Scalar> = []
) -> String {
    // Nearly all text there is.
    if special.isEmpty, text.utf8.count <= limit, text.utf8.allSatisfy({ (0x20..<0x7f).contains($0) }) {
        return String(text)
    }
    var result = ""
    for scalar in text.unicodeScalars.prefix(limit) {
        switch scalar {
        case _ where special.contains(scalar): result += "\\\(scalar)"
        case "\n": result += "\\n"
        case "\t": result += "\\t"
        case _
        where scalar.properties.generalCategory == .control || scalar.properties.generalCategory == .format
            || scalar.properties.generalCategory == .lineSeparator
            || scalar.properties.generalCategory == .paragraphSeparator:
            result += "\\u{\(String(scalar.value, radix: 16))}"
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + (text.unicodeScalars.count > limit ? "…" : "")
}
