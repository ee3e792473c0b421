import IPPacket
import IPsecPolicy
import Octets

/// What the endpoint wants done, in this order.
public enum Output: Sendable {
    case send(IKEDatagram)
    /// Begin to accept packets of a child SA. Comes before the message that lets the peer use it.
    case installInbound(ChildSADescription)
    /// Begin, or switch, to send a policy's packets through a child SA.
    case activateOutbound(ChildSADescription)
    case removeInbound(spi: UInt32)
    /// The pair is named by the SPI we chose. Peers choose the ones we send with, and two may have chosen the same.
    case removeOutbound(inboundSPI: UInt32)
    /// The peer, a NAT before it, or this host is now at another address, and packets may go in UDP or no longer. A limit that
    /// the peer has told of (``OuterPath/largestWhole``) does not hold between other addresses.
    /// `stream`: the TCP connection that packets go by, if they do.
    case updateAddresses(
        inboundSPI: UInt32, local: SocketAddress, remote: SocketAddress, isEncapsulatedInUDP: Bool, stream: StreamID?)
    /// What the peer says of the way of a pair's packets to it is now this.
    case updatePath(inboundSPI: UInt32, OuterPath)
    /// One octet 0xFF that keeps a NAT's mapping alive (RFC 3948 section 2.3).
    case sendKeepalive(from: SocketAddress, to: SocketAddress)
    /// Open a TCP connection, from a port of the system's choice, and report that it is there, or is not to be had. The stream
    /// prefix of RFC 9329 section 4 comes first on it, within TLS if that is to be around it.
    case openStream(StreamID, from: IPAddress, to: SocketAddress, tls: TLSPolicy?)
    /// A peer has proved on this connection who it is: it is no stranger's any more.
    case trustStream(StreamID)
    /// Nothing needs the connection any more. One that was opened here is closed when everything has been sent; the peer that
    /// opened the other kind has a moment to do that itself.
    case closeStream(StreamID)
    /// Makes these the addresses of ours that the connection's peer has given us; none: there are no more.
    case assignAddresses(connection: String, [IPAddress])
    /// What of the resolvers that the connection's peer has given us is to be used or shown; `nil`: there are none any more.
    case setResolvers(connection: String, ResolverPlan?)
    case compute(Job)
    /// Fetch documents, and complete the job with what came of it.
    case inquire(Job.ID, StatusInquiry)
    /// Look a host name up, and tell ``Endpoint/resolved(_:_:at:)`` what came of it.
    case resolve(String)
    case event(IKEEvent)
}

/// An IKE message on its way, or just arrived.
public struct IKEDatagram: Sendable, Hashable {
    /// The message from the IKE header on, without the non-ESP marker.
    public var octets: [UInt8]
    public var local: SocketAddress
    public var remote: SocketAddress
    /// Whether four zero octets go before the message (RFC 3948 section 2.2): it uses the NAT traversal port, or TCP.
    public var nonESPMarker: Bool
    /// The TCP connection it goes, or came, by.
    public var stream: StreamID?

    public init(
        octets: [UInt8], local: SocketAddress, remote: SocketAddress, nonESPMarker: Bool, stream: StreamID? = nil
    ) {
        self.octets = octets
        self.local = local
        self.remote = remote
        self.nonESPMarker = nonESPMarker
        self.stream = stream
    }
}

/// A child SA as the data plane needs it.
public struct ChildSADescription: Sendable {
    public var connection: String
    public var child: String
    public var policyID: UInt32
    /// The SPI in the packets we receive, chosen by us, and the one in the packets we send, chosen by the peer.
    public var inboundSPI: UInt32
    public var outboundSPI: UInt32
    public var suite: ChildSuite
    public var inboundKeys: DirectionKeys
    public var outboundKeys: DirectionKeys
    public var local: SocketAddress
    public var remote: SocketAddress
    /// ESP in UDP (RFC 3948) between ``local`` and ``remote``; otherwise protocol 50, unless there is a ``stream``.
    public var isEncapsulatedInUDP: Bool
    /// The TCP connection that ESP goes by (RFC 9329).
    public var stream: StreamID?
    public var localSelectors: [TrafficSelector]
    public var remoteSelectors: [TrafficSelector]
    public var lifetime: ChildLifetime
    public var replayWindow: Int
    public var tfcPadding: Int?
    public var copiesDSCP: Bool
    public var mode: SAMode
    /// The security label of all packets (RFC 9478). Packets do not show theirs: the selectors stand for it.
    public var securityLabel: SecurityLabel?
    /// The classes that packets may have, in both directions; `nil` for all.
    public var dscp: DSCPSet?
    /// What the peer says of the way of packets to it.
    public var outerPath = OuterPath()
    /// Octets of the largest outer packet that the peer should send; `nil` for any.
    public var largestReceived: Int?
    /// The classes that we send, as configured, and those that the peer says it sends; `nil` where nothing is said.
    public var sentDSCP: DSCPSet?
    public var peerDSCP: DSCPSet?
    /// How many sequence number subspaces there are in each direction; `nil`: sequence numbers are whole.
    public var subspaces: SubspaceCounts?
    /// Its place among SAs for the same traffic; `nil` where it is for all of it.
    public var place: ResourcePlace?
}

extension ChildSADescription {
    /// What tells the traffic apart beside its addresses, in words.
    var distinctions: [String] {
        [
            securityLabel.map { "label \($0)" },
            dscp.map { "DSCP \($0)" } ?? sentDSCP.map { "sends DSCP \($0)" },
            dscp == nil ? peerDSCP.map { "peer sends DSCP \($0)" } : nil,
        ].compactMap(\.self)
    }
}

/// What the data plane reports. SPIs are those of inbound SAs, which we chose; they stand for the pair.
public enum DataplaneReport: Sendable {
    /// A packet met a policy that has no child SA.
    case acquire(policyID: UInt32, description: String, packet: TriggerPacket? = nil)
    /// A worker of the data plane sends through this pair for want of one of its own in the same group.
    case lacksOwn(worker: Int, spi: UInt32)
    /// The first authentic packet arrived on a new inbound SA.
    case inboundSeen(spi: UInt32)
    /// Authentic packets arrived on an inbound SA since the last report: the peer is alive.
    case inboundActivity(spi: UInt32)
    /// A volume limit of a pair, in either direction: rekey.
    case softLimit(spi: UInt32)
    /// A volume limit of a pair, in either direction: it must no longer be used.
    case hardLimit(spi: UInt32)
    /// Authentic packets now come from another address or port, or by another TCP connection.
    case peerMoved(spi: UInt32, remote: SocketAddress, stream: StreamID? = nil)
    /// Authentic packets came in fragments, or were larger than the peer should send.
    case arrivals(spi: UInt32, ArrivalSummary)
    /// An SA could not be installed.
    case installationFailed(spi: UInt32, reason: String)
    /// A TCP connection of ours is there, with this end of it.
    case streamOpened(StreamID, local: SocketAddress)
    /// A TCP connection could not be had, or is gone, without our doing.
    case streamLost(StreamID, reason: String)
}
