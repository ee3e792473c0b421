import Octets

/// CP payload: settings asked of the peer or given to it (RFC 7296 section 3.15).
public struct ConfigurationPayload: Hashable, Sendable {
    public var type: ConfigurationType
    public var attributes: [ConfigurationAttribute]

    public init(type: ConfigurationType, attributes: [ConfigurationAttribute]) {
        self.type = type
        self.attributes = attributes
    }

    init(parsing reader: inout OctetReader) throws(OctetError) {
        type = ConfigurationType(rawValue: try reader.readUInt8("configuration type"))
        try reader.skip(3, "reserved octets")
        attributes = []
        while !reader.isAtEnd {
            attributes.append(try ConfigurationAttribute(parsing: &reader))
        }
    }

    func write(to writer: inout OctetWriter) {
        writer.write(type.rawValue)
        writer.write(zeros: 3)
        for attribute in attributes { attribute.write(to: &writer) }
    }
}

/// An attribute of a CP payload (RFC 7296 section 3.15.1).
public struct ConfigurationAttribute: Hashable, Sendable {
    /// Below 32768; the highest bit is reserved, ignored on receipt and not written.
    public var type: ConfigurationAttributeType
    /// Empty in a request that proposes nothing.
    public var value: [UInt8]

    public init(type: ConfigurationAttributeType, value: [UInt8]) {
        self.type = type
        self.value = value
    }

    init(parsing reader: inout OctetReader) throws(OctetError) {
        type = ConfigurationAttributeType(rawValue: try reader.readUInt16("attribute type") & 0x7FFF)
        let length = try reader.readUInt16("attribute length")
        value = try reader.readOctets(Int(length), "attribute value")
    }

    func write(to writer: inout OctetWriter) {
        let value = value.prefix(Int(UInt16.max))
        writer.write(type.rawValue & 0x7FFF)
        writer.write(UInt16(clamping: value.count))
        writer.write(value)
    }
}
