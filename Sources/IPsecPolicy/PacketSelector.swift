import IPPacket

/// What a packet is matched by: addresses, next layer protocol and ports (RFC 4301, section 4.4.1.1).
public struct PacketSelector: Hashable, Sendable {
    /// What the two port fields hold.
    public enum Ports: UInt8, Hashable, Sendable {
        /// The protocol has none.
        case none
        /// Ports of TCP, UDP, UDP-Lite, DCCP or SCTP.
        case ports
        /// Both hold the type (high octet) and code (low octet) of ICMP or ICMPv6; of a mobility header just the type.
        case typeAndCode
        /// The protocol may have them, but they are not in this packet: a fragment other than the first, or one cut short.
        case hidden
    }

    public let source: IPAddress
    public let destination: IPAddress
    /// Next layer protocol, IPv6 extension headers skipped; 0 if a fragment does not show it.
    public let ipProtocol: UInt8
    public let ports: Ports
    public let sourcePort: UInt16
    public let destinationPort: UInt16
    /// The class of the packet, 0 to 63, where a policy asks for it; 0 elsewhere.
    public var dscp: UInt8 = 0

    public init(
        source: IPAddress, destination: IPAddress, ipProtocol: UInt8, ports: Ports = .none, sourcePort: UInt16 = 0,
        destinationPort: UInt16 = 0
    ) {
        self.source = source
        self.destination = destination
        self.ipProtocol = ipProtocol
        self.ports = ports
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
    }

    /// Reads the selectors of a packet; `nil` if it is malformed: no whole IP packet, or with IPv6 extension headers that
    /// are cut off or too many.
    public init?(_ packet: UnsafeRawBufferPointer) {
        guard let header = IPHeader(packet) else { return nil }
        self.init(header, in: packet)
    }

    /// The same for a packet whose header has been read already.
    public init?(_ header: IPHeader, in packet: UnsafeRawBufferPointer) {
        guard let upper = header.upperLayer(in: packet), let base = packet.baseAddress else { return nil }
        source = header.source
        destination = header.destination
        ipProtocol = upper.ipProtocol
        let left = upper.isLaterFragment ? 0 : header.totalLength - upper.offset
        switch upper.ipProtocol {
        case IPProtocol.tcp, IPProtocol.udp, IPProtocol.sctp, IPProtocol.udpLite, IPProtocol.dccp:
            ports = left >= 4 ? .ports : .hidden
            sourcePort = left >= 4 ? base.networkUInt16(at: upper.offset) : 0
            destinationPort = left >= 4 ? base.networkUInt16(at: upper.offset + 2) : 0
        case IPProtocol.icmp, IPProtocol.icmpv6:
            ports = left >= 2 ? .typeAndCode : .hidden
            sourcePort = left >= 2 ? base.networkUInt16(at: upper.offset) : 0
            destinationPort = sourcePort
        case IPProtocol.mobility:
            ports = left >= 3 ? .typeAndCode : .hidden
            sourcePort = left >= 3 ? UInt16(base.octet(at: upper.offset + 2)) << 8 : 0
            destinationPort = sourcePort
        default:
            ports = upper.ipProtocol == 0 ? .hidden : .none
            sourcePort = 0
            destinationPort = 0
        }
    }

    public var family: IPFamily { source.family }

    /// The selector of just this packet's source: what an initiator puts first in TSi or TSr when a packet makes it
    /// negotiate (RFC 7296, section 2.9).
    public var sourceSelector: TrafficSelector { selector(source, sourcePort) }
    public var destinationSelector: TrafficSelector { selector(destination, destinationPort) }

    private func selector(_ address: IPAddress, _ port: UInt16) -> TrafficSelector {
        switch ports {
        case .ports, .typeAndCode: TrafficSelector(IPPrefix(address), ipProtocol: ipProtocol, ports: port...port)
        case .none, .hidden: TrafficSelector(IPPrefix(address), ipProtocol: ipProtocol)
        }
    }
}

extension PacketSelector: CustomStringConvertible {
    /// For example `10.1.0.2:40000 -> 10.2.0.2:80 tcp` or `10.1.0.2 -> 10.2.0.2 icmp 8/0`.
    public var description: String {
        let name = TrafficSelector.protocolName(ipProtocol)
        return switch ports {
        case .none: "\(source) -> \(destination) \(name)"
        case .hidden: "\(source) -> \(destination) \(name) fragment"
        case .typeAndCode: "\(source) -> \(destination) \(name) \(sourcePort >> 8)/\(sourcePort & 0xff)"
        case .ports:
            "\(SocketAddress(source, port: sourcePort)) -> \(SocketAddress(destination, port: destinationPort)) \(name)"
        }
    }
}
