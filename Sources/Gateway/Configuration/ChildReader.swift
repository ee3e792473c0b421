import IKE
import IPPacket
import IPsecPolicy

enum SequenceNumberWord: String, ConfigurationKey {
    case yes, no, either

    var values: [SequenceNumbers] {
        switch self {
        case .yes: [.extended]
        case .no: [.sequential32]
        case .either: [.extended, .sequential32]
        }
    }
}

extension ModeWish: ConfigurationKey {}

enum SubspacesWord: String, ConfigurationKey {
    case no, yes, require
}

/// Reads the children of a connection: those under `children`, or a single one named like the connection when its
/// subnets stand under `local` and `remote`.
struct ChildReader {
    let connection: ConnectionReader

    private var settings: LayeredMapping<ConnectionKey> { connection.settings }

    func children(policyID: (String) -> UInt32) -> [ChildConfiguration] {
        guard let node = settings[.children] else {
            let child = child(
                name: connection.entry.name, origin: connection.entry.origin, own: nil, policyID: policyID)
            return child.map { [$0] } ?? []
        }
        let entries = node.namedEntries(expected: "children by name, as in lan: { local: 10.1.0.0/16, … }")
        if entries.isEmpty, node.isMapping { node.error("there are no children; leave the key out or name one") }
        return entries.compactMap { entry in
            Self.checkName(entry)
            let own = entry.value.isNull ? nil : entry.value.mapping(ChildKey.self, expected: "a child, a mapping")
            return child(name: entry.name, origin: entry.origin, own: own, policyID: policyID)
        }
    }

    /// Names appear in logs and on command lines.
    static func checkName(_ entry: ConfigurationEntry) {
        let isPlain = entry.name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }
        guard isPlain, (1...63).contains(entry.name.count), !entry.name.hasPrefix("-") else {
            entry.value.diagnostics.error(
                "\(quoted(entry.name)) cannot be a name; expected at most 63 letters, digits, -, _ or .",
                at: entry.origin)
            return
        }
    }

    private func child(
        name: String, origin: Origin, own: ConfigurationMapping<ChildKey>?, policyID: (String) -> UInt32
    ) -> ChildConfiguration? {
        func value(_ key: ChildKey) -> ConfigurationNode? {
            own?[key] ?? ConnectionKey(rawValue: key.rawValue).flatMap { settings[$0] }
        }
        let written = value(.mode)
        let read = written?.word(ModeWish.self, what: "mode")
        let mode = read ?? .tunnel
        let local: [TrafficSelector]?
        let remote: [TrafficSelector]?
        if written != nil, read == nil {
            // What subnets there should be depends on the mode that is meant.
            (local, remote) = (nil, nil)
        } else if mode == .tunnel {
            local = selectors(
                own?[.local] ?? connection.local[.subnets], .local, origin,
                assigned: connection.virtualAddresses.map { wanted in wanted.map { TrafficSelector(.all($0.family)) } })
            remote = selectors(
                own?[.remote] ?? connection.remote[.subnets], .remote, origin,
                assigned: connection.addressPools.map { pools in
                    pools.flatMap(\.ranges).compactMap { TrafficSelector(first: $0.first, last: $0.last) }
                })
        } else {
            let hosts = TransportHostsReader(connection: connection, origin: origin)
            local = hosts.local(own?[.local] ?? connection.local[.subnets])
            remote = hosts.remote(own?[.remote] ?? connection.remote[.subnets])
        }
        let proposals = proposals(value)
        let start = own?[.start]?.word(StartPolicy.self, what: "start")
        let lifetime = lifetime(own)
        let window = value(.replayWindow)?.integer(in: 0...4096)
        let subspaces = subspaces(value, own, proposals, window)
        let padding = value(.tfc)?.integer(in: 0...9000)
        let copiesDSCP = value(.copyDSCP)?.bool()
        let labels = value(.label).map { SecurityLabelReader.list($0) }
        let requiresLabel = value(.labelRequired)?.bool()
        let classes = TrafficClassReader.classes(
            value(.dscp), form: value(.dscpForm), isRequired: value(.dscpRequired), isTunnel: mode == .tunnel)
        let resourceLimit = value(.perResource).flatMap { ResourceLimitReader.limit($0) }
        if value(.dscp) == nil { complain(about: [.dscpForm, .dscpRequired], without: "dscp", own) }
        if labels == nil { complain(about: [.labelRequired], without: "label", own) }
        guard let local, let remote else { return nil }
        checkFamilies(local, remote, at: origin)
        var child = ChildConfiguration(
            name: name, origin: origin, policyID: policyID(name), localSelectors: local, remoteSelectors: remote)
        child.mode = mode
        if mode != .tunnel, let padding, padding > 0 {
            value(.tfc)?.warning("tfc needs tunnel mode: packets in transport mode are not padded")
        }
        if let proposals { child.espProposals = proposals }
        child.start = start
        child.lifetime = lifetime
        if let window { child.replayWindow = window }
        child.antiReplaySubspaces = subspaces
        if let padding { child.tfcPadding = padding == 0 ? nil : padding }
        if let copiesDSCP { child.copiesDSCP = copiesDSCP }
        child.classes = classes
        child.resourceLimit = resourceLimit
        if let labels { child.securityLabels = labels }
        if let requiresLabel { child.requiresSecurityLabel = requiresLabel }
        for key in ChildKey.allCases {
            if let own, own[key] != nil {
                child.origins[key.rawValue] = own.origin(of: key)
            } else if key == .local || key == .remote {
                child.origins[key.rawValue] =
                    key == .local ? connection.local.origin(of: .subnets) : connection.remote.origin(of: .subnets)
            } else if let key = ConnectionKey(rawValue: key.rawValue) {
                child.origins[key.rawValue] = settings.origin(of: key)
            }
        }
        return child
    }

    /// Reads how sequence numbers are to be divided, and reports what would keep them from being.
    private func subspaces(
        _ value: (ChildKey) -> ConfigurationNode?, _ own: ConfigurationMapping<ChildKey>?, _ proposals: [ESPProposal]?,
        _ window: Int?
    ) -> AntiReplaySubspacesPolicy? {
        let count = value(.subspaceCount)?.integer(in: 1...AntiReplaySubspacesPolicy.largestCount)
        guard let node = value(.antiReplaySubspaces) else {
            complain(about: [.subspaceCount], without: "anti-replay-subspaces", own)
            return nil
        }
        guard let word = node.word(SubspacesWord.self, what: "anti-replay-subspaces"), word != .no else { return nil }
        if window == 0 {
            node.error(
                "anti-replay-subspaces divide the replay window, and replay-window is 0; give one, or leave this out")
        }
        if let proposals, !proposals.contains(where: { $0.sequenceNumbers.contains(.extended) }) {
            node.error("anti-replay-subspaces need extended sequence numbers; let esn be yes or either")
        }
        return AntiReplaySubspacesPolicy(
            isRequired: word == .require, count: count ?? AntiReplaySubspacesPolicy.usualCount)
    }

    /// Reports settings of the child itself that say nothing without another one.
    private func complain(about keys: [ChildKey], without missing: String, _ own: ConfigurationMapping<ChildKey>?) {
        for key in keys {
            let node = own == nil ? ConnectionKey(rawValue: key.rawValue).flatMap { settings[$0] } : own?[key]
            node?.error("\(key.rawValue) needs \(quoted(missing)); give it, or leave this out")
        }
    }

    /// - Parameter assigned: what stands for addresses that are not known yet, where no subnets are written; empty for none.
    private func selectors(
        _ node: ConfigurationNode?, _ key: ChildKey, _ origin: Origin, assigned: [TrafficSelector]?
    ) -> [TrafficSelector]? {
        guard let node else {
            guard let assigned else { return nil }
            if !assigned.isEmpty { return assigned }
            let isReported =
                connection.settings.isMisspelt(.local, .remote, .children) || connection.local.isMisspelt(.subnets)
                || connection.remote.isMisspelt(.subnets)
            guard !isReported else { return nil }
            connection.diagnostics.error(
                "the \(key.rawValue) subnets are missing; give \"\(key.rawValue): { subnets: 10.1.0.0/16 }\" in the connection, or \"\(key.rawValue)\" in each child",
                at: origin)
            return nil
        }
        return SelectorSyntax.list(node)
    }

    private func checkFamilies(_ local: [TrafficSelector], _ remote: [TrafficSelector], at origin: Origin) {
        let families = (Set(local.map(\.family)), Set(remote.map(\.family)))
        if families.0.isDisjoint(with: families.1) {
            connection.diagnostics.error(
                "the local and the remote subnets are of different families; expected IPv4 with IPv4 or IPv6 with IPv6",
                at: origin)
        }
    }

    private func proposals(_ value: (ChildKey) -> ConfigurationNode?) -> [ESPProposal]? {
        let written = value(.esp).map {
            ProposalSyntax.list($0, defaults: ESPProposal.defaults, read: ProposalSyntax.esp)
        }
        let numbers = value(.esn)?.word(SequenceNumberWord.self, what: "esn")
        let forwardSecrecy = value(.pfs)?.bool()
        guard var proposals = written ?? ESPProposal.defaults else { return nil }
        for index in proposals.indices {
            if let numbers { proposals[index].sequenceNumbers = numbers.values }
            if forwardSecrecy == true, proposals[index].keyExchange.isEmpty {
                proposals[index].keyExchange = [.curve25519, .ecp256, .ecp384, .modp3072]
            } else if forwardSecrecy == false, !proposals[index].keyExchange.isEmpty {
                value(.pfs)?.error(
                    "pfs is off, but the ESP proposals name a key exchange; leave the one or the other out")
                return nil
            }
        }
        return proposals
    }

    private func lifetime(_ own: ConfigurationMapping<ChildKey>?) -> ChildLifetime {
        var layers = settings.nested(.lifetimes, as: LifetimeKey.self).mappings
        if let mapping = own?[.lifetimes]?.mapping(LifetimeKey.self) { layers.insert(mapping, at: 0) }
        let lifetimes = LayeredMapping(mappings: layers)
        var result = ChildLifetime()
        if let node = lifetimes[.child], let time = node.timeOrNever(from: .seconds(1)) {
            result.rekeyAfter = time.value
        }
        if let octets = lifetimes[.childOctets]?.octets() { result.rekeyAfterOctets = octets }
        if let packets = lifetimes[.childPackets]?.integer(in: 1000...Int.max) {
            result.rekeyAfterPackets = UInt64(packets)
        }
        if let fraction = lifetimes[.jitter]?.percentage(upTo: 50) { result.jitter = fraction }
        if let fraction = lifetimes[.overtime]?.percentage(upTo: 100) { result.overtime = fraction }
        return result
    }
}
