import IKE
import IPPacket
import Logging

// Taking over a changed configuration, and changed addresses of names.
extension Daemon {
    /// Reads the configuration again, after reloads that are under way. With mistakes in it, everything stays as it is.
    func reload() async -> ControlReply {
        let before = lastReload
        let reload = Task {
            _ = await before?.value
            return await takeOverConfiguration()
        }
        lastReload = reload
        let reply = await reload.value
        if reply.outcome == .success { await resolveNames() }
        return reply
    }

    private func takeOverConfiguration() async -> ControlReply {
        notification.reloading()
        defer { notification.ready("\(configuration.connections.count) connections") }
        let reading = await Self.read(options.configurationPath)
        guard !isStopping else { return ControlReply(.failed, lines: ["the daemon is stopping"]) }
        var lines = reading.diagnostics.map(\.description)
        guard let new = reading.configuration else {
            report(.reloadRefused, .error, ["reason": lines.first ?? ""])
            return ControlReply(.configuration, lines: lines + ["nothing is changed"])
        }
        lines += differences(to: new)
        let old = configuration
        let oldFingerprints = Dictionary(
            uniqueKeysWithValues: old.connections.map { ($0.name, $0.configuration.fingerprint) })
        do {
            try dataplane.apply(new.installedPolicies(virtual: virtualAddresses))
        } catch {
            report(.reloadRefused, .error, ["reason": error.reason])
            return ControlReply(.failed, lines: lines + [error.reason, "nothing is changed"])
        }
        configuration = new
        // Settings that need a restart stay as they are until then.
        configuration.daemon = old.daemon
        configuration.daemon.logLevel = new.daemon.logLevel
        configuration.daemon.revocation = new.daemon.revocation
        configuration.daemon.tcpPorts = new.daemon.tcpPorts
        configuration.daemon.tls = new.daemon.tls
        // With the same certificate the same sessions are resumed.
        if let server = old.daemon.tls?.server, let now = new.daemon.tls?.server, now.isSame(as: server) {
            configuration.daemon.tls?.server = server
        }
        listenOnStreams()
        giveStatusDocuments()
        await fetcher.change(StatusFetcher.Limits(new.daemon.revocation))
        if options.logLevel == nil, new.daemon.logLevel != old.daemon.logLevel { threshold.level = new.daemon.logLevel }
        let names = Set(new.connections.map(\.name))
        history.keep(names)
        endpoint.apply(new.connections.map { $0.resolved(resolved) }, at: clock.now)
        drain()
        let added = new.connections.filter { oldFingerprints[$0.name] == nil }.map(\.name)
        let removed = old.connections.map(\.name).filter { !names.contains($0) }
        let changed = new.connections.filter {
            guard let fingerprint = oldFingerprints[$0.name] else { return false }
            return fingerprint != $0.configuration.fingerprint
        }.map(\.name)
        for (word, list) in [("added", added), ("changed", changed), ("removed", removed)] where !list.isEmpty {
            lines.append("\(word): \(list.joined(separator: ", "))")
        }
        if added.isEmpty, changed.isEmpty, removed.isEmpty { lines.append("no connection has changed") }
        report(
            .reloaded, .notice,
            ["added": "\(added.count)", "changed": "\(changed.count)", "removed": "\(removed.count)"])
        return ControlReply(lines: lines)
    }

    /// Reads a configuration beside the daemon's work: with thousands of connections it takes seconds.
    @concurrent
    private nonisolated static func read(_ path: String) async -> GatewayConfiguration.Reading {
        GatewayConfiguration.read(path: path)
    }

    private func differences(to new: GatewayConfiguration) -> [String] {
        let daemon = configuration.daemon
        let pairs: [(String, Bool)] = [
            ("ike-port", daemon.endpoint.ikePort != new.daemon.endpoint.ikePort),
            ("nat-port", daemon.endpoint.natPort != new.daemon.endpoint.natPort),
            ("listen", daemon.listen != new.daemon.listen), ("device", daemon.device != new.daemon.device),
            (
                "dataplane",
                daemon.offloads != new.daemon.offloads || daemon.cipherProvider != new.daemon.cipherProvider
                    || daemon.workers != new.daemon.workers
            ),
            (
                "control",
                daemon.controlSocket != new.daemon.controlSocket || daemon.controlGroup != new.daemon.controlGroup
            ),
            (
                "limits",
                limits(of: daemon.endpoint) != limits(of: new.daemon.endpoint)
                    || daemon.endpoint.halfOpenTimeout != new.daemon.endpoint.halfOpenTimeout
            ),
        ]
        let changed =
            pairs.filter(\.1).map { "daemon.\($0.0)" }
            + (daemon.endpoint.codePoints == new.daemon.endpoint.codePoints ? [] : ["code-points"])
        return changed.map { "\($0) has changed: this takes effect with a restart" }
    }

    private func limits(of endpoint: EndpointConfiguration) -> [Int] {
        [
            endpoint.halfOpenLimit, endpoint.halfOpenLimitPerAddress, endpoint.cookieThreshold,
            endpoint.puzzleThreshold, endpoint.puzzleThresholdPerNetwork, endpoint.puzzleDifficulty,
            endpoint.anonymousLimit, endpoint.peerLimit, endpoint.negotiationLimit,
        ]
    }

    // MARK: Names

    /// Looks up the names of all peers.
    func resolveNames() async {
        await resolve(configuration.connections)
    }

    /// Looks up again the names of peers that are sought: an SA that is up stays where it is.
    func resolveNamesAgain() async {
        let up = Set(endpoint.status().filter { $0.state == .up }.map(\.name))
        await resolve(configuration.connections.filter { !up.contains($0.name) })
    }

    /// Looks the peers' names up all at once, so that a slow one does not hold up the others.
    private func resolve(_ connections: [GatewayConnection]) async {
        await withDiscardingTaskGroup { group in
            for connection in connections where connection.hosts.contains(where: { $0.name != nil }) {
                group.addTask { await self.resolve(connection) }
            }
        }
    }

    /// Looks up the names of one peer; an address that was known stays if the name cannot be looked up now.
    func resolve(_ connection: GatewayConnection) async {
        for name in connection.hosts.compactMap(\.name) {
            let addresses = await HostResolver.addresses(of: name)
            if addresses.isEmpty {
                if resolved[name] == nil {
                    report(.unresolved, .warning, connection: connection.name, ["name": name])
                }
            } else if resolved[name] != addresses {
                resolved[name] = addresses
                report(
                    .resolved, connection: connection.name,
                    ["name": name, "addresses": addresses.map(\.description).joined(separator: ",")])
            }
        }
        guard !connection.hosts.compactMap(\.name).isEmpty else { return }
        endpoint.updateRemoteAddresses(
            of: connection.name, connection.resolved(resolved).remoteAddresses, at: clock.now)
        drain()
    }
}
