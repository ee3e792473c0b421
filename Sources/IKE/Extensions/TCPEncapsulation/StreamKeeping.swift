// RFC 9329 sections 6.1 and 6.2: connections that come, are lost and follow one another.
import IKEMessage
import IPPacket
import Octets

extension TCPEncapsulation {
    // MARK: Opening

    static func open(
        for localSPI: UInt64, from local: IPAddress, to remote: SocketAddress, _ policy: TCPPolicy,
        _ context: EndpointContext
    ) -> Path {
        let stream = context.streams.open(for: localSPI)
        context.emit(.openStream(stream, from: local, to: remote, tls: policy.tls(at: remote.port)))
        // Which port of ours it has is known when it is open.
        return Path(local: SocketAddress(local, port: 0), remote: remote, usesNATPort: true, stream: stream)
    }

    /// Opens a connection beside the SA's own, which it may take the place of.
    private static func open(_ purpose: State.Candidate.Purpose, for sa: IKESA) -> Bool {
        guard let connection = sa.connection, !connection.tcp.allPorts.isEmpty,
            let local = sourceAddress(towards: sa.path.remote.address, of: sa)
        else { return false }
        var state = sa.slots[Self.self] ?? State()
        let ports = connection.tcp.allPorts
        let remote = SocketAddress(sa.path.remote.address, port: ports[state.portIndex % ports.count])
        guard let stream = open(for: sa.localSPI, from: local, to: remote, connection.tcp, sa.context).stream
        else { return false }
        state.candidate = State.Candidate(stream: stream, remote: remote, purpose: purpose)
        sa.slots[Self.self] = state
        return true
    }

    private static func sourceAddress(towards remote: IPAddress, of sa: IKESA) -> IPAddress? {
        let settings = sa.context.configuration
        let configured = sa.connection?.localAddresses.filter { $0.family == remote.family } ?? []
        guard !configured.isEmpty else { return settings.sourceAddress(remote) }
        return configured.first(where: settings.isLocalAddress)
    }

    /// Where UDP brings no answer to an SA that may move, TCP is tried beside it (RFC 9329 section 7.1).
    static func seekAlternative(_ sa: IKESA) {
        passOn(sa)
        guard let outstanding = sa.window.outstanding, outstanding.attempt >= movePatience, sa.path.stream == nil,
            sa.founding.isOurs, sa.slots[Mobility.self]?.decides == true, sa.established?.isReplaced == false,
            sa.connection.map({ $0.tcp.use != .no }) ?? false, sa.slots[Self.self]?.candidate == nil,
            sa.slots[Self.self]?.reopenAt == nil
        else { return }
        if open(.alternative, for: sa) { sa.tell(.note, "there is no answer by UDP: TCP is tried beside it") }
    }

    /// A port that takes connections and then lets nothing pass is no better than one that takes none.
    private static func passOn(_ sa: IKESA) {
        guard let candidate = sa.slots[Self.self]?.candidate, candidate.purpose == .alternative,
            let outstanding = sa.window.outstanding, let since = candidate.openedAtAttempt,
            outstanding.attempt >= since + movePatience, sa.connection?.tcp.allPorts.count ?? 0 > 1
        else { return }
        sa.slots[Self.self]?.portIndex += 1
        drop(candidate, of: sa)
    }

    /// Opens another connection in place of a lost one.
    static func reopen(_ sa: IKESA) {
        sa.slots[Self.self]?.reopenAt = nil
        guard sa.path.stream != nil, !sa.isClosed else { return }
        if !open(.replacement, for: sa) { planReopening(of: sa) }
    }

    /// 0, 1, 2, 4 … 30 s after the loss.
    private static func planReopening(of sa: IKESA) {
        var state = sa.slots[Self.self] ?? State()
        let pause = state.failures == 0 ? 0 : min(1 << min(state.failures - 1, 5), 30)
        state.failures += 1
        // Those whose gateway has begun anew do not all come back in the same moment.
        state.reopenAt = sa.context.now + sa.context.jittered(.seconds(pause), by: 0.2)
        sa.slots[Self.self] = state
    }

    // MARK: What becomes of them

    static func opened(_ stream: StreamID, local: SocketAddress, of sa: IKESA) {
        if sa.path.stream == stream, !sa.path.isOpen {
            sa.path.local = local
            var state = sa.slots[Self.self] ?? State()
            state.openedAt = sa.context.now
            sa.slots[Self.self] = state
            let isSecured = sa.connection?.tcp.tls(at: sa.path.remote.port) != nil
            sa.tell(
                .note, "the TCP connection from \(local) to \(sa.path.remote) is open\(isSecured ? ", with TLS" : "")")
            return sa.streamIsOpen()
        }
        guard var candidate = sa.slots[Self.self]?.candidate, candidate.stream == stream else {
            return sa.context.streams.abandon(stream)
        }
        var way = sa.path
        way.local = local
        way.remote = candidate.remote
        way.usesNATPort = true
        way.stream = stream
        way.believe()
        candidate.way = way
        candidate.openedAtAttempt = sa.window.outstanding?.attempt
        sa.slots[Self.self]?.candidate = candidate
        switch candidate.purpose {
        case .replacement: goOver(sa, to: way)
        case .alternative:
            guard let outstanding = sa.window.outstanding else { return drop(candidate, of: sa) }
            sa.transmitRequest(outstanding.datagrams, attempt: outstanding.attempt)
        }
    }

    private static func drop(_ candidate: State.Candidate, of sa: IKESA) {
        sa.slots[Self.self]?.candidate = nil
        sa.context.streams.abandon(candidate.stream)
    }

    /// Goes on by a connection. What waits for an answer is sent there, as what was sent by the one before may be lost (RFC 9329 section
    /// 6.2); the peer hears of the connection by it, or by something that is sent for the purpose (section 6.1).
    private static func goOver(_ sa: IKESA, to way: Path) {
        sa.slots[Self.self]?.candidate = nil
        sa.slots[Self.self]?.openedAt = sa.context.now
        sa.tell(.note, "the IKE SA goes on by TCP, \(way.local) to \(way.remote)")
        sa.changePath(to: way)
        sa.relaunch()
        guard sa.isEstablished else { return }
        plan(probeOf: sa)
        if sa.slots[Mobility.self]?.decides == true {
            Mobility.requestUpdate(of: sa)
        } else {
            askForLife(sa)
        }
    }

    /// Sends something new, as a request that is sent again moves nothing.
    static func askForLife(_ sa: IKESA) {
        let isAsked = sa.established?.tasks.contains { if case .liveness = $0 { true } else { false } } ?? true
        if !isAsked { sa.hasten(.liveness) }
    }

    static func lost(_ stream: StreamID, _ reason: String, of sa: IKESA) {
        // Whether the peer opens another is its affair: nothing that is not authentic ends an SA (RFC 9329 section 6.1). One that only
        // repeats its last answer, or has been replaced, needs none.
        guard sa.founding.isOurs, sa.isBeingSetUp || sa.established?.isReplaced == false else { return }
        sa.tell(.note, "the TCP connection to \(sa.path.remote.address) is gone: \(reason)")
        if sa.slots[Self.self]?.candidate?.stream == stream {
            let purpose = sa.slots[Self.self]?.candidate?.purpose
            sa.slots[Self.self]?.candidate = nil
            sa.slots[Self.self]?.portIndex += 1
            if purpose == .replacement { planReopening(of: sa) }
            return
        }
        guard sa.path.stream == stream else { return }
        if let openedAt = sa.slots[Self.self]?.openedAt, sa.context.now - openedAt >= goodTime {
            sa.slots[Self.self]?.failures = 0
        }
        guard sa.isEstablished else { return loseFirst(sa, reason) }
        sa.context.emit(
            .warning(connection: sa.connection?.name, "the TCP connection to \(sa.path.remote) is gone: \(reason)"))
        planReopening(of: sa)
    }

    /// The connection of an SA that is being set up is gone, or was not to be had.
    private static func loseFirst(_ sa: IKESA, _ reason: String) {
        guard let connection = sa.connection else { return }
        let state = sa.slots[Self.self] ?? State()
        if !sa.path.isOpen {
            guard let port = nextPort(for: sa) else {
                return sa.close(unreachable(sa, connection, reason), tellPeer: false)
            }
            sa.tell(.note, "\(sa.path.remote) cannot be reached by TCP: \(reason)")
            let remote = SocketAddress(sa.path.remote.address, port: port)
            sa.path = open(for: sa.localSPI, from: sa.path.local.address, to: remote, connection.tcp, sa.context)
        } else if tryNextPort(for: sa) {
            sa.close(unreachable(sa, connection, reason), tellPeer: false)
        } else if state.failures >= failureLimit {
            sa.close(unreachable(sa, connection, reason), tellPeer: false)
        } else {
            planReopening(of: sa)
        }
    }

    private static func unreachable(_ sa: IKESA, _ connection: ConnectionConfiguration, _ reason: String) -> Refusal {
        Refusal(
            .peerSilent, "\(sa.path.remote) cannot be reached by TCP: \(reason)",
            at: [connection.origin(of: "tcp"), connection.origin(of: "remote.address")])
    }

    // MARK: Which one counts

    /// The peer that opens connections is followed to the one by which something new and authentic has come, and by nothing less
    /// (RFC 9329 section 6.1). We, who open them, know them.
    static func follow(_ datagram: IKEDatagram, isResponse: Bool, of sa: IKESA) -> Bool {
        guard datagram.stream != nil || sa.path.stream != nil else { return false }
        if sa.founding.isOurs { return followOwn(datagram, isResponse: isResponse, of: sa) }
        // From one to the other leads what the peer says of its address, and nothing else. Until then a connection stays a stranger's:
        // nobody would know when to close it.
        guard datagram.stream != nil, sa.path.stream != nil else { return true }
        var next = sa.path.moved(to: datagram.way)
        next.believe()
        followPeer(sa, to: next)
        return true
    }

    private static func followOwn(_ datagram: IKEDatagram, isResponse: Bool, of sa: IKESA) -> Bool {
        if let stream = datagram.stream {
            guard let candidate = sa.slots[Self.self]?.candidate, candidate.stream == stream, let way = candidate.way
            else {
                return true
            }
            goOver(sa, to: way)
            return true
        }
        guard isResponse, let probe = sa.slots[Self.self]?.probe, datagram.way.hasSameEnds(as: probe) else {
            return sa.slots[Mobility.self]?.decides != true
        }
        sa.tell(.note, "the peer answers by UDP: the IKE SA goes back there")
        sa.slots[Self.self]?.probeAt = nil
        setMemory(of: sa, nil)
        sa.changePath(to: sa.path.moved(to: probe), withChildren: false)
        return true
    }

    static func follow(espFrom remote: SocketAddress, by stream: StreamID?, of sa: IKESA) -> Bool {
        guard let stream else { return sa.path.stream != nil }
        guard !sa.founding.isOurs, sa.path.stream != nil else { return true }
        var next = sa.path
        next.remote = remote
        next.stream = stream
        next.believe()
        followPeer(sa, to: next)
        return true
    }

    private static func followPeer(_ sa: IKESA, to next: Path) {
        sa.changePath(to: next)
        // Our request may have been lost with the connection before (RFC 9329 section 6.2).
        guard let outstanding = sa.window.outstanding else { return }
        sa.transmitRequest(outstanding.datagrams, attempt: outstanding.attempt)
    }

    static func addressesChanged(of sa: IKESA) {
        let own = sa.context.ownAddresses
        guard sa.founding.isOurs, sa.path.stream != nil,
            sa.slots[Mobility.self] == nil || sa.connection?.tcp.use == .always,
            sa.established?.isReplaced == false, !own.isEmpty, !own.contains(sa.path.local.address)
        else { return }
        var state = sa.slots[Self.self] ?? State()
        guard state.candidate == nil else { return }
        state.reopenAt = sa.context.now
        sa.slots[Self.self] = state
    }
}

extension Path {
    /// Whether something can be sent: a TCP connection is there, where there is to be one.
    var isOpen: Bool { stream == nil || local.port != 0 }
}
