import Octets

/// SA payload: proposals in order of preference, or the one that was chosen (RFC 7296 section 3.3).
public struct SecurityAssociationPayload: Hashable, Sendable {
    public var proposals: [Proposal]

    public init(proposals: [Proposal]) { self.proposals = proposals }

    init(parsing reader: inout OctetReader) throws(OctetError) {
        proposals = []
        var more = !reader.isAtEnd
        while more {
            more = try reader.readMore("proposal", mark: 2)
            var body = try reader.readBody(of: "proposal", after: 4)
            proposals.append(try Proposal(parsing: &body))
            guard more == !reader.isAtEnd else {
                throw reader.invalid(
                    "proposal",
                    more
                        ? "another is announced, but the payload ends"
                        : "the last one is followed by \(reader.remaining) octets")
            }
        }
    }

    func write(to writer: inout OctetWriter) {
        for (index, proposal) in proposals.enumerated() {
            var body = OctetWriter()
            proposal.write(to: &body)
            writer.write(index + 1 < proposals.count ? 2 : 0 as UInt8)
            writer.write(UInt8(0))
            writer.write(UInt16(clamping: 4 + body.count))
            writer.write(body.octets)
        }
    }
}

/// A proposal: a protocol and, of each transform type, the alternatives (RFC 7296 section 3.3.1).
///
/// Whether numbers follow each other and SPIs have the size of their protocol depends on the exchange, and is not judged here.
public struct Proposal: Hashable, Sendable {
    public var number: UInt8
    public var protocolID: ProtocolID
    /// Empty in IKE_SA_INIT, 8 octets in a rekey of an IKE SA, 4 for ESP and AH.
    public var spi: [UInt8]
    public var transforms: [Transform]

    public init(number: UInt8, protocolID: ProtocolID, spi: [UInt8], transforms: [Transform]) {
        self.number = number
        self.protocolID = protocolID
        self.spi = spi
        self.transforms = transforms
    }

    /// - Parameter reader: what follows the proposal's length, and ends with the proposal.
    init(parsing reader: inout OctetReader) throws(OctetError) {
        number = try reader.readUInt8("proposal number")
        protocolID = ProtocolID(rawValue: try reader.readUInt8("protocol ID"))
        let spiSize = Int(try reader.readUInt8("SPI size"))
        let countOffset = reader.offset
        let count = Int(try reader.readUInt8("number of transforms"))
        spi = try reader.readOctets(spiSize, "SPI")
        transforms = []
        var more = !reader.isAtEnd
        while more {
            more = try reader.readMore("transform", mark: 3)
            var body = try reader.readBody(of: "transform", after: 4)
            transforms.append(try Transform(parsing: &body))
            guard more == !reader.isAtEnd else {
                throw reader.invalid(
                    "transform",
                    more
                        ? "another is announced, but the proposal ends"
                        : "the last one is followed by \(reader.remaining) octets")
            }
        }
        guard transforms.count == count else {
            throw reader.invalid(
                "number of transforms", "\(count) announced, \(transforms.count) present", at: countOffset)
        }
    }

    func write(to writer: inout OctetWriter) {
        let spi = spi.prefix(255)
        let transforms = transforms.prefix(255)
        writer.write(number)
        writer.write(protocolID.rawValue)
        writer.write(UInt8(clamping: spi.count))
        writer.write(UInt8(clamping: transforms.count))
        writer.write(spi)
        for (index, transform) in transforms.enumerated() {
            var body = OctetWriter()
            transform.write(to: &body)
            writer.write(index + 1 < transforms.count ? 3 : 0 as UInt8)
            writer.write(UInt8(0))
            writer.write(UInt16(clamping: 4 + body.count))
            writer.write(body.octets)
        }
    }
}

extension OctetReader {
    /// Reads the octet that says whether another substructure follows, and the reserved octet after it.
    fileprivate mutating func readMore(_ name: String, mark: UInt8) throws(OctetError) -> Bool {
        let start = offset
        let value = try readUInt8("last \(name) mark")
        guard value == 0 || value == mark else {
            throw invalid("last \(name) mark", "\(value) instead of 0 or \(mark)", at: start)
        }
        try skip(1, "reserved octet of the \(name)")
        return value == mark
    }
}
