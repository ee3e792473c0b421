// RFC 9329: IKE and ESP in TCP. The stream prefix, and lengths between the messages.
import IPPacket

/// Follows TCP streams in the order of their octets, and cuts them into the messages of RFC 9329 section 3.
struct StreamReassembly {
    static let streamLimit = 256
    /// Octets that are kept of segments that came too early.
    static let aheadLimit = 64 * 1024
    static let segmentLimit = 256
    /// What the side that connects sends first (RFC 9329 section 4).
    static let prefix = Array("IKETCP".utf8)
    private static let marker: [UInt8] = [0, 0, 0, 0]

    struct Key: Hashable {
        var source: SocketAddress
        var destination: SocketAddress
    }

    struct Segment {
        var sequence: UInt32
        var begins: Bool
        var payload: ArraySlice<UInt8>
    }

    private struct Stream {
        enum State {
            /// The beginning of the stream was not recorded, and no boundary of messages found yet.
            case searching
            case following(next: UInt32, isAtStart: Bool)
            /// A gap, or a length that cannot be: where the next message begins cannot be told.
            case lost
        }
        var state = State.searching
        var octets: [UInt8] = []
        var ahead: [UInt32: ArraySlice<UInt8>] = [:]
        var aheadCount = 0
    }

    private var streams: [Key: Stream] = [:]
    private var order: [Key] = []

    /// Adds a segment; returns the messages that are complete, without their lengths: IKE messages with the non-ESP marker,
    /// ESP packets without.
    mutating func add(_ segment: Segment, of key: Key) -> [[UInt8]] {
        if streams[key] == nil {
            if order.count >= Self.streamLimit { streams[order.removeFirst()] = nil }
            order.append(key)
        }
        var stream = streams.removeValue(forKey: key) ?? Stream()
        defer { streams[key] = stream }
        if segment.begins {
            stream = Stream()
            stream.state = .following(next: segment.sequence &+ 1, isAtStart: true)
            if !segment.payload.isEmpty {
                Self.receive(segment.payload, at: segment.sequence &+ 1, in: &stream)
            }
        } else if !segment.payload.isEmpty {
            if case .searching = stream.state, Self.isWholeMessages(segment.payload) {
                stream.state = .following(next: segment.sequence, isAtStart: true)
            }
            Self.receive(segment.payload, at: segment.sequence, in: &stream)
        }
        return Self.messages(in: &stream)
    }

    /// Takes octets that begin at a sequence number: those known already are passed over, those too early kept.
    private static func receive(_ octets: ArraySlice<UInt8>, at sequence: UInt32, in stream: inout Stream) {
        guard case .following(var next, let isAtStart) = stream.state else { return }
        if Int32(bitPattern: sequence &- next) > 0 {
            guard stream.ahead.count < segmentLimit, stream.aheadCount + octets.count <= aheadLimit else {
                stream = Stream()
                stream.state = .lost
                return
            }
            if stream.ahead[sequence] == nil {
                // Copied, so as not to keep the whole frame.
                stream.ahead[sequence] = Array(octets)[...]
                stream.aheadCount += octets.count
            }
            return
        }
        append(octets, at: sequence, &next, &stream.octets)
        while let early = stream.ahead.keys.first(where: { Int32(bitPattern: $0 &- next) <= 0 }),
            let octets = stream.ahead.removeValue(forKey: early)
        {
            stream.aheadCount -= octets.count
            append(octets, at: early, &next, &stream.octets)
        }
        stream.state = .following(next: next, isAtStart: isAtStart)
    }

    private static func append(
        _ octets: ArraySlice<UInt8>, at sequence: UInt32, _ next: inout UInt32, _ stream: inout [UInt8]
    ) {
        let fresh = octets.dropFirst(Int(next &- sequence))
        stream += fresh
        next &+= UInt32(truncatingIfNeeded: fresh.count)
    }

    private static func messages(in stream: inout Stream) -> [[UInt8]] {
        guard case .following(let next, var isAtStart) = stream.state else { return [] }
        var rest = stream.octets[...]
        if isAtStart {
            // The other side sends no prefix, and its first length does not look like the beginning of one.
            guard rest.count >= prefix.count || !prefix.starts(with: rest) else { return [] }
            if rest.starts(with: prefix) { rest = rest.dropFirst(prefix.count) }
            isAtStart = false
        }
        stream.state = .following(next: next, isAtStart: isAtStart)
        var messages: [[UInt8]] = []
        while let length = length(at: rest) {
            // RFC 9329 section 3: a length must count itself, and a receiver gives the stream up if it does not.
            guard length >= 2 else {
                stream = Stream()
                stream.state = .lost
                return messages
            }
            guard rest.count >= length else { break }
            if length > 2 { messages.append(Array(rest.dropFirst(2).prefix(length - 2))) }
            rest = rest.dropFirst(length)
        }
        stream.octets = Array(rest)
        return messages
    }

    private static func length(at octets: ArraySlice<UInt8>) -> Int? {
        guard octets.count >= 2 else { return nil }
        return Int(octets[octets.startIndex]) << 8 | Int(octets[octets.startIndex + 1])
    }

    /// Whether a segment consists of nothing but whole messages, or begins with the prefix: then a stream whose beginning is
    /// not in the capture can be followed from here on.
    private static func isWholeMessages(_ octets: ArraySlice<UInt8>) -> Bool {
        if octets.starts(with: prefix) { return true }
        var rest = octets
        while let length = length(at: rest), length > 2, length <= rest.count { rest = rest.dropFirst(length) }
        return rest.isEmpty
    }

    /// Whether a message begins as IKE messages do, and not ESP packets (RFC 9329 section 3).
    static func hasMarker(_ message: some Collection<UInt8>) -> Bool { message.starts(with: marker) }
}
