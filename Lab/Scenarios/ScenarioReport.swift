import Foundation

/// The summary of a conformance run.
package enum ScenarioReport: String, Sendable, CaseIterable {
    case text, markdown, json

    package func render(_ results: [ScenarioResult]) -> String {
        switch self {
        case .text: text(results)
        case .markdown: markdown(results)
        case .json: json(results)
        }
    }

    /// One line for each scenario.
    package static func list(_ scenarios: [Scenario]) -> String {
        let rows = scenarios.map { [$0.name, $0.documents.joined(separator: ", "), $0.summary] }
        return TextTable.render([["scenario", "documents", "shows"]] + rows)
    }

    private func text(_ results: [ScenarioResult]) -> String {
        var rows = [["scenario", "documents", "with", "facts", "time", "result"]]
        for result in results {
            rows.append([
                result.name, result.documents.joined(separator: ", "), result.peer, Self.count(result),
                Self.time(result), result.passed ? "passed" : "FAILED",
            ])
        }
        return TextTable.render(rows) + Self.failures(results).map { "\($0)\n" }.joined() + Self.total(results) + "\n"
    }

    private func markdown(_ results: [ScenarioResult]) -> String {
        var lines = [
            "| scenario | documents | with | facts | time | result |", "| --- | --- | --- | --- | --- | --- |",
        ]
        for result in results {
            let cells = [
                "`\(result.name)`", result.documents.joined(separator: ", "), result.peer, Self.count(result),
                Self.time(result), result.passed ? "passed" : "**failed**",
            ]
            lines.append("| \(cells.joined(separator: " | ")) |")
        }
        lines += [""] + Self.failures(results).map { "- \($0)" } + [Self.total(results)]
        return lines.joined(separator: "\n") + "\n"
    }

    private func json(_ results: [ScenarioResult]) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(results) else { return "[]\n" }
        return String(decoding: data, as: UTF8.self) + "\n"
    }

    private static func count(_ result: ScenarioResult) -> String {
        "\(result.facts.count(where: \.holds)) of \(result.facts.count)"
    }

    private static func time(_ result: ScenarioResult) -> String {
        let tenths = Int((result.seconds * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) s"
    }

    private static func failures(_ results: [ScenarioResult]) -> [String] {
        results.flatMap { result in
            result.facts.filter { !$0.holds }.map { "\(result.name): not so: \($0.text)" }
                + (result.problem.map { ["\(result.name): \($0.split(separator: "\n").first ?? "")"] } ?? [])
        }
    }

    private static func total(_ results: [ScenarioResult]) -> String {
        "\(results.count(where: \.passed)) of \(results.count) scenarios passed."
    }
}
