import Octets

/// A transform: one algorithm of one type, with its attributes (RFC 7296 section 3.3.2).
public struct Transform: Hashable, Sendable {
    public var type: TransformType
    /// Transform ID in the registry of the type; ``transformName(_:_:keyLength:)`` has the names.
    public var id: UInt16
    public var attributes: [TransformAttribute]

    public init(type: TransformType, id: UInt16, attributes: [TransformAttribute]) {
        self.type = type
        self.id = id
        self.attributes = attributes
    }

    /// - Parameter keyLength: in bits, for algorithms with keys of several lengths; `nil` for the others.
    public init(type: TransformType, id: UInt16, keyLength: UInt16? = nil) {
        self.init(
            type: type, id: id,
            attributes: keyLength.map { [TransformAttribute(type: .keyLength, value: .short($0))] } ?? [])
    }

    /// The Key Length attribute in bits; `nil` if there is none in the two-octet form, which is its only one.
    public var keyLength: UInt16? {
        for attribute in attributes where attribute.type == .keyLength {
            if case .short(let bits) = attribute.value { return bits }
        }
        return nil
    }

    /// Whether there is no attribute besides at most one well-formed Key Length. A transform with others must not be chosen
    /// by those who do not know them (RFC 7296 section 3.3.6).
    public var hasOnlyKeyLength: Bool { attributes.isEmpty || attributes.count == 1 && keyLength != nil }

    /// - Parameter reader: what follows the transform's length, and ends with the transform.
    init(parsing reader: inout OctetReader) throws(OctetError) {
        type = TransformType(rawValue: try reader.readUInt8("transform type"))
        try reader.skip(1, "reserved octet of the transform")
        id = try reader.readUInt16("transform ID")
        attributes = []
        while !reader.isAtEnd {
            attributes.append(try TransformAttribute(parsing: &reader))
        }
    }

    func write(to writer: inout OctetWriter) {
        writer.write(type.rawValue)
        writer.write(UInt8(0))
        writer.write(id)
        for attribute in attributes { attribute.write(to: &writer) }
    }
}

/// An attribute of a transform (RFC 7296 section 3.3.5).
public struct TransformAttribute: Hashable, Sendable {
    public enum Value: Hashable, Sendable {
        /// Type and value (format bit 1): two octets.
        case short(UInt16)
        /// Type, length and value (format bit 0): any number of octets, none included.
        case variable([UInt8])
    }

    /// Below 32768; the highest bit is the format's and is not written.
    public var type: TransformAttributeType
    public var value: Value

    public init(type: TransformAttributeType, value: Value) {
        self.type = type
        self.value = value
    }

    init(parsing reader: inout OctetReader) throws(OctetError) {
        let head = try reader.readUInt16("attribute type")
        type = TransformAttributeType(rawValue: head & 0x7FFF)
        if head & 0x8000 != 0 {
            value = .short(try reader.readUInt16("attribute value"))
        } else {
            let length = try reader.readUInt16("attribute length")
            value = .variable(try reader.readOctets(Int(length), "attribute value"))
        }
    }

    func write(to writer: inout OctetWriter) {
        switch value {
        case .short(let number):
            writer.write(type.rawValue | 0x8000)
            writer.write(number)
        case .variable(let octets):
            let octets = octets.prefix(Int(UInt16.max))
            writer.write(type.rawValue & 0x7FFF)
            writer.write(UInt16(clamping: octets.count))
            writer.write(octets)
        }
    }
}
