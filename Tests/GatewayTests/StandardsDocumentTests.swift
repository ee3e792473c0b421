import Foundation
import Testing

/// `docs/standards.md` leads from documents to files and tests; here it is held against the files.
struct StandardsDocumentTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    /// What stands between backticks and looks like a path of this repository.
    private static func paths(in text: String) -> [String] {
        let pieces = text.split(separator: "`", omittingEmptySubsequences: false)
        return pieces.enumerated().compactMap { index, piece in
            let isQuoted = !index.isMultiple(of: 2)
            let isPath = ["Sources/", "Tests/", "Lab/", "Benchmarks/", "docs/"].contains { piece.hasPrefix($0) }
            return isQuoted && isPath && !piece.contains(" ") ? String(piece) : nil
        }
    }

    private struct Table {
        var heading: [String]
        var rows: [[String]] = []
    }

    /// The tables, as cells.
    private static func tables(of document: String) -> [Table] {
        var tables: [Table] = []
        var before: [String] = []
        for line in document.split(separator: "\n", omittingEmptySubsequences: false) {
            guard line.hasPrefix("|") else { continue }
            let cells = line.dropFirst().split(separator: "|", omittingEmptySubsequences: false).dropLast()
                .map { $0.trimmingCharacters(in: .whitespaces) }
            if line.hasPrefix("| ---") {
                _ = tables.indices.last.map { tables[$0].rows.removeLast() }
                tables.append(Table(heading: before))
            } else {
                _ = tables.indices.last.map { tables[$0].rows.append(cells) }
                before = cells
            }
        }
        return tables
    }

    /// The tables of what a document demands, rule by rule.
    private static let ruleHeading = ["section", "rule", "enforced by", "shown by"]
    private static let exceptionHeading = ["section", "rule", "why not"]

    /// The numbers of the RFCs a text names.
    private static func documents(in text: String) -> Set<Int> {
        Set(text.matches(of: #/RFC ?([0-9]{3,5})/#).compactMap { Int($0.output.1) })
    }

    @Test("Every path in the standards document exists")
    func paths() throws {
        let paths = Self.paths(in: try Self.text("docs/standards.md"))
        #expect(paths.count > 100)
        for path in Set(paths).sorted() {
            #expect(FileManager.default.fileExists(atPath: Self.root.appending(path: path).path), "\(path)")
        }
    }

    @Test("Every row leads to a file and to a test, or says that there is none yet")
    func rows() throws {
        let rows = Self.tables(of: try Self.text("docs/standards.md"))
            .filter { ![Self.ruleHeading, Self.exceptionHeading].contains($0.heading) }.flatMap(\.rows)
        #expect(rows.count > 40)
        for row in rows {
            try #require(row.count == 4, "\(row)")
            #expect(Self.paths(in: row[1]).contains { $0.hasPrefix("Sources/") }, "\(row[0])")
            #expect(
                Self.paths(in: row[2]).contains { $0.hasPrefix("Tests/") } || row[2].contains("not yet"), "\(row[0])")
            #expect(!row[3].isEmpty, "\(row[0])")
        }
    }

    @Test("Every rule leads to a file, its declarations are there, and every test it names is in the file it names")
    func rules() throws {
        let tables = Self.tables(of: try Self.text("docs/standards.md"))
        let rules = tables.filter { $0.heading == Self.ruleHeading }.flatMap(\.rows)
        #expect(rules.count > 60)
        for rule in rules {
            try #require(rule.count == 4, "\(rule)")
            #expect(!rule[0].isEmpty && !rule[1].isEmpty, "\(rule)")
            try checkDeclarations(rule[2])
            let tests = rule[3].matches(of: #/`([A-Za-z/]+)`: "([^"]+)"/#)
            #expect(!tests.isEmpty || rule[3] == "not yet", "\(rule[1])")
            for test in tests {
                let source = try Self.text("Tests/\(test.output.1).swift")
                #expect(source.contains("\"\(test.output.2)\""), "\(test.output.0)")
            }
            // Nothing but tests stands there, so that a slip in the form does not hide one.
            let rest = rule[3].replacing(#/`[A-Za-z/]+`: "[^"]+"(; )?/#, with: "")
            #expect(rest.isEmpty || rest == "not yet", "\(rest)")
        }
        let exceptions = tables.filter { $0.heading == Self.exceptionHeading }.flatMap(\.rows)
        #expect(!exceptions.isEmpty)
        for exception in exceptions {
            #expect(exception.count == 3 && exception.allSatisfy { !$0.isEmpty }, "\(exception)")
        }
    }

    /// - Parameter cell: paths, each followed by names that its file has; all between backticks.
    private func checkDeclarations(_ cell: String) throws {
        var source: String?
        for (index, piece) in cell.split(separator: "`", omittingEmptySubsequences: false).enumerated()
        where !index.isMultiple(of: 2) {
            if piece.hasPrefix("Sources/") {
                source = piece.hasSuffix(".swift") ? try Self.text(String(piece)) : nil
            } else {
                #expect(source?.contains(piece) == true, "\(piece) in \(cell)")
            }
        }
        #expect(Self.paths(in: cell).contains { $0.hasPrefix("Sources/") }, "\(cell)")
    }

    @Test("Every RFC that the sources cite stands in the standards document")
    func citations() throws {
        let known = Self.documents(in: try Self.text("docs/standards.md"))
        let sources = Self.root.appending(path: "Sources")
        let files = try #require(FileManager.default.enumerator(atPath: sources.path))
        for case let file as String in files where file.hasSuffix(".swift") {
            let cited = Self.documents(in: try Self.text("Sources/\(file)"))
            let missing = cited.subtracting(known).sorted()
            #expect(missing.isEmpty, "RFC \(missing) in Sources/\(file)")
        }
    }
}
