import Foundation
import IKE
import Yams

/// One YAML file as nodes that know their positions.
///
/// Yams refuses a whole document for one key written twice. So that such a key is reported like any other mistake, with
/// both lines, its first occurrence is disguised, by a character of the private use area in place of its first, before
/// the text is read again; `ConfigurationNode` takes the disguise off.
final class ConfigurationDocument {
    let file: String
    private var disguised: [Place: Unicode.Scalar] = [:]

    private struct Place: Hashable {
        let line: Int
        let column: Int
    }

    private static let firstDisguise: UInt32 = 0xe000
    private static let disguises = 256

    init(file: String) { self.file = file }

    /// The root node; `nil` for an empty document or, with an error reported, an unreadable one.
    func parse(_ text: String, _ diagnostics: Diagnostics) -> Node? {
        var text = text
        while true {
            do {
                return try Yams.compose(yaml: text)
            } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
                guard let masked = disguise(at: context.mark, in: text) else {
                    let names = keys.map { quoted($0) }.joined(separator: ", ")
                    diagnostics.error("key \(names) appears twice", at: origin(context.mark))
                    return nil
                }
                text = masked
            } catch let error as YamlError {
                report(error, diagnostics)
                return nil
            } catch {
                diagnostics.error("not readable as YAML", at: origin(nil))
                return nil
            }
        }
    }

    /// The text of a key and whether it is the earlier one of two with the same text.
    func key(_ scalar: Node.Scalar) -> (name: String, isRepeated: Bool) {
        guard let mark = scalar.mark, let original = disguised[Place(line: mark.line, column: mark.column)] else {
            return (scalar.string, false)
        }
        var scalars = scalar.string.unicodeScalars
        guard !scalars.isEmpty else { return (scalar.string, false) }
        scalars.replaceSubrange(scalars.startIndex..<scalars.index(after: scalars.startIndex), with: [original])
        return (String(scalars), true)
    }

    func origin(_ mark: Mark?, key: String = "") -> Origin {
        Origin(file: file, line: mark?.line ?? 1, column: mark?.column ?? 1, key: escaped(key))
    }

    private func disguise(at mark: Mark, in text: String) -> String? {
        guard disguised.count < Self.disguises else { return nil }
        guard let mask = Unicode.Scalar(Self.firstDisguise + UInt32(disguised.count)) else { return nil }
        var scalars = text.unicodeScalars
        var index = scalars.startIndex
        for _ in 1..<max(mark.line, 1) {
            guard let newline = scalars[index...].firstIndex(of: "\n") else { return nil }
            index = scalars.index(after: newline)
        }
        var column = mark.column - 1
        if let start = scalars.index(index, offsetBy: column, limitedBy: scalars.endIndex), start < scalars.endIndex,
            scalars[start] == "\"" || scalars[start] == "'"
        {
            column += 1
        }
        guard let start = scalars.index(index, offsetBy: column, limitedBy: scalars.endIndex), start < scalars.endIndex
        else { return nil }
        let original = scalars[start]
        guard original.properties.isAlphabetic || original.properties.numericType != nil else { return nil }
        disguised[Place(line: mark.line, column: mark.column)] = original
        scalars.replaceSubrange(start..<scalars.index(after: start), with: [mask])
        return String(scalars)
    }

    private func report(_ error: YamlError, _ diagnostics: Diagnostics) {
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let place = context.map { " (\($0.text) of line \($0.mark.line))" } ?? ""
            diagnostics.error("not readable as YAML: \(problem)\(place)", at: origin(mark))
        case .reader(let problem, _, _, _):
            diagnostics.error("not readable as YAML: \(problem)", at: origin(nil))
        default:
            diagnostics.error("not readable as YAML", at: origin(nil))
        }
    }
}
