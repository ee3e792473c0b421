/// The ECN field (RFC 3168): the low two bits of TOS or traffic class.
public enum ECN: UInt8, Hashable, Sendable, CaseIterable {
    /// Not ECN-capable transport.
    case notECT = 0b00
    case ect1 = 0b01
    case ect0 = 0b10
    /// Congestion experienced.
    case ce = 0b11

    @inlinable
    public init(trafficClass: UInt8) {
        switch trafficClass & 0b11 {
        case 0b00: self = .notECT
        case 0b01: self = .ect1
        case 0b10: self = .ect0
        default: self = .ce
        }
    }

    /// The inner ECN field when a packet leaves a tunnel (RFC 6040, section 4.2, figure 4).
    ///
    /// - Returns: the field to forward; `nil` if the packet must be dropped, because congestion was signalled on a packet
    ///   whose sender would not hear of it.
    @inlinable
    public static func decapsulated(inner: ECN, outer: ECN) -> ECN? {
        switch (inner, outer) {
        case (.notECT, .ce): nil
        case (.notECT, _): .notECT
        case (.ce, _), (_, .ce): .ce
        case (.ect0, .ect1): .ect1
        case (.ect0, _): .ect0
        case (.ect1, _): .ect1
        }
    }

    /// Whether RFC 6040, figure 4, has the combination as one that no honest path makes now, worth counting.
    @inlinable
    public static func isSuspicious(inner: ECN, outer: ECN) -> Bool {
        switch (inner, outer) {
        case (.notECT, .ect0), (.notECT, .ect1), (.notECT, .ce), (.ect1, .ect0), (.ce, .ect1): true
        default: false
        }
    }
}

/// TOS and traffic class of packets in memory.
package enum TrafficClass {
    /// The field of a packet whose first two octets are there.
    @inlinable @inline(__always)
    package static func read(_ packet: UnsafeRawPointer, _ family: IPFamily) -> UInt8 {
        family == .v4
            ? packet.octet(at: 1) : UInt8(truncatingIfNeeded: packet.networkUInt16(at: 0) >> 4)
    }

    /// Sets the ECN bits and leaves DSCP; the header checksum of IPv4 follows.
    @inlinable
    package static func setECN(_ ecn: ECN, in packet: UnsafeMutableRawPointer, _ family: IPFamily) {
        let old = UnsafeRawPointer(packet).networkUInt16(at: 0)
        switch family {
        case .v4:
            let new = old & 0xfffc | UInt16(ecn.rawValue)
            guard new != old else { return }
            let checksum = UnsafeRawPointer(packet).networkUInt16(at: 10)
            packet.storeNetwork(new, at: 0)
            packet.storeNetwork(InternetChecksum.updated(checksum, replacing: old, with: new), at: 10)
        case .v6:
            packet.storeNetwork(old & 0xffcf | UInt16(ecn.rawValue) << 4, at: 0)
        }
    }
}
