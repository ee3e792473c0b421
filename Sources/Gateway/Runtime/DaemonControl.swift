import IKE
import Logging
import Octets

// Requests from the control socket.
extension Daemon: ControlResponder {
    private static let longestWait = 600.0

    package func respond(
        to request: ControlRequest, reply: @Sendable (ControlReply) async throws -> Void
    ) async throws {
        switch request.command {
        case .status:
            let status = await status()
            try await reply(ControlReply(status.outcome, status: status))
        case .watch:
            let pause = min(max(request.seconds ?? 1, 0.1), 3600)
            while !Task.isCancelled {
                let status = await status()
                try await reply(ControlReply(status.outcome, status: status, isLast: false))
                try await Task.sleep(for: .seconds(pause))
            }
        case .events: try await stream(request, reply: reply)
        case .up: try await reply(bringUp(request))
        case .down: try await reply(takeDown(request))
        case .rekey: try await reply(rekey(request))
        case .redirect: try await reply(redirect(request))
        case .reload: try await reply(reload())
        case .explain: try await reply(explain(request.connection))
        case .leases:
            var answer = ControlReply()
            answer.leases = leases()
            try await reply(answer)
        case .logLevel: try await reply(changeLogLevel(request.level))
        case .shutdown:
            report(.stopping, .notice, ["by": "control socket"])
            try await reply(ControlReply(lines: ["stopping"]))
            stop(.success)
        }
    }

    // MARK: redirect

    private func redirect(_ request: ControlRequest) -> ControlReply {
        guard let name = request.connection, connection(name) != nil else { return unknown(request.connection) }
        guard let gateway = GatewayIdentity(configured: request.gateway ?? "") else {
            return ControlReply(
                .configuration, lines: ["\(quoted(request.gateway ?? "")) is neither an address nor a full host name"])
        }
        defer { drain() }
        do throws(ControlError) {
            let count = try endpoint.redirect(name, to: gateway, at: clock.now)
            return ControlReply(lines: ["\(count) \(count == 1 ? "peer is" : "peers are") sent to \(gateway)"])
        } catch {
            return ControlReply(.configuration, lines: [error.description])
        }
    }

    // MARK: rekey

    /// Begins to replace keys: those of one connection, or of all that are up.
    private func rekey(_ request: ControlRequest) async -> ControlReply {
        var connections = configuration.connections
        if let name = request.connection {
            guard let connection = connection(name) else { return unknown(name) }
            connections = [connection]
        }
        var begun = 0
        for (index, connection) in connections.enumerated() {
            let name = connection.name
            let children = connection.configuration.children.map(\.name)
            let wanted: [String?] = request.children ?? false ? children : [request.child]
            for child in wanted {
                do throws(ControlError) {
                    try endpoint.rekey(name, child: child, at: clock.now)
                    begun += 1
                } catch {
                    guard request.connection == nil else {
                        return ControlReply(.configuration, lines: [error.description])
                    }
                }
            }
            drain()
            // With many there is other work between.
            if index % 16 == 15 { await Task.yield() }
        }
        return ControlReply(lines: ["\(begun) \(begun == 1 ? "rekey is" : "rekeys are") under way"])
    }

    // MARK: up and down

    private func bringUp(_ request: ControlRequest) async -> ControlReply {
        guard let name = request.connection, let connection = connection(name) else {
            return unknown(request.connection)
        }
        let wanted = request.child.map { [$0] } ?? connection.configuration.children.map(\.name)
        let present = installedChildren(name)
        guard !present.isSuperset(of: wanted) else { return ControlReply(lines: ["\(name) is up already"]) }
        do throws(ControlError) {
            if !connection.hosts.compactMap(\.name).isEmpty { await resolve(connection) }
            try endpoint.initiate(name, child: request.child, at: clock.now)
        } catch {
            drain()
            return ControlReply(.configuration, lines: [error.description])
        }
        guard !isStopping else { return ControlReply(.failed, lines: ["the daemon is stopping"]) }
        let seconds = min(max(request.seconds ?? 180, 1), Self.longestWait)
        return await withCheckedContinuation { continuation in
            let id = waiters.add(
                connection: name, missing: Set(wanted).subtracting(present), continuation)
            Task {
                try? await Task.sleep(for: .seconds(seconds))
                self.giveUp(id, name, after: seconds)
            }
            drain()
        }
    }

    private func giveUp(_ id: UInt64, _ name: String, after seconds: Double) {
        let present = presentState(name).map { ": it is \($0)" } ?? ""
        waiters.finish(
            id,
            ControlReply(
                .peerSilent,
                lines: ["\(name) is not up after \(Int(seconds)) s\(present)", "  more: cygnet explain \(name)"]))
    }

    private func takeDown(_ request: ControlRequest) async -> ControlReply {
        if let text = request.connection, let instance = InstanceName(text) {
            return takeDown(instance, child: request.child)
        }
        guard let name = request.connection, connection(name) != nil else { return unknown(request.connection) }
        do throws(ControlError) {
            try endpoint.terminate(name, child: request.child, at: clock.now)
        } catch {
            drain()
            return ControlReply(.configuration, lines: [error.description])
        }
        drain()
        for _ in 0..<100 where isPresent(name, child: request.child) {
            try? await Task.sleep(for: .milliseconds(50))
        }
        let what = request.child.map { "\(name), child \($0)," } ?? name
        return isPresent(name, child: request.child)
            ? ControlReply(.failed, lines: ["\(what) is being taken down, but the peer has not answered yet"])
            : ControlReply(lines: ["\(what) is down"])
    }

    /// Takes one of several peers down; its Delete is on its way when this returns.
    private func takeDown(_ instance: InstanceName, child: String?) -> ControlReply {
        guard connection(instance.connection) != nil else { return unknown(instance.connection) }
        do throws(ControlError) {
            try endpoint.terminate(instance.connection, instance: instance.number, child: child, at: clock.now)
        } catch {
            drain()
            return ControlReply(.configuration, lines: [error.description])
        }
        drain()
        return ControlReply(lines: ["\(child.map { "\(instance), child \($0)," } ?? "\(instance)") is being taken down"]
        )
    }

    func connection(_ name: String) -> GatewayConnection? { configuration.connections.first { $0.name == name } }

    /// The children that are there to stay: not those of a connection that is being taken down, nor those being deleted.
    private func installedChildren(_ name: String) -> Set<String> {
        guard let status = endpoint.status().first(where: { $0.name == name }), status.state == .up else { return [] }
        return Set(status.children.filter { $0.state != "deleting" }.map(\.name))
    }

    private func isPresent(_ name: String, child: String?) -> Bool {
        guard let status = endpoint.status().first(where: { $0.name == name }) else { return false }
        guard let child else { return !status.ikeSAs.isEmpty }
        return status.children.contains { $0.name == child }
    }

    func unknown(_ name: String?) -> ControlReply {
        guard let name else { return ControlReply(.configuration, lines: ["the request names no connection"]) }
        let names = configuration.connections.map(\.name)
        guard !names.isEmpty else { return ControlReply(.configuration, lines: ["no connection is configured"]) }
        return ControlReply(
            .configuration, lines: [NearestWord.complaint(about: name, what: "connection", expected: names)])
    }

    // MARK: explain and log-level

    private func explain(_ name: String?) -> ControlReply {
        guard let name else {
            var lines: [String] = []
            for status in endpoint.status() {
                lines.append("\(status.name) is \(presentState(status))")
                if let last = history.last(of: status.name) {
                    lines.append("  last: \(ExplanationText.summary(last, clock: clock))")
                }
            }
            for (heading, narratives) in callers(of: nil, since: .origin) {
                lines += ["", heading] + narratives.map { "  \(ExplanationText.summary($0, clock: clock))" }
            }
            return ControlReply(lines: lines + ["", "more of one: cygnet explain CONNECTION"])
        }
        guard connection(name) != nil else { return unknown(name) }
        var lines = presentState(name).map { ["\(name) is \($0)"] } ?? []
        for negotiation in endpoint.negotiationsUnderWay(of: name) {
            let until = negotiation.until.map { " until \(clock.date(of: $0))" } ?? ""
            lines += ["", "Under way:"] + ExplanationText.lines(PackedNarrative(negotiation.narrative), clock: clock)
            lines.append("  waits for \(negotiation.waitsFor)\(until)")
        }
        let last = history.last(of: name)
        if let last {
            lines += ["", "The last negotiation that ended:"] + ExplanationText.lines(last, clock: clock)
        } else {
            lines.append("no negotiation has ended yet")
        }
        for (heading, narratives) in callers(of: name, since: last?.began ?? .origin) {
            lines += ["", heading] + narratives.flatMap { ExplanationText.lines($0, clock: clock) }
        }
        return ControlReply(lines: lines)
    }

    /// What a connection does at present, since when, and why: `connecting since …: calling 192.0.2.2`.
    private func presentState(_ name: String) -> String? {
        endpoint.status().first { $0.name == name }.map(presentState)
    }

    private func presentState(_ status: ConnectionStatus) -> String {
        let next = status.nextAttempt.map { "; next attempt at \(clock.date(of: $0))" } ?? ""
        return "\(status.state.rawValue) since \(clock.date(of: status.since)): \(status.reason)\(next)"
    }

    /// Callers that were refused before they had proved an identity: where a mistake in an identity, a secret or a proposal
    /// shows, at whichever end it is.
    private func callers(of connection: String?, since: Instant) -> [(heading: String, narratives: [PackedNarrative])] {
        [
            ("Callers refused, not known to be the peer:", history.callers(of: connection)),
            ("Negotiations that fitted no connection:", history.unmatched),
        ].compactMap { heading, narratives in
            let recent = narratives.filter { $0.began >= since }.suffix(3)
            return recent.isEmpty ? nil : (heading, Array(recent))
        }
    }

    private func changeLogLevel(_ text: String?) -> ControlReply {
        guard let text else { return ControlReply(lines: [threshold.level.rawValue]) }
        guard let word = LogLevelWord(rawValue: text) else {
            return ControlReply(
                .configuration,
                lines: [NearestWord.complaint(about: text, what: "log level", expected: LogLevelWord.words)])
        }
        threshold.level = word.level
        return ControlReply(lines: ["the log level is \(text) until the next start"])
    }
}
