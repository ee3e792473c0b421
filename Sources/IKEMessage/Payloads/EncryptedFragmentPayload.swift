// RFC 7383: IKEv2 Message Fragmentation, section 2.5.
import Octets

/// SKF payload: one fragment of a protected message, sealed.
public struct EncryptedFragmentPayload: Hashable, Sendable {
    /// In the first fragment the type of the first payload of the whole, in the others `.none`; kept as it came.
    public var innerFirst: PayloadType
    /// From 1 to ``total``.
    public var number: UInt16
    public var total: UInt16
    /// Initialization vector, ciphertext and integrity check value.
    public var body: [UInt8]
    /// Where the body begins in the message it was read from: the integrity check covers the octets before. Not part of the
    /// payload's value; 0 in one that was not read.
    public private(set) var offset = 0

    public init(innerFirst: PayloadType, number: UInt16, total: UInt16, body: [UInt8]) {
        self.innerFirst = innerFirst
        self.number = number
        self.total = total
        self.body = body
    }

    init(innerFirst: PayloadType, parsing reader: inout OctetReader) throws(OctetError) {
        self.innerFirst = innerFirst
        let numberOffset = reader.offset
        number = try reader.readUInt16("fragment number")
        total = try reader.readUInt16("total fragments")
        guard number >= 1, number <= total else {
            throw reader.invalid("fragment number", "\(number) of \(total)", at: numberOffset)
        }
        offset = reader.offset
        body = reader.readRest()
    }

    func write(to writer: inout OctetWriter) {
        writer.write(number)
        writer.write(total)
        writer.write(body)
    }

    public static func == (left: Self, right: Self) -> Bool {
        left.innerFirst == right.innerFirst && left.number == right.number && left.total == right.total
            && left.body == right.body
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(innerFirst)
        hasher.combine(number)
        hasher.combine(total)
        hasher.combine(body)
    }
}
