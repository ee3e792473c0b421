import Foundation
import Lab

/// What a benchmark found, as text for a terminal or as Markdown.
struct Report {
    enum Part {
        case text(String)
        /// The first row is the head.
        case table([[String]])
        /// Commands, one a line.
        case commands([String])
    }

    var title: String
    /// Whether other reports are parts of this one.
    var isWhole = false
    var parts: [Part] = []

    func rendered(asMarkdown: Bool) -> String {
        let parts = parts.map { part in
            switch part {
            case .text(let text): text + "\n"
            case .table(let rows): asMarkdown ? Self.markdown(rows) : TextTable.render(rows)
            case .commands(let lines):
                asMarkdown
                    ? "```sh\n" + lines.joined(separator: "\n") + "\n```\n" : lines.map { "    \($0)\n" }.joined()
            }
        }
        let mark = asMarkdown ? isWhole ? "#" : "##" : "=="
        return "\(mark) \(title)\n\n" + parts.joined(separator: "\n")
    }

    private static func markdown(_ rows: [[String]]) -> String {
        guard let head = rows.first else { return "" }
        // Figures to the right, words to the left.
        let rule = head.indices.map { column in
            let cells = rows.dropFirst().map { $0.count > column ? $0[column] : "" }.filter { $0 != "–" }
            return column > 0 && cells.allSatisfy { $0.first?.isNumber == true } ? "---:" : "---"
        }
        return ([head, rule] + rows.dropFirst()).map { "| " + $0.joined(separator: " | ") + " |\n" }.joined()
    }
}

extension Double {
    /// Written with so many digits after the point.
    func text(_ digits: Int = 0) -> String { String(format: "%.\(digits)f", self) }
    var percentage: String { "\((self * 100).text()) %" }
}

/// Tells a waiting person how far things are, apart from the results.
func tellProgress(_ text: String) {
    FileHandle.standardError.write(Data((text + "\n").utf8))
}
