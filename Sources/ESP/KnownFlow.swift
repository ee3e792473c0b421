import IPPacket

/// The flow of the packet that last lay within the selectors of an association: others of it do so as well, and are not taken
/// apart again. Of TCP and UDP, without options or extension headers, unfragmented.
struct KnownFlow: Sendable {
    /// Source and destination; an IPv4 pair in the first.
    private var addresses: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    private var ports: UInt32 = 0
    /// 0 as long as there is none.
    private var ipProtocol: UInt8 = 0
    private var family = IPFamily.v4

    /// Octets of the IP packet if it is of the flow and whole.
    ///
    /// - Parameter available: octets that are there.
    @inline(__always)
    func count(of packet: UnsafeRawPointer, _ available: Int, _ family: IPFamily) -> Int? {
        guard ipProtocol != 0, family == self.family, Self.isPlain(packet, available, family) else { return nil }
        let count: Int
        switch family {
        case .v4:
            guard packet.octet(at: 9) == ipProtocol, Self.word(packet, 12) == addresses.0,
                packet.loadUnaligned(fromByteOffset: 20, as: UInt32.self) == ports
            else { return nil }
            count = Int(packet.networkUInt16(at: 2))
        case .v6:
            guard packet.octet(at: 6) == ipProtocol, Self.word(packet, 8) == addresses.0,
                Self.word(packet, 16) == addresses.1, Self.word(packet, 24) == addresses.2,
                Self.word(packet, 32) == addresses.3,
                packet.loadUnaligned(fromByteOffset: 40, as: UInt32.self) == ports
            else { return nil }
            count = IPHeader.v6Length + Int(packet.networkUInt16(at: 4))
        }
        // The ports have to belong to it.
        return count <= available && count >= IPHeader.minimumLength(family) + 4 ? count : nil
    }

    /// - Parameter count: octets of a packet that lies within the selectors.
    @inline(__always)
    mutating func remember(_ packet: UnsafeRawPointer, _ count: Int, _ family: IPFamily) {
        guard count >= IPHeader.minimumLength(family) + 4, Self.isPlain(packet, count, family) else { return }
        self.family = family
        switch family {
        case .v4:
            ipProtocol = packet.octet(at: 9)
            addresses.0 = Self.word(packet, 12)
            ports = packet.loadUnaligned(fromByteOffset: 20, as: UInt32.self)
        case .v6:
            ipProtocol = packet.octet(at: 6)
            addresses = (Self.word(packet, 8), Self.word(packet, 16), Self.word(packet, 24), Self.word(packet, 32))
            ports = packet.loadUnaligned(fromByteOffset: 40, as: UInt32.self)
        }
    }

    @inline(__always)
    private static func isPlain(_ packet: UnsafeRawPointer, _ available: Int, _ family: IPFamily) -> Bool {
        guard available >= IPHeader.minimumLength(family) + 4 else { return false }
        let ipProtocol: UInt8
        switch family {
        case .v4:
            guard packet.octet(at: 0) == 0x45, packet.networkUInt16(at: 6) & 0x3fff == 0 else { return false }
            ipProtocol = packet.octet(at: 9)
        case .v6:
            guard packet.octet(at: 0) >> 4 == 6 else { return false }
            ipProtocol = packet.octet(at: 6)
        }
        return ipProtocol == IPProtocol.tcp || ipProtocol == IPProtocol.udp
    }

    @inline(__always)
    private static func word(_ packet: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        packet.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }
}
