import Dataplane
import Testing

@Suite("Messages in a TCP stream (RFC 9329, section 3)")
struct StreamFramingTests {
    private struct Taken: Equatable {
        let kind: StreamFraming.Kind
        let octets: [UInt8]
    }

    /// What comes of octets that arrive in these parts.
    private static func take(
        _ parts: [[UInt8]], awaitsPrefix: Bool = false
    ) throws(StreamFraming.Fault) -> (taken: [Taken], framing: StreamFraming) {
        var framing = StreamFraming(awaitsPrefix: awaitsPrefix)
        var taken: [Taken] = []
        for part in parts {
            let result = part.withUnsafeBytes { octets in
                Result { () throws(StreamFraming.Fault) in
                    try framing.take(octets) { taken.append(Taken(kind: $0, octets: Array($1))) }
                }
            }
            try result.get()
        }
        return (taken, framing)
    }

    private static func framed(_ body: [UInt8]) -> [UInt8] {
        [UInt8((body.count + 2) >> 8), UInt8((body.count + 2) & 0xff)] + body
    }

    private static let esp: [UInt8] = [0xab, 0xcd, 0, 1, 0, 0, 0, 9] + [UInt8](repeating: 7, count: 40)
    private static let ike = [UInt8](1...40)
    private static let stream = framed(esp) + framed([0, 0, 0, 0] + ike) + framed([0xff]) + framed([]) + framed(esp)
    private static let messages = [
        Taken(kind: .esp, octets: esp), Taken(kind: .ike, octets: ike), Taken(kind: .esp, octets: esp),
    ]

    @Test("The same messages come out, wherever the stream, prefix and all, is cut into segments")
    func cuts() throws {
        let octets = StreamFraming.prefix + Self.stream
        for first in 0...octets.count {
            for second in [first, first + 1, first + 3, octets.count] where second <= octets.count {
                let parts = [octets[..<first], octets[first..<second], octets[second...]].map(Array.init)
                let (taken, framing) = try Self.take(parts, awaitsPrefix: true)
                #expect(taken == Self.messages, "cut at \(first) and \(second)")
                #expect(framing.heldCount == 0 && framing.isAtBoundary)
            }
        }
        let (taken, _) = try Self.take(octets.map { [$0] }, awaitsPrefix: true)
        #expect(taken == Self.messages)
    }

    @Test("A message of IKE stands behind its length and four zero octets, a packet of ESP behind its length")
    func layout() throws {
        let (taken, _) = try Self.take([[0, 34, 0, 0, 0, 0] + [UInt8](1...28), [0, 10, 1, 2, 3, 4, 5, 6, 7, 8]])
        #expect(
            taken == [
                Taken(kind: .ike, octets: [UInt8](1...28)), Taken(kind: .esp, octets: [1, 2, 3, 4, 5, 6, 7, 8]),
            ])
        #expect(try #require(StreamFraming.lengthField(of: 100)) == (0, 102))
        #expect(try #require(StreamFraming.lengthField(of: 0xfffd)) == (0xff, 0xff))
        #expect(StreamFraming.lengthField(of: 0xfffe) == nil)
    }

    @Test(
        "A length that does not count itself ends the stream; what came before it counts", arguments: [0, 1] as [UInt8])
    func impossible(length: UInt8) {
        #expect(throws: StreamFraming.Fault.badLength) { try Self.take([[0, length]]) }
        #expect(throws: StreamFraming.Fault.badLength) { try Self.take([[0], [length, 1, 2, 3]]) }
        #expect(throws: StreamFraming.Fault.badLength) { try Self.take([Self.stream + [0, length]]) }
    }

    @Test("An empty message and a keepalive are passed over without a word")
    func silence() throws {
        #expect(try Self.take([[0, 2, 0, 3, 0xff, 0, 2]]).taken.isEmpty)
    }

    @Test("What is too short for a header is malformed, up to the last octet that is missing")
    func short() throws {
        for count in [1, 2, 3, 4, 5, 6, 7] {
            let (taken, _) = try Self.take([Self.framed([UInt8](repeating: 5, count: count))])
            #expect(taken.map(\.kind) == [.malformed])
        }
        for count in 4..<32 {
            let (taken, _) = try Self.take([Self.framed([UInt8](repeating: 0, count: count))])
            #expect(taken.map(\.kind) == [.malformed], "\(count)")
        }
        #expect(try Self.take([Self.framed([UInt8](repeating: 0, count: 32))]).taken.map(\.kind) == [.ike])
        #expect(try Self.take([Self.framed([UInt8](repeating: 5, count: 8))]).taken.map(\.kind) == [.esp])
    }

    @Test("The longest message there can be comes through whole, and no more of it is kept than has come")
    func longest() throws {
        let body = [UInt8](repeating: 3, count: 0xfffd)
        let octets = Self.framed(body)
        var framing = StreamFraming(awaitsPrefix: false)
        var count = 0
        for start in stride(from: 0, to: octets.count, by: 1000) {
            let part = Array(octets[start..<min(start + 1000, octets.count)])
            try part.withUnsafeBytes { try framing.take($0) { _, message in count = message.count } }
            #expect(framing.heldCount <= start + 1000)
        }
        #expect(count == body.count && framing.heldCount == 0)
    }

    @Test("A stream that does not begin with the prefix is given up with the first octet that is none of it")
    func prefix() throws {
        for index in StreamFraming.prefix.indices {
            var octets = StreamFraming.prefix
            octets[index] ^= 0x20
            #expect(throws: StreamFraming.Fault.badPrefix) {
                try Self.take([Array(octets[...index])], awaitsPrefix: true)
            }
        }
        let (taken, framing) = try Self.take([Array("IKE".utf8)], awaitsPrefix: true)
        #expect(taken.isEmpty && framing.heldCount == 3 && !framing.isAtBoundary)
    }

    @Test("A second prefix is no prefix but a length, 0x494b")
    func secondPrefix() throws {
        let (taken, framing) = try Self.take([StreamFraming.prefix + StreamFraming.prefix], awaitsPrefix: true)
        #expect(taken.isEmpty && framing.heldCount == 6)
        // The one who accepts a connection sends none either.
        #expect(try Self.take([StreamFraming.prefix]).taken.isEmpty)
    }

    @Test("Random octets neither trap nor make anything be kept beyond one message", arguments: 0..<20)
    func noise(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            var framing = StreamFraming(awaitsPrefix: seed.isMultiple(of: 2))
            for _ in 0..<8 {
                let part = (0..<Int.random(in: 0...4000, using: &random)).map { _ in
                    Bool.random(using: &random) ? 0 : UInt8.random(in: 0...255, using: &random)
                }
                do { try part.withUnsafeBytes { try framing.take($0) { _, _ in } } } catch { break }
                #expect(framing.heldCount <= 0xffff)
            }
        }
    }
}
