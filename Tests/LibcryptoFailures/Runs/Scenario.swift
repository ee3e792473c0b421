import FailingLibcrypto

/// Something that is done with libcrypto.
struct Scenario: Sendable {
    let name: String
    /// A long one is not repeated for each way in which a call can fail.
    var isLong = false
    /// What succeeds if nothing fails.
    var steps: Set<String> = []
    /// Does it, and tells what came of each step: octets, or `nil` where the step was refused. Throws a ``Finding`` where
    /// something was done that must not be, whatever fails.
    let run: @Sendable (Failure) async throws -> [String: [UInt8]]

    static let all = keyExchanges + messages + packets + associations + [.ed448] + conversations
}

/// What must not be.
struct Finding: Error, CustomStringConvertible { let description: String }

/// Throws a ``Finding`` if the condition does not hold.
func expect(_ condition: Bool, _ text: @autoclosure () -> String) throws {
    guard condition else { throw Finding(description: text()) }
}

/// Calls of one function that fail.
final class Failure: Sendable, CustomStringConvertible {
    let function: String
    /// The numbers of the calls, from 1 on.
    let numbers: ClosedRange<Int>
    let manner: UInt32

    init(of function: String, _ numbers: ClosedRange<Int>, manner: UInt32) {
        self.function = function
        self.numbers = numbers
        self.manner = manner
    }

    func begin() {
        failing_begin(function, numbers.lowerBound, numbers.upperBound, failure_manner(rawValue: manner))
    }

    /// From now on nothing fails any more.
    /// - Returns: how many calls there were.
    @discardableResult
    func end() -> Int { failing_end() }

    var description: String {
        let last = numbers.upperBound == .max ? "and all after it" : "alone"
        return "call \(numbers.lowerBound) of \(function) \(last), manner \(manner)"
    }
}
