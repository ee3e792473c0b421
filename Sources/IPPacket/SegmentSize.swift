/// The maximum segment size that a TCP SYN announces (RFC 9293, section 3.7.1), lowered so that segments fit a tunnel.
public enum SegmentSize {
    /// Lowers the MSS option of a TCP SYN in place; other packets are left alone. The checksum follows by difference, so
    /// that damage elsewhere in the segment is not covered up.
    ///
    /// - Parameters:
    ///   - packet: an IP packet.
    ///   - mtu: octets of the largest IP packet the tunnel carries.
    ///   - checksumIsPartial: the checksum covers just the pseudo-header and a device completes it (virtio's "needs
    ///     checksum"); then it does not change.
    /// - Returns: whether the option was changed.
    public static func clamp(
        _ packet: UnsafeMutableRawBufferPointer, toMTU mtu: Int, checksumIsPartial: Bool = false
    ) -> Bool {
        let octets = UnsafeRawBufferPointer(packet)
        guard mayBeSYN(octets), let header = IPHeader(octets), let upper = header.upperLayer(in: octets) else {
            return false
        }
        return clamp(packet, header, upper, toMTU: mtu, checksumIsPartial: checksumIsPartial)
    }

    /// The same for a packet whose headers have been read already.
    public static func clamp(
        _ packet: UnsafeMutableRawBufferPointer, _ header: IPHeader, _ upper: UpperLayer, toMTU mtu: Int,
        checksumIsPartial: Bool = false
    ) -> Bool {
        guard upper.ipProtocol == IPProtocol.tcp, !upper.isLaterFragment, let base = packet.baseAddress,
            header.totalLength - upper.offset >= 20
        else { return false }
        let tcp = base + upper.offset
        let flags = UnsafeRawPointer(tcp).octet(at: 13)
        guard flags & 0x02 != 0 else { return false }
        let end = min(Int(UnsafeRawPointer(tcp).octet(at: 12) >> 4) * 4, header.totalLength - upper.offset)
        let largest = UInt16(clamping: max(mtu - IPHeader.minimumLength(header.family) - 20, 1))
        var option = 20
        while option < end {
            let kind = UnsafeRawPointer(tcp).octet(at: option)
            if kind == 0 { return false }
            if kind == 1 {
                option += 1
                continue
            }
            guard option + 1 < end else { return false }
            let length = Int(UnsafeRawPointer(tcp).octet(at: option + 1))
            guard length >= 2, option + length <= end else { return false }
            if kind == 2 {
                guard length == 4 else { return false }
                return lower(tcp, at: option + 2, to: largest, checksumIsPartial: checksumIsPartial)
            }
            option += length
        }
        return false
    }

    /// A look at a few octets, at which nearly all packets are let go.
    @inline(__always)
    private static func mayBeSYN(_ packet: UnsafeRawBufferPointer) -> Bool {
        guard let base = packet.baseAddress, packet.count >= 2 * IPHeader.v4MinimumLength else { return false }
        guard base.octet(at: 0) >> 4 == 4 else {
            // Extension headers may come before TCP.
            return base.octet(at: 6) != IPProtocol.tcp && base.octet(at: 6) != IPProtocol.udp
                || packet.count > IPHeader.v6Length + 13 && base.octet(at: IPHeader.v6Length + 13) & 0x02 != 0
        }
        let flags = Int(base.octet(at: 0) & 0x0f) * 4 + 13
        return base.octet(at: 9) == IPProtocol.tcp && flags < packet.count && base.octet(at: flags) & 0x02 != 0
    }

    private static func lower(
        _ tcp: UnsafeMutableRawPointer, at offset: Int, to largest: UInt16, checksumIsPartial: Bool
    ) -> Bool {
        let announced = UnsafeRawPointer(tcp).networkUInt16(at: offset)
        guard announced > largest else { return false }
        tcp.storeNetwork(largest, at: offset)
        guard !checksumIsPartial else { return true }
        // At an odd offset the two octets belong to two words of the checksum: the same as one word turned round.
        let isOdd = offset % 2 == 1
        let checksum = InternetChecksum.updated(
            UnsafeRawPointer(tcp).networkUInt16(at: 16), replacing: isOdd ? announced.byteSwapped : announced,
            with: isOdd ? largest.byteSwapped : largest)
        tcp.storeNetwork(checksum, at: 16)
        return true
    }
}
