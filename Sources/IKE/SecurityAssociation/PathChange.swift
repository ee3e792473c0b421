import IKEMessage
import IPPacket
import Octets

// Where the peer is, and what changes when that is elsewhere.
extension IKESA {
    /// The way of a request of ours; extensions may know another than the SA's.
    ///
    /// - Parameter attempt: how often it has been sent already.
    func wayOfRequest(attempt: Int) -> Path {
        for owner in Extensions.all {
            if let way = owner.wayOfRequest(attempt: attempt, of: self) { return way }
        }
        return path
    }

    /// Sends the request that waits for its answer once more, as if for the first time.
    func relaunch() {
        guard let outstanding = window.outstanding else { return }
        window.outstanding?.attempt = 0
        window.outstanding?.resendAt = context.now + timing.retransmission.wait(afterAttempt: 0)
        transmitRequest(outstanding.datagrams, attempt: 0)
    }

    /// Sends a request, or a repetition of it. A TCP connection loses nothing, so that no request goes twice by the same (RFC 9329
    /// section 6.2).
    func transmitRequest(_ datagrams: [[UInt8]], attempt: Int) {
        let way = wayOfRequest(attempt: attempt)
        if let stream = way.stream, window.outstanding?.streams.insert(stream).inserted == false { return }
        transmit(datagrams, along: way, attempt: attempt)
    }

    /// Takes in the way that a new and authentic message came by. A peer behind a NAT is followed to where it is now
    /// (RFC 7296 section 2.23), but to another address not before it has authenticated: until then it is where the
    /// exchange that began the SA came from, as it must have got the answer there.
    func follow(_ datagram: IKEDatagram, isResponse: Bool) {
        guard !datagram.way.hasSameEnds(as: path) else { return }
        guard !Extensions.all.contains(where: { $0.follow(datagram, isResponse: isResponse, of: self) }) else { return }
        // A responder also follows the initiator's change to the NAT traversal port.
        guard path.isPeerBehindNAT || (!isEstablished && !isInitiator) else { return }
        guard datagram.remote != path.remote || datagram.nonESPMarker != path.usesNATPort else { return }
        var next = path.moved(to: datagram.way)
        if !isEstablished {
            next.local.address = path.local.address
            next.remote.address = path.remote.address
        }
        next.doubt(since: path)
        changePath(to: next)
    }

    /// Authentic ESP came from elsewhere: the NAT's mapping, which IKE shares, has changed, or the peer has another TCP connection.
    ///
    /// - Parameter isNewestOfAll: whether the packet is newer than all others of its association. In a subspace that is seldom used it may
    ///   be an old one that somebody has held back: there only what the peer itself says moves it.
    func follow(espFrom remote: SocketAddress, by stream: StreamID?, isNewestOfAll: Bool) {
        if stream != path.stream {
            _ = Extensions.all.contains { $0.follow(espFrom: remote, by: stream, of: self) }
            return
        }
        guard stream == nil else { return }
        guard path.isPeerBehindNAT, path.usesNATPort, remote != path.remote else { return }
        guard !Extensions.all.contains(where: { $0.follow(espFrom: remote, by: nil, of: self) }), isNewestOfAll else {
            return
        }
        var next = path
        next.remote = remote
        next.doubt(since: path)
        changePath(to: next)
        runNextTask()
    }

    /// From now on the SA uses these addresses.
    ///
    /// - Parameter withChildren: whether packets take that way as well, at once.
    func changePath(to next: Path, withChildren: Bool = true) {
        let before = path
        path = next
        // Who has authenticated is no stranger on the connection that the SA goes by.
        if isEstablished, let stream = next.stream, stream != before.stream {
            context.emit(.trustStream(stream))
        }
        if let connection, isEstablished, !next.hasSameEnds(as: before) {
            context.emit(
                .pathChanged(connection: connection.name, localSPI: localSPI, local: next.local, remote: next.remote))
        }
        if withChildren { moveChildren() }
    }

    /// Brings the children to the SA's own path, as far as they are not there. Those in transport mode are for two hosts,
    /// and end when an end of the path is another.
    func moveChildren() {
        let path = path
        let moved = withEstablished { established in
            established.children.indices.compactMap { index -> ChildSADescription? in
                guard !established.children[index].description.isForOtherHosts(than: path),
                    established.children[index].description.take(path)
                else { return nil }
                return established.children[index].description
            }
        }
        for description in moved ?? [] {
            context.emit(
                .updateAddresses(
                    inboundSPI: description.inboundSPI, local: description.local, remote: description.remote,
                    isEncapsulatedInUDP: description.isEncapsulatedInUDP, stream: description.stream))
        }
        deleteChildrenOfOtherHosts()
    }

    /// Plans to delete the children in transport mode that are not between the ends of the path. Nothing is begun yet.
    func deleteChildrenOfOtherHosts() {
        let path = path
        _ = withEstablished { established in
            for index in established.children.indices {
                let child = established.children[index]
                guard child.description.isForOtherHosts(than: path), child.state != .deleting else { continue }
                established.children[index].state = .deleting
                established.tasks.append(
                    .deleteChild(inboundSPI: child.inboundSPI, reason: "an end of the IKE SA has another address"))
            }
        }
    }

    /// The two NAT detection notifications, for a message of an SA that goes that way (RFC 7296 section 2.23).
    func natDetectionPayloads(along way: Path) -> [Payload] {
        way.natDetectionPayloads(
            initiatorSPI, responderSPI,
            pretendingNAT: forcesUDP && way.stream == nil ? context.randomOctets(20) : nil)
    }

    /// `way` with the NATs that the peer's notifications tell of; what it knew of them stays if there are none.
    func detectingNAT(in payloads: [Payload], along way: Path) -> Path {
        var detected = way
        guard detected.detectNAT(in: payloads, initiatorSPI, responderSPI) else { return way }
        // We have announced a NAT that is not there: the peer takes to UDP, and so must we.
        if forcesUDP, way.stream == nil { detected.isBehindNAT = true }
        return detected
    }

    private var forcesUDP: Bool { connection?.encapsulation == .udp }
}

extension ChildSADescription {
    /// Whether the child is in transport mode, and between other hosts than the ends of the path.
    fileprivate func isForOtherHosts(than path: Path) -> Bool {
        guard case .transport(let hosts) = mode else { return false }
        return hosts.local != path.local.address || hosts.remote != path.remote.address
    }

    /// Goes over to a path; false if it is there already.
    fileprivate mutating func take(_ path: Path) -> Bool {
        guard
            local != path.local || remote != path.remote || isEncapsulatedInUDP != path.encapsulatesESP
                || stream != path.stream
        else { return false }
        // What was said of the old way does not hold for another.
        if local.address != path.local.address || remote.address != path.remote.address { outerPath.largestWhole = nil }
        local = path.local
        remote = path.remote
        isEncapsulatedInUDP = path.encapsulatesESP
        stream = path.stream
        return true
    }
}
