import Octets

/// An IKE message: header and payloads (RFC 7296 section 3). Of a protected message the last payload is `.encrypted` or
/// `.encryptedFragment`, with its contents still sealed.
public struct Message: Hashable, Sendable {
    /// More payloads than this in a message are refused; the longest honest ones carry some dozens of certificates.
    public static let payloadLimit = 128

    public var header: IKEHeader
    public var payloads: [Payload]

    public init(header: IKEHeader, payloads: [Payload]) {
        self.header = header
        self.payloads = payloads
    }

    /// Whether the message ends with SK or SKF, as all do but those of IKE_SA_INIT and errors outside an SA.
    public var isProtected: Bool {
        switch payloads.last {
        case .encrypted, .encryptedFragment: true
        default: false
        }
    }

    /// Reads a whole datagram.
    ///
    /// Reserved bits and octets, unknown flags, the minor version, and the critical bit of a payload that is known here
    /// are ignored, as RFC 7296 sections 2.5 and 3 ask.
    ///
    /// - Parameters:
    ///   - octets: from the initiator's SPI on, without a non-ESP marker; as many as the header's length says.
    ///   - understanding: types that the caller reads from `.unknown` payloads, whose critical bit is therefore no error.
    /// - Throws: ``MessageError``, with the first fault in the order of the octets.
    public init(parsing octets: [UInt8], understanding: Set<PayloadType> = []) throws(MessageError) {
        var reader = OctetReader(octets)
        header = try IKEHeader(parsing: &reader)
        try Self.check(header, octetCount: octets.count)
        payloads = try Payload.parseChain(first: header.nextPayload, reader, understanding: understanding)
    }

    /// Refuses what is of another version, or not of the length its header has.
    static func check(_ header: IKEHeader, octetCount: Int) throws(MessageError) {
        guard header.majorVersion == 2 else {
            throw MessageError(
                code: .invalidMajorVersion(header.majorVersion), payload: nil, offset: 17,
                reason: "version \(header.majorVersion).\(header.minorVersion) instead of 2")
        }
        guard Int64(header.length) == Int64(octetCount) else {
            throw MessageError(
                code: Int64(header.length) > Int64(octetCount) ? .truncated : .invalidSyntax, payload: nil, offset: 24,
                reason: "length: the header says \(header.length) octets, the datagram holds \(octetCount)")
        }
    }

    /// The octets of the message. Next Payload and Length of the header are computed; the rest of it is taken as it is.
    ///
    /// A payload after `.encrypted` or `.encryptedFragment` cannot be expressed and is left out; see also
    /// ``Payload/serializeChain(_:)``.
    public func serialized() -> [UInt8] {
        let chain = Payload.serializeChain(payloads)
        var header = header
        header.nextPayload = chain.first
        header.length = UInt32(clamping: IKEHeader.octetCount + chain.octets.count)
        var writer = OctetWriter(reservingCapacity: IKEHeader.octetCount + chain.octets.count)
        header.write(to: &writer)
        writer.write(chain.octets)
        return writer.octets
    }
}
