import IPPacket
import Octets

/// Packets built octet by octet, with checksums computed in the simplest way.
enum SamplePackets {
    static func naiveSum(_ octets: [UInt8]) -> UInt32 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: octets.count, by: 2) {
            sum += UInt32(octets[index]) << 8 | (index + 1 < octets.count ? UInt32(octets[index + 1]) : 0)
            if sum > 0xffff { sum = sum & 0xffff + 1 }
        }
        return sum
    }

    static func naiveChecksum(_ octets: [UInt8]) -> UInt16 { ~UInt16(naiveSum(octets)) }

    static func v4(
        from source: String = "10.1.0.2", to destination: String = "10.2.0.2", ipProtocol: UInt8 = 17,
        trafficClass: UInt8 = 0, fragment: UInt16 = 0x4000, options: [UInt8] = [], payload: [UInt8] = []
    ) -> [UInt8] {
        let headerLength = 20 + options.count
        var header: [UInt8] = [0x40 | UInt8(headerLength / 4), trafficClass]
        header += UInt16(headerLength + payload.count).bigEndianOctets + [0x12, 0x34] + fragment.bigEndianOctets
        header += [64, ipProtocol, 0, 0] + (IPAddress(source)?.octets ?? []) + (IPAddress(destination)?.octets ?? [])
        header += options
        header.replaceSubrange(10..<12, with: naiveChecksum(header).bigEndianOctets)
        return header + payload
    }

    static func v6(
        from source: String = "2001:db8:1::2", to destination: String = "2001:db8:2::2", next: UInt8 = 17,
        trafficClass: UInt8 = 0, payload: [UInt8] = []
    ) -> [UInt8] {
        [0x60 | trafficClass >> 4, trafficClass << 4 | 0x0a, 0xbc, 0xde]
            + UInt16(payload.count).bigEndianOctets + [next, 63]
            + (IPAddress(source)?.octets ?? []) + (IPAddress(destination)?.octets ?? []) + payload
    }

    /// A TCP segment within `packet`'s addresses, its checksum right.
    static func tcp(from source: String, to destination: String, flags: UInt8, options: [UInt8], data: [UInt8] = [])
        -> [UInt8]
    {
        var segment: [UInt8] = [0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, UInt8(20 + options.count) << 2, flags]
        segment += [0xff, 0xff, 0, 0, 0, 0] + options + data
        let checksum = transportChecksum(segment, from: source, to: destination, ipProtocol: 6)
        segment.replaceSubrange(16..<18, with: checksum.bigEndianOctets)
        return segment
    }

    /// The checksum over pseudo-header and segment; 0 if the one in the segment is right.
    static func transportChecksum(_ segment: [UInt8], from: String, to: String, ipProtocol: UInt8) -> UInt16 {
        let pseudo =
            (IPAddress(from)?.octets ?? []) + (IPAddress(to)?.octets ?? [])
            + UInt32(segment.count).bigEndianOctets + [0, 0, 0, ipProtocol]
        return naiveChecksum(pseudo + segment)
    }
}

/// SplitMix64: the same numbers for the same seed, everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }
}
