// RFC 9611: when one more child SA is asked for, and when not any more.
import IKEMessage
import Octets

extension PerResourceSAs {
    static func lacks(worker: Int, beside child: ChildSA, of sa: IKESA) {
        guard let group = child.configuration.place?.group, !isPlanned(group, worker, sa),
            mayGrow(group, worker, limit: child.configuration.resourceLimit ?? 1, sa)
        else { return }
        var wish = child.configuration
        // What was agreed upon, not what was once asked for.
        wish.localSelectors = child.terms.localSelectors
        wish.remoteSelectors = child.terms.remoteSelectors
        let proposals = reduced(wish.espProposals, to: child.terms.suite)
        if !proposals.isEmpty { wish.espProposals = proposals }
        wish.place = ResourcePlace(
            group: group, isFallback: false, identifier: freshIdentifier(beside: members(of: group, sa), sa),
            wanted: worker)
        sa.enqueue(.createChild(wish))
    }

    /// An SA for a worker is wanted while the group has none for it.
    static func isWanted(_ child: ChildConfiguration, of sa: IKESA) -> Bool? {
        guard let place = child.place, let worker = place.wanted else { return nil }
        return mayGrow(place.group, worker, limit: child.resourceLimit ?? 1, sa)
    }

    private static func isPlanned(_ group: UInt32, _ worker: Int, _ sa: IKESA) -> Bool {
        func isIt(_ child: ChildConfiguration) -> Bool { child.place?.group == group && child.place?.wanted == worker }
        if case .child(let creation) = sa.established?.outgoing, isIt(creation.configuration) { return true }
        return sa.established?.tasks.contains {
            if case .createChild(let child) = $0 { isIt(child) } else { false }
        } ?? false
    }

    private static func mayGrow(_ group: UInt32, _ worker: Int, limit: Int, _ sa: IKESA) -> Bool {
        guard let established = sa.established, !established.isReplaced, !established.isEnding else { return false }
        let members = members(of: group, sa)
        let known = sa.slots[Self.self]?[group] ?? ResourceGroup()
        return !members.isEmpty && lineages(members) < min(limit, known.ceiling ?? .max)
            && lineages(all(sa)) < maximumOfIKESA
            && known.pause.map { $0 <= sa.context.now } ?? true
            && known.pauses[worker].map { $0 <= sa.context.now } ?? true
            && !members.contains { sa.context.childSPIs.worker(of: $0.inboundSPI) == worker }
    }

    static func failed(_ child: ChildConfiguration, _ refusal: Refusal, isTemporary: Bool, of sa: IKESA) -> Bool {
        guard let place = child.place, let worker = place.wanted else { return false }
        let isFull = refusal.notify == .tsMaxQueue || refusal.notify == .noAdditionalSAs
        let members = members(of: place.group, sa)
        // The group may have gone meanwhile, and what is known of it with it.
        guard !members.isEmpty else { return isTemporary || isFull }
        var group = sa.slots[Self.self]?[place.group] ?? ResourceGroup()
        if isTemporary {
            group.refusalsInARow += 1
            let pause = min(Duration.seconds(4) * (1 << min(group.refusalsInARow - 1, 6)), longestPause)
            group.pause = sa.context.now + sa.context.jittered(pause, by: 0.5)
        } else if refusal.cause == .local {
            group.pauses[worker] = sa.context.now + sa.context.jittered(pauseAfterDeletion, by: 0.5)
        } else {
            group.ceiling = lineages(members)
        }
        sa.slots[Self.self, default: [:]][place.group] = group
        // That there are enough is no failure, nor is a busy peer, unless it is so for long.
        return isFull || isTemporary && group.refusalsInARow != 4
    }

    static func added(_ child: ChildSA, to sa: IKESA) {
        guard let group = child.configuration.place?.group else { return }
        sa.slots[Self.self]?[group]?.refusalsInARow = 0
        sa.slots[Self.self]?[group]?.pause = nil
    }

    static func removed(_ child: ChildSA, from sa: IKESA) {
        guard let group = child.configuration.place?.group, sa.established != nil else { return }
        guard sa.established?.children.contains(where: { $0.configuration.place?.group == group }) == true else {
            sa.slots[Self.self]?[group] = nil
            return
        }
        // The peer has no use for it, or it could not be installed: to ask for it at once would never end. With subspaces it has served
        // more workers than its own.
        let count = max(sa.context.configuration.packetWorkers, 1)
        let first = sa.context.childSPIs.worker(of: child.inboundSPI)
        let until = sa.context.now + sa.context.jittered(pauseAfterDeletion, by: 0.5)
        for offset in 0..<min(child.terms.subspaces?.outbound ?? 1, count) {
            sa.slots[Self.self, default: [:]][group, default: ResourceGroup()].pauses[(first + offset) % count] = until
        }
    }
}

/// What an IKE SA knows of one of its groups besides who is in it.
struct ResourceGroup {
    /// How many there were when the peer wanted no more.
    var ceiling: Int?
    /// Until when no SA is asked for on behalf of a worker.
    var pauses: [Int: Instant] = [:]
    /// The same on behalf of any.
    var pause: Instant?
    /// How often the peer was busy when it was asked for one more, since it made the last.
    var refusalsInARow = 0
}
