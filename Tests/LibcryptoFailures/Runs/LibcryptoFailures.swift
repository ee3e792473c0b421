import FailingLibcrypto

/// `cygnet-libcrypto-failures list` names the functions of libcrypto that it can make fail; `cygnet-libcrypto-failures FUNCTION`
/// makes each call of one fail, in everything that uses it, and sees that nothing but an error comes of it.
@main
enum LibcryptoFailures {
    static func main() async throws {
        let names = (Int32.zero...).lazy.map { failing_function($0) }.prefix { $0 != nil }.compactMap { $0 }
            .map { String(cString: $0) }
        let argument = CommandLine.arguments.dropFirst().first
        guard let function = argument, names.contains(function) else {
            guard argument == "list" else { throw Finding(description: "list, or one of: \(names)") }
            return print(names.joined(separator: "\n"))
        }
        var failed = 0
        for scenario in Scenario.all {
            do {
                failed += try await fail(function, in: scenario)
            } catch {
                throw Finding(description: "\(scenario.name): \(error)")
            }
        }
        try expect(failed > 0, "nothing here calls \(function)")
        print("\(function): \(failed) calls have failed")
    }

    /// - Returns: the number of calls that failed.
    private static func fail(_ function: String, in scenario: Scenario) async throws -> Int {
        var outcomes: [(failure: Failure, results: [String: [UInt8]])] = []
        var failed = 0
        // Each call alone in each manner, then all from one on, then each alone once more: what a first run keeps for later
        // ones, such as a group, is there by then.
        let alone = (0..<UInt32(failing_manners(function))).map { (manner: $0, goesOn: false) }
        let ways =
            (scenario.isLong ? Array(alone.prefix(1)) : alone) + [(0, true)] + (scenario.isLong ? [] : [(0, false)])
        for (manner, goesOn) in ways {
            var calls = 0, number = 1
            repeat {
                let failure = Failure(of: function, number...(goesOn ? .max : number), manner: manner)
                failure.begin()
                do {
                    outcomes.append((failure, try await scenario.run(failure)))
                } catch {
                    throw Finding(description: "\(failure): \(error)")
                }
                calls = failure.end()
                if calls >= number { failed += 1 }
                number += 1
            } while number <= calls + 1 && calls > 0 && !(scenario.isLong && goesOn)
            if failed == 0 { break }
        }
        let right = try await scenario.run(Failure(of: "", 1...1, manner: 0))
        try expect(Set(right.keys) == scenario.steps, "without failures too, not every step succeeds")
        for (failure, results) in outcomes {
            for (step, result) in results {
                try expect(result == right[step], "\(failure): \(step) gives \(result) instead of \(right[step] ?? [])")
            }
        }
        return failed
    }
}
