/// Narrowing of traffic selectors by a responder (RFC 7296 section 2.9).
public enum Narrowing {
    /// The largest subset of `proposed` that `configured` allows, in the order proposed; empty if nothing is acceptable.
    ///
    /// A selector contained in another of the result is left out.
    public static func narrow(_ proposed: [TrafficSelector], to configured: [TrafficSelector]) -> [TrafficSelector] {
        var result: [TrafficSelector] = []
        for offer in proposed {
            for allowed in configured {
                guard let common = offer.intersection(allowed) else { continue }
                guard !result.contains(where: { $0.contains(common) }) else { continue }
                result.removeAll { common.contains($0) }
                result.append(common)
            }
        }
        return result
    }

    /// Whether every selector of `narrowed` lies within one of `offered`: what an initiator checks in the answer.
    public static func isSubset(_ narrowed: [TrafficSelector], of offered: [TrafficSelector]) -> Bool {
        !narrowed.isEmpty && narrowed.allSatisfy { selector in offered.contains { $0.contains(selector) } }
    }
}
