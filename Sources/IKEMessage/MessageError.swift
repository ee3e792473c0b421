import Octets

/// Why a message could not be read: what is wrong, in which payload and at which octet.
public struct MessageError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: Hashable, Sendable {
        /// A field, or a length, reaches beyond what contains it.
        case truncated
        /// The octets are there but break the format; answered by INVALID_SYNTAX where an answer is due.
        case invalidSyntax
        /// A payload of unknown type has its critical bit set (RFC 7296 section 2.5).
        case unsupportedCriticalPayload(PayloadType)
        /// The message is of another major version of IKE (RFC 7296 section 2.5).
        case invalidMajorVersion(UInt8)
        /// More payloads than ``Message/payloadLimit``.
        case tooManyPayloads
    }

    public let code: Code
    /// The payload with the fault; `nil` for the header and for the message as a whole.
    public let payload: PayloadType?
    /// Offset of the field at fault from the start of the message, in octets. Within a decrypted chain of payloads it
    /// counts from the offset that was given to ``Payload/parseChain(first:_:offset:understanding:)``.
    public let offset: Int
    public let reason: String

    public init(code: Code, payload: PayloadType?, offset: Int, reason: String) {
        self.code = code
        self.payload = payload
        self.offset = offset
        self.reason = reason
    }

    init(_ error: OctetError, in payload: PayloadType?) {
        self.init(
            code: error.code == .truncated ? .truncated : .invalidSyntax, payload: payload, offset: error.offset,
            reason: "\(error.field): \(error.reason)")
    }

    /// For example `SA payload, octet 52: transform length: needs 2 octets, 1 left`.
    public var description: String {
        "\(payload.map { "\($0) payload" } ?? "message"), octet \(offset): \(reason)"
    }
}
