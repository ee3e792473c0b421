import Foundation

/// Programs of the system that scenarios run.
package enum Program {
    /// Where programs are looked for: the search path, then the places that an ordinary user's path lacks.
    private static let directories: [String] = {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        return path.split(separator: ":").map(String.init)
            + ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"]
    }()

    package static let searchPath = directories.joined(separator: ":")

    /// The absolute path of a program, or `nil` if it is not installed. A name with a slash is taken as it is.
    package static func locate(_ name: String) -> String? {
        if name.contains("/") { return access(name, X_OK) == 0 ? name : nil }
        return directories.lazy.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }

    static func require(_ name: String) throws(LabError) -> String {
        guard let path = locate(name) else {
            throw LabError(Prerequisites.advice(missing: [name]))
        }
        return path
    }
}
