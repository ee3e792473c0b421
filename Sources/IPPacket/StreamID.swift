/// The number of a TCP connection that carries IKE and ESP (RFC 9329), never 0. It is not used again.
///
/// Whoever opens a connection chooses its number: the IKE machine takes those below 2^63, and what accepts connections those from
/// there on, so that neither has to ask the other.
public struct StreamID: Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The first number of a connection that was accepted.
    public static let firstAccepted: UInt64 = 1 << 63

    /// Whether this host accepted the connection; otherwise it opened it.
    public var isAccepted: Bool { rawValue >= Self.firstAccepted }

    public var description: String { "\(isAccepted ? "from" : "to") peer \(rawValue & (Self.firstAccepted - 1))" }
}
