import CLinux
import Glibc
import IPPacket
import TLS

// What comes.
extension StreamThread {
    /// Reads from one connection before others have their turn.
    private static let turns = 4
    /// Octets of one that has not proved who it is, in one turn: what can be made of them costs little time.
    private static let strangerShare = 16 << 10
    /// Octets that a packet takes in the ring to its worker for each that it has in the stream, at most.
    private static let spread = 8
    /// So many rounds in a row nothing is read because a worker has no room; then what comes for it is dropped.
    private static let patience = 40

    mutating func read(_ connection: StreamConnection) {
        // It is ready the next time, too.
        if connection.phase == .securing, handshakeTime <= 0 { return }
        for _ in 0..<(connection.isProved ? Self.turns : 1) {
            guard let share = share(of: connection) else { return }
            let count = recv(connection.descriptor, input.baseAddress, share, Int32(MSG_DONTWAIT))
            guard count > 0 else {
                if count < 0, errno == EAGAIN || errno == EINTR { return }
                let fault = StreamFault(errno: errno)
                return end(connection, count == 0 ? connection.reasonOfEnd : "\(fault.reason)\(connection.hint)")
            }
            statistics.octetsIn &+= UInt64(count)
            connection.hasHeard = true
            // Of one that is about to be closed nothing is wanted any more.
            guard connection.phase == .open || connection.phase == .securing else { continue }
            let octets = UnsafeRawBufferPointer(rebasing: input[..<count])
            if let session = connection.session {
                take(octets, connection, session)
            } else {
                take(octets, connection)
            }
            guard connections[connection.stream.rawValue] != nil else { return }
            if count < share { return }
        }
    }

    /// How many octets are read at once; `nil`: none, as some worker would have no room for the packets in them. TCP has the peer wait as
    /// long as nothing is read. For a stranger's sake nobody is waited for.
    private mutating func share(of connection: StreamConnection) -> Int? {
        guard connection.isProved else { return Self.strangerShare }
        let share = ways.inbound.reduce(input.count) { min($0, $1.room / Self.spread) }
        if share >= Self.strangerShare {
            roundsHeldBack = 0
            return share
        }
        isHeldBack = true
        return roundsHeldBack < Self.patience ? nil : Self.strangerShare
    }

    /// Takes what TLS is around.
    private mutating func take(
        _ octets: UnsafeRawBufferPointer, _ connection: StreamConnection, _ session: TLSSession
    ) {
        let before = connection.phase == .securing ? cygnet_monotonic_nanoseconds() : nil
        do throws(TLSFailure) {
            try session.taking(octets) { () throws(TLSFailure) in
                while connections[connection.stream.rawValue] != nil {
                    let count = try session.next(into: opened)
                    if connection.phase == .securing, session.isEstablished { begin(connection) }
                    guard let count else { return }
                    guard count > 0 else { return end(connection, "the peer has ended TLS") }
                    take(UnsafeRawBufferPointer(rebasing: opened[..<count]), connection)
                }
            }
            // It may have to be answered: the handshake, or new keys.
            touched.insert(connection.stream.rawValue)
        } catch {
            statistics.unsecured &+= 1
            end(connection, error.reason)
        }
        if let before { handshakeTime -= cygnet_monotonic_nanoseconds() - before }
    }

    /// Takes octets of the stream that RFC 9329 section 3 describes.
    private mutating func take(_ octets: UnsafeRawBufferPointer, _ connection: StreamConnection) {
        guard connection.phase == .open else { return }
        var framing = connection.framing
        connection.framing = StreamFraming(awaitsPrefix: false)
        do throws(StreamFraming.Fault) {
            try framing.take(octets) { kind, message in take(kind, message, connection) }
        } catch {
            statistics.malformed &+= 1
            return end(connection, error.rawValue)
        }
        connection.framing = framing
    }

    private mutating func take(
        _ kind: StreamFraming.Kind, _ message: UnsafeRawBufferPointer, _ connection: StreamConnection
    ) {
        // The connection may have been ended by a message before.
        guard connections[connection.stream.rawValue] != nil, connection.phase == .open else { return }
        switch kind {
        case .malformed:
            // TCP brings what was sent: lengths are wrong, or the peer is (RFC 9329 section 6.1).
            statistics.malformed &+= 1
            end(connection, "a message is too short for what it is")
        case .ike:
            statistics.messagesIn &+= 1
            if !connection.isTrusted {
                if connection.messages == 0 { set(connection, deadline: configuration.streamLimits.proof) }
                connection.messages += 1
                guard connection.messages <= configuration.streamLimits.messages else {
                    return end(connection, "too many messages without a proof of who the peer is")
                }
            }
            events.emit(
                ReceivedDatagram(
                    octets: Array(message), local: connection.local, remote: connection.remote, nonESPMarker: true,
                    rank: connection.isProved ? .known : .unchecked, stream: connection.stream))
        case .esp: handOver(message, connection)
        }
    }

    private mutating func handOver(_ packet: UnsafeRawBufferPointer, _ connection: StreamConnection) {
        guard let from = packet.baseAddress else { return }
        let owner = Team.owner(from.networkUInt32(at: 0), of: ways.inbound.count)
        var datagram = cygnet_datagram()
        datagram.address(from: connection.local.address, to: connection.remote)
        datagram.count = UInt32(truncatingIfNeeded: packet.count)
        datagram.stream = connection.stream.rawValue
        let handed = HandedDatagram(datagram: datagram, header: 0, port: connection.local.port, isInUDP: true)
        statistics.packetsIn &+= 1
        let isTaken = ways.inbound[owner].push(HandedDatagram.size + packet.count) { place in
            place.storeBytes(of: handed, as: HandedDatagram.self)
            (place + HandedDatagram.size).copyMemory(from: from, byteCount: packet.count)
        }
        given |= 1 << UInt64(owner)
        if !isTaken { statistics.packetsDropped &+= 1 }
    }

    /// Wakes the inbound workers that have been handed something.
    mutating func wake() {
        while given != 0 {
            wakeups[given.trailingZeroBitCount].signal()
            given &= given - 1
        }
    }
}

extension StreamConnection {
    /// Why a peer may have closed or cut the connection as it is now.
    var hint: String {
        if phase == .securing {
            return " while TLS was being agreed upon\(stream.isAccepted ? "" : ": its port may be one without")"
        }
        guard session == nil, !stream.isAccepted, phase == .open else { return "" }
        if framing.mayBeTLS { return ", and answers with TLS: its port may be one with" }
        return hasHeard ? "" : " without a word: its port may be one with TLS"
    }

    var reasonOfEnd: String { "the peer has closed it\(hint)" }
}
