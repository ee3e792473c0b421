import IKE
import Logging
import Octets

// What happens: logged, told to those who follow it, remembered for explanations, and told to those who wait for it.
extension Daemon {
    /// Logs an event, and tells it to everyone who follows.
    func report(
        _ name: GatewayEvent.Name, _ level: Logger.Level = .info, connection: String? = nil,
        _ fields: [String: String] = [:]
    ) {
        hub.publish(name, connection: connection, fields: fields, at: clock.date(of: clock.now))
        guard level >= threshold.level else { return }
        var metadata = fields.mapValues { Logger.MetadataValue.string($0) }
        if let connection { metadata["connection"] = .string(connection) }
        logger.log(level: level, "\(name.rawValue)", metadata: metadata)
    }

    func follow(_ event: IKEEvent) {
        switch event {
        case .ikeEstablished(let connection, let sa):
            report(.ikeEstablished, connection: connection, fields(sa))
        case .ikeRekeyed(let connection, let sa):
            report(.ikeRekeyed, connection: connection, fields(sa))
        case .ikeClosed(let connection, let localSPI, let reason):
            report(.ikeClosed, connection: connection, ["spi": hexadecimal(localSPI), "reason": reason])
        case .childEstablished(let connection, let child):
            report(.childEstablished, connection: connection, fields(child))
            waiters.established(connection: connection, child: child.name)
        case .childRekeyed(let connection, let old, let child):
            report(.childRekeyed, connection: connection, fields(child).merging(["old": hex(old)]) { $1 })
        case .childClosed(let connection, let child, let spi, let reason):
            report(.childClosed, connection: connection, ["child": child, "in": hex(spi), "reason": reason])
        case .failed(let connection, let child, let refusal, let nextAttempt):
            var fields = fields(refusal)
            fields["child"] = child
            if let nextAttempt {
                fields["retry"] = "\(max(Duration.zero, nextAttempt - clock.now).wholeNanoseconds / 1_000_000)ms"
            }
            report(.negotiationFailed, .warning, connection: connection, fields)
            if let connection { waiters.failed(connection: connection, child: child, refusal) }
        case .peerRefused(let connection, let refusal):
            report(.negotiationFailed, .warning, connection: connection, fields(refusal))
        case .callerRefused(let connection, let remote, let refusal):
            // Anybody can call: it ends nobody's wait, and not each one is told of.
            let (isTold, passedOver) = callers.admit(at: clock.now)
            guard isTold else { return }
            var fields = fields(refusal)
            fields["remote"] = "\(remote)"
            if passedOver > 0 { fields["untold"] = "\(passedOver)" }
            report(.callerRefused, .warning, connection: connection, fields)
        case .connectionChanged(let connection, let state, let reason, let deadline):
            var fields = ["state": state.rawValue, "reason": reason]
            if let deadline { fields["until"] = clock.date(of: deadline) }
            report(.connectionState, .debug, connection: connection, fields)
        case .pathChanged(let connection, let localSPI, let local, let remote):
            report(
                .pathChanged, connection: connection,
                ["spi": hexadecimal(localSPI), "local": "\(local)", "remote": "\(remote)"])
        case .configurationReceived(let connection, let assigned):
            report(.configurationReceived, connection: connection, ["given": assigned.summary])
        case .redirecting(let connection, let remote, let gateway):
            report(.redirecting, connection: connection, ["remote": "\(remote)", "to": "\(gateway)"])
        case .redirected(let connection, let remote, let gateway):
            report(.redirected, connection: connection, ["from": "\(remote)", "to": "\(gateway)"])
        case .negotiated(let connection, let narrative):
            history.add(narrative, connection: connection)
        case .peerDead(let connection): report(.peerDead, .warning, connection: connection)
        case .warning(let connection, let text): report(.ikeWarning, .warning, connection: connection, ["text": text])
        case .keys(let keys): keyLog?.add(keys)
        }
    }

    private func fields(_ refusal: Refusal) -> [String: String] {
        var fields = ["cause": refusal.cause.rawValue, "reason": refusal.reason]
        if let origin = refusal.origins.first { fields["at"] = "\(origin)" }
        return fields
    }

    private func fields(_ sa: IKESAStatus) -> [String: String] {
        [
            "local": sa.local, "remote": sa.remote, "peer": sa.remoteIdentity, "suite": "\(sa.suite)",
            "spi": hexadecimal(sa.localSPI),
        ]
    }

    private func fields(_ child: ChildSAStatus) -> [String: String] {
        var fields = [
            "child": child.name, "suite": "\(child.suite)", "in": hex(child.inboundSPI), "out": hex(child.outboundSPI),
            "local": child.localSelectors, "remote": child.remoteSelectors,
        ]
        fields["label"] = child.securityLabel?.description
        return fields
    }

    /// Lets those who follow hear the last events. Whoever is slow then has missed them.
    func dismissFollowers() async {
        hub.finish()
        for _ in 0..<20 where !hub.isEmpty { try? await Task.sleep(for: .milliseconds(25)) }
    }

    func hexadecimal(_ spi: UInt64) -> String { spi.bigEndianOctets.hexadecimal }

    /// Hands events over as they come, until the daemon stops or the client goes.
    func stream(
        _ request: ControlRequest, reply: @Sendable (ControlReply) async throws -> Void
    ) async throws {
        if let name = request.connection, connection(name) == nil {
            return try await reply(unknown(name))
        }
        guard !isStopping else { return try await reply(ControlReply()) }
        let feed = EventFeed(connection: request.connection)
        hub.add(feed)
        defer { hub.remove(feed) }
        // Only from here on nothing is missed: whoever wants to act on what follows can wait for this.
        try await reply(ControlReply(isLast: false))
        try await feed.forEach { try await reply(ControlReply(event: $0, isLast: false)) }
        try await reply(ControlReply())
    }
}
