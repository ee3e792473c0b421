/// Columns of text for a terminal.
package enum TextTable {
    /// The first row is the head.
    package static func render(_ rows: [[String]]) -> String {
        let count = rows.map(\.count).max() ?? 0
        let widths = (0..<count).map { column in rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0 }
        var lines = rows.map { row in
            var line = ""
            for (column, text) in row.enumerated() {
                line += text
                if column + 1 < row.count { line += String(repeating: " ", count: widths[column] - text.count + 2) }
            }
            return line
        }
        if lines.count > 1 {
            lines.insert(widths.map { String(repeating: "-", count: $0) }.joined(separator: "  "), at: 1)
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
