// draft-smyslov-ipsecme-ikev2-extended-pld-01: Extended IKEv2 Payload Format; the payload header. Of the draft only the title page,
// the abstract and the references could be read. The layout here, "profile 1", is our own and stands in for the draft's: whoever
// replaces it replaces this file.
import Octets

/// A payload header that costs two to five octets, and gives a payload up to 536 870 911 octets.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +---------------+-+---+---------+-------------------------------+
/// | Next Payload  |C|LL |  Body Length: 5 + 8 * LL bits, LL octets …
/// +---------------+-+---+---------+-------------------------------+
/// ```
///
/// Body Length counts what comes after the header. The shortest form is the only one: a message has one encoding, so that what is
/// authenticated is what is read.
public struct ExtendedPayloadHeader: Hashable, Sendable {
    /// The number by which two implementations know that they mean this layout.
    public static let profile: UInt8 = 1
    /// The longest body, in octets.
    public static let longestBody = 1 << 29 - 1

    public let next: PayloadType
    public let isCritical: Bool
    /// Octets after the header.
    public let bodyLength: Int

    /// - Throws: `OctetError` if the length is negative, or beyond ``longestBody``.
    public init(next: PayloadType, isCritical: Bool = false, bodyLength: Int) throws(OctetError) {
        guard (0...Self.longestBody).contains(bodyLength) else {
            throw OctetError(
                .invalid, field: "body length", offset: 0,
                reason: "\(bodyLength) octets; at most \(Self.longestBody) can be said")
        }
        self.next = next
        self.isCritical = isCritical
        self.bodyLength = bodyLength
    }

    /// Reads a header; the body is not looked at.
    ///
    /// - Throws: `OctetError` if it is cut short, or longer than it needs to be.
    public init(parsing reader: inout OctetReader) throws(OctetError) {
        next = PayloadType(rawValue: try reader.readUInt8("next payload"))
        let start = reader.offset
        let first = try reader.readUInt8("body length")
        isCritical = first & 0x80 != 0
        let further = Int(first >> 5 & 0b11)
        var length = Int(first & 0x1F)
        for _ in 0..<further { length = length << 8 | Int(try reader.readUInt8("body length")) }
        bodyLength = length
        guard further == Self.furtherOctets(for: length) else {
            throw reader.invalid("body length", "\(length) octets, in more octets than that needs", at: start)
        }
    }

    /// Octets of the header.
    public var octetCount: Int { 2 + Self.furtherOctets(for: bodyLength) }

    public var octets: [UInt8] {
        let further = Self.furtherOctets(for: bodyLength)
        let top = UInt8(truncatingIfNeeded: bodyLength >> (8 * further)) & 0x1F
        var octets = [next.rawValue, (isCritical ? 0x80 : 0) | UInt8(truncatingIfNeeded: further) << 5 | top]
        for place in (0..<further).reversed() { octets.append(UInt8(truncatingIfNeeded: bodyLength >> (8 * place))) }
        return octets
    }

    private static func furtherOctets(for length: Int) -> Int {
        switch length {
        case ...0x1F: 0
        case ...0x1FFF: 1
        case ...0x1F_FFFF: 2
        default: 3
        }
    }
}
