/// A prefix: an address whose bits after `length` are zero.
public struct IPPrefix: Hashable, Sendable, CustomStringConvertible {
    public let address: IPAddress
    /// Length in bits, 0…32 or 0…128.
    public let length: Int

    /// `nil` if the length does not fit the family. Bits after the length are cleared.
    public init?(_ address: IPAddress, length: Int) {
        guard (0...address.family.bitWidth).contains(length) else { return nil }
        self.address = IPAddress(address.family, address.value & ~Self.hostMask(address.family, length))
        self.length = length
    }

    /// The prefix that holds just this address.
    public init(_ address: IPAddress) {
        self.address = address
        self.length = address.family.bitWidth
    }

    /// `ADDRESS/LENGTH`, or an address alone for a single host; `nil` for anything else. Host bits are cleared.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let address = IPAddress(parts[0]) else { return nil }
        switch parts.count {
        case 1: self.init(address)
        case 2:
            guard let length = Int(parts[1]), parts[1].allSatisfy(\.isNumber) else { return nil }
            self.init(address, length: length)
        default: return nil
        }
    }

    /// All addresses of a family.
    public static func all(_ family: IPFamily) -> IPPrefix {
        IPPrefix(.unspecified(family), length: 0) ?? IPPrefix(.unspecified(family))
    }

    private static func hostMask(_ family: IPFamily, _ length: Int) -> UInt128 {
        let hostBits = family.bitWidth - length
        return hostBits == 128 ? .max : (1 << UInt128(hostBits)) - 1
    }

    public var family: IPFamily { address.family }
    public var first: IPAddress { address }
    public var last: IPAddress { IPAddress(family, address.value | Self.hostMask(family, length)) }

    public func contains(_ other: IPAddress) -> Bool {
        other.family == family && first <= other && other <= last
    }

    public func contains(_ other: IPPrefix) -> Bool {
        other.family == family && other.length >= length && contains(other.address)
    }

    public var description: String { "\(address)/\(length)" }
}
