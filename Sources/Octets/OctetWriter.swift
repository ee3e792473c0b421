/// Appends big-endian fields to an array of octets.
public struct OctetWriter: Sendable {
    public private(set) var octets: [UInt8]

    public init(reservingCapacity capacity: Int = 0) {
        octets = []
        octets.reserveCapacity(capacity)
    }

    public var count: Int { octets.count }

    /// Begins anew, in the same memory.
    public mutating func removeAll() { octets.removeAll(keepingCapacity: true) }

    public mutating func write(_ value: UInt8) { octets.append(value) }

    public mutating func write(_ value: UInt16) {
        octets.append(UInt8(truncatingIfNeeded: value >> 8))
        octets.append(UInt8(truncatingIfNeeded: value))
    }

    public mutating func write(_ value: UInt32) {
        write(UInt16(truncatingIfNeeded: value >> 16))
        write(UInt16(truncatingIfNeeded: value))
    }

    public mutating func write(_ value: UInt64) {
        write(UInt32(truncatingIfNeeded: value >> 32))
        write(UInt32(truncatingIfNeeded: value))
    }

    public mutating func write(_ values: some Sequence<UInt8>) { octets.append(contentsOf: values) }

    public mutating func write(zeros count: Int) { octets.append(contentsOf: repeatElement(0, count: count)) }

    /// Overwrites two octets at `offset` with the low 16 bits of `value`: for lengths known only at the end.
    public mutating func overwrite(at offset: Int, with value: UInt16) {
        octets[offset] = UInt8(truncatingIfNeeded: value >> 8)
        octets[offset + 1] = UInt8(truncatingIfNeeded: value)
    }

    /// Overwrites four octets at `offset` with `value`.
    public mutating func overwrite(at offset: Int, with value: UInt32) {
        overwrite(at: offset, with: UInt16(truncatingIfNeeded: value >> 16))
        overwrite(at: offset + 2, with: UInt16(truncatingIfNeeded: value))
    }

    public mutating func overwrite(at offset: Int, with value: UInt8) { octets[offset] = value }
}

extension FixedWidthInteger {
    /// The octets of the integer, most significant first.
    public var bigEndianOctets: [UInt8] {
        withUnsafeBytes(of: bigEndian) { Array($0) }
    }
}
