/// Classes of traffic: values of the DSCP field (RFC 2474), 0 to 63, which is the high six bits of TOS or traffic class.
public struct DSCPSet: Hashable, Sendable {
    /// One bit for each value, the lowest for 0.
    public let mask: UInt64

    public init(mask: UInt64) { self.mask = mask }

    /// `nil` if a value is above 63.
    public init?(_ values: some Sequence<UInt8>) {
        var mask: UInt64 = 0
        for value in values {
            guard value < 64 else { return nil }
            mask |= 1 << UInt64(value)
        }
        self.mask = mask
    }

    public var isEmpty: Bool { mask == 0 }
    public var count: Int { mask.nonzeroBitCount }
    /// In increasing order.
    public var values: [UInt8] { (0..<64).filter { contains($0) } }

    @inlinable
    public func contains(_ value: UInt8) -> Bool { value < 64 && mask >> UInt64(value) & 1 == 1 }

    public func intersection(_ other: DSCPSet) -> DSCPSet { DSCPSet(mask: mask & other.mask) }
    public func union(_ other: DSCPSet) -> DSCPSet { DSCPSet(mask: mask | other.mask) }
    public func subtracting(_ other: DSCPSet) -> DSCPSet { DSCPSet(mask: mask & ~other.mask) }
    public func isSubset(of other: DSCPSet) -> Bool { mask & ~other.mask == 0 }
}

extension DSCPSet: CustomStringConvertible {
    /// The values as numbers, for example `10, 12, 46`; `none` if there are none.
    public var description: String { isEmpty ? "none" : values.map(String.init).joined(separator: ", ") }
}
