// RFC 9329 sections 3 and 4: the stream prefix, and messages with their lengths before them.

/// Cuts what comes by a TCP connection into messages, wherever segments end.
///
/// What is kept is the beginning of one message, no longer than what has come of it.
package struct StreamFraming {
    /// What the one who opens a connection sends first.
    package static let prefix = Array("IKETCP".utf8)
    /// The longest message, so that its length with itself has 16 bits.
    package static let largestMessage = 0xffff - lengthCount
    package static let lengthCount = 2
    /// The zero octets before an IKE message.
    package static let markerCount = 4
    private static let ikeHeaderCount = 28
    /// SPI and sequence number.
    private static let leastESPCount = 8

    /// Why the connection cannot be read on.
    package enum Fault: String, Error {
        case badPrefix = "it does not begin with IKETCP"
        /// A length that does not count itself.
        case badLength = "a message has an impossible length"
    }

    package enum Kind {
        /// Without the non-ESP marker.
        case ike
        case esp
        /// Too short for what it begins as.
        case malformed
    }

    private var awaitsPrefix: Bool
    /// Of the prefix, or of a message with its length.
    private var partial: [UInt8] = []

    /// - Parameter awaitsPrefix: the peer has opened the connection. The other side sends none.
    package init(awaitsPrefix: Bool) { self.awaitsPrefix = awaitsPrefix }

    /// Octets that are kept.
    package var heldCount: Int { partial.count }
    /// Whether what has come is how a TLS server says that it cannot go on: an alert.
    package var mayBeTLS: Bool { partial.starts(with: [0x15, 0x03]) }
    /// Whether all that came so far were whole messages.
    package var isAtBoundary: Bool { partial.isEmpty && !awaitsPrefix }

    /// Takes octets in the order in which they came.
    ///
    /// - Parameter each: is given each message once it is whole; its octets are there until it returns.
    /// - Throws: ``Fault``: what comes after cannot be told apart any more.
    package mutating func take(
        _ octets: UnsafeRawBufferPointer, _ each: (Kind, UnsafeRawBufferPointer) -> Void
    ) throws(Fault) {
        var rest = octets
        while true {
            if awaitsPrefix {
                guard fill(to: Self.prefix.count, from: &rest) else {
                    // What cannot become the prefix is not waited for.
                    if !Self.prefix.starts(with: partial) { throw .badPrefix }
                    return
                }
                guard partial == Self.prefix else { throw .badPrefix }
                partial.removeAll(keepingCapacity: true)
                awaitsPrefix = false
            }
            if partial.isEmpty, rest.count >= Self.lengthCount {
                let length = try Self.length(rest[0], rest[1])
                if rest.count >= length {
                    Self.hand(UnsafeRawBufferPointer(rebasing: rest[Self.lengthCount..<length]), each)
                    rest = UnsafeRawBufferPointer(rebasing: rest[length...])
                    continue
                }
            }
            guard !rest.isEmpty, fill(to: Self.lengthCount, from: &rest) else { return }
            guard fill(to: try Self.length(partial[0], partial[1]), from: &rest) else { return }
            partial.withUnsafeBytes {
                Self.hand(UnsafeRawBufferPointer(rebasing: $0[Self.lengthCount...]), each)
            }
            partial.removeAll(keepingCapacity: partial.capacity <= 4096)
        }
    }

    /// - Returns: whether so many octets are there now.
    private mutating func fill(to count: Int, from rest: inout UnsafeRawBufferPointer) -> Bool {
        let wanted = min(max(count - partial.count, 0), rest.count)
        partial.append(contentsOf: rest[..<wanted])
        rest = UnsafeRawBufferPointer(rebasing: rest[wanted...])
        return partial.count >= count
    }

    /// It counts itself (RFC 9329 section 3).
    private static func length(_ high: UInt8, _ low: UInt8) throws(Fault) -> Int {
        let length = Int(high) << 8 | Int(low)
        guard length >= lengthCount else { throw .badLength }
        return length
    }

    private static func hand(_ message: UnsafeRawBufferPointer, _ each: (Kind, UnsafeRawBufferPointer) -> Void) {
        // Nothing at all, or what would keep a NAT's mapping alive: to be passed over without a word (RFC 9329 sections 3 and 6.6).
        if message.isEmpty || message.count == 1 && message[0] == 0xff { return }
        guard message.count >= markerCount, message[..<markerCount].allSatisfy({ $0 == 0 }) else {
            return each(message.count >= leastESPCount ? .esp : .malformed, message)
        }
        let rest = UnsafeRawBufferPointer(rebasing: message[markerCount...])
        each(rest.count >= ikeHeaderCount ? .ike : .malformed, rest)
    }

    /// The length that stands before a message of so many octets; `nil` if that is too long.
    package static func lengthField(of count: Int) -> (UInt8, UInt8)? {
        guard (0...largestMessage).contains(count) else { return nil }
        let length = count + lengthCount
        return (UInt8(length >> 8), UInt8(length & 0xff))
    }
}
