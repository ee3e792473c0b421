/// Why octets could not be read: the field, where it began, and what was wrong with it.
public struct OctetError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: Hashable, Sendable {
        /// Fewer octets are left than the field needs.
        case truncated
        /// The octets are there but their value is not allowed.
        case invalid
    }

    public let code: Code
    /// What was being read, for example `"SA payload: transform length"`.
    public let field: String
    /// Offset of the field from the start of the outermost buffer, in octets.
    public let offset: Int
    public let reason: String

    public init(_ code: Code, field: String, offset: Int, reason: String) {
        self.code = code
        self.field = field
        self.offset = offset
        self.reason = reason
    }

    public var description: String { "\(field) at octet \(offset): \(reason)" }
}

/// Reads big-endian fields from octets; every read is checked against what is left.
///
/// Sub-readers made by ``reader(length:_:)`` keep counting offsets from the start of the outermost buffer, so that an
/// error names the octet a person finds in a capture.
public struct OctetReader: Sendable {
    private let octets: ArraySlice<UInt8>
    private let base: Int
    private var position: Int

    public init(_ octets: [UInt8]) {
        self.init(octets[...], offset: 0)
    }

    /// - Parameter offset: the offset of the first octet of `octets` in the outermost buffer.
    public init(_ octets: ArraySlice<UInt8>, offset: Int) {
        self.octets = octets
        self.base = offset - octets.startIndex
        self.position = octets.startIndex
    }

    /// Number of octets not read yet.
    public var remaining: Int { octets.endIndex - position }
    public var isAtEnd: Bool { remaining == 0 }
    /// Offset of the next octet in the outermost buffer.
    public var offset: Int { base + position }

    private mutating func advance(_ count: Int, _ field: @autoclosure () -> String) throws(OctetError) -> Int {
        guard count >= 0, count <= remaining else {
            throw OctetError(
                .truncated, field: field(), offset: offset, reason: "needs \(count) octets, \(remaining) left")
        }
        defer { position += count }
        return position
    }

    public mutating func readUInt8(_ field: @autoclosure () -> String) throws(OctetError) -> UInt8 {
        octets[try advance(1, field())]
    }

    public mutating func readUInt16(_ field: @autoclosure () -> String) throws(OctetError) -> UInt16 {
        let at = try advance(2, field())
        return UInt16(octets[at]) << 8 | UInt16(octets[at + 1])
    }

    public mutating func readUInt32(_ field: @autoclosure () -> String) throws(OctetError) -> UInt32 {
        let at = try advance(4, field())
        return octets[at..<at + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    public mutating func readUInt64(_ field: @autoclosure () -> String) throws(OctetError) -> UInt64 {
        let at = try advance(8, field())
        return octets[at..<at + 8].reduce(0) { $0 << 8 | UInt64($1) }
    }

    public mutating func readOctets(_ count: Int, _ field: @autoclosure () -> String) throws(OctetError) -> [UInt8] {
        let at = try advance(count, field())
        return Array(octets[at..<at + count])
    }

    /// Everything that is left.
    public mutating func readRest() -> [UInt8] {
        defer { position = octets.endIndex }
        return Array(octets[position...])
    }

    public mutating func skip(_ count: Int, _ field: @autoclosure () -> String) throws(OctetError) {
        _ = try advance(count, field())
    }

    /// A reader over the next `length` octets, which are skipped here.
    public mutating func reader(length: Int, _ field: @autoclosure () -> String) throws(OctetError) -> OctetReader {
        let start = offset
        let at = try advance(length, field())
        return OctetReader(octets[at..<at + length], offset: start)
    }

    /// An error about the field that begins at the next octet, or at `offset`.
    public func invalid(_ field: String, _ reason: String, at offset: Int? = nil) -> OctetError {
        OctetError(.invalid, field: field, offset: offset ?? self.offset, reason: reason)
    }
}
