import ArgumentParser
import Foundation
import Gateway

struct Algorithms: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the algorithms of IKEv2 and ESP: what the RFCs ask for, and what is implemented.",
        discussion: """
            Levels are those of RFC 8247 for IKE and RFC 8221 for ESP, with what RFC 9395 has removed; a registered \
            algorithm that they do not speak of MAY be implemented. "default" stands where it is offered without being \
            configured. What MUST NOT or SHOULD NOT be used, or is DEPRECATED, is refused in the configuration and \
            passed over in a negotiation. Needs no daemon.
            """)

    @Flag(help: "Print JSON.") var json = false
    @Flag(help: "Only what is implemented.") var implemented = false

    func run() throws {
        let report = AlgorithmReport()
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            let rows = report.algorithms.filter { $0.isImplemented || !implemented }
            print(String(decoding: try encoder.encode(["algorithms": rows]), as: UTF8.self))
            return
        }
        let kinds = report.algorithms.map(\.kind).reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
        let rows = report.algorithms.filter { $0.isImplemented || !implemented }
        // One width for all kinds, so that the columns stand below each other throughout.
        let heading = ["NO.", "NAME", "HAVE", "IKE", "", "ESP", "", "WORDS", "DOCUMENTS"]
        let table = StatusTable.table(heading, rows.map(Self.cells))
        print(table[0])
        for kind in kinds where rows.contains(where: { $0.kind == kind }) {
            print("\n\(kind)")
            for (row, line) in zip(rows, table.dropFirst()) where row.kind == kind { print(line) }
        }
    }

    private static func cells(_ row: AlgorithmReport.Row) -> [String] {
        var documents: [String] = []
        for document in [row.ike?.document, row.esp?.document].compactMap(\.self) where !documents.contains(document) {
            documents.append(document)
        }
        var last = documents.joined(separator: "; ")
        if let condition = row.condition { last += last.isEmpty ? condition : " (\(condition))" }
        return [
            "\(row.number)", row.name, row.isImplemented ? "yes" : "–", row.ike?.level ?? "–",
            row.ike?.isDefault == true ? "default" : "", row.esp?.level ?? "–",
            row.esp?.isDefault == true ? "default" : "", row.words.joined(separator: " "), last,
        ]
    }
}
