import Foundation
import Gateway

extension FuzzTarget {
    /// Configurations, read from a file in a directory that has the keys and certificates they may refer to.
    static let configuration = FuzzTarget(
        name: "configuration", longest: 4096,
        seeds: {
            let fixtures = ConfigurationDirectory.fixtures
            return try FileManager.default.contentsOfDirectory(atPath: fixtures.path).filter { $0.hasSuffix(".yaml") }
                .sorted()
                .map { Array(try Data(contentsOf: fixtures.appending(path: $0))) }
        }
    ) { octets in
        // Patterns over the whole machine are slow, and what they find is not the fuzzer's.
        let text = String(decoding: octets, as: UTF8.self)
        guard !text.contains("include") || !text.contains("*") && !text.contains("/") else { return }
        let path = try ConfigurationDirectory.shared.get().appending(path: "fuzz-\(UUID().uuidString).yaml").path
        try Data(octets).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let reading = GatewayConfiguration.read(path: path)
        try expect(
            reading.configuration != nil || !reading.diagnostics.isEmpty, "it is refused, and nothing is said of why")
        for diagnostic in reading.diagnostics {
            let text = diagnostic.description
            try expect(
                text.unicodeScalars.allSatisfy { $0.value >= 0x20 || $0 == "\n" }, "control characters in \(text)")
        }
    }
}

private enum ConfigurationDirectory {
    static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Tests/GatewayTests/Fixtures")

    /// Made once for the process.
    static let shared = Result { () throws -> URL in
        let copy = FileManager.default.temporaryDirectory.appending(
            path: "cygnet-fuzz-\(ProcessInfo.processInfo.processIdentifier)")
        try? FileManager.default.removeItem(at: copy)
        try FileManager.default.copyItem(at: fixtures, to: copy)
        for name in try FileManager.default.contentsOfDirectory(atPath: copy.path) {
            let isSecret = ["psk", "hex", "key"].contains((name as NSString).pathExtension)
            try FileManager.default.setAttributes(
                [.posixPermissions: isSecret ? 0o600 : 0o644], ofItemAtPath: copy.appending(path: name).path)
        }
        return copy
    }
}
