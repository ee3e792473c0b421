import Foundation
import IKE
import Yams

/// The main file and everything it includes, each read once, in the order met.
struct IncludedFiles {
    /// Top-level nodes, the main file's first.
    private(set) var roots: [ConfigurationNode] = []
    /// The files that were read, in the same order.
    private(set) var paths: [String] = []

    private static let limit = 1000

    /// A file on the way from the main one to the one being read.
    private struct Step {
        let path: String
        /// Without symbolic links.
        let real: String
    }

    init(main path: String, _ diagnostics: Diagnostics) {
        read(path, requestedAt: nil, chain: [], diagnostics)
    }

    private mutating func read(_ path: String, requestedAt: Origin?, chain: [Step], _ diagnostics: Diagnostics) {
        let place = requestedAt ?? Origin(file: path, line: 0, column: 0, key: "")
        let real = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        if let start = chain.firstIndex(where: { $0.real == real }) {
            let cycle = (chain[start...].map(\.path) + [path]).joined(separator: " → ")
            diagnostics.error("the file includes itself: \(cycle)", at: place)
            return
        }
        guard !paths.contains(where: { URL(fileURLWithPath: $0).resolvingSymlinksInPath().path == real }) else {
            diagnostics.warning("\(quoted(path, limit: 300)) is included more than once; it is read once", at: place)
            return
        }
        guard paths.count < Self.limit else {
            diagnostics.error("more than \(Self.limit) files are included", at: place)
            return
        }
        let octets: [UInt8]
        switch ReferencedFile.read(path) {
        case .success(let content): octets = content
        case .failure(let complaint):
            diagnostics.error(complaint.text, at: place)
            return
        }
        guard let text = String(validating: octets, as: UTF8.self) else {
            diagnostics.error("\(quoted(path, limit: 300)) is not text in UTF-8", at: place)
            return
        }
        paths.append(path)
        let document = ConfigurationDocument(file: path)
        let root = document.parse(text, diagnostics).map {
            ConfigurationNode(node: $0, path: [], document: document, diagnostics: diagnostics)
        }
        guard let root, !root.isNull else {
            // What an interrupted write leaves behind must not take every tunnel down.
            if requestedAt == nil, !diagnostics.hasErrors {
                diagnostics.error(
                    "the file says nothing; if no connection is wanted, write \(quoted("connections: {}"))", at: place)
            }
            return
        }
        roots.append(root)
        guard let include = root.node.mapping?.first(where: { $0.key.scalar?.string == "include" })?.value else {
            return
        }
        for element in root.child(include, "include").elements {
            guard let pattern = element.text(expected: "a file name or pattern such as conf.d/*.yaml") else { continue }
            let full = ReferencedFile.path(pattern, relativeTo: path)
            let isPattern = pattern.contains { "*?[".contains($0) }
            for match in isPattern ? Self.matches(full) : [full] {
                read(match, requestedAt: element.origin, chain: chain + [Step(path: path, real: real)], diagnostics)
            }
        }
    }

    /// Files matching a shell pattern, sorted by name; an empty directory is no mistake.
    private static func matches(_ pattern: String) -> [String] {
        var result = glob_t()
        defer { globfree(&result) }
        guard glob(pattern, 0, nil, &result) == 0, let names = result.gl_pathv else { return [] }
        return (0..<Int(result.gl_pathc)).compactMap { names[$0].map { String(cString: $0) } }
    }
}
