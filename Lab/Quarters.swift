import Foundation

/// Where a modern peer's daemon runs: a root file system of its own, at one gateway of a topology.
package protocol Quarters: Sendable {
    /// A directory of the laboratory that is `/mnt` inside.
    var directory: String { get }

    /// Runs a program inside to its end.
    func run(_ arguments: [String], timeout: Duration) async throws(LabError) -> CommandResult

    /// Starts a program that runs until it is ended, writing what it says to a file of `directory`.
    func start(_ arguments: [String], log: String) async throws(LabError)

    /// Whether what was started, or the place itself, still runs.
    var isRunning: Bool { get }

    /// Ends everything inside, without a word to anybody.
    func killAtOnce() async
}

extension Quarters {
    package func run(_ arguments: [String]) async throws(LabError) -> CommandResult {
        try await run(arguments, timeout: .seconds(20))
    }

    /// Writes a file of `directory`.
    func write(_ text: String, to name: String) throws(LabError) {
        do {
            try text.write(toFile: "\(directory)/\(name)", atomically: false, encoding: .utf8)
        } catch {
            throw LabError("writing \(directory)/\(name): \(error)")
        }
    }

    /// What stands in a file of `directory`; nothing if it is not there.
    func read(_ name: String) -> String { (try? String(contentsOfFile: "\(directory)/\(name)", encoding: .utf8)) ?? "" }
}
