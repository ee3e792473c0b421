/// Finds the word a writer probably meant.
package enum NearestWord {
    /// The candidate with the smallest edit distance to `word`, if it is near enough to be a likely slip.
    package static func suggestion(for word: some StringProtocol, among candidates: some Sequence<String>) -> String? {
        let word = Array(word.lowercased().unicodeScalars.prefix(64))
        let limit = max(1, word.count / 3)
        var best: (candidate: String, distance: Int)?
        for candidate in candidates {
            let distance = distance(word, Array(candidate.lowercased().unicodeScalars))
            if distance <= limit, distance < best?.distance ?? .max { best = (candidate, distance) }
        }
        return best?.candidate
    }

    /// `unknown WHAT "word"; expected one of a, b, c; did you mean "b"?`
    ///
    /// - Parameter others: further words, too many to be listed; where a list of them is found.
    static func complaint(
        about word: some StringProtocol, what: String, expected: [String],
        others: (words: [String], place: String)? = nil
    ) -> String {
        var text = "unknown \(what) \(quoted(word)); expected one of \(expected.joined(separator: ", "))"
        if let others { text += ", or another that \(others.place) lists" }
        if let nearest = suggestion(for: word, among: expected + (others?.words ?? [])) {
            text += "; did you mean \(quoted(nearest))?"
        }
        return text
    }

    /// Number of insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
    static func distance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
        var beforeLast = [Int](repeating: 0, count: right.count + 1)
        var last = Array(0...right.count)
        for (i, a) in left.enumerated() {
            var row = [i + 1] + [Int](repeating: 0, count: right.count)
            for (j, b) in right.enumerated() {
                row[j + 1] = min(last[j + 1] + 1, row[j] + 1, last[j] + (a == b ? 0 : 1))
                if i > 0, j > 0, a == right[j - 1], left[i - 1] == b {
                    row[j + 1] = min(row[j + 1], beforeLast[j - 1] + 1)
                }
            }
            (beforeLast, last) = (last, row)
        }
        return last[right.count]
    }
}
