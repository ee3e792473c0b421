import Foundation
import Lab

/// What the figures were taken on.
enum Machine {
    static func report() async throws -> Report.Part {
        let processor = value("model name", in: read("/proc/cpuinfo")) ?? "unknown processor"
        let system = value("PRETTY_NAME", in: read("/etc/os-release"), separator: "=")?
            .trimmingCharacters(in: ["\""])
        let load = read("/proc/loadavg").split(separator: " ").first.map(String.init) ?? "unknown"
        var names = utsname()
        uname(&names)
        let openssl = try await Command.run(["openssl", "version"]).orThrow().output
            .trimmingCharacters(in: .whitespacesAndNewlines)
        return .table([
            ["Machine", ""],
            ["Processor", "\(ProcessInfo.processInfo.activeProcessorCount) × \(processor)"],
            ["System", "\(system ?? "unknown"), Linux \(text(&names.release)) \(text(&names.machine))"],
            ["libcrypto of `openssl speed`", openssl],
            ["Date (UTC)", date()],
            ["Load when it began", load],
        ])
    }

    private static func read(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

    private static func value(_ key: String, in text: String, separator: Character = ":") -> String? {
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: separator, maxSplits: 1)
            if parts.count == 2, parts[0].trimmingCharacters(in: .whitespaces) == key {
                return parts[1].trimmingCharacters(in: .whitespaces)
            }
        }
        return nil
    }

    private static func text<Field>(_ field: inout Field) -> String {
        withUnsafeBytes(of: &field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    private static func date() -> String {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        return String(
            format: "%04d-%02d-%02d %02d:%02d", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
            parts.tm_min)
    }
}
