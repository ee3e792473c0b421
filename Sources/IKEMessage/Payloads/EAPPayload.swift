import Octets

/// EAP payload: one packet of RFC 3748 (RFC 7296 section 3.16).
public struct EAPPayload: Hashable, Sendable {
    public var code: EAPCode
    /// Tells repeated requests apart, and ties a response to its request.
    public var identifier: UInt8
    /// What follows the EAP packet's length: method type and its data in a request or response, nothing in success and failure.
    public var data: [UInt8]

    public init(code: EAPCode, identifier: UInt8, data: [UInt8]) {
        self.code = code
        self.identifier = identifier
        self.data = data
    }

    /// The EAP method type of a request or response.
    public var method: UInt8? { code == .request || code == .response ? data.first : nil }

    init(parsing reader: inout OctetReader) throws(OctetError) {
        code = EAPCode(rawValue: try reader.readUInt8("EAP code"))
        identifier = try reader.readUInt8("EAP identifier")
        let lengthOffset = reader.offset
        var body = try reader.readBody(of: "EAP", after: 4)
        data = body.readRest()
        switch code {
        case .request, .response:
            guard !data.isEmpty else {
                throw reader.invalid("EAP length", "4 octets leave no room for the method type", at: lengthOffset)
            }
        case .success, .failure:
            guard data.isEmpty else {
                throw reader.invalid("EAP length", "\(4 + data.count) octets instead of 4", at: lengthOffset)
            }
        default: break
        }
    }

    func write(to writer: inout OctetWriter) {
        let data = data.prefix(Int(UInt16.max) - 4)
        writer.write(code.rawValue)
        writer.write(identifier)
        writer.write(UInt16(clamping: 4 + data.count))
        writer.write(data)
    }
}
