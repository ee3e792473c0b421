import IKEMessage
import Octets

/// Octets written by hand, fields apart by blanks; what is not hexadecimal there is a mistake of the test.
func hex(_ text: String) -> [UInt8] {
    guard let octets = [UInt8](hexadecimal: text) else { preconditionFailure("not hexadecimal: \(text)") }
    return octets
}

/// A message with the given chain of payloads, headed by hand.
func message(first: String, _ chain: String) -> [UInt8] {
    let payloads = hex(chain)
    return hex("1122334455667788 99aabbccddeeff00 \(first) 20 25 08 00000003")
        + UInt32(28 + payloads.count).bigEndianOctets
        + payloads
}

/// The one payload of a chain whose body is given; the header is made to fit.
func parse(_ type: PayloadType, _ body: String) throws(MessageError) -> Payload? {
    let body = hex(body)
    let chain = [0, 0] + UInt16(4 + body.count).bigEndianOctets + body
    return try Payload.parseChain(first: type, chain, offset: 0).first
}

/// The body that a payload is written with.
func body(of payload: Payload) -> String {
    Payload.serializeChain([payload]).octets.dropFirst(4).hexadecimal
}
