// RFC 9329: IKE and ESP in TCP.
import Decode
import IPPacket
import Octets
import Testing

struct StreamTests {
    private static let prefix = Array("IKETCP".utf8)
    private static let ike = framed([0, 0, 0, 0] + SampleFrames.request)
    private static let esp = framed([0xC1, 0, 0, 5, 0, 0, 0, 9] + [UInt8](repeating: 0xEE, count: 40))

    private static func framed(_ message: [UInt8]) -> [UInt8] { UInt16(message.count + 2).bigEndianOctets + message }

    private static func entries(_ segments: [[UInt8]]) throws -> [DecodedEntry] {
        try SampleFrames.entries(
            frames: segments.map { SampleFrames.ethernet(SampleFrames.ipv4($0, protocol: IPProtocol.tcp)) })
    }

    /// The beginning of a stream, and its octets in segments of some length.
    private static func segments(_ stream: [UInt8], of length: Int, first: UInt32 = 1000) -> [[UInt8]] {
        [SampleFrames.tcp([], sequence: first &- 1, flags: 0x02)]
            + stride(from: 0, to: stream.count, by: length).map {
                SampleFrames.tcp(
                    Array(stream[$0..<min($0 + length, stream.count)]), sequence: first &+ UInt32($0))
            }
    }

    @Test("Messages are found in a stream however it is cut into segments", arguments: [1, 7, 100, 10_000])
    func stream(_ length: Int) throws {
        let entries = try Self.entries(Self.segments(Self.prefix + Self.ike + Self.esp + Self.ike, of: length))
        #expect(entries.map { $0.ike != nil } == [true, false, true])
        #expect(entries.allSatisfy { $0.carrier == .tcp })
        #expect(entries.first?.ike?.payloads.count == 3)
        #expect(entries.dropFirst().first?.esp?.spi == 0xC100_0005)
    }

    @Test("The other side's stream, which has no prefix, is followed too")
    func withoutPrefix() throws {
        #expect(try Self.entries(Self.segments(Self.ike + Self.esp, of: 50)).count == 2)
    }

    @Test("Segments that come late, early, twice or overlapping change nothing, also where numbers wrap")
    func disorder() throws {
        let stream = Self.prefix + Self.ike + Self.esp
        var segments = Self.segments(stream, of: 40, first: UInt32.max - 60)
        segments.swapAt(2, 4)
        segments.insert(segments[1], at: 5)
        segments.insert(SampleFrames.tcp(Array(stream[20..<70]), sequence: (UInt32.max - 60) &+ 20), at: 3)
        #expect(try Self.entries(segments).count == 2)
    }

    @Test("A stream whose beginning was not captured is followed from the first whole message on")
    func midway() throws {
        let entries = try Self.entries([
            SampleFrames.tcp([9, 9, 9], sequence: 500), SampleFrames.tcp(Self.ike, sequence: 503),
            SampleFrames.tcp(Self.esp, sequence: 503 + UInt32(Self.ike.count)),
        ])
        #expect(entries.map(\.frame) == [2, 3])
    }

    @Test("A length that cannot be ends the stream, and a new connection begins anew")
    func impossibleLength() throws {
        let broken = Self.segments(Self.prefix + [0, 1] + Self.ike, of: 10_000)
        #expect(try Self.entries(broken).isEmpty)
        #expect(try Self.entries(broken + Self.segments(Self.ike, of: 10_000, first: 77)).count == 1)
    }
}
