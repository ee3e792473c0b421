import Foundation
import Gateway
import Testing

@Suite("The list of algorithms")
struct AlgorithmReportTests {
    private let report = AlgorithmReport()

    private func row(_ name: String) throws -> AlgorithmReport.Row {
        try #require(report.algorithms.first { $0.name == name }, "\(name)")
    }

    @Test("Everything implemented that a proposal can name has words, and nothing else has")
    func words() {
        let kinds = ["encryption", "prf", "integrity", "key exchange"]
        for row in report.algorithms {
            let isNameable = row.isImplemented && kinds.contains(row.kind) && row.name != "NONE"
            #expect(row.words.isEmpty != isNameable, "\(row.name)")
        }
        #expect(Set(report.algorithms.flatMap(\.words)).isSubset(of: ConfigurationReference.algorithms))
    }

    @Test("Nothing is offered by default that is not implemented or that SHOULD NOT be used")
    func defaults() {
        for row in report.algorithms {
            for use in [row.ike, row.esp].compactMap(\.self) where use.isDefault {
                #expect(row.isImplemented, "\(row.name)")
                #expect(!["MUST-", "SHOULD NOT", "MUST NOT", "DEPRECATED"].contains(use.level), "\(row.name)")
            }
        }
    }

    @Test("Everything that MUST be implemented is, but for signatures with SHA-1")
    func mandatory() {
        let missing = report.algorithms.filter { row in
            !row.isImplemented
                && [row.ike, row.esp].contains { $0?.level.hasPrefix("MUST") == true && $0?.level != "MUST NOT" }
        }
        #expect(missing.map(\.name) == ["RSA Digital Signature"])
    }

    @Test("HMAC-SHA1 is implemented and nowhere a default; NULL is for ESP alone and no default")
    func exceptions() throws {
        let sha1 = try row("AUTH_HMAC_SHA1_96")
        #expect(sha1.isImplemented && sha1.ike?.isDefault == false && sha1.esp?.isDefault == false)
        let null = try row("ENCR_NULL")
        #expect(null.ike?.level == "MUST NOT" && null.esp?.level == "MUST" && null.esp?.isDefault == false)
    }

    @Test("The list can be read as JSON")
    func json() throws {
        let octets = try JSONEncoder().encode(report)
        let again = try JSONDecoder().decode(AlgorithmReport.self, from: octets)
        #expect(again.algorithms.map(\.name) == report.algorithms.map(\.name))
    }
}
