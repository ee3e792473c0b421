import IKEMessage
import Octets
import Testing

@Suite("RFC 7296 section 3.1: the IKE header") struct HeaderTests {
    private static let octets = hex("0102030405060708 0000000000000000 21 20 22 08 00000000 0000001c")

    @Test("the fields stand where RFC 7296 section 3.1 puts them")
    func layout() throws {
        var reader = OctetReader(
            hex("0102030405060708 1112131415161718 2e 21 23 28 21222324 31323334"))
        let header = try IKEHeader(parsing: &reader)
        #expect(header.initiatorSPI == 0x0102_0304_0506_0708)
        #expect(header.responderSPI == 0x1112_1314_1516_1718)
        #expect(header.nextPayload == .encrypted)
        #expect(header.majorVersion == 2)
        #expect(header.minorVersion == 1)
        #expect(header.exchangeType == .ikeAuth)
        #expect(header.flags == [.initiator, .response])
        #expect(header.messageID == 0x2122_2324)
        #expect(header.length == 0x3132_3334)
        #expect(reader.isAtEnd)
    }

    @Test("a message without payloads is a header")
    func empty() throws {
        let message = Message(
            header: IKEHeader(
                initiatorSPI: 0x0102_0304_0506_0708, responderSPI: 0, exchangeType: .informational, flags: .response,
                messageID: 7),
            payloads: [])
        let octets = message.serialized()
        #expect(octets == hex("0102030405060708 0000000000000000 00 20 25 20 00000007 0000001c"))
        #expect(try Message(parsing: octets) == message)
    }

    @Test("next payload and length are computed when a message is written")
    func computed() throws {
        var header = IKEHeader(initiatorSPI: 1, responderSPI: 2, exchangeType: .ikeAuth, flags: [], messageID: 0)
        header.nextPayload = .eap
        header.length = 5
        let octets = Message(header: header, payloads: [.vendorID([0xAB])]).serialized()
        #expect(octets[16] == 43)
        #expect(Array(octets[24..<28]) == hex("00000021"))
    }

    @Test("fewer octets than a header are truncated", arguments: 0..<28)
    func short(count: Int) {
        let error = #expect(throws: MessageError.self) { try Message(parsing: Array(Self.octets[..<count])) }
        #expect(error?.code == .truncated)
        #expect(error?.payload == nil)
    }

    @Test("another major version is reported, though the rest be of any shape", arguments: [0, 1, 3, 15] as [UInt8])
    func version(major: UInt8) throws {
        var octets = message(first: "ff", "ffff")
        octets[17] = major << 4
        let error = #expect(throws: MessageError.self) { try Message(parsing: octets) }
        #expect(error?.code == .invalidMajorVersion(major))
        #expect(error?.offset == 17)
        var reader = OctetReader(octets)
        #expect(try IKEHeader(parsing: &reader).majorVersion == major)
    }

    @Test("a higher minor version is accepted")
    func minorVersion() throws {
        var octets = message(first: "2b", "00 00 0004")
        octets[17] = 0x2F
        #expect(try Message(parsing: octets).header.minorVersion == 15)
    }

    @Test("unknown flags are no error")
    func flags() throws {
        var octets = message(first: "2b", "00 00 0004")
        octets[19] = 0xC7
        let header = try Message(parsing: octets).header
        #expect(header.flags.isDisjoint(with: [.initiator, .response, .higherVersion]))
    }

    @Test(
        "a length that is not that of the datagram is refused",
        arguments: [
            (0, .invalidSyntax), (27, .invalidSyntax), (28, .invalidSyntax), (31, .invalidSyntax), (33, .truncated),
            (0x7FFF_FFFF, .truncated), (0x8000_0000, .truncated), (0xFFFF_FFFF, .truncated),
        ] as [(UInt32, MessageError.Code)])
    func length(length: UInt32, code: MessageError.Code) {
        let octets = Array(
            message(first: "2b", "00 00 0004").enumerated().map { index, octet in
                (24..<28).contains(index) ? length.bigEndianOctets[index - 24] : octet
            })
        let error = #expect(throws: MessageError.self) { try Message(parsing: octets) }
        #expect(error?.code == code)
        #expect(error?.offset == 24)
    }
}
