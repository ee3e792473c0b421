import Octets

/// The header of every IKE message, 28 octets (RFC 7296 section 3.1).
public struct IKEHeader: Hashable, Sendable {
    /// The Flags octet. Bits without a name are ignored on receipt.
    public struct Flags: OptionSet, Hashable, Sendable {
        public let rawValue: UInt8

        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// Sent by the original initiator of the IKE SA.
        public static let initiator = Flags(rawValue: 0x08)
        /// The sender could speak a higher major version.
        public static let higherVersion = Flags(rawValue: 0x10)
        /// A response to the request with the same message ID.
        public static let response = Flags(rawValue: 0x20)
    }

    public static let octetCount = 28

    public var initiatorSPI: UInt64
    /// Zero in the first message of an IKE SA.
    public var responderSPI: UInt64
    /// Type of the first payload; ``Message/serialized()`` sets it.
    public var nextPayload: PayloadType
    /// 2; four bits.
    public var majorVersion: UInt8
    /// 0; four bits, ignored on receipt.
    public var minorVersion: UInt8
    public var exchangeType: ExchangeType
    public var flags: Flags
    public var messageID: UInt32
    /// Octets of the whole message, header included; ``Message/serialized()`` sets it.
    public var length: UInt32

    /// A header of version 2.0 whose `nextPayload` and `length` are those of a message without payloads.
    public init(
        initiatorSPI: UInt64, responderSPI: UInt64, exchangeType: ExchangeType, flags: Flags, messageID: UInt32
    ) {
        self.initiatorSPI = initiatorSPI
        self.responderSPI = responderSPI
        nextPayload = .none
        majorVersion = 2
        minorVersion = 0
        self.exchangeType = exchangeType
        self.flags = flags
        self.messageID = messageID
        length = UInt32(Self.octetCount)
    }

    /// Reads the 28 octets and judges none of them: a message of another version, or of a wrong length, still shows to whom
    /// and in which exchange an answer would go.
    ///
    /// - Throws: ``MessageError/Code/truncated`` if there are fewer.
    public init(parsing reader: inout OctetReader) throws(MessageError) {
        do throws(OctetError) {
            initiatorSPI = try reader.readUInt64("initiator's SPI")
            responderSPI = try reader.readUInt64("responder's SPI")
            nextPayload = PayloadType(rawValue: try reader.readUInt8("next payload"))
            let version = try reader.readUInt8("version")
            majorVersion = version >> 4
            minorVersion = version & 0x0F
            exchangeType = ExchangeType(rawValue: try reader.readUInt8("exchange type"))
            flags = Flags(rawValue: try reader.readUInt8("flags"))
            messageID = try reader.readUInt32("message ID")
            length = try reader.readUInt32("length")
        } catch {
            throw MessageError(error, in: nil)
        }
    }

    func write(to writer: inout OctetWriter) {
        writer.write(initiatorSPI)
        writer.write(responderSPI)
        writer.write(nextPayload.rawValue)
        writer.write(majorVersion << 4 | minorVersion & 0x0F)
        writer.write(exchangeType.rawValue)
        writer.write(flags.rawValue)
        writer.write(messageID)
        writer.write(length)
    }
}
