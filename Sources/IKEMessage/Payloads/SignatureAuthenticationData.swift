// RFC 7427: Signature Authentication in IKEv2, section 3.
import Octets

/// The data of an AUTH payload of method 14: which signature algorithm, and the signature.
///
/// | octets | field |
/// | --- | --- |
/// | 0 | length of the AlgorithmIdentifier |
/// | 1 … | AlgorithmIdentifier, DER |
/// | then | signature |
public struct SignatureAuthenticationData: Hashable, Sendable {
    /// DER, 1 to 255 octets. It is not looked into here: receivers compare it with the ones they know.
    public var algorithmIdentifier: [UInt8]
    public var signature: [UInt8]

    public init(algorithmIdentifier: [UInt8], signature: [UInt8]) {
        self.algorithmIdentifier = algorithmIdentifier
        self.signature = signature
    }

    /// - Parameter octets: ``AuthenticationPayload/data``. Offsets in errors count from its beginning.
    /// - Throws: ``MessageError`` if the AlgorithmIdentifier or the signature is empty or cut off.
    public init(parsing octets: [UInt8]) throws(MessageError) {
        var reader = OctetReader(octets)
        do throws(OctetError) {
            let length = Int(try reader.readUInt8("length of the AlgorithmIdentifier"))
            guard length > 0 else {
                throw reader.invalid("length of the AlgorithmIdentifier", "it is empty", at: 0)
            }
            algorithmIdentifier = try reader.readOctets(length, "AlgorithmIdentifier")
            guard !reader.isAtEnd else { throw reader.invalid("signature", "it is empty") }
            signature = reader.readRest()
        } catch {
            throw MessageError(error, in: .authentication)
        }
    }

    public func serialized() -> [UInt8] {
        let algorithmIdentifier = algorithmIdentifier.prefix(255)
        return [UInt8(clamping: algorithmIdentifier.count)] + algorithmIdentifier + signature
    }
}
