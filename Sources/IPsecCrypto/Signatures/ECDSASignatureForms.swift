import SwiftASN1

// ECDSA signatures have two forms on the wire: DER `SEQUENCE { r, s }` in RFC 7427 authentication and in
// certificates, and r | s, each as long as the curve's field, in the authentication methods 9, 10 and 11 (RFC 4754
// section 7).

extension VerificationKey {
    /// r | s from a DER signature; `nil` if it is not strict DER or a number is not positive or too long for the curve.
    ///
    /// - Parameter curveBits: 256, 384 or 521.
    public static func ecdsaDERToRaw(_ der: [UInt8], curveBits: Int) -> [UInt8]? {
        let width = (curveBits + 7) / 8
        guard let root = try? DER.parse(der),
            let numbers = try? DER.sequence(
                root, identifier: .sequence,
                { nodes in
                    [try ArraySlice<UInt8>(derEncoded: &nodes), try ArraySlice<UInt8>(derEncoded: &nodes)]
                })
        else { return nil }
        var raw: [UInt8] = []
        for number in numbers {
            let digits = number.drop { $0 == 0 }
            guard !digits.isEmpty, digits.count <= width else { return nil }
            raw += [UInt8](repeating: 0, count: width - digits.count) + digits
        }
        return raw
    }

    /// The DER form of r | s; `nil` if its length is not that of the curve.
    ///
    /// - Parameter curveBits: 256, 384 or 521.
    public static func ecdsaRawToDER(_ raw: [UInt8], curveBits: Int) -> [UInt8]? {
        let width = (curveBits + 7) / 8
        guard raw.count == 2 * width else { return nil }
        var serializer = DER.Serializer()
        do {
            try serializer.appendConstructedNode(identifier: .sequence) { coder in
                for half in [raw[..<width], raw[width...]] {
                    let digits = half.drop { $0 == 0 }
                    try coder.serialize(digits.isEmpty ? [0] : digits)
                }
            }
        } catch {
            return nil
        }
        return serializer.serializedBytes
    }
}
