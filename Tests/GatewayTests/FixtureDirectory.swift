import Foundation
import Gateway
import Testing

/// A copy of the fixtures with the modes that a checkout does not keep.
struct FixtureDirectory: ~Copyable {
    let path: String

    init() throws { path = try Self.copy() }

    private static func copy() throws -> String {
        let source = try #require(Bundle.module.resourceURL).appending(path: "Fixtures")
        let copy = FileManager.default.temporaryDirectory.appending(path: "cygnet-fixtures-\(UUID().uuidString)")
        try FileManager.default.copyItem(at: source, to: copy)
        for name in try FileManager.default.contentsOfDirectory(atPath: copy.path) {
            let isSecret = ["psk", "hex", "key"].contains((name as NSString).pathExtension)
            let isShut = isSecret && name != "readable.psk"
            try FileManager.default.setAttributes(
                [.posixPermissions: isShut ? 0o600 : 0o644], ofItemAtPath: copy.appending(path: name).path)
        }
        return copy.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// What reading one of the fixtures reports, with the directory's own path taken out.
    func report(_ name: String) -> [String] {
        GatewayConfiguration.read(path: "\(path)/\(name)").diagnostics.map {
            $0.description.replacingOccurrences(of: path + "/", with: "")
        }
    }
}
