import IPPacket

/// Looks at datagrams of IKE on the thread that receives them, so that what comes in masses need not go further.
public protocol DatagramScreen: Sendable {
    /// Says what becomes of a datagram, and returns at once: packets wait meanwhile.
    ///
    /// - Parameter message: without the non-ESP marker. An answer, which is no longer, takes its place.
    func screen(_ message: inout [UInt8], from remote: SocketAddress) -> DatagramVerdict
}

/// What becomes of a datagram of IKE.
public enum DatagramVerdict: Hashable, Sendable {
    case pass(ReceivedDatagram.Rank)
    /// What has taken its place goes back to where it came from.
    case answer
    case drop
}

/// A datagram of IKE that came in, or a message by a TCP connection.
public struct ReceivedDatagram: Hashable, Sendable {
    /// What a ``DatagramScreen`` has found.
    public enum Rank: Hashable, Sendable {
        /// Of an IKE SA there is.
        case known
        /// Begins an IKE SA, and may.
        case admitted
        case unchecked
    }

    /// Without the non-ESP marker.
    public let octets: [UInt8]
    public let local: SocketAddress
    public let remote: SocketAddress
    /// Whether it came with the non-ESP marker (RFC 3948, section 2.2).
    public let nonESPMarker: Bool
    public let rank: Rank
    /// The TCP connection it came by (RFC 9329).
    public let stream: StreamID?

    init(
        octets: [UInt8], local: SocketAddress, remote: SocketAddress, nonESPMarker: Bool, rank: Rank,
        stream: StreamID? = nil
    ) {
        self.octets = octets
        self.local = local
        self.remote = remote
        self.nonESPMarker = nonESPMarker
        self.rank = rank
        self.stream = stream
    }
}
