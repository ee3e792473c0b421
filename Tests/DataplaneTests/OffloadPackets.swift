import Dataplane
import Glibc
import IPPacket
import Octets

/// Packets of TCP and UDP with checksums that are right, to cut and to join.
enum OffloadPacket {
    struct Flow: Hashable {
        var family = IPFamily.v4
        var isTCP = true
        var port: UInt16 = 40_000
        /// Of TCP's header, a multiple of four.
        var optionCount = 12
        var dontFragment = true

        var ipHeaderLength: Int { family == .v4 ? 20 : 40 }
        var headerLength: Int { ipHeaderLength + (isTCP ? 20 + optionCount : 8) }
    }

    static func make(
        _ flow: Flow, payload: [UInt8], sequence: UInt32 = 1000, flags: UInt8 = 0x10, identification: UInt16 = 7,
        window: UInt16 = 512, trafficClass: UInt8 = 0
    ) -> [UInt8] {
        let ipProtocol: UInt8 = flow.isTCP ? 6 : 17
        let ports = flow.port.bigEndianOctets + [0x14, 0x51]
        var transport: [UInt8]
        if flow.isTCP {
            transport = ports + sequence.bigEndianOctets + UInt32(99).bigEndianOctets
            transport += [UInt8(((20 + flow.optionCount) / 4) << 4), flags] + window.bigEndianOctets + [0, 0, 0, 0]
            transport += (0..<flow.optionCount).map { _ in 1 }
        } else {
            transport = ports + UInt16(8 + payload.count).bigEndianOctets + [0, 0]
        }
        transport += payload
        let ends: [IPAddress] =
            flow.family == .v4
            ? [IPAddress(v4: 0x0a01_0002), IPAddress(v4: 0x0a02_0002)]
            : [IPAddress(v6: 0xfd01 << 112 | 2), IPAddress(v6: 0xfd02 << 112 | 2)]
        let sum =
            transport.withUnsafeBytes(InternetChecksum.sum)
            + InternetChecksum.pseudoHeaderSum(
                source: ends[0], destination: ends[1], ipProtocol: ipProtocol, length: transport.count)
        var checksum = InternetChecksum.finish(sum)
        if !flow.isTCP, checksum == 0 { checksum = 0xffff }
        transport.replaceSubrange((flow.isTCP ? 16 : 6)..<(flow.isTCP ? 18 : 8), with: checksum.bigEndianOctets)
        var header: [UInt8]
        switch flow.family {
        case .v4:
            header = [0x45, trafficClass] + UInt16(20 + transport.count).bigEndianOctets
            header += identification.bigEndianOctets + [flow.dontFragment ? 0x40 : 0, 0, 64, ipProtocol, 0, 0]
            header += ends[0].octets + ends[1].octets
            header.replaceSubrange(
                10..<12, with: header.withUnsafeBytes(InternetChecksum.checksum).bigEndianOctets)
        case .v6:
            header = [0x60 | trafficClass >> 4, trafficClass << 4, 0, 0] + UInt16(transport.count).bigEndianOctets
            header += [ipProtocol, 64] + ends[0].octets + ends[1].octets
        }
        return header + transport
    }

    /// Cuts a packet as the kernel gives it into segments.
    static func cut(_ packet: [UInt8], _ offload: VirtioNetHeader) -> [[UInt8]]? {
        packet.withUnsafeBytes { octets in
            guard let header = IPHeader(octets), let upper = header.upperLayer(in: octets),
                let superPacket = SuperPacket(octets, offload, header, upper)
            else { return nil }
            return (0..<superPacket.count).map { index in
                [UInt8](unsafeUninitializedCapacity: superPacket.length(of: index)) { place, count in
                    count = superPacket.length(of: index)
                    if let base = place.baseAddress { superPacket.write(index, to: UnsafeMutableRawPointer(base)) }
                }
            }
        }
    }
}

/// What a device was given by one call.
struct Written: Equatable {
    var offload = VirtioNetHeader()
    var packet: [UInt8] = []
    /// Packets it is said to stand for.
    var packets = 0

    /// The packets it stands for.
    var parts: [[UInt8]] { offload.segmentation == .none ? [packet] : OffloadPacket.cut(packet, offload) ?? [] }
}

extension Coalescer {
    /// Adds copies of packets, and gives what would be written.
    mutating func pass(_ packets: [[UInt8]], hasHeader: Bool = true) -> [Written] {
        let copies = packets.map { packet in
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: packet.count, alignment: 4)
            copy.copyBytes(from: packet)
            return copy
        }
        defer { copies.forEach { $0.deallocate() } }
        for copy in copies { if let base = copy.baseAddress { add(base, count: copy.count) } }
        var written: [Written] = []
        flush { parts, count, packets, _ in
            var octets = (0..<count).flatMap { index in
                Array(UnsafeRawBufferPointer(start: parts[index].iov_base, count: parts[index].iov_len))
            }
            var offload = VirtioNetHeader()
            if hasHeader {
                offload = octets.withUnsafeBytes { $0.baseAddress.flatMap { VirtioNetHeader($0) } } ?? offload
                octets.removeFirst(VirtioNetHeader.count)
            }
            written.append(Written(offload: offload, packet: octets, packets: packets))
        }
        return written
    }
}
