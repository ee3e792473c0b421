import Dataplane

extension FuzzTarget {
    /// What comes by a TCP connection (RFC 9329). Input: whether the peer has opened it and where the stream is cut, then the stream.
    static let streams = FuzzTarget(
        name: "streams", longest: 2048,
        seeds: {
            let esp: [UInt8] = [0, 14, 1, 2, 3, 4, 0, 0, 0, 1, 9, 9, 9, 9]
            let ike: [UInt8] = [0, 36, 0, 0, 0, 0] + [UInt8](1...30)
            let stream = StreamFraming.prefix + ike + esp + [0, 3, 0xff, 0, 2] + esp
            return [
                [1, 0, 4] + stream, [1, 0, 9] + stream, [0, 0, 7] + ike + esp, [0, 0, 1, 0, 1],
                [1, 0, 0] + Array("GET ".utf8),
            ]
        }
    ) { octets in
        var input = FuzzInput(octets)
        let isCalled = input.octet() & 1 == 1
        let cut = Int(input.octet()) << 8 | Int(input.octet())
        let stream = Array(input.rest)
        let whole = StreamOutcome([stream], isCalled)
        let parts = StreamOutcome(
            [Array(stream.prefix(cut)), Array(stream.dropFirst(cut))], isCalled)
        try expect(whole.messages == parts.messages, "cut at \(cut) the messages are others")
        try expect(whole.fault == parts.fault, "cut at \(cut) it ends otherwise")
        try expect(whole.heldCount <= stream.count, "more is kept than has come")
    }
}

private struct StreamOutcome {
    private(set) var messages: [[UInt8]] = []
    private(set) var fault: StreamFraming.Fault?
    private(set) var heldCount = 0

    init(_ parts: [[UInt8]], _ isCalled: Bool) {
        var framing = StreamFraming(awaitsPrefix: isCalled)
        var taken: [[UInt8]] = []
        for part in parts where fault == nil {
            part.withUnsafeBytes { octets in
                do throws(StreamFraming.Fault) {
                    try framing.take(octets) { taken.append([$0 == .ike ? 1 : $0 == .esp ? 2 : 3] + Array($1)) }
                } catch {
                    fault = error
                }
            }
        }
        messages = taken
        heldCount = framing.heldCount
    }
}
