import Octets
import Testing

struct HexadecimalTests {
    @Test("Digits and octets turn into each other; white space between does not matter")
    func both() {
        #expect([0x00, 0x0f, 0xa0, 0xff].hexadecimal == "000fa0ff")
        #expect([UInt8](hexadecimal: "00 0F\na0Ff") == [0x00, 0x0f, 0xa0, 0xff])
        #expect([UInt8](hexadecimal: "") == [])
    }

    @Test("An odd digit or a foreign character makes nothing", arguments: ["0", "0x00", "gg", "12 3", "١٢", "１２"])
    func refused(text: String) {
        #expect([UInt8](hexadecimal: text) == nil)
    }

    @Test("Integers give their octets most significant first")
    func bigEndian() {
        #expect(UInt16(0x0102).bigEndianOctets == [1, 2])
        #expect(UInt32(0x0102_0304).bigEndianOctets == [1, 2, 3, 4])
    }
}
