import Octets

/// As much of a message as can be read: for those who show messages rather than act on them.
package struct PartialMessage: Sendable {
    /// The header, and the payloads before the fault; all of them if there is none.
    package let message: Message
    package let fault: MessageError?

    /// Reads a datagram as ``Message/init(parsing:understanding:)`` does, but keeps what comes before a fault. Critical
    /// payloads of unknown types are no fault: nobody acts on them.
    ///
    /// - Throws: ``MessageError`` if not even the header is there.
    package init(parsing octets: [UInt8]) throws(MessageError) {
        var reader = OctetReader(octets)
        let header = try IKEHeader(parsing: &reader)
        var fault: MessageError?
        do throws(MessageError) {
            try Message.check(header, octetCount: octets.count)
        } catch {
            fault = error
        }
        guard header.majorVersion == 2 else {
            message = Message(header: header, payloads: [])
            self.fault = fault
            return
        }
        // Where more octets came than the header has, those behind belong to no payload.
        let end = max(IKEHeader.octetCount, min(Int(clamping: header.length), octets.count))
        let chain = PartialChain(
            first: header.nextPayload,
            OctetReader(octets[IKEHeader.octetCount..<end], offset: IKEHeader.octetCount))
        message = Message(header: header, payloads: chain.payloads)
        self.fault = fault ?? chain.fault
    }
}

/// As much of a chain of payloads as can be read.
package struct PartialChain: Sendable {
    package let payloads: [Payload]
    package let fault: MessageError?

    private static let everyType = Set((UInt8.min...UInt8.max).map(PayloadType.init(rawValue:)))

    /// Reads a chain as ``Payload/parseChain(first:_:offset:understanding:)`` does, but keeps what comes before a fault.
    package init(first: PayloadType, _ octets: [UInt8], offset: Int, format: PayloadFormat = .classic) {
        self.init(first: first, OctetReader(octets[...], offset: offset), format: format)
    }

    init(first: PayloadType, _ octets: OctetReader, format: PayloadFormat = .classic) {
        var payloads: [Payload] = []
        var fault: MessageError?
        do throws(MessageError) {
            try Payload.parseChain(first: first, octets, understanding: Self.everyType, format: format, into: &payloads)
        } catch {
            fault = error
        }
        self.payloads = payloads
        self.fault = fault
    }
}
