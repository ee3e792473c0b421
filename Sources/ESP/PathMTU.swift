import IPPacket
import Octets

/// The MTU of the path to a peer: that of our link until an ICMP error says less.
///
/// ICMP errors are not authenticated, so they are believed within bounds only: for an SPI that we send with, never below
/// what every path carries, never above the link, and for a limited time (RFC 4301, section 8.2; RFC 1191, section 6.3).
public struct PathMTU: Hashable, Sendable {
    /// Octets of the largest packet the link takes, IP header included.
    public let linkMTU: Int
    /// Smaller claims are not believed: 576 octets for IPv4, 1280 for IPv6.
    public let minimum: Int
    /// How long a claim holds.
    public static let timeToLive: Duration = .seconds(600)

    /// What the peer that opens the packets has said of them, by IKE; smaller values than ``minimum`` are not followed.
    public var limit: Int?
    private var learnt: Int?
    private var expiry = Instant.origin

    public init(_ family: IPFamily, linkMTU: Int) {
        minimum = family == .v4 ? 576 : 1280
        self.linkMTU = max(linkMTU, minimum)
    }

    /// Octets of the largest packet to send.
    public func value(at now: Instant) -> Int {
        let told = min(limit.map { max($0, minimum) } ?? linkMTU, linkMTU)
        guard let learnt, now < expiry else { return told }
        return min(learnt, told)
    }

    /// Takes a claim that a packet was too big.
    ///
    /// - Parameters:
    ///   - claim: the next hop's MTU in the ICMP error.
    ///   - quotedSPI: the SPI of the ESP packet quoted there, and `spi` the one we send with to this peer.
    /// - Returns: whether the path's MTU is now less than before.
    public mutating func learn(_ claim: Int, quotedSPI: UInt32, sending spi: UInt32, at now: Instant) -> Bool {
        let current = value(at: now)
        guard quotedSPI == spi, claim >= minimum, claim <= current, claim < linkMTU else { return false }
        learnt = claim
        expiry = now + Self.timeToLive
        return claim < current
    }
}
