/// Names of the DNS in presentation form, as configuration attributes carry them: ASCII, with A-labels for others.
///
/// What passes is harmless to programs that are given it (RFC 8598 section 9): letters, digits, hyphens, underscores and dots.
public enum DomainName {
    /// The name of a host: labels of 1 to 63 letters, digits and hyphens, hyphens not at their ends; at most 253 octets, no dot
    /// at the end, and not the form of an IPv4 address.
    public static func isHost(_ name: String) -> Bool {
        isDomain(name)
            && labels(name).allSatisfy { !$0.contains("_") && !$0.hasPrefix("-") && !$0.hasSuffix("-") }
            && labels(name).last?.contains(where: \.isLetter) == true
    }

    /// A domain: as a host, with underscores anywhere and hyphens but at the beginning of a label, where a program could take it for an
    /// option.
    public static func isDomain(_ name: String) -> Bool {
        name.utf8.count <= 253
            && labels(name).allSatisfy { label in
                (1...63).contains(label.utf8.count) && !label.hasPrefix("-")
                    && label.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
            }
    }

    /// Whether `name` is `domain` or below it. Everything is below `"."`.
    public static func name(_ name: String, isWithin domain: String) -> Bool {
        let name = name.lowercased()
        let domain = domain.lowercased()
        return domain == "." || name == domain || name.hasSuffix("." + domain)
    }

    /// Whether it is one of those that no resolver is to be asked for, wherever it is (RFC 6761, RFC 6762, RFC 7686).
    static func isSpecial(_ name: String) -> Bool {
        ["localhost", "local", "onion", "invalid"].contains { self.name(name, isWithin: $0) }
    }

    private static func labels(_ name: String) -> [Substring] {
        name.split(separator: ".", omittingEmptySubsequences: false)
    }
}
