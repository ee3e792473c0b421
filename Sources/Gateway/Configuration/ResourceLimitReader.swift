import IKE

/// Reads how many SAs may stand side by side for the same traffic (RFC 9611): `per-resource`.
enum ResourceLimitReader {
    /// What `yes` stands for: twice as many as the largest machines of today want, so that both sides may ask at once.
    static let usual = 64
    private static let range = 2...64

    /// - Returns: `nil` for one SA, and after a mistake.
    static func limit(_ node: ConfigurationNode) -> Int? {
        let expected = "yes, no, or the most SAs for the same traffic, \(range.lowerBound) to \(range.upperBound)"
        guard let text = node.text(expected: expected) else { return nil }
        switch text.lowercased() {
        case "yes", "true", "on": return usual
        case "no", "false", "off": return nil
        default:
            guard let number = Int(text), range.contains(number) else {
                node.error("expected \(expected), found \(quoted(text))")
                return nil
            }
            return number
        }
    }
}
