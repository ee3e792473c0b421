import Octets

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The two families of addresses.
public enum IPFamily: UInt8, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    case v4 = 4
    case v6 = 6

    /// Length of an address in bits.
    public var bitWidth: Int { self == .v4 ? 32 : 128 }
    public var octetCount: Int { bitWidth / 8 }
    public var description: String { self == .v4 ? "IPv4" : "IPv6" }
}

/// An IPv4 or IPv6 address: a plain value of 128 bits and a family, cheap enough for the packet path.
public struct IPAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let family: IPFamily
    /// The address as a number; an IPv4 address occupies the low 32 bits.
    public let value: UInt128

    public init(v4 value: UInt32) {
        family = .v4
        self.value = UInt128(value)
    }

    public init(v6 value: UInt128) {
        family = .v6
        self.value = value
    }

    package init(_ family: IPFamily, _ value: UInt128) {
        self.family = family
        self.value = family == .v4 ? value & 0xffff_ffff : value
    }

    /// An address from 4 or 16 octets in network order; `nil` for any other number of octets.
    public init?(octets: some Collection<UInt8>) {
        let value = octets.prefix(16).reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
        switch octets.count {
        case 4: self.init(.v4, value)
        case 16: self.init(.v6, value)
        default: return nil
        }
    }

    /// An address in its usual notation, `192.0.2.1` or `2001:db8::1`, without zone or prefix length.
    public init?(_ text: some StringProtocol) {
        let text = String(text)
        var v4 = in_addr()
        var v6 = in6_addr()
        if inet_pton(AF_INET, text, &v4) == 1 {
            self.init(v4: UInt32(bigEndian: v4.s_addr))
        } else if inet_pton(AF_INET6, text, &v6) == 1 {
            self.init(v6: withUnsafeBytes(of: v6) { $0.reduce(UInt128(0)) { $0 << 8 | UInt128($1) } })
        } else {
            return nil
        }
    }

    /// 4 or 16 octets in network order.
    public var octets: [UInt8] {
        family == .v4 ? UInt32(truncatingIfNeeded: value).bigEndianOctets : value.bigEndianOctets
    }

    public static func unspecified(_ family: IPFamily) -> IPAddress { IPAddress(family, 0) }
    /// The address of all ones: the last of its family.
    public static func last(_ family: IPFamily) -> IPAddress { IPAddress(family, .max) }

    public var isUnspecified: Bool { value == 0 }
    /// Whether it lies in 224.0.0.0/4 or ff00::/8.
    public var isMulticast: Bool { family == .v4 ? value >> 28 == 0xe : value >> 120 == 0xff }

    /// Whether it lies in 127.0.0.0/8 or is ::1.
    public var isLoopback: Bool { family == .v4 ? value >> 24 == 127 : value == 1 }
    /// Whether it lies in 169.254.0.0/16 or fe80::/10.
    public var isLinkLocal: Bool { family == .v4 ? value >> 16 == 0xa9fe : value >> 118 == 0xfe80 >> 6 }

    /// Orders IPv4 before IPv6, then by number.
    public static func < (left: IPAddress, right: IPAddress) -> Bool {
        left.family == right.family ? left.value < right.value : left.family.rawValue < right.family.rawValue
    }

    public var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        _ = octets.withUnsafeBytes {
            inet_ntop(family == .v4 ? AF_INET : AF_INET6, $0.baseAddress, &text, socklen_t(text.count))
        }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// An address and a port of UDP or TCP.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
    public var address: IPAddress
    public var port: UInt16

    public init(_ address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    public var description: String {
        address.family == .v4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}
