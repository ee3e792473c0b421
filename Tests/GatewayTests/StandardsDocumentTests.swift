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

    /// The rows of all tables, as cells; headings and the lines below them are left out.
    private static func rows(of document: String) -> [[String]] {
        var rows: [[String]] = []
        for line in document.split(separator: "\n", omittingEmptySubsequences: false) {
            guard line.hasPrefix("|") else { continue }
            if line.hasPrefix("| ---") {
                _ = rows.popLast()
                continue
            }
            let cells = line.dropFirst().split(separator: "|", omittingEmptySubsequences: false).dropLast()
            rows.append(cells.map { $0.trimmingCharacters(in: .whitespaces) })
        }
        return rows
    }

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
        let rows = Self.rows(of: try Self.text("docs/standards.md"))
        #expect(rows.count > 40)
        for row in rows {
            try #require(row.count == 4, "\(row)")
            #expect(Self.paths(in: row[1]).contains { $0.hasPrefix("Sources/") }, "\(row[0])")
            #expect(
                Self.paths(in: row[2]).contains { $0.hasPrefix("Tests/") } || row[2].contains("not yet"), "\(row[0])")
            #expect(!row[3].isEmpty, "\(row[0])")
        }
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
