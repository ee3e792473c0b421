// RFC 9329: TCP encapsulation of IKE and IPsec packets. Nothing is negotiated and nothing registered: TCP port 4500, or others.
import IKEMessage
import IPPacket
import Octets

/// IKE and ESP in a TCP connection, for networks that stop UDP.
///
/// The TCP originator is whoever began the first of the IKE SAs that followed one another by rekeying (RFC 9329 section 2): it alone
/// opens connections, and opens another when one is lost. Which connection an IKE SA is on is its ``Path/stream``; who uses which is
/// kept in ``StreamTable``. What is on a connection, its prefix and its lengths, is the data plane's.
///
/// When TCP is taken to and left is here, what becomes of a connection in `StreamKeeping.swift`. How often and how long is our choice, as the
/// document leaves it open (sections 5.1, 6.1 and 6.7): it stands in the constants here.
enum TCPEncapsulation: IKEExtension {
    struct State {
        /// A connection beside the SA's own.
        struct Candidate {
            enum Purpose {
                /// The SA's own is lost.
                case replacement
                /// The peer does not answer by UDP: it counts if it answers here (RFC 9329 section 7.1).
                case alternative
            }
            let stream: StreamID
            let remote: SocketAddress
            let purpose: Purpose
            /// Set when it is open.
            var way: Path?
            /// How often the request that waits for its answer had been repeated then.
            var openedAtAttempt: Int?
        }

        var candidate: Candidate?
        /// Which of the peer's ports is tried.
        var portIndex = 0
        /// Another IKE SA is tried at the next port.
        var isFollowed = false
        /// Connections in a row that could not be had, or were lost before anything came by them.
        var failures = 0
        /// When the SA's own connection was opened.
        var openedAt: Instant?
        var reopenAt: Instant?
        /// When UDP is tried again.
        var probeAt: Instant?
        /// The way by UDP that an update tries.
        var probe: Path?
    }

    struct Shared {
        /// Peers that have been found not to answer by UDP, and until when that is remembered.
        var silent: [Peer: Instant] = [:]
        /// The port at which a peer has been found to be reached, or is to be tried, if that is not the first.
        var ports: [Peer: UInt16] = [:]
        /// Peers with which an SA by TCP is up, that are called by UDP to see whether that passes again.
        var probed: Set<Peer> = []
    }

    struct Peer: Hashable {
        let connection: String
        let remote: IPAddress
    }

    /// How often a first message is repeated by UDP before TCP is tried: six seconds with the usual times. One repetition is the least
    /// that RFC 9329 section 5.1 wants.
    static let firstPatience = 3
    /// The same for the messages after it, to which a peer may have to compute or fetch something.
    static let laterPatience = 5
    /// How often a request of an SA that is up is repeated by UDP before it is sent by TCP too, and the other way round.
    static let movePatience = 3
    /// Connections that may be lost one after the other before an IKE SA is up.
    static let failureLimit = 4
    /// A connection that has lasted so long was a good one: should it be lost, another is opened at once.
    static let goodTime: Duration = .seconds(5)
    /// For so long after that, the peer may not know of a connection on all SAs that use it.
    static let movedLately: Duration = .seconds(60)

    // MARK: Who calls how

    /// The way of a call by TCP, whose connection is being opened; `nil` if the peer is called by UDP.
    static func wayOfCall(
        _ connection: ConnectionConfiguration, to remote: IPAddress, from local: IPAddress, localSPI: UInt64,
        context: EndpointContext
    ) -> Path? {
        let peer = Peer(connection: connection.name, remote: remote)
        let shared = context.shared[Self.self]
        let isStopped = shared?.silent[peer].map { $0 > context.now } ?? false
        let ports = connection.tcp.allPorts
        guard let first = ports.first,
            connection.tcp.use == .always || connection.tcp.use == .fallback && isStopped
        else { return nil }
        let port = shared?.ports[peer].flatMap { ports.contains($0) ? $0 : nil } ?? first
        return open(for: localSPI, from: local, to: SocketAddress(remote, port: port), connection.tcp, context)
    }

    static func takes(_ datagram: IKEDatagram, for connection: ConnectionConfiguration) -> Bool {
        datagram.stream == nil || connection.tcp.use != .no
    }

    static func patience(of sa: IKESA) -> Int? {
        if sa.path.stream != nil { return isUnheard(sa) && nextPort(for: sa) != nil ? firstPatience : nil }
        guard sa.connection?.tcp.use == .fallback, sa.isBeingSetUp else { return nil }
        return switch sa.state {
        case .initiating, .resuming: firstPatience
        default: laterPatience
        }
    }

    /// Nothing came by UDP: everything begins anew by TCP, with another SPI (RFC 9329 section 5.1). An attempt that is only to see
    /// whether UDP passes again ends with that.
    static func findOtherWay(for sa: IKESA) -> Bool {
        if sa.path.stream != nil {
            _ = tryNextPort(for: sa)
            return false
        }
        guard let connection = sa.connection, connection.tcp.use == .fallback, sa.path.stream == nil, sa.isBeingSetUp,
            let children = childrenAskedFor(by: sa)
        else { return false }
        if case .initiating(let initial) = sa.state, initial.doubt != nil { return false }
        let peer = Peer(connection: connection.name, remote: sa.path.remote.address)
        let isProbe = sa.context.shared[Self.self]?.probed.remove(peer) != nil
        remember(sa, connection)
        guard !isProbe else { return false }
        sa.tell(.note, "there is no answer by UDP: TCP is tried (RFC 9329)")
        sa.context.emit(
            .warning(connection: connection.name, "no answer from \(sa.path.remote) by UDP: TCP is tried"))
        sa.context.signals.append(.callElsewhere(sa, at: sa.path.remote.address, children))
        return false
    }

    /// Whether a call of ours by TCP has brought nothing yet that might be the peer's.
    private static func isUnheard(_ sa: IKESA) -> Bool {
        guard sa.founding.isOurs, case .initiating(let initial) = sa.state else { return false }
        return initial.doubt == nil && initial.cookie == nil
    }

    /// The port to be tried after the one that a call goes to.
    static func nextPort(for sa: IKESA) -> UInt16? {
        guard let ports = sa.connection?.tcp.allPorts else { return nil }
        let index = (ports.firstIndex(of: sa.path.remote.port) ?? -1) + 1
        return index < ports.count ? ports[index] : nil
    }

    /// Something takes the connection, and then nothing comes by it, as where only TLS may pass: the call begins anew at the next port, with
    /// another SPI, as after UDP.
    ///
    /// - Returns: whether there is one. The IKE SA is to be closed then.
    static func tryNextPort(for sa: IKESA) -> Bool {
        guard let connection = sa.connection, sa.path.stream != nil, sa.path.isOpen, isUnheard(sa),
            let port = nextPort(for: sa), let children = childrenAskedFor(by: sa)
        else { return false }
        let how = connection.tcp.tls(at: port) == nil ? "port \(port)" : "TLS at port \(port)"
        sa.tell(.note, "there is no answer by TCP from \(sa.path.remote): \(how) is tried")
        sa.context.emit(
            .warning(connection: connection.name, "no answer from \(sa.path.remote) by TCP: \(how) is tried"))
        sa.slots[Self.self, default: State()].isFollowed = true
        setPort(of: sa, port)
        sa.context.signals.append(.callElsewhere(sa, at: sa.path.remote.address, children))
        return true
    }

    private static func setPort(of sa: IKESA, _ port: UInt16?) {
        guard let connection = sa.connection else { return }
        let peer = Peer(connection: connection.name, remote: sa.path.remote.address)
        var shared = sa.context.shared[Self.self] ?? Shared()
        shared.ports[peer] = port == connection.tcp.allPorts.first ? nil : port
        sa.context.shared[Self.self] = shared
    }

    private static func childrenAskedFor(by sa: IKESA) -> [ChildConfiguration]? {
        switch sa.state {
        case .initiating(let initial): initial.children
        case .exchangingKeys(let exchange): exchange.foundation.children
        case .resuming(let resumption): resumption.children
        case .proving(let proving): proving.foundation.children
        case .answering, .admitting, .established, .closing, .closed: nil
        }
    }

    /// Notes that this peer is called by TCP for a while.
    private static func remember(_ sa: IKESA, _ connection: ConnectionConfiguration) {
        guard let pause = connection.tcp.probeAfter else { return setMemory(of: sa, .init(nanoseconds: .max)) }
        setMemory(of: sa, sa.context.now + pause)
    }

    static func setMemory(of sa: IKESA, _ until: Instant?) {
        guard let name = sa.connection?.name else { return }
        var shared = sa.context.shared[Self.self] ?? Shared()
        let peer = Peer(connection: name, remote: sa.path.remote.address)
        shared.silent = shared.silent.filter { $0.value > sa.context.now }
        shared.silent[peer] = until
        shared.probed.remove(peer)
        sa.context.shared[Self.self] = shared
    }

    // MARK: Back to UDP

    /// The way by UDP between the same hosts.
    static func wayByUDP(_ sa: IKESA) -> Path {
        var way = sa.path
        way.stream = nil
        way.usesNATPort = true
        way.local.port = sa.context.configuration.natPort
        way.remote.port = sa.connection?.remoteNATPort ?? way.remote.port
        return way
    }

    static func established(_ sa: IKESA) {
        guard let stream = sa.path.stream else {
            if sa.founding.isOurs {
                setMemory(of: sa, nil)
                setPort(of: sa, nil)
            }
            return
        }
        sa.context.emit(.trustStream(stream))
        sa.tell(
            .note, "IKE and ESP go by TCP (RFC 9329), \(sa.founding.isOurs ? "which we open" : "which the peer opens")")
        guard sa.founding.isOurs else { return }
        setPort(of: sa, sa.path.remote.port)
        if let index = sa.connection?.tcp.allPorts.firstIndex(of: sa.path.remote.port) {
            sa.slots[Self.self, default: State()].portIndex = index
        }
        plan(probeOf: sa)
        // The peer may have sent its answer by the connection before, and know of no other yet.
        if sa.slots[Self.self]?.failures ?? 0 > 0 { askForLife(sa) }
    }

    /// Has UDP tried again in a while.
    static func plan(probeOf sa: IKESA) {
        guard let connection = sa.connection, connection.tcp.use == .fallback else { return }
        remember(sa, connection)
        sa.slots[Self.self, default: State()].probeAt = connection.tcp.probeAfter.map { sa.context.now + $0 }
    }

    /// With MOBIKE the SA moves if the peer answers (RFC 9329 section 7.1); without, another takes its place, if it comes up.
    static func probe(_ sa: IKESA) {
        plan(probeOf: sa)
        if sa.slots[Mobility.self]?.decides == true {
            sa.slots[Self.self]?.probe = wayByUDP(sa)
            Mobility.requestUpdate(of: sa)
        } else {
            setMemory(of: sa, nil)
            guard let name = sa.connection?.name else { return }
            sa.context.shared[Self.self]?.probed.insert(Peer(connection: name, remote: sa.path.remote.address))
            sa.context.signals.append(.reauthenticate(sa))
        }
    }

    /// The way of an update that is about to be sent, if that tries UDP.
    static func wayOfUpdate(of sa: IKESA) -> Path? {
        sa.path.stream == nil ? nil : sa.slots[Self.self]?.probe
    }

    /// An update has been answered. Was it answered by TCP only, then the peer may have had it by UDP and has been told nothing true
    /// of NATs: another follows (RFC 9329 section 7.1).
    static func updateIsAnswered(_ answer: Authenticated, of sa: IKESA) {
        guard sa.slots[Self.self]?.probe != nil else { return }
        sa.slots[Self.self]?.probe = nil
        guard answer.datagram.stream != nil, sa.path.stream != nil else { return }
        sa.tell(.note, "the peer does not answer by UDP: the IKE SA stays with TCP")
        Mobility.requestUpdate(of: sa)
    }

    static func wayOfRequest(attempt: Int, of sa: IKESA) -> Path? {
        guard sa.isEstablished, let state = sa.slots[Self.self] else { return nil }
        if let probe = state.probe, sa.path.stream != nil, attempt < movePatience, Mobility.isUpdating(sa) {
            return probe
        }
        if let candidate = state.candidate, candidate.purpose == .alternative { return candidate.way }
        return nil
    }

    // MARK: Life

    static func replaced(_ old: IKESA, by new: IKESA) {
        guard new.slots[Self.self] != nil else { return }
        new.path = old.path
        if let stream = new.slots[Self.self]?.candidate?.stream { new.context.streams.hand(stream, to: new.localSPI) }
        old.slots[Self.self] = nil
        // The peer may have made it on the connection before the present one.
        guard new.founding.isOurs, new.path.stream != nil, let openedAt = new.slots[Self.self]?.openedAt,
            new.context.now - openedAt < movedLately
        else { return }
        _ = new.withEstablished { $0.tasks.insert(.liveness, at: 0) }
    }

    static func ended(_ sa: IKESA) {
        // That TCP helps is no longer known.
        guard sa.path.stream != nil, sa.founding.isOurs, sa.isBeingSetUp, sa.slots[Self.self]?.isFollowed != true
        else { return }
        setMemory(of: sa, nil)
        setPort(of: sa, nil)
    }

    static func describe(_ status: inout IKESAStatus, of sa: IKESA) {
        guard let stream = sa.path.stream else { return }
        status.isStreamOurs = !stream.isAccepted
        status.streamPort = stream.isAccepted ? sa.path.local.port : sa.path.remote.port
    }

    static func deadline(of sa: IKESA) -> Instant? {
        guard let state = sa.slots[Self.self], sa.established?.isReplaced != true else { return nil }
        return [state.reopenAt, sa.path.stream == nil ? nil : state.probeAt].compactMap(\.self).min()
    }

    static func handleTimeout(of sa: IKESA) {
        let now = sa.context.now
        if let at = sa.slots[Self.self]?.reopenAt, at <= now, sa.established?.isReplaced != true { reopen(sa) }
        if let at = sa.slots[Self.self]?.probeAt, at <= now, sa.path.stream != nil,
            sa.established?.isReplaced == false
        {
            probe(sa)
        }
        seekAlternative(sa)
    }
}

extension ExtensionSlots {
    fileprivate subscript(
        _ owner: TCPEncapsulation.Type, default initial: @autoclosure () -> TCPEncapsulation.State
    ) -> TCPEncapsulation.State {
        get { self[owner] ?? initial() }
        set { self[owner] = newValue }
    }
}
