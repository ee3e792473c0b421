/// A packet of a batch that a ``PacketCipher`` works on.
public struct CipherPacket {
    /// The SPI, with which the packet begins; memory of the caller's, and of nobody else's during the call.
    public var octets: UnsafeMutableRawPointer
    /// Octets of the whole packet, from SPI to integrity check value.
    public var count: Int
    /// The whole sequence number. To open, its high bits are inferred (RFC 4303, appendix A), and count only with extended
    /// sequence numbers.
    public var sequence: UInt64
    /// What came of it: sealed and may be sent, or found authentic and opened.
    public var isGood = false

    /// - Parameters:
    ///   - octets: the SPI.
    ///   - count: octets of the whole packet.
    ///   - sequence: the whole sequence number.
    public init(octets: UnsafeMutableRawPointer, count: Int, sequence: UInt64) {
        self.octets = octets
        self.count = count
        self.sequence = sequence
    }
}

/// What a ``PacketCipher`` is for. It holds no more than that takes: an SA sends or receives, and memory for each matters.
public enum CipherUse: Hashable, Sendable {
    case sealing
    case opening
    case both

    var seals: Bool { self != .opening }
    var opens: Bool { self != .sealing }
}
