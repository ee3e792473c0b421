import IKEMessage
import Octets

extension RegisteredNumber {
    /// The registered name; a number without one in decimal and hexadecimal: `UNKNOWN(200, 0xc8)`.
    var described: String {
        guard Self.names[self] == nil else { return description }
        let octets = rawValue.bigEndianOctets
        return "\(isPrivateUse ? "PRIVATE" : "UNKNOWN")(\(rawValue), 0x\(octets.hexadecimal))"
    }
}

/// The name of a transform with its key length; one without a name in decimal and hexadecimal.
func described(_ type: TransformType, _ id: UInt16, keyLength: UInt16? = nil) -> String {
    let registry = type.isKeyExchange ? TransformType.keyExchange : type
    let name = transformName(type, id, keyLength: keyLength)
    return transformNames[registry]?[id] == nil ? "\(name), 0x\(id.bigEndianOctets.hexadecimal)" : name
}
