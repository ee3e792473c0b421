import ESP
import IPPacket
import IPsecPolicy
import TLS

/// What carries the packets: installs security associations and policies, moves datagrams between the network and the
/// inside, and reports what it sees.
///
/// Calls may come from any thread. They return once the kernel has what it needs; workers take changes of security
/// associations over in the order of the calls.
public protocol Dataplane: Sendable {
    /// Opens sockets and device and begins to work. Blocking rules a killed predecessor left stay in force until the
    /// first ``apply(_:)``, which takes them over.
    ///
    /// - Parameter screen: is asked about every datagram of IKE.
    /// - Throws: ``DataplaneError`` with the resource that could not be had.
    func start(screen: (any DatagramScreen)?) throws(DataplaneError)

    /// Ends all work and removes rules, routes, addresses and devices. Events end.
    ///
    /// - Parameter keepsBlocking: leaves the rules and routes that block protected traffic, as a killed process does: for an
    ///   end that nobody asked for.
    func stop(keepsBlocking: Bool)

    /// What happened to security associations. Bounded: what nobody takes in time is dropped and counted in
    /// ``DataplaneStatistics/eventsDropped``. There is one stream for one reader.
    var events: AsyncStream<DataplaneEvent> { get }

    /// The datagrams of IKE, bounded in the same way but apart, so that a flood of them does not displace events; those of IKE
    /// SAs there are come first. There is one queue for one reader.
    var datagrams: RankedQueue<ReceivedDatagram> { get }

    /// Sends an IKE datagram; a datagram that cannot be sent is lost and counted, as on any network.
    ///
    /// - Parameters:
    ///   - local: the port selects the socket, the address becomes the source; an unspecified address leaves the choice
    ///     to the kernel.
    ///   - nonESPMarker: puts four zero octets in front, as RFC 3948, section 2.2, wants on the NAT port.
    func send(_ datagram: [UInt8], from local: SocketAddress, to remote: SocketAddress, nonESPMarker: Bool)

    /// Sends the keepalive of one octet 0xFF (RFC 3948, section 2.3) from the NAT port.
    func sendKeepalive(from local: SocketAddress, to remote: SocketAddress)

    /// Accepts TCP connections that carry IKE and ESP (RFC 9329) on these ports and no others. Who has one keeps it.
    ///
    /// - Parameter callsOut: whether connections will be opened from here as well, so that their answers are to be let in.
    func listen(onStreams ports: StreamPorts, callsOut: Bool)

    /// Opens such a connection; tells what comes of it by ``DataplaneEvent/streamOpened(_:local:)`` or
    /// ``DataplaneEvent/streamLost(_:reason:)``.
    ///
    /// - Parameters:
    ///   - local: an unspecified address leaves the source to the kernel.
    ///   - settings: how TLS around the stream is agreed upon; `nil`: there is none.
    func openStream(
        _ stream: StreamID, from local: IPAddress, to remote: SocketAddress, tls settings: TLSClientSettings?)

    /// The peer has proved on this connection who it is: until then a connection that the peer has opened lasts half a minute.
    func trustStream(_ stream: StreamID)

    /// Nobody uses the connection any more. One of ours is closed when all has been sent; a peer that has opened it has a moment for that.
    func closeStream(_ stream: StreamID)

    /// Sends an IKE message by a connection; one that is gone loses it.
    func send(_ message: [UInt8], by stream: StreamID)

    /// Makes `policies` the whole security policy database, in this order. Rules in the kernel are brought to match
    /// without a moment in which protected traffic could leave in clear.
    ///
    /// - Throws: ``DataplaneError`` if the kernel refuses; rules then protect at least what they did before.
    func apply(_ policies: [InstalledPolicy]) throws(DataplaneError)

    /// Looks whether what keeps out clear text is still in the kernel, and makes it again, with a warning, if somebody has
    /// removed it: firewalls that are reloaded may do so. To be called now and then.
    func restoreFilter()

    /// Replaces the addresses the device itself carries, such as those a peer assigned by configuration payload.
    func setAddresses(_ addresses: [IPPrefix]) throws(DataplaneError)

    /// Begins to receive on an association. Its SPI selects the slot: the low 16 bits are its index in the table, so two
    /// live associations never share them.
    ///
    /// - Throws: ``DataplaneError`` if keys do not fit the algorithms, the SPI is below 256 or its slot is taken.
    func installInbound(_ sa: SAParameters, policy: UInt32) throws(DataplaneError)

    /// Begins to send on an association: from now on traffic of the policy that lies within its selectors goes there,
    /// and an older association of the policy is used only for what the newer one cannot carry.
    ///
    /// - Parameter inboundSPI: our SPI of the pair, by which it is known from now on. The SPI in the packets was chosen by a
    ///   peer: another peer, even one at the same address, may have chosen the same, and neither is to suffer for it.
    func activateOutbound(_ sa: SAParameters, pairedWith inboundSPI: UInt32, policy: UInt32) throws(DataplaneError)

    func removeInbound(spi: UInt32)
    func removeOutbound(pairedWith inboundSPI: UInt32)

    /// Moves a pair of associations to new outer addresses (NAT rebinding, MOBIKE), on which it may be encapsulated otherwise, or to
    /// another TCP connection.
    func updateAddresses(
        inboundSPI: UInt32, local: SocketAddress, remote: SocketAddress, encapsulation: Encapsulation,
        stream: StreamID?)

    /// Takes what the peer says of the way that a pair's packets take to it.
    func updatePath(inboundSPI: UInt32, _ path: OuterPath)

    func counters() async -> [SACountersReport]
    func statistics() async -> DataplaneStatistics
}

extension Dataplane {
    /// Begins to work; datagrams of IKE go up unseen.
    public func start() throws(DataplaneError) { try start(screen: nil) }

    /// Ends all work and removes everything from the kernel.
    public func stop() { stop(keepsBlocking: false) }

    /// Nothing, where nothing in the kernel keeps out clear text.
    public func restoreFilter() {}

    // A data plane without TCP connections.
    public func listen(onStreams ports: StreamPorts, callsOut: Bool) {}
    public func openStream(
        _ stream: StreamID, from local: IPAddress, to remote: SocketAddress, tls settings: TLSClientSettings?
    ) {}
    public func trustStream(_ stream: StreamID) {}
    public func closeStream(_ stream: StreamID) {}
    public func send(_ message: [UInt8], by stream: StreamID) {}

    public func updateAddresses(
        inboundSPI: UInt32, local: SocketAddress, remote: SocketAddress, encapsulation: Encapsulation
    ) {
        updateAddresses(
            inboundSPI: inboundSPI, local: local, remote: remote, encapsulation: encapsulation, stream: nil)
    }
}

/// A policy of the security policy database (RFC 4301, section 4.4.1) as the data plane is told it.
public struct InstalledPolicy: Hashable, Sendable {
    public var policy: SecurityPolicy
    /// Sources, one of each family, for traffic this host itself begins towards the remote side, if it has not chosen one.
    /// Without them the data plane takes an own address within the local selectors, when there is one.
    public var preferredSources: [IPAddress]

    public init(_ policy: SecurityPolicy, preferredSources: [IPAddress] = []) {
        self.policy = policy
        self.preferredSources = preferredSources
    }
}

/// What the data plane tells the control side.
public enum DataplaneEvent: Sendable {
    /// A packet wanted protection and there is no association for it; at most once a second for each policy.
    case acquire(policy: UInt32, packet: PacketSelector)
    /// A worker sends through another's association for want of one of its own in the same group; at most once a second for each
    /// association and worker. `inboundSPI`: ours of the pair.
    case lacksOwn(worker: Int, inboundSPI: UInt32)
    /// The first authentic packet came in on this association.
    case inboundSeen(spi: UInt32)
    /// Octets or packets have reached the limit at which to rekey. Once for each association. `inboundSPI`: ours of the pair,
    /// whichever direction it is.
    case softLimit(inboundSPI: UInt32, direction: TrafficDirection)
    /// The association may not be used further and drops what it is given.
    case hardLimit(inboundSPI: UInt32, direction: TrafficDirection)
    /// An authentic packet that was no replay came from another address or port than before (RFC 7296, section 2.23), or by another
    /// TCP connection. At most once a second for each association; the last place is told when packets go on coming from there.
    case peerMoved(spi: UInt32, remote: SocketAddress, stream: StreamID?)
    /// A TCP connection that was asked for is there, with this end of it.
    case streamOpened(StreamID, local: SocketAddress)
    /// A TCP connection could not be had, or is gone although nobody here has closed it. Of those that peers open only the ones are told
    /// whose peers have proved who they are.
    case streamLost(StreamID, reason: String)
    /// A TCP connection to this port has ended before its peer had proved who it is; limited in rate.
    case streamRefused(from: SocketAddress, port: UInt16, reason: String)
    /// Authentic packets came in fragments, or were larger than the association's ``SAParameters/largestReceived``. At most once a
    /// second for each association.
    case arrivals(spi: UInt32, ArrivalSummary)
    /// An ESP packet with an SPI of no association; limited in rate.
    case unknownSPI(spi: UInt32, local: SocketAddress, from: SocketAddress)
    /// Something in the surroundings keeps traffic from flowing, such as IP forwarding that is off; work goes on.
    case warning(String)
    /// The data plane cannot go on.
    case failed(String)
}

/// Why the data plane could not do what was asked.
public struct DataplaneError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: Hashable, Sendable {
        /// The process lacks a right: CAP_NET_ADMIN, CAP_NET_RAW or the right to bind a low port.
        case notPermitted
        /// An address, port, device or slot is in use.
        case inUse
        /// The kernel refused for another reason, or lacks something.
        case system
        /// Keys, algorithms or selectors that do not fit together.
        case invalid
        /// Called in the wrong order: not started, or stopped.
        case notRunning
    }

    public let code: Code
    /// One sentence for a person: what was tried and why it failed.
    public let reason: String

    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public var description: String { reason }
}
