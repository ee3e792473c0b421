import Foundation

/// Something that must be true in a scenario, and whether it is.
package struct ScenarioFact: Sendable, Codable {
    package let text: String
    package let holds: Bool
}

/// How a scenario went.
package struct ScenarioResult: Sendable, Codable {
    package let name: String
    package let documents: [String]
    package let summary: String
    /// Who was at the right end.
    package let peer: String
    package internal(set) var facts: [ScenarioFact] = []
    /// What ended it before its end.
    package internal(set) var problem: String?
    package internal(set) var seconds = 0.0

    package var passed: Bool { problem == nil && !facts.isEmpty && facts.allSatisfy(\.holds) }
}

extension Scenario {
    /// Plays it in a laboratory of its own, which is removed afterwards.
    ///
    /// - Parameters:
    ///   - peer: who is at the right end; `nil` for the best that this machine has.
    ///   - isExtensionOn: whether the left end has the document's extension.
    package func run(
        with peer: ScenarioPeer? = nil, isExtensionOn: Bool = true, narrator: Narrator = .silent
    ) async -> ScenarioResult {
        let begin = ContinuousClock.now
        var result: ScenarioResult
        do {
            let chosen = try await choose(peer, narrator)
            result = ScenarioResult(name: name, documents: documents, summary: summary, peer: chosen.title)
            var setting = Setting(peer: chosen, isExtensionOn: isExtensionOn)
            prepare(&setting)
            narrator.say("== \(name): \(summary) (\(documents.joined(separator: ", ")))")
            narrator.say(
                "Cygnet at the left\(isExtensionOn ? "" : ", with the extension off"), \(chosen.title) at the right.")
            (result.facts, result.problem) = try await play(setting, narrator)
        } catch {
            result = ScenarioResult(
                name: name, documents: documents, summary: summary, peer: peer?.title ?? "–", problem: "\(error)")
        }
        if let problem = result.problem { narrator.say("[FAILS] \(problem)") }
        let time = (ContinuousClock.now - begin).components
        result.seconds = Double(time.seconds) + Double(time.attoseconds) / 1e18
        return result
    }

    private func choose(_ wanted: ScenarioPeer?, _ narrator: Narrator) async throws(LabError) -> ScenarioPeer {
        if let wanted {
            guard peers.contains(wanted) else {
                let names = peers.map(\.rawValue).joined(separator: ", ")
                throw LabError("\(name) is not played with \(wanted.rawValue), but with: \(names)")
            }
            if let absence = await wanted.absence() { throw LabError("\(wanted.title): \(absence)") }
            return wanted
        }
        for peer in peers {
            guard let absence = await peer.absence() else { return peer }
            narrator.say("Without \(peer.title), as \(absence)")
        }
        throw LabError("this machine has none of \(peers.map(\.title).joined(separator: ", "))")
    }

    private func play(_ setting: Setting, _ narrator: Narrator) async throws -> ([ScenarioFact], String?) {
        try await Laboratory.with { laboratory in
            let stage = try await Stage(setting, in: laboratory, narrator: narrator)
            do {
                try await play(stage)
                _ = try await stage.messages()
                return (stage.facts, nil)
            } catch {
                narrator.say("The end of the left gateway's log:")
                narrator.say(indented: "\(stage.left.log.suffix(2000))")
                narrator.say("The end of the right gateway's log:")
                narrator.say(indented: "\(stage.right.log.suffix(2000))")
                return (stage.facts, "\(error)")
            }
        }
    }
}
