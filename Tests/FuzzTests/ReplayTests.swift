import Foundation
import FuzzTargets
import Testing

/// What a fuzzer found once, and what it reaches most with, goes through the same entrances again. An input that traps ends the
/// whole process: the last line then names none, so run `make fuzz TARGET=… SECONDS=1`, which does.
@Suite("Inputs of the fuzzer, replayed") struct ReplayTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Fuzz")

    private static func files(_ kind: String, _ target: FuzzTarget) -> [URL] {
        let folder = folder.appending(path: kind).appending(path: target.name)
        let files = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        return (files ?? []).filter { !$0.lastPathComponent.hasPrefix(".") }.sorted { $0.path < $1.path }
    }

    @Test(
        "Every input kept in the corpus or among the findings is taken in without harm",
        arguments: FuzzTarget.all.indices)
    func kept(index: Int) async throws {
        let target = FuzzTarget.all[index]
        for file in Self.files("Corpus", target) + Self.files("Findings", target) {
            do {
                try await target.run(Array(try Data(contentsOf: file)))
            } catch {
                Issue.record("\(file.path): \(error)")
            }
        }
    }

    @Test("What a fuzzer begins with is taken in without harm", arguments: FuzzTarget.all.indices)
    func seeds(index: Int) async throws {
        let target = FuzzTarget.all[index]
        let seeds = try await target.seeds()
        #expect(!seeds.isEmpty)
        for seed in seeds {
            #expect(seed.count <= target.longest, "\(target.name)")
            do {
                try await target.run(seed)
            } catch {
                Issue.record("\(target.name), \(seed): \(error)")
            }
        }
    }

    @Test("Targets have different names, and a folder belongs to a target")
    func names() throws {
        let names = Set(FuzzTarget.all.map(\.name))
        #expect(names.count == FuzzTarget.all.count)
        for kind in ["Corpus", "Findings"] {
            let folders = try? FileManager.default.contentsOfDirectory(atPath: Self.folder.appending(path: kind).path)
            for folder in folders ?? [] where !folder.hasPrefix(".") {
                #expect(names.contains(folder), "\(kind)/\(folder)")
            }
        }
    }
}
