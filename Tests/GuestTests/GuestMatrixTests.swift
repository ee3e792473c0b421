import Foundation
import Lab
import Synchronization
import Testing

/// What a row came to, for the table that a person reads.
final class MatrixEntry: Sendable {
    struct Cells: Sendable {
        var cygnet = "–"
        var peer = "–"
        var packets = "–"
        var hasFailed = false
    }
    private let contents = Mutex(Cells())

    var cells: Cells { contents.withLock { $0 } }
    func note(cygnet: String) { contents.withLock { $0.cygnet = cygnet } }
    func note(peer: String) { contents.withLock { $0.peer = peer } }
    func note(packets: String) { contents.withLock { $0.packets = packets } }
    func noteFailure() { contents.withLock { $0.hasFailed = true } }
}

/// The rows that have been held, written to a file after each.
final class GuestMatrixRecord: Sendable {
    static let shared = GuestMatrixRecord()
    private let lines = Mutex<[(row: GuestRow, cells: MatrixEntry.Cells)]>([])

    func add(_ row: GuestRow, _ entry: MatrixEntry) {
        let all = lines.withLock { lines in
            lines.append((row, entry.cells))
            return lines
        }
        let head = ["peer", "Cygnet is", "subject", "Cygnet reports", "the peer reports", "ESP packets", ""]
        let rows = all.map { row, cells in
            [
                row.peer.rawValue, row.role.rawValue, row.subject, cells.cygnet, cells.peer, cells.packets,
                cells.hasFailed ? "FAILED" : "ok",
            ]
        }
        let table =
            "Interoperability with modern peers: \(all.count { !$0.cells.hasFailed }) of \(all.count) rows\n"
            + TextTable.render([head] + rows)
        if all.count == GuestRow.all.count { print(table) }
        if let path = ProcessInfo.processInfo.environment["CYGNET_GUEST_MATRIX_FILE"] {
            try? table.write(toFile: path, atomically: true, encoding: .utf8)
        }
    }
}

/// One meeting at a time, so that each finds a quiet machine.
@Suite("Modern peers", .serialized)
struct GuestMatrix {
    @Test("meet Cygnet", .timeLimit(.minutes(3)), arguments: GuestRow.all)
    func meets(_ row: GuestRow) async throws {
        let entry = MatrixEntry()
        // Whatever goes wrong below, the row stands in the table.
        defer { GuestMatrixRecord.shared.add(row, entry) }
        do {
            try await Meeting.hold(row, entry: entry)
        } catch {
            entry.noteFailure()
            throw error
        }
    }
}
