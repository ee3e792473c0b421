import IPsecPolicy

/// A child SA that may be agreed within a connection.
public struct ChildConfiguration: Sendable, Hashable {
    public var name: String
    public var origin: Origin
    /// The security policy that its packets match: the number the data plane knows it by.
    public var policyID: UInt32
    /// Our side's and the peer's side's traffic, as far as it may be protected by this child SA.
    public var localSelectors: [TrafficSelector]
    public var remoteSelectors: [TrafficSelector]
    public var espProposals: [ESPProposal] = ESPProposal.defaults
    public var mode = ModeWish.tunnel
    /// `nil`: as the connection.
    public var start: StartPolicy?
    public var lifetime = ChildLifetime()
    /// Size of the anti-replay window in packets, 0 (off) to 4096.
    public var replayWindow = 1024
    /// Inner packets are padded to this many octets where they are shorter; `nil`: only as the cipher needs.
    public var tfcPadding: Int?
    /// Whether the DSCP of inner packets is copied to the outer header.
    public var copiesDSCP = true
    /// Of packets' security labels (RFC 9478) those that the child may be for, the best first; none: it has no label.
    public var securityLabels: [SecurityLabel] = []
    /// Whether there is no child without one of them.
    public var requiresSecurityLabel = true
    /// The classes of packets it is for; `nil` for all.
    public var classes: TrafficClasses?
    /// Whether its sequence numbers are to be divided into subspaces; `nil`: they are not.
    public var antiReplaySubspaces: AntiReplaySubspacesPolicy?
    /// The most SAs that may stand side by side for the same traffic, each for a resource of its own (RFC 9611), 2 to 64; `nil`: one is
    /// for all.
    public var resourceLimit: Int?
    public var origins: [String: Origin] = [:]
    /// The packet that asks for the child, which goes before the selectors in an offer (RFC 7296 section 2.9).
    var trigger: TriggerPacket?
    /// Of an SA that is there, or that is to be one more for the same traffic: its place among the others.
    var place: ResourcePlace?

    public init(
        name: String, origin: Origin, policyID: UInt32, localSelectors: [TrafficSelector],
        remoteSelectors: [TrafficSelector]
    ) {
        self.name = name
        self.origin = origin
        self.policyID = policyID
        self.localSelectors = localSelectors
        self.remoteSelectors = remoteSelectors
    }

    /// Where `key` was written, or where the child begins if it has its default.
    public func origin(of key: String) -> Origin { origins[key] ?? origin }
}

extension ChildConfiguration {
    /// What it is for, in one line: our side, the peer's, and what else tells the traffic apart.
    var traffic: String {
        var parts = ["\(localSelectors.summary) === \(remoteSelectors.summary)"]
        if !securityLabels.isEmpty { parts.append("label \(securityLabels.alternatives)") }
        if let classes, classes.form.isSelector { parts.append("DSCP \(classes.values)") }
        return parts.joined(separator: ", ")
    }

    /// The keys that say what it is for.
    var selectorKeys: [String] {
        ["local", "remote"] + (securityLabels.isEmpty ? [] : ["label"])
            + (classes?.form.isSelector == true ? ["dscp"] : [])
    }
}

/// When a child SA is replaced, and when it must no longer be used; whichever limit is met first.
public struct ChildLifetime: Sendable, Hashable {
    public var rekeyAfter: Duration? = .seconds(3600)
    public var rekeyAfterOctets: UInt64?
    public var rekeyAfterPackets: UInt64?
    /// The largest fraction taken off each limit at random, 0 to 0.5.
    public var jitter = 0.1
    /// What is added to each limit, as a fraction of it, before use ends.
    public var overtime = 0.1

    public init() {}
}

/// The selectors of a packet that met a policy without a child SA.
public struct TriggerPacket: Sendable, Hashable {
    /// `nil`: the packet's own address is not the one that the child will have.
    public var local: TrafficSelector?
    public var remote: TrafficSelector

    public init(local: TrafficSelector?, remote: TrafficSelector) {
        self.local = local
        self.remote = remote
    }
}

extension ChildConfiguration {
    func triggered(by packet: TriggerPacket?) -> ChildConfiguration {
        var child = self
        child.trigger = packet
        return child
    }

    /// What is offered: the packet's selectors, if they lie within, and then all.
    var offeredSelectors: (local: [TrafficSelector], remote: [TrafficSelector]) {
        func first(_ packet: TrafficSelector?, _ all: [TrafficSelector]) -> [TrafficSelector] {
            guard let packet, !all.contains(packet), all.contains(where: { $0.contains(packet) }) else { return all }
            return [packet] + all
        }
        return (first(trigger?.local, localSelectors), first(trigger?.remote, remoteSelectors))
    }
}
