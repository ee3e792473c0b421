import Octets

/// SK payload, sealed (RFC 7296 section 3.14).
public struct EncryptedPayload: Hashable, Sendable {
    /// Type of the first payload inside; `.none` if there is none.
    public var innerFirst: PayloadType
    /// Initialization vector, ciphertext and integrity check value.
    public var body: [UInt8]
    /// Where the body begins in the message it was read from: the integrity check covers the octets before. Not part of the
    /// payload's value; 0 in one that was not read.
    public private(set) var offset = 0

    public init(innerFirst: PayloadType, body: [UInt8]) {
        self.innerFirst = innerFirst
        self.body = body
    }

    init(innerFirst: PayloadType, parsing reader: inout OctetReader) {
        self.innerFirst = innerFirst
        offset = reader.offset
        body = reader.readRest()
    }

    public static func == (left: Self, right: Self) -> Bool {
        left.innerFirst == right.innerFirst && left.body == right.body
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(innerFirst)
        hasher.combine(body)
    }
}
