import IPPacket

/// What is done with the traffic of a policy (RFC 4301, section 4.4.1).
public enum PolicyAction: String, Hashable, Sendable, CaseIterable {
    /// It goes through a security association, or not at all.
    case protect
    /// It goes in clear.
    case bypass
    case discard
}

/// An entry of the security policy database.
public struct SecurityPolicy: Hashable, Sendable {
    /// A number by which the control side knows the policy.
    public var id: UInt32
    public var action: PolicyAction
    /// This host's side: sources of outbound and destinations of inbound packets.
    public var local: [TrafficSelector]
    public var remote: [TrafficSelector]
    /// The classes of packets it is for; `nil` for all.
    public var dscp: DSCPSet?

    public init(
        id: UInt32, action: PolicyAction, local: [TrafficSelector], remote: [TrafficSelector], dscp: DSCPSet? = nil
    ) {
        self.id = id
        self.action = action
        self.local = local
        self.remote = remote
        self.dscp = dscp
    }
}

/// What the security policy database has for a packet.
public enum PolicyDecision: Hashable, Sendable {
    /// The policy is that number `index`, from 0, in the order in which the database was made.
    case protect(index: Int, id: UInt32)
    case bypass(index: Int, id: UInt32)
    case discard(index: Int, id: UInt32)
    /// No policy matches: the packet is discarded (RFC 4301, section 4.4.1).
    case noPolicy
    /// A fragment that might belong to a policy which does not let it go in clear, but whose ports or protocol do not show,
    /// while a later policy would bypass it. It is discarded (RFC 4301, section 7.4).
    case ambiguousFragment
}

/// The security policy database: policies in order, of which the first that matches counts (RFC 4301, section 4.4.1).
///
/// Made on the control side, then owned by the worker that looks packets up. A look-up walks the policies; it neither
/// allocates nor counts references nor locks.
public struct SecurityPolicyDatabase: ~Copyable, Sendable {
    private struct Entry {
        let action: PolicyAction
        let id: UInt32
        /// Where the policy's selectors begin, where its remote ones do, and where they end.
        let local: Int
        let remote: Int
        let end: Int
        /// A bit for each class of packets.
        let classes: UInt64
        /// The next policy for the same addresses, where this one is for some classes only; negative for none.
        let sibling: Int
    }

    // Both written only in `init`.
    private nonisolated(unsafe) let entries: UnsafeMutableBufferPointer<Entry>
    private nonisolated(unsafe) let selectors: UnsafeMutableBufferPointer<CompiledSelector>
    /// Whether a policy is for some classes of packets only, so that ``PacketSelector/dscp`` counts.
    public let distinguishesClasses: Bool

    public init(_ policies: [SecurityPolicy]) {
        distinguishesClasses = policies.contains { $0.dscp != nil }
        var compiled: [CompiledSelector] = []
        let rows = policies.enumerated().map { index, policy in
            let local = compiled.count
            compiled += policy.local.map(CompiledSelector.init)
            let remote = compiled.count
            compiled += policy.remote.map(CompiledSelector.init)
            let sibling =
                policy.dscp == nil
                ? nil
                : policies[(index + 1)...].firstIndex {
                    $0.action == policy.action && $0.local == policy.local && $0.remote == policy.remote
                }
            return Entry(
                action: policy.action, id: policy.id, local: local, remote: remote, end: compiled.count,
                classes: policy.dscp?.mask ?? .max, sibling: sibling ?? -1)
        }
        entries = .allocate(capacity: rows.count)
        _ = entries.initialize(from: rows)
        selectors = .allocate(capacity: compiled.count)
        _ = selectors.initialize(from: compiled)
    }

    deinit {
        entries.deallocate()
        selectors.deallocate()
    }

    public var count: Int { entries.count }

    /// Finds the policy for a packet.
    public func decision(for packet: PacketSelector, _ direction: TrafficDirection) -> PolicyDecision {
        // A fragment without ports may belong to a policy above the one that it matches for certain.
        var isDoubtful = false
        for index in 0..<entries.count {
            let entry = entries[index]
            guard entry.classes == .max || entry.classes >> UInt64(packet.dscp & 63) & 1 == 1 else { continue }
            let match = SelectorSet.match(
                packet, direction, local: UnsafeBufferPointer(rebasing: selectors[entry.local..<entry.remote]),
                remote: UnsafeBufferPointer(rebasing: selectors[entry.remote..<entry.end]))
            switch (match, entry.action) {
            case (.no, _), (.possible, .bypass): continue
            case (.possible, .protect), (.possible, .discard): isDoubtful = true
            case (.yes, .protect): return .protect(index: index, id: entry.id)
            case (.yes, .discard): return .discard(index: index, id: entry.id)
            case (.yes, .bypass): return isDoubtful ? .ambiguousFragment : .bypass(index: index, id: entry.id)
            }
        }
        return isDoubtful ? .ambiguousFragment : .noPolicy
    }

    /// The next policy that is for the addresses of the one that a packet has met, and for the packet's class as well.
    public func sibling(of index: Int, for packet: PacketSelector) -> Int? {
        var next = entries[index].sibling
        while next >= 0, entries[next].classes >> UInt64(packet.dscp & 63) & 1 == 0 { next = entries[next].sibling }
        return next >= 0 ? next : nil
    }
}
