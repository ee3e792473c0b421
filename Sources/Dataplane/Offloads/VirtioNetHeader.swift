/// What a TUN device with IFF_VNET_HDR puts before each packet, and wants before each: struct virtio_net_hdr of
/// linux/virtio_net.h, ten octets in the order of the machine.
package struct VirtioNetHeader: Hashable, Sendable {
    /// How a packet is to be cut.
    package enum Segmentation: UInt8, Sendable {
        case none = 0
        case tcpV4 = 1
        case tcpV6 = 4
        /// Each segment a UDP datagram of its own.
        case udp = 5
    }

    package static let count = 10
    private static let needsChecksumFlag: UInt8 = 1
    /// Marks TCP with ECN, whose CWR flag only the first segment has.
    private static let ecnFlag: UInt8 = 0x80

    package var segmentation = Segmentation.none
    /// The checksum covers the pseudo-header only, and is to be completed.
    package var needsChecksum = false
    /// Octets before the first segment's payload.
    package var headerLength = 0
    /// Octets of payload of each segment but the last.
    package var segmentSize = 0
    /// Where what the checksum covers begins.
    package var checksumStart = 0
    /// Where the checksum stands, from there.
    package var checksumOffset = 0

    package init() {}

    /// - Parameter octets: ``count`` of them.
    /// - Returns: `nil` for a kind of segmentation that was not asked for.
    package init?(_ octets: UnsafeRawPointer) {
        guard let segmentation = Segmentation(rawValue: octets.load(fromByteOffset: 1, as: UInt8.self) & ~Self.ecnFlag)
        else { return nil }
        self.segmentation = segmentation
        needsChecksum = octets.load(as: UInt8.self) & Self.needsChecksumFlag != 0
        headerLength = Self.field(octets, 2)
        segmentSize = Self.field(octets, 4)
        checksumStart = Self.field(octets, 6)
        checksumOffset = Self.field(octets, 8)
    }

    private static func field(_ octets: UnsafeRawPointer, _ offset: Int) -> Int {
        Int(octets.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    package func write(to octets: UnsafeMutableRawPointer) {
        octets.storeBytes(of: needsChecksum ? Self.needsChecksumFlag : 0, as: UInt8.self)
        octets.storeBytes(of: segmentation.rawValue, toByteOffset: 1, as: UInt8.self)
        store(headerLength, octets, 2)
        store(segmentSize, octets, 4)
        store(checksumStart, octets, 6)
        store(checksumOffset, octets, 8)
    }

    private func store(_ field: Int, _ octets: UnsafeMutableRawPointer, _ offset: Int) {
        octets.storeBytes(of: UInt16(truncatingIfNeeded: field), toByteOffset: offset, as: UInt16.self)
    }
}
