// Fields of packets are big-endian and stand at any alignment.

extension UnsafeRawPointer {
    @inlinable @inline(__always)
    package func networkUInt16(at offset: Int) -> UInt16 {
        UInt16(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    @inlinable @inline(__always)
    package func networkUInt32(at offset: Int) -> UInt32 {
        UInt32(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    @inlinable @inline(__always)
    package func networkUInt128(at offset: Int) -> UInt128 {
        let high = UInt64(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        let low = UInt64(bigEndian: loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self))
        return UInt128(high) << 64 | UInt128(low)
    }

    @inlinable @inline(__always)
    package func octet(at offset: Int) -> UInt8 { load(fromByteOffset: offset, as: UInt8.self) }
}

extension UnsafeMutableRawPointer {
    @inlinable @inline(__always)
    package func storeNetwork(_ value: UInt16, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
    }

    @inlinable @inline(__always)
    package func storeNetwork(_ value: UInt32, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }

    @inlinable @inline(__always)
    package func storeNetwork(_ value: UInt64, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt64.self)
    }

    /// Writes an address as its 4 or 16 octets.
    @inlinable @inline(__always)
    package func storeNetwork(_ address: IPAddress, at offset: Int) {
        switch address.family {
        case .v4: storeNetwork(UInt32(truncatingIfNeeded: address.value), at: offset)
        case .v6: storeBytes(of: address.value.bigEndian, toByteOffset: offset, as: UInt128.self)
        }
    }

    @inlinable @inline(__always)
    package func storeOctet(_ value: UInt8, at offset: Int) {
        storeBytes(of: value, toByteOffset: offset, as: UInt8.self)
    }
}
