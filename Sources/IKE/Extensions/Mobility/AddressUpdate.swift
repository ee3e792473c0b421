// RFC 4555 section 3.5: UPDATE_SA_ADDRESSES, as the initiator sends it and as the responder takes it.
import IKEMessage
import IPPacket
import Octets

extension Mobility {
    /// An UPDATE_SA_ADDRESSES request of ours.
    struct Update {
        /// Where it was first sent.
        let way: Path
        let cookie: [UInt8]
    }

    private static let cookieLength = 32
    /// How often an update is made again because somebody has changed its addresses on the way (RFC 4555 section 3.9).
    private static let unexpectedNATLimit = 4

    static func newCookie(_ context: EndpointContext) -> [UInt8] { context.randomOctets(cookieLength) }

    // MARK: Initiator

    /// Goes over to another way and tells the peer. Packets follow at once if only our own address is another; to another
    /// address of the peer they follow when the peer has answered there.
    static func move(_ sa: IKESA, to way: Path) {
        let isPeerTheSame = way.remote == sa.path.remote
        sa.tell(.note, "the IKE SA goes on between \(way.local) and \(way.remote)")
        sa.changePath(to: sa.path.moved(to: way), withChildren: isPeerTheSame)
        sa.relaunch()
        requestUpdate(of: sa)
    }

    static func requestUpdate(of sa: IKESA) {
        guard !isQueued(.update, of: sa) else { return }
        sa.hasten(notice(.update))
    }

    static func beginUpdate(of sa: IKESA) -> [Payload]? {
        guard var state = sa.slots[Self.self], state.decides else { return nil }
        let way = TCPEncapsulation.wayOfUpdate(of: sa) ?? sa.path
        let update = Update(way: way, cookie: newCookie(sa.context))
        state.update = update
        state.announced = reachableAddresses(of: sa)
        sa.slots[Self.self] = state
        let detection = sa.path.traversesNATs ? sa.natDetectionPayloads(along: way) : natProhibition(of: sa)
        return [
            .notify(NotifyPayload(type: .updateSAAddresses)),
            .notify(NotifyPayload(type: .cookie2, data: update.cookie)),
        ] + addressPayloads(of: sa) + detection
    }

    static func finishUpdate(with answer: Authenticated, of sa: IKESA) {
        guard var state = sa.slots[Self.self], let update = state.update else { return }
        state.update = nil
        let sawNAT = answer.payloads.notification(.unexpectedNATDetected) != nil
        state.unexpectedNATs = sawNAT ? state.unexpectedNATs + 1 : 0
        sa.slots[Self.self] = state
        TCPEncapsulation.updateIsAnswered(answer, of: sa)
        // The way has changed since: the next update, which waits already, counts.
        guard update.way.hasSameEnds(as: sa.path) else { return }
        if sawNAT, state.unexpectedNATs < unexpectedNATLimit { return requestUpdate(of: sa) }
        guard !sawNAT, answer.payloads.notification(.unacceptableAddresses) == nil else {
            return lookElsewhere(after: sawNAT ? .unexpectedNATDetected : .unacceptableAddresses, of: sa)
        }
        guard returns(update.cookie, answer, of: sa) else { return }
        sa.slots[Self.self]?.mapping = answer.payloads.notification(.natDetectionDestinationIP)?.data
        sa.changePath(to: sa.detectingNAT(in: answer.payloads, along: sa.path))
        guard sa.path.encapsulatesESP, !sa.path.usesNATPort else { return }
        sa.floatToNATPortIfNeeded()
        sa.moveChildren()
        requestUpdate(of: sa)
    }

    /// The peer does not accept the way.
    private static func lookElsewhere(after answer: NotifyType, of sa: IKESA) {
        sa.slots[Self.self]?.refused.insert(Ends(sa.path))
        sa.context.emit(
            .warning(
                connection: sa.connection?.name,
                "the peer answered \(answer) to the move to \(sa.path.local.address), \(sa.path.remote.address)"))
        chooseWay(for: sa)
    }

    // MARK: A NAT's mapping

    static func payloads(askingForLifeOf sa: IKESA) -> [Payload] {
        guard sa.slots[Self.self]?.decides ?? false, sa.path.isBehindNAT else { return [] }
        return sa.natDetectionPayloads(along: sa.path)
    }

    /// If the peer sees us elsewhere than before, the NAT has given us another mapping (RFC 4555 section 3.8). The first time
    /// nothing is known of before, as what the peer sees is hashed together with this IKE SA's SPIs; then it is told as well.
    static func receive(signOfLife answer: Authenticated, of sa: IKESA) {
        guard let state = sa.slots[Self.self], state.decides,
            let seen = answer.payloads.notification(.natDetectionDestinationIP)?.data
        else { return }
        sa.slots[Self.self]?.mapping = seen
        guard state.mapping != seen else { return }
        sa.tell(.note, "the NAT before us may have given us another address or port")
        requestUpdate(of: sa)
    }

    // MARK: Responder

    /// Whether we are to be called at this address by this connection's peer.
    static func isAcceptable(_ way: Path, of sa: IKESA) -> Bool {
        guard let connection = sa.connection, isPossible(way.remote.address),
            !sa.context.ownAddresses.contains(way.remote.address)
        else { return false }
        return connection.localAddresses.isEmpty || connection.localAddresses.contains(way.local.address)
    }

    /// The initiator says that it is where its request came from.
    static func acceptUpdate(_ payloads: [Payload], along way: Path, of sa: IKESA) {
        var next = sa.detectingNAT(in: payloads, along: sa.path.moved(to: way))
        // Who has a TCP connection has shown that it is there (RFC 9329 section 7.1).
        if way.stream == nil { next.doubt(since: sa.path) } else { next.believe() }
        sa.tell(.received, "UPDATE_SA_ADDRESSES: the peer is at \(next.remote)")
        let isElsewhere = next.remote.address != sa.path.remote.address
        if isElsewhere, way.stream == nil, sa.connection?.checksReturnRoutability ?? true {
            check(next, patience: nil, of: sa)
        } else {
            sa.slots[Self.self]?.check = nil
            sa.changePath(to: next)
            sa.relaunch()
        }
    }
}
