// draft-ietf-opsawg-pcapng: the capture format of Wireshark. Sections cited are the draft's.
import Octets

/// What the blocks of a pcapng file have said so far, and how to read the next one.
struct BlockCapture: Sendable {
    /// The same in either order of octets.
    static let sectionHeaderType: UInt32 = 0x0A0D_0D0A
    private static let byteOrderMagic: UInt32 = 0x1A2B_3C4D
    /// Type and length before the body, length again after it (section 3.1).
    private static let frameLength = 12

    private enum BlockType {
        static let interface: UInt32 = 1
        /// The Packet Block, obsolete, of appendix A.
        static let packet: UInt32 = 2
        static let simplePacket: UInt32 = 3
        static let enhancedPacket: UInt32 = 6
    }

    private struct Interface {
        var linkType: LinkType
        var snapshotLength: Int
        /// Microseconds, if nothing else is said (section 4.2).
        var resolution: UInt8 = 6
        var timeOffset: Int64 = 0
    }

    private var order = ByteOrder.big
    private var interfaces: [Interface] = []

    /// The next packet, with a number still to be given; `nil` if more octets are needed, or there is none.
    mutating func next(from buffer: inout CaptureBuffer) throws(CaptureError) -> CapturedPacket? {
        while let block = try readBlock(from: &buffer) {
            var body = block.body
            switch block.type {
            case Self.sectionHeaderType: try beginSection(&body)
            case BlockType.interface: interfaces.append(try readInterface(&body))
            case BlockType.enhancedPacket, BlockType.packet:
                return try readPacket(&body, isEnhanced: block.type == BlockType.enhancedPacket, at: block.offset)
            case BlockType.simplePacket: return try readSimplePacket(&body, at: block.offset)
            // Names, statistics, secrets, custom blocks and whatever will be added: not needed here (section 3.1).
            default: break
            }
        }
        return nil
    }

    private struct Block {
        var type: UInt32
        var offset: Int
        var body: FieldReader
    }

    private mutating func readBlock(from buffer: inout CaptureBuffer) throws(CaptureError) -> Block? {
        let start = buffer.offset
        guard let head = buffer.peek(Self.frameLength) else {
            guard buffer.isComplete, buffer.count > 0 else { return nil }
            throw CaptureError(
                offset: start, reason: "the file ends within a block of at least \(Self.frameLength) octets")
        }
        var fields = FieldReader(head, order)
        let type = try fields.uint32("block type")
        if type == Self.sectionHeaderType {
            // Each section may have an order of its own, which only this field tells (section 4.1).
            var magic = FieldReader(head, .big)
            try magic.skip(8, "block type and length")
            switch try magic.uint32("byte-order magic") {
            case Self.byteOrderMagic: order = .big
            case Self.byteOrderMagic.byteSwapped: order = .little
            case let other:
                throw CaptureError(
                    offset: start + 8,
                    reason: "byte-order magic: 0x\(other.bigEndianOctets.hexadecimal) instead of 0x1a2b3c4d")
            }
            fields = FieldReader(head, order)
            try fields.skip(4, "block type")
        }
        let length = Int(try fields.uint32("block length"))
        guard length >= Self.frameLength, length.isMultiple(of: 4), length <= CaptureReader.lengthLimit else {
            throw CaptureError(
                offset: start + 4,
                reason: "block length: \(length) octets; a multiple of 4 from \(Self.frameLength) "
                    + "to \(CaptureReader.lengthLimit) is expected")
        }
        guard let whole = buffer.peek(length) else {
            guard buffer.isComplete else { return nil }
            throw CaptureError(
                offset: start + 4, reason: "block length: \(length) octets, but the file ends after \(buffer.count)")
        }
        var end = FieldReader(whole, order)
        try end.skip(length - 4, "block")
        let repeated = Int(try end.uint32("block length"))
        guard repeated == length else {
            throw CaptureError(
                offset: start + length - 4,
                reason: "block length: \(repeated) at the block's end, \(length) at its beginning")
        }
        var body = FieldReader(buffer.peek(length - 4) ?? whole, order)
        try body.skip(8, "block type and length")
        buffer.skip(length)
        return Block(type: type, offset: start, body: body)
    }

    private mutating func beginSection(_ body: inout FieldReader) throws(CaptureError) {
        try body.skip(4, "byte-order magic")
        let offset = body.offset
        let major = try body.uint16("major version")
        let minor = try body.uint16("minor version")
        guard major == 1 else {
            throw CaptureError(offset: offset, reason: "version \(major).\(minor) of the format, where 1.0 is known")
        }
        interfaces = []
    }

    /// Section 4.2.
    private func readInterface(_ body: inout FieldReader) throws(CaptureError) -> Interface {
        let linkType = LinkType(rawValue: try body.uint16("link type"))
        try body.skip(2, "reserved octets")
        var interface = Interface(linkType: linkType, snapshotLength: Int(try body.uint32("snapshot length")))
        while body.remaining >= 4 {
            let code = try body.uint16("option code")
            let length = Int(try body.uint16("option length"))
            guard code != 0 else { break }
            var value = body
            try body.skip(length, "option")
            try body.skip(min(-length & 3, body.remaining), "padding of the option")
            switch (code, length) {
            case (9, 1):
                interface.resolution = try value.octets(1, "time stamp resolution").first ?? interface.resolution
            case (14, 8):
                interface.timeOffset = Int64(bitPattern: try value.uint64("time stamp offset"))
            default: break
            }
        }
        return interface
    }

    /// Section 4.3, and the obsolete block of appendix A, which differs in its first fields only.
    private func readPacket(
        _ body: inout FieldReader, isEnhanced: Bool, at start: Int
    ) throws(CaptureError) -> CapturedPacket {
        let interfaceOffset = body.offset
        let index: Int
        if isEnhanced {
            index = Int(try body.uint32("interface"))
        } else {
            index = Int(try body.uint16("interface"))
            try body.skip(2, "number of dropped packets")
        }
        let interface = try interface(index, at: interfaceOffset)
        let high = UInt64(try body.uint32("time stamp"))
        let low = UInt64(try body.uint32("time stamp"))
        let length = Int(try body.uint32("captured length"))
        let originalLength = Int(try body.uint32("original length"))
        return CapturedPacket(
            number: 0,
            time: CaptureTime(units: high << 32 | low, resolution: interface.resolution, offset: interface.timeOffset),
            linkType: interface.linkType, octets: try body.octets(length, "packet"),
            originalLength: max(originalLength, length), offset: start)
    }

    /// Section 4.4: of the first interface, cut to its snapshot length, without a time.
    private func readSimplePacket(_ body: inout FieldReader, at start: Int) throws(CaptureError) -> CapturedPacket {
        let interface = try interface(0, at: body.offset)
        let originalLength = Int(try body.uint32("original length"))
        let limit = interface.snapshotLength > 0 ? interface.snapshotLength : Int.max
        let length = min(originalLength, limit)
        return CapturedPacket(
            number: 0, time: nil, linkType: interface.linkType, octets: try body.octets(length, "packet"),
            originalLength: originalLength, offset: start)
    }

    private func interface(_ index: Int, at offset: Int) throws(CaptureError) -> Interface {
        guard index < interfaces.count else {
            throw CaptureError(
                offset: offset, reason: "interface: number \(index), but \(interfaces.count) have been described so far"
            )
        }
        return interfaces[index]
    }
}
