// draft-ietf-opsawg-pcap: the capture format of libpcap.
import Octets

/// What the header of a pcap file says of its records, and how to read one.
struct ClassicCapture: Sendable {
    private static let headerLength = 24
    private static let recordHeaderLength = 16

    private let order: ByteOrder
    /// Time stamps have nanoseconds rather than microseconds.
    private let hasNanoseconds: Bool
    private let linkType: LinkType

    /// The order of octets that a file beginning with `magic`, read as big-endian, has; `nil` if it is no pcap file.
    static func order(of magic: UInt32) -> ByteOrder? {
        switch magic {
        case 0xA1B2_C3D4, 0xA1B2_3C4D: .big
        case 0xD4C3_B2A1, 0x4D3C_B2A1: .little
        default: nil
        }
    }

    /// Reads the header of the file; `nil` if more octets are needed.
    init?(from buffer: inout CaptureBuffer) throws(CaptureError) {
        guard let reader = buffer.peek(Self.headerLength) else {
            guard buffer.isComplete else { return nil }
            throw CaptureError(
                offset: buffer.count, reason: "the file ends within its header of \(Self.headerLength) octets")
        }
        var big = FieldReader(reader, .big)
        let magic = try big.uint32("magic number")
        guard let order = Self.order(of: magic) else { throw CaptureError(offset: 0, reason: "no pcap file") }
        var fields = FieldReader(reader, order)
        hasNanoseconds = try fields.uint32("magic number") == 0xA1B2_3C4D
        let major = try fields.uint16("major version")
        let minor = try fields.uint16("minor version")
        guard major == 2 else {
            throw CaptureError(offset: 4, reason: "version \(major).\(minor) of the format, where 2.4 is known")
        }
        // Time zone and accuracy are always zero; the length packets are cut to shows in each record.
        try fields.skip(12, "reserved fields and snapshot length")
        // The upper half may tell of frame check sequences.
        linkType = LinkType(rawValue: UInt16(truncatingIfNeeded: try fields.uint32("link type")))
        self.order = order
        buffer.skip(Self.headerLength)
    }

    /// The next record, with a number still to be given; `nil` if more octets are needed, or there is none.
    func next(from buffer: inout CaptureBuffer) throws(CaptureError) -> CapturedPacket? {
        let start = buffer.offset
        guard let header = buffer.peek(Self.recordHeaderLength) else {
            guard buffer.isComplete, buffer.count > 0 else { return nil }
            throw CaptureError(
                offset: start,
                reason: "the file ends within a record's header: \(buffer.count) octets of \(Self.recordHeaderLength)")
        }
        var fields = FieldReader(header, order)
        let seconds = try fields.uint32("time stamp")
        let fraction = try fields.uint32("time stamp")
        let length = Int(try fields.uint32("captured length"))
        let originalLength = Int(try fields.uint32("original length"))
        guard length <= CaptureReader.lengthLimit else {
            throw CaptureError(
                offset: start + 8,
                reason:
                    "captured length: \(length) octets, more than the \(CaptureReader.lengthLimit) of any real packet")
        }
        guard let record = buffer.peek(Self.recordHeaderLength + length) else {
            guard buffer.isComplete else { return nil }
            throw CaptureError(
                offset: start + 8,
                reason: "captured length: \(length) octets, but the file ends after "
                    + "\(buffer.count - Self.recordHeaderLength)")
        }
        var body = FieldReader(record, order)
        try body.skip(Self.recordHeaderLength, "record header")
        let octets = try body.octets(length, "packet")
        buffer.skip(Self.recordHeaderLength + length)
        return CapturedPacket(
            number: 0,
            time: CaptureTime(
                seconds: Int64(seconds), nanoseconds: hasNanoseconds ? Int(fraction) : Int(fraction) * 1000),
            linkType: linkType, octets: octets, originalLength: max(originalLength, length), offset: start)
    }
}
