// draft-ponchon-ipsecme-anti-replay-subspaces-03: sequence number subspaces of ESP.
//
// The draft's text could not be read when this was written: the number's two fields, and what senders and receivers do, follow
// draft-klassert-ipsecme-eesp, which took them over. That all 64 bits are sent, in a header of 12 octets, is inferred: the ID stands in
// the half that extended numbers do not send. This file is the only one that knows the layout.
import IPPacket

/// A sequence number with a subspace: 16 bits of the subspace's ID, then 48 bits of its counter.
///
/// In a packet, all of it follows the SPI, big-endian.
public struct SubspaceNumber: RawRepresentable, Hashable, Sendable {
    /// The whole number, as it counts for nonces and associated data.
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// - Parameters:
    ///   - subspace: the ID.
    ///   - counter: from 1 on; of a larger one than ``maximumCounter`` the low 48 bits count.
    public init(subspace: UInt16, counter: UInt64) {
        rawValue = UInt64(subspace) << Self.counterBits | counter & Self.maximumCounter
    }

    public var subspace: UInt16 { UInt16(truncatingIfNeeded: rawValue >> Self.counterBits) }
    public var counter: UInt64 { rawValue & Self.maximumCounter }

    public static let counterBits: UInt64 = 48
    /// The last number of a subspace: counters do not begin anew.
    public static let maximumCounter: UInt64 = 1 << counterBits - 1
    /// Where a sender asks for a new association.
    static let softCounter: UInt64 = 1 << 47
    /// Octets of SPI and number.
    public static let headerLength = 12

    /// Reads the number of a packet that is long enough.
    @inline(__always)
    init(_ packet: UnsafeRawPointer) {
        rawValue = UInt64(packet.networkUInt32(at: 4)) << 32 | UInt64(packet.networkUInt32(at: 8))
    }

    /// The number of a packet, from its SPI on; `nil` if it is too short for one.
    public init?(packet: UnsafeRawBufferPointer) {
        guard packet.count >= Self.headerLength, let base = packet.baseAddress else { return nil }
        self.init(base)
    }
}
