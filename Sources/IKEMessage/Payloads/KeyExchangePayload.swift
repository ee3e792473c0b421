import Octets

/// KE payload: a public value, or for later methods whatever a key exchange sends (RFC 7296 section 3.4).
public struct KeyExchangePayload: Hashable, Sendable {
    /// Transform ID of type KE.
    public var method: UInt16
    /// Not judged here: its length is the method's affair.
    public var data: [UInt8]

    public init(method: UInt16, data: [UInt8]) {
        self.method = method
        self.data = data
    }

    init(parsing reader: inout OctetReader) throws(OctetError) {
        method = try reader.readUInt16("key exchange method")
        try reader.skip(2, "reserved octets")
        data = reader.readRest()
    }

    func write(to writer: inout OctetWriter) {
        writer.write(method)
        writer.write(UInt16(0))
        writer.write(data)
    }
}
