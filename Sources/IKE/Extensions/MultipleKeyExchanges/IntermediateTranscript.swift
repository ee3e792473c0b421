// RFC 9242: Intermediate Exchange in IKEv2; what is authenticated of it.
import IKEMessage
import IPsecCrypto
import Octets

/// What IKE_AUTH proves of the IKE_INTERMEDIATE exchanges before it: IntAuth (RFC 9242 section 3.3.2).
package struct IntermediateTranscript {
    private var initiator: [UInt8] = []
    private var responder: [UInt8] = []

    package init() {}

    /// Takes in a message, request or response, whatever it was for.
    ///
    /// - Parameters:
    ///   - message: as ``octets(of:_:)`` and ``octets(prefix:plaintext:)`` have it.
    ///   - key: SK_pi or SK_pr of the keys by which the exchange is protected.
    package mutating func add(
        _ message: [UInt8], ofInitiator: Bool, key: SecretOctets, prf: PRF
    ) throws(Refusal) {
        let earlier = ofInitiator ? initiator : responder
        let code = try AuthenticationOctets.code(prf, key, earlier + message).unprotected
        if ofInitiator { initiator = code } else { responder = code }
    }

    /// What is behind the signed octets of RFC 7296, section 2.15; nothing if there was no such exchange.
    ///
    /// - Parameter id: Message ID of the first IKE_AUTH request.
    package func octets(beforeMessage id: UInt32) -> [UInt8] {
        initiator.isEmpty ? [] : initiator + responder + id.bigEndianOctets
    }

    /// A message of ours before it is protected: its header, that of an SK payload, and the payloads within, with lengths as if
    /// nothing were protected.
    ///
    /// - Throws: ``MessageError`` if a payload is longer than the format allows.
    package static func octets(
        of header: IKEHeader, _ payloads: [Payload], format: PayloadFormat = .classic
    ) throws(MessageError) -> [UInt8] {
        let chain = try Payload.serializeChain(payloads, format: format)
        let prefix = Message.encryptedPrefix(
            header: header, leading: [], type: .encrypted, innerFirst: chain.first, fragment: nil, bodyLength: 0)
        return octets(prefix: prefix, plaintext: chain.octets, format: format)
    }

    /// A message of the peer's.
    ///
    /// - Parameters:
    ///   - prefix: the octets up to the IV, of the first fragment if it came in fragments.
    ///   - plaintext: what was protected, put together, without padding.
    ///   - format: of the payloads within. If it is extended, so is here the header of SK, as its classic length may not do.
    package static func octets(prefix: [UInt8], plaintext: [UInt8], format: PayloadFormat) -> [UInt8] {
        guard prefix.count >= IKEHeader.octetCount + 4 else { return plaintext }
        var prefix = prefix
        // Where the type of the payload stands that comes next, and where that begins.
        var (field, start) = (16, IKEHeader.octetCount)
        while prefix[field] != PayloadType.encrypted.rawValue, prefix[field] != PayloadType.encryptedFragment.rawValue,
            start + 4 <= prefix.count
        {
            (field, start) = (start, start + max(4, Int(prefix[start + 2]) << 8 | Int(prefix[start + 3])))
        }
        if prefix[field] == PayloadType.encryptedFragment.rawValue {
            prefix[field] = PayloadType.encrypted.rawValue
            prefix.removeLast(4)
        }
        switch format {
        case .classic:
            let length = UInt16(clamping: 4 + plaintext.count).bigEndianOctets
            prefix.replaceSubrange(prefix.count - 2..<prefix.count, with: length)
        case .extended:
            let start = prefix.count - 4
            let header = try? ExtendedPayloadHeader(
                next: PayloadType(rawValue: prefix[start]), bodyLength: plaintext.count)
            prefix.replaceSubrange(start..., with: header?.octets ?? [])
        }
        prefix.replaceSubrange(24..<28, with: UInt32(clamping: prefix.count + plaintext.count).bigEndianOctets)
        return prefix + plaintext
    }
}
