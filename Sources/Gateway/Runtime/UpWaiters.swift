import IKE

/// Those who asked for a connection to be brought up and wait for the result.
struct UpWaiters {
    private struct Waiter {
        let connection: String
        /// Children that are not yet there.
        var missing: Set<String>
        let continuation: CheckedContinuation<ControlReply, Never>
    }

    private var waiters: [UInt64: Waiter] = [:]
    private var counter: UInt64 = 0

    /// - Returns: a number by which to give the wait up.
    mutating func add(
        connection: String, missing: Set<String>, _ continuation: CheckedContinuation<ControlReply, Never>
    ) -> UInt64 {
        counter += 1
        waiters[counter] = Waiter(connection: connection, missing: missing, continuation: continuation)
        return counter
    }

    mutating func established(connection: String, child: String) {
        for (id, var waiter) in waiters where waiter.connection == connection {
            waiter.missing.remove(child)
            waiters[id] = waiter
            if waiter.missing.isEmpty { finish(id, ControlReply(lines: ["\(connection) is up"])) }
        }
    }

    /// - Parameter child: `nil`: nothing of the connection will come.
    mutating func failed(connection: String, child: String?, _ refusal: Refusal) {
        for (id, waiter) in waiters where waiter.connection == connection {
            guard child.map(waiter.missing.contains) ?? true else { continue }
            finish(id, ControlReply(refusal, connection: connection, child: child))
        }
    }

    mutating func finish(_ id: UInt64, _ reply: ControlReply) {
        waiters.removeValue(forKey: id)?.continuation.resume(returning: reply)
    }

    mutating func finishAll(_ reply: ControlReply) {
        for id in waiters.keys { finish(id, reply) }
    }
}

extension ControlReply {
    /// What there is to say of a failure.
    init(_ refusal: Refusal, connection: String, child: String?) {
        let what = child.map { "child \($0) of \(connection)" } ?? connection
        self.init(
            Outcome(refusal.cause),
            lines: ["\(what) is not up: \(refusal.reason)"]
                + refusal.origins.map { "  see \($0)" } + ["  more: cygnet explain \(connection)"])
    }
}

extension Outcome {
    init(_ cause: Refusal.Cause) {
        self =
            switch cause {
            case .peerSilent, .peerRestarted: .peerSilent
            case .authenticationFailed: .authenticationFailed
            case .noProposal: .noProposal
            case .unacceptableSelectors: .unacceptableSelectors
            case .certificate: .certificate
            case .protocolViolation, .refusedByPeer: .refused
            case .noConnection: .refused
            case .unresolvedName: .unresolved
            case .administrative, .local: .failed
            }
    }
}
