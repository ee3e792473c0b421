import IPsecCrypto
import Octets

/// A puzzle (RFC 8019 section 4.4): four different keys are wanted, of one length, under which the PRF of a cookie ends in so many
/// zero bits. Each bit doubles the work of finding them; checking takes four PRF computations whatever the difficulty.
package struct Puzzle: Sendable, Hashable {
    package let prf: PRF
    /// Zero bits at the end. 0 leaves it to the solver (RFC 8019 section 7.1.1.1).
    package let difficulty: Int
    /// What the PRF is computed of: the cookie.
    package let octets: [UInt8]

    package init(prf: PRF, difficulty: Int, octets: [UInt8]) {
        self.prf = prf
        self.difficulty = difficulty
        self.octets = octets
    }

    static let keyCount = 4
    /// Keys are as long as the PRF's output at most; longer ones would only make checking dearer.
    static let keyLimit = 64
    /// The most work that is done for anybody: a few seconds.
    package static let hardest = 18
    /// What is found when the choice is ours: some tens of milliseconds.
    static let bestEffort = 14

    /// Zero bits at the end of the PRF of the puzzle's octets under a key.
    package func zeroBits(underKey key: some Collection<UInt8>) -> Int {
        // Where the library fails, nothing is solved.
        guard let output = try? prf.compute(key: SecretOctets(Array(key)), octets).unprotected else { return 0 }
        var count = 0
        for octet in output.reversed() {
            count += octet.trailingZeroBitCount
            if octet != 0 { break }
        }
        return count
    }

    /// Whether a Puzzle Solution payload's body solves the puzzle.
    package func isSolved(by solution: ArraySlice<UInt8>) -> Bool {
        let length = solution.count / Self.keyCount
        guard length > 0, length <= Self.keyLimit, length * Self.keyCount == solution.count else { return false }
        let keys = (0..<Self.keyCount).map { index in
            let begin = solution.startIndex + index * length
            return solution[begin..<begin + length]
        }
        for (index, key) in keys.enumerated() where keys[..<index].contains(key) { return false }
        return keys.allSatisfy { zeroBits(underKey: $0) >= difficulty }
    }

    /// Four keys one after another; `nil` if they are too hard to find.
    ///
    /// The keys tried are 0, 1, 2, …: nothing about them is secret, and the cookie is different each time. The limit is eight times
    /// what is to be expected, so that one puzzle in thousands is given up.
    package func solution() -> [UInt8]? {
        guard difficulty <= Self.hardest else { return nil }
        let wanted = difficulty == 0 ? Self.bestEffort : difficulty
        var keys: [UInt8] = []
        var found = 0
        for candidate in 0..<UInt32(8 * Self.keyCount) << UInt32(wanted) {
            let key = candidate.bigEndianOctets
            guard zeroBits(underKey: key) >= wanted else { continue }
            keys += key
            found += 1
            if found == Self.keyCount { return keys }
        }
        return nil
    }
}
