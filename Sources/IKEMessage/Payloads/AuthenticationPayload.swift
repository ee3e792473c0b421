import Octets

/// AUTH payload (RFC 7296 section 3.8).
public struct AuthenticationPayload: Hashable, Sendable {
    public var method: AuthenticationMethod
    /// For `.digitalSignature` see ``SignatureAuthenticationData``.
    public var data: [UInt8]

    public init(method: AuthenticationMethod, data: [UInt8]) {
        self.method = method
        self.data = data
    }

    init(parsing reader: inout OctetReader) throws(OctetError) {
        method = AuthenticationMethod(rawValue: try reader.readUInt8("authentication method"))
        try reader.skip(3, "reserved octets")
        data = reader.readRest()
    }

    func write(to writer: inout OctetWriter) {
        writer.write(method.rawValue)
        writer.write(zeros: 3)
        writer.write(data)
    }
}
