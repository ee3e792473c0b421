import Octets

/// Reads captures as tcpdump, Wireshark and their like write them: pcap and pcapng, in either order of octets.
///
/// The file is given piece by piece, so that one being written can be read, and its size does not matter. A fault ends the
/// reading, since nothing shows where the next record would begin.
package struct CaptureReader: Sendable {
    /// A record longer than this is a fault: nothing that carries IKE has packets of such length.
    package static let lengthLimit = 16 << 20

    private enum Format {
        case unknown
        case classic(ClassicCapture)
        case blocks(BlockCapture)
        case ended
    }

    private var format = Format.unknown
    private var buffer = CaptureBuffer()
    private var number = 0

    package init() {}

    package mutating func append(_ octets: [UInt8]) { buffer.append(octets) }

    /// Says that the file ends with what has been given.
    package mutating func complete() { buffer.complete() }

    /// The next packet; `nil` if more octets are needed for it, or the file has ended.
    package mutating func next() throws(CaptureError) -> CapturedPacket? {
        do throws(CaptureError) {
            while true {
                switch format {
                case .unknown:
                    guard let found = try Self.recognise(&buffer) else { return nil }
                    format = found
                case .classic(let capture):
                    guard var packet = try capture.next(from: &buffer) else { return nil }
                    number += 1
                    packet.number = number
                    return packet
                case .blocks(var capture):
                    let packet = try capture.next(from: &buffer)
                    format = .blocks(capture)
                    guard var packet else { return nil }
                    number += 1
                    packet.number = number
                    return packet
                case .ended: return nil
                }
            }
        } catch {
            format = .ended
            throw error
        }
    }

    private static func recognise(_ buffer: inout CaptureBuffer) throws(CaptureError) -> Format? {
        guard let reader = buffer.peek(4) else {
            guard buffer.isComplete else { return nil }
            throw CaptureError(
                offset: 0,
                reason: buffer.count == 0 ? "the file is empty" : "\(buffer.count) octets are no capture")
        }
        var fields = FieldReader(reader, .big)
        let magic = try fields.uint32("magic number")
        if magic == BlockCapture.sectionHeaderType { return .blocks(BlockCapture()) }
        guard ClassicCapture.order(of: magic) != nil else {
            throw CaptureError(offset: 0, reason: refusal(of: magic))
        }
        return try ClassicCapture(from: &buffer).map(Format.classic)
    }

    private static func refusal(of magic: UInt32) -> String {
        let text = "0x" + magic.bigEndianOctets.hexadecimal
        let compression: String? =
            switch magic {
            case let magic where magic >> 16 == 0x1F8B: "gzip -d"
            case 0x28B5_2FFD: "zstd -d"
            case 0xFD37_7A58: "xz -d"
            case 0x0422_4D18: "lz4 -d"
            default: nil
            }
        if let compression { return "the file is compressed: decompress it first, with `\(compression)`" }
        return "the file begins with \(text), where a capture has 0xa1b2c3d4, 0xa1b23c4d (pcap) or 0x0a0d0d0a (pcapng)"
    }
}
