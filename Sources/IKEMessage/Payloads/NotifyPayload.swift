import Octets

/// Notify payload: an error or a piece of status (RFC 7296 section 3.10).
public struct NotifyPayload: Hashable, Sendable {
    /// Protocol of ``spi``; `.none`, and to be ignored, if that is empty.
    public var protocolID: ProtocolID
    /// The SA concerned; empty if that is the IKE SA itself, or none. At most 255 octets.
    public var spi: [UInt8]
    public var type: NotifyType
    public var data: [UInt8]

    public init(protocolID: ProtocolID, spi: [UInt8], type: NotifyType, data: [UInt8]) {
        self.protocolID = protocolID
        self.spi = spi
        self.type = type
        self.data = data
    }

    init(parsing reader: inout OctetReader) throws(OctetError) {
        protocolID = ProtocolID(rawValue: try reader.readUInt8("protocol ID"))
        let spiSize = Int(try reader.readUInt8("SPI size"))
        type = NotifyType(rawValue: try reader.readUInt16("notify message type"))
        spi = try reader.readOctets(spiSize, "SPI")
        data = reader.readRest()
    }

    func write(to writer: inout OctetWriter) {
        let spi = spi.prefix(255)
        writer.write(protocolID.rawValue)
        writer.write(UInt8(clamping: spi.count))
        writer.write(type.rawValue)
        writer.write(spi)
        writer.write(data)
    }
}
