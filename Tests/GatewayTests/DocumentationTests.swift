import Foundation
import Gateway
import Testing

struct DocumentationTests {
    private func manual() throws -> String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try String(contentsOf: root.appending(path: "docs/configuration.md"), encoding: .utf8)
    }

    @Test("Every key of the configuration is described in the manual", arguments: ConfigurationReference.keys)
    func keys(mapping: String, words: [String]) throws {
        let manual = try manual()
        for word in words {
            #expect(manual.contains("`\(word)`") || manual.contains(".\(word)`"), "\(word) of \(mapping)")
        }
    }

    @Test("Every algorithm is named in the manual")
    func algorithms() throws {
        let manual = try manual()
        for word in ConfigurationReference.algorithms { #expect(manual.contains("`\(word)`"), "\(word)") }
    }

    @Test("Every exit status is listed in the manual")
    func statuses() throws {
        let manual = try manual()
        for outcome in Outcome.allCases { #expect(manual.contains("\n| \(outcome.exitStatus) | "), "\(outcome)") }
    }
}
