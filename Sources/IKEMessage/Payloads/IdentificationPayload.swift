import Octets

/// IDi or IDr payload (RFC 7296 section 3.5).
public struct IdentificationPayload: Hashable, Sendable {
    public var type: IdentificationType
    public var data: [UInt8]
    /// The reserved octets, in the low 24 bits. They mean nothing, but the peer's AUTH payload covers them as they were sent.
    private var reserved: UInt32 = 0

    public init(type: IdentificationType, data: [UInt8]) {
        self.type = type
        self.data = data
    }

    /// What follows the generic payload header, as it came or will go: type, three reserved octets, data. The octets that
    /// the AUTH payload covers (RFC 7296 section 2.15).
    public var serializedBody: [UInt8] {
        var writer = OctetWriter(reservingCapacity: 4 + data.count)
        writer.write(UInt32(type.rawValue) << 24 | reserved)
        writer.write(data)
        return writer.octets
    }

    init(parsing reader: inout OctetReader) throws(OctetError) {
        let head = try reader.readUInt32("ID type")
        type = IdentificationType(rawValue: UInt8(truncatingIfNeeded: head >> 24))
        reserved = head & 0x00FF_FFFF
        data = reader.readRest()
    }
}
