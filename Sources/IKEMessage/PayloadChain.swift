import Octets

// A chain of payloads: each names the type of the next in its generic header (RFC 7296 section 3.2).

extension Payload {
    /// Octets of the generic payload header: next payload, critical bit and reserved bits, length.
    static let headerOctetCount = 4

    /// Reads a chain of payloads, to the end of the octets.
    ///
    /// - Parameters:
    ///   - first: type of the first payload; `.none` for a chain without payloads.
    ///   - offset: where the octets begin in the message, for the offsets of errors.
    ///   - understanding: types that the caller reads from `.unknown` payloads, whose critical bit is therefore no error.
    ///   - format: of the headers.
    /// - Throws: ``MessageError``, with the first fault in the order of the octets.
    public static func parseChain(
        first: PayloadType, _ octets: [UInt8], offset: Int, understanding: Set<PayloadType> = [],
        format: PayloadFormat = .classic
    ) throws(MessageError) -> [Payload] {
        try parseChain(
            first: first, OctetReader(octets[...], offset: offset), understanding: understanding, format: format)
    }

    static func parseChain(
        first: PayloadType, _ octets: OctetReader, understanding: Set<PayloadType>, format: PayloadFormat = .classic
    ) throws(MessageError) -> [Payload] {
        var payloads: [Payload] = []
        try parseChain(first: first, octets, understanding: understanding, format: format, into: &payloads)
        return payloads
    }

    /// - Parameter payloads: where the payloads are put, those before a fault included.
    static func parseChain(
        first: PayloadType, _ octets: OctetReader, understanding: Set<PayloadType>, format: PayloadFormat = .classic,
        into payloads: inout [Payload]
    ) throws(MessageError) {
        var reader = octets
        var type = first
        while type != PayloadType.none {
            guard payloads.count < Message.payloadLimit else {
                throw MessageError(
                    code: .tooManyPayloads, payload: type, offset: reader.offset,
                    reason: "more than \(Message.payloadLimit) payloads")
            }
            let header = try GenericHeader(of: type, parsing: &reader, format)
            switch type {
            case .encrypted, .encryptedFragment:
                guard reader.isAtEnd else {
                    throw MessageError(
                        code: .invalidSyntax, payload: type, offset: reader.offset,
                        reason: "it must be the last payload, but \(reader.remaining) octets follow it")
                }
                // Next Payload names what is inside, so the chain ends here.
                payloads.append(try Payload(type, header, innerFirst: header.next))
                return
            default:
                let payload = try Payload(type, header, innerFirst: .none)
                if case .unknown(let raw) = payload, raw.isCritical, !understanding.contains(type) {
                    throw MessageError(
                        code: .unsupportedCriticalPayload(type), payload: type, offset: header.offset,
                        reason: "the payload is critical and its type unknown")
                }
                payloads.append(payload)
                type = header.next
            }
        }
        guard reader.isAtEnd else {
            throw MessageError(
                code: .invalidSyntax, payload: nil, offset: reader.offset,
                reason: "\(reader.remaining) octets follow the last payload")
        }
    }

    /// The payload header, and what its length embraces.
    private struct GenericHeader {
        let next: PayloadType
        let isCritical: Bool
        let offset: Int
        let body: OctetReader

        init(
            of type: PayloadType, parsing reader: inout OctetReader, _ format: PayloadFormat
        ) throws(MessageError) {
            do throws(OctetError) {
                offset = reader.offset
                switch format {
                case .classic:
                    next = PayloadType(rawValue: try reader.readUInt8("next payload"))
                    isCritical = try reader.readUInt8("critical bit") & 0x80 != 0
                    body = try reader.readBody(of: "payload", after: Payload.headerOctetCount)
                case .extended:
                    let header = try ExtendedPayloadHeader(parsing: &reader)
                    next = header.next
                    isCritical = header.isCritical
                    guard header.bodyLength <= format.longestBody(of: type) else {
                        throw reader.invalid(
                            "body length",
                            "\(header.bodyLength) octets; at most \(format.longestBody(of: type)) are allowed for this type",
                            at: offset)
                    }
                    body = try reader.reader(length: header.bodyLength, "body")
                }
            } catch {
                throw MessageError(error, in: type)
            }
        }
    }

    private init(_ type: PayloadType, _ header: GenericHeader, innerFirst: PayloadType) throws(MessageError) {
        var reader = header.body
        do throws(OctetError) {
            self =
                switch type {
                case .securityAssociation: .securityAssociation(try SecurityAssociationPayload(parsing: &reader))
                case .keyExchange: .keyExchange(try KeyExchangePayload(parsing: &reader))
                case .identificationInitiator: .identificationInitiator(try IdentificationPayload(parsing: &reader))
                case .identificationResponder: .identificationResponder(try IdentificationPayload(parsing: &reader))
                case .certificate: .certificate(try CertificatePayload(parsing: &reader))
                case .certificateRequest: .certificateRequest(try CertificateRequestPayload(parsing: &reader))
                case .authentication: .authentication(try AuthenticationPayload(parsing: &reader))
                case .nonce: .nonce(try Self.readNonce(&reader))
                case .notify: .notify(try NotifyPayload(parsing: &reader))
                case .delete: .delete(try DeletePayload(parsing: &reader))
                case .vendorID: .vendorID(reader.readRest())
                case .trafficSelectorInitiator: .trafficSelectorsInitiator(try TrafficSelectorPayload(parsing: &reader))
                case .trafficSelectorResponder: .trafficSelectorsResponder(try TrafficSelectorPayload(parsing: &reader))
                case .configuration: .configuration(try ConfigurationPayload(parsing: &reader))
                case .eap: .eap(try EAPPayload(parsing: &reader))
                case .encrypted: .encrypted(EncryptedPayload(innerFirst: innerFirst, parsing: &reader))
                case .encryptedFragment:
                    .encryptedFragment(try EncryptedFragmentPayload(innerFirst: innerFirst, parsing: &reader))
                default:
                    .unknown(RawPayload(type: type, isCritical: header.isCritical, body: reader.readRest()))
                }
            guard reader.isAtEnd else {
                throw reader.invalid("end of the payload", "\(reader.remaining) octets follow the last field")
            }
        } catch {
            throw MessageError(error, in: type)
        }
    }

    private static func readNonce(_ reader: inout OctetReader) throws(OctetError) -> [UInt8] {
        guard (16...256).contains(reader.remaining) else {
            throw reader.invalid("nonce", "\(reader.remaining) octets; 16 to 256 are allowed")
        }
        return reader.readRest()
    }

    /// The octets of a chain of payloads, and the type of the first.
    ///
    /// What the format has no room for is left out: a body beyond 65 531 octets is cut there, as are SPIs of more than 255
    /// octets and lists of more elements than their count can say. A chain ends with the first `.encrypted` or
    /// `.encryptedFragment`.
    public static func serializeChain(_ payloads: [Payload]) -> (first: PayloadType, octets: [UInt8]) {
        var writer = OctetWriter()
        writeChain(payloads, before: .none, to: &writer)
        return (payloads.first?.type ?? .none, writer.octets)
    }

    /// The same in a format, with nothing left out but what ``serializeChain(_:)`` leaves out within payloads.
    ///
    /// - Throws: ``MessageError`` if a payload is longer than the format allows.
    public static func serializeChain(
        _ payloads: [Payload], format: PayloadFormat
    ) throws(MessageError) -> (first: PayloadType, octets: [UInt8]) {
        var writer = OctetWriter()
        try writeChain(payloads, before: .none, to: &writer) {
            (body, next, isCritical, payload, writer) throws(MessageError) in
            guard body.count <= format.longestBody(of: payload) else {
                throw MessageError(
                    code: .invalidSyntax, payload: payload, offset: writer.count,
                    reason:
                        "\(body.count) octets do not fit: \(format.longestBody(of: payload)) do with \(format.rawValue) payload headers"
                )
            }
            switch format {
            case .classic: write(body, next: next, isCritical: isCritical, to: &writer)
            case .extended:
                do throws(OctetError) {
                    let header = try ExtendedPayloadHeader(
                        next: next, isCritical: isCritical, bodyLength: body.count)
                    writer.write(header.octets)
                    writer.write(body)
                } catch {
                    throw MessageError(error, in: payload)
                }
            }
        }
        return (payloads.first?.type ?? .none, writer.octets)
    }

    /// - Parameter last: the type that the last payload names as its next.
    static func writeChain(_ payloads: [Payload], before last: PayloadType, to writer: inout OctetWriter) {
        writeChain(payloads, before: last, to: &writer) { body, next, isCritical, _, writer in
            write(body, next: next, isCritical: isCritical, to: &writer)
        }
    }

    /// - Parameter put: writes a body behind its header: the body, the type that comes next, the critical bit, its own type.
    private static func writeChain<Failure: Error>(
        _ payloads: [Payload], before last: PayloadType, to writer: inout OctetWriter,
        put: ([UInt8], PayloadType, Bool, PayloadType, inout OctetWriter) throws(Failure) -> Void
    ) throws(Failure) {
        for (index, payload) in payloads.enumerated() {
            let next = type(after: index, in: payloads) ?? last
            switch payload {
            case .encrypted(let encrypted):
                return try put(payload.body, encrypted.innerFirst, false, payload.type, &writer)
            case .encryptedFragment(let fragment):
                return try put(payload.body, fragment.innerFirst, false, payload.type, &writer)
            case .unknown(let raw): try put(raw.body, next, raw.isCritical, raw.type, &writer)
            default: try put(payload.body, next, false, payload.type, &writer)
            }
        }
    }

    private static func type(after index: Int, in payloads: [Payload]) -> PayloadType? {
        index + 1 < payloads.count ? payloads[index + 1].type : nil
    }

    private static func write(
        _ body: [UInt8], next: PayloadType, isCritical: Bool, to writer: inout OctetWriter
    ) {
        let body = body.prefix(Int(UInt16.max) - headerOctetCount)
        writer.write(next.rawValue)
        writer.write(isCritical ? 0x80 : 0 as UInt8)
        writer.write(UInt16(clamping: headerOctetCount + body.count))
        writer.write(body)
    }

    /// What follows the payload header.
    var body: [UInt8] {
        var writer = OctetWriter()
        switch self {
        case .securityAssociation(let payload): payload.write(to: &writer)
        case .keyExchange(let payload): payload.write(to: &writer)
        case .identificationInitiator(let payload), .identificationResponder(let payload):
            return payload.serializedBody
        case .certificate(let payload): payload.write(to: &writer)
        case .certificateRequest(let payload): payload.write(to: &writer)
        case .authentication(let payload): payload.write(to: &writer)
        case .nonce(let octets), .vendorID(let octets): return octets
        case .notify(let payload): payload.write(to: &writer)
        case .delete(let payload): payload.write(to: &writer)
        case .trafficSelectorsInitiator(let payload), .trafficSelectorsResponder(let payload):
            payload.write(to: &writer)
        case .configuration(let payload): payload.write(to: &writer)
        case .eap(let payload): payload.write(to: &writer)
        case .encrypted(let payload): return payload.body
        case .encryptedFragment(let payload): payload.write(to: &writer)
        case .unknown(let payload): return payload.body
        }
        return writer.octets
    }
}

extension OctetReader {
    /// Reads a 16-bit length that counts the `headerOctetCount` octets up to and including itself, and gives a reader over the
    /// rest of what it embraces.
    ///
    /// Every length of this kind is read here, so that none below its own header ever gets as far as a subtraction.
    mutating func readBody(of name: String, after headerOctetCount: Int) throws(OctetError) -> OctetReader {
        let start = offset
        let length = Int(try readUInt16("\(name) length"))
        guard length >= headerOctetCount else {
            throw invalid(
                "\(name) length", "\(length) octets, less than its own header of \(headerOctetCount)", at: start)
        }
        guard length - headerOctetCount <= remaining else {
            throw OctetError(
                .truncated, field: "\(name) length", offset: start,
                reason: "\(length) octets, but only \(remaining + headerOctetCount) are left")
        }
        return try reader(length: length - headerOctetCount, name)
    }
}
