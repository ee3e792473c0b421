import Octets
import Testing

struct OctetReaderTests {
    @Test("Fields are read big-endian, one after the other")
    func fields() throws {
        var reader = OctetReader([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])
        #expect(try reader.readUInt8("a") == 0x01)
        #expect(try reader.readUInt16("b") == 0x0203)
        #expect(try reader.readUInt32("c") == 0x0405_0607)
        #expect(try reader.readUInt64("d") == 0x0809_0a0b_0c0d_0e0f)
        #expect(reader.remaining == 1)
        #expect(reader.readRest() == [16])
        #expect(reader.isAtEnd)
    }

    @Test("Reading past the end is an error that names field and octet, and consumes nothing")
    func truncated() throws {
        var reader = OctetReader([1, 2, 3])
        try reader.skip(2, "start")
        let error = #expect(throws: OctetError.self) { try reader.readUInt16("length") }
        #expect(error?.code == .truncated)
        #expect(error?.field == "length")
        #expect(error?.offset == 2)
        #expect(try reader.readUInt8("last") == 3)
    }

    @Test("A negative or huge count is an error, not a trap", arguments: [-1, Int.min, Int.max])
    func absurdCounts(count: Int) {
        var reader = OctetReader([1, 2, 3])
        #expect(throws: OctetError.self) { try reader.readOctets(count, "body") }
        #expect(throws: OctetError.self) { try reader.reader(length: count, "body") }
        #expect(reader.remaining == 3)
    }

    @Test("A reader within counts offsets from the outermost start and cannot leave its part")
    func nested() throws {
        var outer = OctetReader([0, 1, 2, 3, 4, 5])
        try outer.skip(1, "header")
        var inner = try outer.reader(length: 3, "body")
        #expect(outer.offset == 4)
        #expect(inner.offset == 1)
        try inner.skip(2, "x")
        let error = #expect(throws: OctetError.self) { try inner.readUInt16("y") }
        #expect(error?.offset == 3)
        #expect(inner.invalid("y", "is odd").offset == 3)
    }

    @Test("What was written is what is read")
    func roundTrip() throws {
        var writer = OctetWriter(reservingCapacity: 32)
        writer.write(UInt8(1))
        writer.write(UInt16(0x0203))
        writer.write(UInt32(0x0405_0607))
        writer.write(UInt64(0x0809_0a0b_0c0d_0e0f))
        writer.write(zeros: 2)
        writer.write([0xaa, 0xbb])
        writer.overwrite(at: 15, with: UInt16(0xfeff))
        writer.overwrite(at: 0, with: UInt8(9))
        writer.overwrite(at: 3, with: UInt32(0x1122_3344))
        #expect(
            writer.octets == [9, 2, 3, 0x11, 0x22, 0x33, 0x44, 8, 9, 10, 11, 12, 13, 14, 15, 0xfe, 0xff, 0xaa, 0xbb])
    }
}
