import Decode
import IPPacket
import Octets
import Testing

struct ESPTextTests {
    private static func entries(_ packets: [[UInt8]], esp row: String = SealedSample.espRow) throws -> [DecodedEntry] {
        try SampleFrames.entries(
            frames: packets.map(SealedSample.espFrame), keys: try SealedSample.table(esp: row))
    }

    @Test("An ESP packet takes one line, with the inner packet where there are keys")
    func oneLine() throws {
        let frame = SealedSample.espFrame(try SealedSample.espPacket(sequence: 5))
        let head =
            "#1 2025-11-03T10:15:30.123456Z 192.0.2.2 > 192.0.2.130 IP ESP SPI 0xc1000005, sequence number 5, 68 octets"
        #expect(SampleFrames.text(frames: [frame]) == [head])
        #expect(
            SampleFrames.text(frames: [frame], keys: SealedSample.keys)
                == [head + ": 10.1.0.2:40000 -> 10.2.0.2:53 udp, 31 octets"])
    }

    @Test("A changed packet is plainly said not to be authentic")
    func changed() throws {
        var packet = try SealedSample.espPacket(sequence: 5)
        packet[20] ^= 1
        let lines = SampleFrames.text(frames: [SealedSample.espFrame(packet)], keys: SealedSample.keys)
        #expect(lines.first?.hasSuffix("not authentic: the integrity check fails with the keys of esp, line 1") == true)
    }

    @Test("Extended sequence numbers are found by trying, and followed across the end of the low bits")
    func extendedNumbers() throws {
        let numbers: [UInt64] = [0xFFFF_FFFE, 0x1_0000_0001, 0xFFFF_FFFF, 0x1_0000_0002]
        let packets = try numbers.map { try SealedSample.espPacket(sequence: $0, extended: true) }
        #expect(try Self.entries(packets).allSatisfy { $0.esp?.protection.name == "opened" })
    }

    @Test("Numbers with a subspace are found by trying, and shown in their two parts")
    func subspaces() throws {
        let numbers: [UInt64] = [0x0003_0000_0000_0001, 0x0000_0000_0000_0001, 0xffff_ffff_ffff_ffff]
        let packets = try numbers.map { try SealedSample.espPacket(sequence: $0, isWhole: true) }
        let lines = SampleFrames.text(frames: packets.map(SealedSample.espFrame), keys: SealedSample.keys)
        let expected =
            ["subspace 3, sequence number 1,", "subspace 0, sequence number 1,"]
            + ["subspace 65535, sequence number 281474976710655,"]
        for (line, text) in zip(lines, expected) {
            #expect(line.contains(text) && line.hasSuffix("10.1.0.2:40000 -> 10.2.0.2:53 udp, 31 octets"), "\(line)")
        }
        #expect(lines.count == 3)
        let row = SealedSample.espRow + ",\"64-bit\",\"\""
        #expect(try Self.entries(packets, esp: row).compactMap { $0.esp?.divided?.rawValue } == numbers)
    }

    @Test("High bits that the table names are where the search begins")
    func highBits() throws {
        let packet = try SealedSample.espPacket(sequence: 0x7_0000_0001, extended: true)
        #expect(try Self.entries([packet]).first?.esp?.protection.name == "not authentic")
        let row = SealedSample.espRow + ",\"64-bit\",\"00000007\""
        #expect(try Self.entries([packet], esp: row).first?.esp?.protection.name == "opened")
    }

    @Test(
        "Rows match by patterns of addresses and SPIs",
        arguments: [
            ("192.0.2.2", "192.0.2.130", "0xc1000005", true), ("*", "*", "*", true),
            ("192.0.*", "192.*.*.*", "0xc1*", true),
            ("*", "*", "0xc100000*", true), ("*", "*", "3238002693", true), ("192.0.2.3", "*", "*", false),
            ("*", "192.0.3.*", "*", false), ("*", "*", "0xc2*", false), ("*", "*", "0x5", false),
        ])
    func patterns(_ source: String, _ destination: String, _ spi: String, _ matches: Bool) throws {
        let row = SealedSample.espRow.replacing("192.0.2.2\"", with: source + "\"")
            .replacing("192.0.2.130", with: destination).replacing("0xc1000005", with: spi)
        let entry = try Self.entries([try SealedSample.espPacket(sequence: 1)], esp: row).first
        #expect(entry?.esp?.protection.name == (matches ? "opened" : "sealed"))
    }

    @Test("Transport mode shows the protocol and ports, dummies are named")
    func otherContents() throws {
        let packets = try [IPProtocol.tcp, IPProtocol.noNextHeader, 144].map {
            try SealedSample.espPacket(sequence: UInt64($0), next: $0)
        }
        #expect(
            try Self.entries(packets).map { $0.esp?.inner } == [
                "tcp port 17664 -> 31", "dummy packet", "AGGFRAG payload",
            ])
    }

    @Test("A packet that was cut is not blamed on its keys")
    func cut() throws {
        let frame = SealedSample.espFrame(try SealedSample.espPacket(sequence: 5))
        let lines = CaptureDecoder.lines(
            of: CaptureBuilder.pcap([.init(octets: Array(frame.dropLast(4)), originalLength: frame.count)]),
            keys: SealedSample.keys)
        #expect(lines.first?.hasSuffix("64 octets, not opened, as it is not whole") == true)
    }
}
