import Foundation
import Lab
import Synchronization

/// What each row of the matrix came to, for the table that a person reads.
final class MatrixRecord: Sendable {
    struct Entry: Sendable {
        var cygnet = "–"
        var strongSwan = "–"
        var packets = "–"
        var passed = false
    }

    static let shared = MatrixRecord()
    private let entries = Mutex<[MatrixRow: Entry]>([:])

    func note(_ row: MatrixRow, _ entry: Entry) {
        let all = entries.withLock { entries in
            entries[row] = entry
            return entries
        }
        guard all.count == MatrixRow.all.count else { return }
        let table = Self.table(all)
        print(table)
        if let path = ProcessInfo.processInfo.environment["CYGNET_MATRIX_FILE"] {
            try? table.write(toFile: path, atomically: true, encoding: .utf8)
        }
    }

    private static func table(_ entries: [MatrixRow: Entry]) -> String {
        let head = [
            "Cygnet is", "auth", "ESP", "key exchange", "addresses", "path", "Cygnet reports", "strongSwan reports",
            "ESP packets", "",
        ]
        let lines = MatrixRow.all.map { row in
            let entry = entries[row] ?? Entry()
            return row.values + [entry.cygnet, entry.strongSwan, entry.packets, entry.passed ? "ok" : "FAILED"]
        }
        let passed = entries.values.count(where: \.passed)
        return "Interoperability with strongSwan: \(passed) of \(lines.count) rows\n" + TextTable.render([head] + lines)
    }
}
