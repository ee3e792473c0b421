// RFC 4478: repeated authentication. Code point: notify 16403 (IKEMessage).
import IKEMessage
import Octets

/// Both sides prove themselves again after a time, by an IKE SA that is set up before the old one goes.
///
/// The original responder says how long its trust lasts; the original initiator sets up a new IKE SA before that, or when
/// its own configuration wants it, whichever is first. Rekeying changes nothing of it.
enum RepeatedAuthentication: IKEExtension {
    struct State {
        /// What the peer told us, in seconds.
        var peerLifetime: UInt32?
        /// When a new IKE SA is begun; at the original initiator only.
        var due: Instant?
        /// When the SA ends if none has been; at the original responder only.
        var end: Instant?
    }

    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload] {
        guard case .authResponse = stage, let lifetime = remaining(of: sa.timing.reauthenticateAfter, of: sa)
        else { return [] }
        let seconds = max(1, UInt32(clamping: lifetime.components.seconds))
        return [.notify(NotifyPayload(type: .authLifetime, data: seconds.bigEndianOctets))]
    }

    /// What is left of a lifetime that began when the peer proved who it is, which may have been in another SA.
    private static func remaining(of lifetime: Duration?, of sa: IKESA) -> Duration? {
        guard let lifetime else { return nil }
        return max(.zero, lifetime - .seconds(sa.peerAuthentication?.age(at: sa.context.wallClock()) ?? 0))
    }

    static func receive(_ payloads: [Payload], at stage: MessageStage, of sa: IKESA) {
        guard case .authResponse = stage else { return }
        sa.slots[Self.self] = State(peerLifetime: lifetime(in: payloads))
    }

    /// Four octets, in seconds (RFC 4478 section 3); what is no lifetime is ignored.
    private static func lifetime(in payloads: [Payload]) -> UInt32? {
        guard let data = payloads.notification(.authLifetime)?.data, data.count == 4 else { return nil }
        let seconds = data.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return seconds == 0 ? nil : seconds
    }

    static func established(_ sa: IKESA) {
        let now = sa.context.now
        let own = sa.timing.reauthenticateAfter
        var state = sa.slots[Self.self] ?? State()
        if sa.isInitiator {
            let theirs = state.peerLifetime.map { Duration.seconds($0) }
            let lifetime = [remaining(of: own, of: sa), theirs].compactMap(\.self).min()
            state.due = lifetime.map { now + begin(within: $0, of: sa) }
        } else {
            let overtime = own.map { Duration.seconds($0.inSeconds * (1 + sa.timing.overtime)) }
            state.end = remaining(of: overtime, of: sa).map { now + $0 }
        }
        sa.slots[Self.self] = state
    }

    /// Early enough for a few attempts before the lifetime ends.
    private static func begin(within lifetime: Duration, of sa: IKESA) -> Duration {
        sa.context.jittered(.seconds(lifetime.inSeconds * 0.9), by: min(sa.timing.jitter, 0.5))
    }

    /// The original responder may set the lifetime anew at any time (RFC 4478 section 3).
    static func answer(_ request: Authenticated, of sa: IKESA) -> [Payload] {
        guard let seconds = lifetime(in: request.payloads), var state = sa.slots[Self.self], state.end == nil else {
            return []
        }
        let due = sa.context.now + begin(within: .seconds(seconds), of: sa)
        state.due = state.due.map { min($0, due) } ?? due
        sa.slots[Self.self] = state
        return []
    }

    static func deadline(of sa: IKESA) -> Instant? {
        guard let state = sa.slots[Self.self], sa.established?.isReplaced == false else { return nil }
        return [state.due, state.end].compactMap(\.self).min()
    }

    static func handleTimeout(of sa: IKESA) {
        guard var state = sa.slots[Self.self], sa.established?.isReplaced == false else { return }
        let now = sa.context.now
        if let end = state.end, end <= now {
            sa.close(
                Refusal(
                    .local, "the peer has not authenticated again in time",
                    at: sa.connection.map { [$0.origin(of: "lifetimes")] } ?? []),
                tellPeer: true)
            return
        }
        guard let due = state.due, due <= now else { return }
        // An attempt that fails is made again; the old SA serves until then.
        state.due = now + .seconds(30)
        sa.slots[Self.self] = state
        sa.context.signals.append(.reauthenticate(sa))
    }
}
