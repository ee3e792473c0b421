import Credentials

/// Which pairs of identities have IKE SAs, set up or being proved: what INITIAL_CONTACT makes a claim about.
struct IdentityPairs {
    struct Pair: Hashable {
        let local: Identity
        /// `nil` while it is not known who the peer will turn out to be.
        let remote: Identity?

        init(local: Identity, remote: Identity?) {
            self.local = local.canonical
            self.remote = remote?.canonical
        }
    }

    private var counts: [Pair: Int] = [:]
    private var locals: [Identity: Int] = [:]

    var isEmpty: Bool { counts.isEmpty && locals.isEmpty }

    mutating func insert(_ pair: Pair) {
        counts[pair, default: 0] += 1
        locals[pair.local, default: 0] += 1
    }

    mutating func remove(_ pair: Pair) {
        let left = (counts[pair] ?? 1) - 1
        counts[pair] = left == 0 ? nil : left
        let others = (locals[pair.local] ?? 1) - 1
        locals[pair.local] = others == 0 ? nil : others
    }

    /// Whether no SA is known that may be between these identities. Of a peer that may be anybody, any SA may be one.
    func isFree(_ pair: Pair) -> Bool {
        guard pair.remote != nil else { return locals[pair.local] == nil }
        return counts[pair] == nil && counts[Pair(local: pair.local, remote: nil)] == nil
    }
}
