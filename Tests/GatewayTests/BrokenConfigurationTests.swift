import Foundation
import Gateway
import Testing

/// Each broken configuration `NAME.yaml` has beside it, in `NAME.expected`, the lines that `cygnet check` must print.
struct BrokenConfigurationTests {
    static let names = [
        "typo-in-key", "typo-in-required-keys", "unknown-key", "duplicate-key", "wrong-unit", "missing-unit",
        "unknown-algorithm", "forbidden-algorithm", "wrong-combination", "readable-secret", "secret-in-place",
        "overlapping-selectors", "same-subnets", "unreadable-certificate", "missing-certificate", "key-not-matching",
        "bad-address", "bad-subnet", "wrong-type", "not-yaml", "additional-key-exchanges", "include-cycle",
        "several-mistakes", "wrong-pools", "transport-mode", "post-quantum-secrets", "code-points", "wrong-labels",
        "overlapping-labels", "no-connections", "empty-file", "wrong-dscp", "overlapping-dscp", "wrong-dns",
        "wrong-tcp", "wrong-tls", "wrong-subspaces", "extended-payloads", "wrong-per-resource",
    ]

    @Test("A broken configuration is reported with position and remedy", arguments: names)
    func report(name: String) throws {
        let fixtures = try FixtureDirectory()
        let expected = try String(contentsOfFile: "\(fixtures.path)/\(name).expected", encoding: .utf8)
        #expect(fixtures.report("\(name).yaml") == expected.split(separator: "\n").map(String.init))
    }

    @Test("A report never runs over its line", arguments: names)
    func singleLine(name: String) throws {
        let fixtures = try FixtureDirectory()
        for line in fixtures.report("\(name).yaml") {
            #expect(!line.unicodeScalars.contains { $0.properties.generalCategory == .control })
        }
    }

    @Test("A secret written into the configuration is not repeated in the report")
    func secretStaysSecret() throws {
        let fixtures = try FixtureDirectory()
        #expect(!fixtures.report("secret-in-place.yaml").joined().contains("horse"))
    }
}
