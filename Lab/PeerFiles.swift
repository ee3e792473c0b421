import Foundation

/// The root file system and the kernel of the modern peers, made by `make peers`.
package struct PeerFiles: Sendable {
    package let root: String
    package let kernel: String

    /// Beside this file: what a guest runs is part of the project, not of what is cached.
    static let scripts = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "peers").path

    /// Finds both where the scripts keep them; fails, with what to do, where they have not been made.
    package static func locate() async throws(LabError) -> PeerFiles {
        PeerFiles(root: try await path(from: "make-root"), kernel: try await path(from: "make-kernel"))
    }

    /// Where a guest has the Libreswan that is built from source.
    static let newerLibreswan = "/opt/libreswan"

    /// Whether it has been built: `make peers` does where its source can be had.
    static func hasNewerLibreswan() async -> Bool { (try? await path(from: "make-libreswan")) != nil }

    private static func path(from script: String) async throws(LabError) -> String {
        var environment = Command.environment
        for name in ["HOME", "CYGNET_CACHE", "XDG_CACHE_HOME"] {
            environment[name] = ProcessInfo.processInfo.environment[name]
        }
        return try await Command.run(["\(scripts)/\(script)", "--path"], environment: environment).orThrow()
            .output.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
