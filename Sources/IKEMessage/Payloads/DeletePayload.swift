import Octets

/// Delete payload: SAs that the sender has given up (RFC 7296 section 3.11).
public struct DeletePayload: Hashable, Sendable {
    public var protocolID: ProtocolID
    /// The sender's inbound SPIs, all of one size: four octets for ESP and AH. Empty for IKE, where the message's own SA is meant.
    public var spis: [[UInt8]]

    public init(protocolID: ProtocolID, spis: [[UInt8]]) {
        self.protocolID = protocolID
        self.spis = spis
    }

    init(parsing reader: inout OctetReader) throws(OctetError) {
        protocolID = ProtocolID(rawValue: try reader.readUInt8("protocol ID"))
        let sizeOffset = reader.offset
        let size = Int(try reader.readUInt8("SPI size"))
        let countOffset = reader.offset
        let count = Int(try reader.readUInt16("number of SPIs"))
        // SPIs without octets would let a few octets stand for 65535 of them. For IKE, whose SPI is the header's, some say 0
        // and some 1.
        let required: Int? =
            switch protocolID {
            case .ike: 0
            case .esp, .ah: 4
            default: count == 0 ? 0 : nil
            }
        guard size == required ?? max(size, 1) else {
            throw reader.invalid(
                "SPI size", "\(size) octets for \(count) SPIs of protocol \(protocolID)", at: sizeOffset)
        }
        guard count * size == reader.remaining else {
            throw reader.invalid(
                "number of SPIs", "\(count) of \(size) octets announced, \(reader.remaining) octets present",
                at: countOffset)
        }
        spis = []
        while !reader.isAtEnd {
            spis.append(try reader.readOctets(size, "SPI"))
        }
    }

    /// SPIs that differ in size from the first one cannot be expressed and are left out.
    func write(to writer: inout OctetWriter) {
        let standard = protocolID == .esp || protocolID == .ah ? 4 : 0
        let size = min(spis.first?.count ?? standard, 255)
        let spis = spis.filter { $0.count == size }.prefix(Int(UInt16.max))
        writer.write(protocolID.rawValue)
        writer.write(UInt8(clamping: size))
        writer.write(UInt16(clamping: size == 0 ? 0 : spis.count))
        for spi in spis { writer.write(spi) }
    }
}
