import CChecksum

/// The Internet checksum (RFC 1071): the one's complement of the one's complement sum of 16-bit words.
///
/// Sums are kept in the byte order of memory, which a one's complement sum survives, and turned at the end.
public enum InternetChecksum {
    /// The sum over `octets`, to be added to others and given to ``finish(_:)``. A single last octet counts as if a zero
    /// followed, so only the last of several parts may have an odd length.
    public static func sum(_ octets: UnsafeRawBufferPointer) -> UInt64 {
        guard var next = octets.baseAddress else { return 0 }
        var left = octets.count
        var total: UInt64 = 0
        if left >= vectorSize {
            let count = left / vectorSize * vectorSize
            total = cygnet_checksum_sum(next, count)
            next += count
            left -= count
        }
        while left >= 4 {
            total &+= UInt64(next.loadUnaligned(as: UInt32.self))
            next += 4
            left -= 4
        }
        if left >= 2 {
            total &+= UInt64(next.loadUnaligned(as: UInt16.self))
            next += 2
            left -= 2
        }
        if left == 1 {
            total &+= UInt64(UInt16(next.load(as: UInt8.self)).littleEndian)
        }
        return total
    }

    /// Copies octets and sums them up on the way, as ``sum(_:)`` does.
    public static func copy(
        _ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, count: Int
    ) -> UInt64 {
        let whole = count / vectorSize * vectorSize
        let total = whole > 0 ? cygnet_checksum_copy(target, source, whole) : 0
        let left = count - whole
        guard left > 0 else { return total }
        (target + whole).copyMemory(from: source + whole, byteCount: left)
        return total &+ sum(UnsafeRawBufferPointer(start: source + whole, count: left))
    }

    /// What the loops over vectors take at once.
    private static let vectorSize = 64

    /// The checksum, as the number to store big-endian.
    @inlinable
    public static func finish(_ sum: UInt64) -> UInt16 { ~UInt16(bigEndian: folded(sum)) }

    @inlinable
    public static func checksum(of octets: UnsafeRawBufferPointer) -> UInt16 { finish(sum(octets)) }

    @usableFromInline
    static func folded(_ sum: UInt64) -> UInt16 {
        var sum = (sum & 0xffff_ffff) &+ (sum >> 32)
        sum = (sum & 0xffff) &+ (sum >> 16)
        sum = (sum & 0xffff) &+ (sum >> 16)
        sum = (sum & 0xffff) &+ (sum >> 16)
        return UInt16(truncatingIfNeeded: sum)
    }

    /// The sum of the pseudo-header of TCP, UDP and ICMPv6 (RFC 9293, section 3.1; RFC 8200, section 8.1).
    ///
    /// - Parameter length: octets of the upper-layer header and its data.
    public static func pseudoHeaderSum(
        source: IPAddress, destination: IPAddress, ipProtocol: UInt8, length: Int
    ) -> UInt64 {
        var words = UInt64(ipProtocol) &+ UInt64(truncatingIfNeeded: length)
        words &+= numericSum(source.value) &+ numericSum(destination.value)
        return UInt64(folded(words).bigEndian)
    }

    @inline(__always)
    private static func numericSum(_ value: UInt128) -> UInt64 {
        let high = UInt64(truncatingIfNeeded: value >> 64)
        let low = UInt64(truncatingIfNeeded: value)
        return (high >> 32) &+ (high & 0xffff_ffff) &+ (low >> 32) &+ (low & 0xffff_ffff)
    }

    /// The checksum after one 16-bit word under it has changed (RFC 1624, equation 3).
    @inlinable
    public static func updated(_ checksum: UInt16, replacing old: UInt16, with new: UInt16) -> UInt16 {
        var sum = UInt32(~checksum) &+ UInt32(~old) &+ UInt32(new)
        sum = (sum & 0xffff) &+ (sum >> 16)
        sum = (sum & 0xffff) &+ (sum >> 16)
        return ~UInt16(truncatingIfNeeded: sum)
    }

    /// The checksum after an address under it, or in its pseudo-header, has been replaced by another of the same family.
    public static func updated(_ checksum: UInt16, replacing old: IPAddress, with new: IPAddress) -> UInt16 {
        var checksum = checksum
        for shift in stride(from: 0, to: old.family.bitWidth, by: 16) {
            checksum = updated(
                checksum, replacing: UInt16(truncatingIfNeeded: old.value >> shift),
                with: UInt16(truncatingIfNeeded: new.value >> shift))
        }
        return checksum
    }
}
